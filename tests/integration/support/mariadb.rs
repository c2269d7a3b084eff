//! A MariaDB of a test's own, which only reads: what is set for a whole server cannot be set on the
//! one that all tests share.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::cluster::{as_nobody, give_to_nobody};
use super::proxy::{await_port, free_port, installed};

pub struct ReadOnlyMariaDb {
    process: Child,
    pub url: String,
    _folder: TempDir,
}

impl ReadOnlyMariaDb {
    /// Nothing, and a word about it, where MariaDB is not installed.
    pub async fn start() -> Option<Self> {
        let (make, serve) = (installed("mariadb-install-db")?, installed("mariadbd")?);
        let (folder, port) = (TempDir::new().expect("a folder"), free_port());
        give_to_nobody(folder.path());
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let data = format!("--datadir={}", inside("data"));
        let made = quiet(&make, folder.path())
            .args(["--no-defaults", &data, "--skip-test-db"])
            .arg("--auth-root-authentication-method=normal")
            .status();
        assert!(made.expect("it runs").success(), "no data folder");
        let process = quiet(&serve, folder.path())
            .args(["--no-defaults", &data, "--read-only"])
            .arg(format!("--socket={}", inside("socket")))
            .arg(format!("--pid-file={}", inside("pid")))
            .args(["--bind-address=127.0.0.1", &format!("--port={port}")])
            .spawn()
            .expect("MariaDB starts");
        await_port(port).await;
        Some(Self {
            process,
            url: format!("mysql://root@127.0.0.1:{port}/mysql"),
            _folder: folder,
        })
    }
}

/// MariaDB refuses to run as root.
fn quiet(program: &Path, folder: &Path) -> Command {
    let mut command = as_nobody(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Drop for ReadOnlyMariaDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
