//! A PostgreSQL of a test's own, which it may kill.
//!
//! Made with `initdb` from the binaries that are installed, and run as `nobody` where the tests run
//! as root, which PostgreSQL refuses to.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::proxy::free_port;

/// Who owns nothing, wherever there are users.
const NOBODY: u32 = 65_534;

pub struct Cluster {
    binaries: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// Whether PostgreSQL is installed.
    pub fn is_possible() -> bool {
        binaries().is_some()
    }

    /// A cluster that is running; nothing, and a word about it, where PostgreSQL is not installed.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let Some(binaries) = binaries() else {
            assert!(
                std::env::var_os("CI").is_none(),
                "CI needs the binaries of PostgreSQL"
            );
            eprintln!("left out: initdb and pg_ctl of PostgreSQL are not installed here");
            return None;
        };
        let cluster = Self::empty(binaries);
        cluster.run(
            "initdb",
            &[
                "--username=postgres",
                "--auth=trust",
                "--no-locale",
                "--encoding=UTF8",
            ],
        );
        let mut conf = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n",
            cluster.port
        );
        for setting in settings {
            conf += setting;
            conf.push('\n');
        }
        cluster.configure(&conf);
        cluster.go();
        Some(cluster)
    }

    /// A copy of this one that follows it and only reads.
    pub fn standby(&self) -> Self {
        let standby = Self::empty(self.binaries.clone());
        standby.run(
            "pg_basebackup",
            &[
                "--write-recovery-conf",
                "--checkpoint=fast",
                &format!("--dbname={}", self.url()),
            ],
        );
        standby.configure(&format!("port = {}\n", standby.port));
        standby.go();
        standby
    }

    /// From a standby to a primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["promote", "--wait"]);
    }

    /// A folder for one, and a port.
    fn empty(binaries: PathBuf) -> Self {
        let folder = TempDir::new().expect("a folder");
        give_to_nobody(folder.path());
        Self {
            binaries,
            folder,
            port: free_port(),
        }
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Adds to the configuration; heard at the next start or `reload`.
    pub fn configure(&self, more: &str) {
        let file = self.data().join("postgresql.conf");
        let conf = std::fs::read_to_string(&file).expect("a configuration");
        std::fs::write(&file, conf + more).expect("written");
    }

    pub fn reload(&self) {
        self.run("pg_ctl", &["reload"]);
    }

    pub fn go(&self) {
        let log = self.folder.path().join("log");
        self.run(
            "pg_ctl",
            &["start", "--wait", "--log", log.to_str().expect("UTF-8")],
        );
    }

    /// As if it had been killed: nothing is finished, nothing is written down.
    pub fn kill(&self) {
        self.run("pg_ctl", &["stop", "--mode=immediate", "--wait"]);
    }

    /// As for an update: sessions are ended, and everything is written down.
    pub fn stop(&self) {
        self.run("pg_ctl", &["stop", "--mode=fast", "--wait"]);
    }

    /// Everything that it has logged.
    #[allow(dead_code, reason = "the bench looks for plans there")]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("a log")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.binaries.join(program);
        let status = as_nobody(&program)
            .arg("--pgdata")
            .arg(self.data())
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        assert!(
            status.expect("it runs").success(),
            "{} {arguments:?}",
            program.display()
        );
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.kill();
        }
    }
}

/// A program that refuses to run as root; not through another one, so that a signal reaches it.
pub fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// What [`as_nobody`] is to write in.
pub fn give_to_nobody(folder: &Path) {
    if is_root() {
        let chown = Command::new("chown")
            .arg(NOBODY.to_string())
            .arg(folder)
            .status();
        assert!(chown.expect("chown").success());
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n")
}

/// Debian keeps them out of the way; elsewhere `pg_config` knows, or they are on the path.
fn binaries() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = debian
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    found.sort();
    if let Ok(said) = Command::new("pg_config").arg("--bindir").output() {
        found.insert(
            0,
            PathBuf::from(String::from_utf8_lossy(&said.stdout).trim()),
        );
    }
    found.into_iter().rfind(|path: &PathBuf| has_all(path))
}

fn has_all(path: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres", "pg_basebackup"]
        .iter()
        .all(|name| path.join(name).exists())
}
