//! `PgBouncer` in front of a [`Cluster`](super::cluster::Cluster), with settings of a test's own.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use url::Url;

use super::cluster::as_nobody;
use super::proxy::{await_port, free_port, installed};

pub struct Pooler {
    process: Child,
    /// Of the database behind it.
    pub url: String,
    _folder: TempDir,
}

impl Pooler {
    /// In front of that database; nothing, and a word about it, where `PgBouncer` is not installed.
    pub async fn start(database_url: &str, settings: &[&str]) -> Option<Self> {
        let binary = installed("pgbouncer")?;
        let (folder, port) = (TempDir::new().expect("a folder"), free_port());
        let mut url = Url::parse(database_url).expect("a URL");
        let behind = url.port().unwrap_or(5432);
        let mut configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={behind} user={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\n",
            url.username()
        );
        for setting in settings {
            configuration += setting;
            configuration.push('\n');
        }
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).expect("written");
        // Read by whoever it runs as.
        let open = Command::new("chmod")
            .args(["-R", "a+rX"])
            .arg(folder.path())
            .status();
        assert!(open.expect("chmod").success());
        let process = as_nobody(&binary)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer starts");
        await_port(port).await;
        url.set_port(Some(port)).expect("a port");
        Some(Self {
            process,
            url: url.into(),
            _folder: folder,
        })
    }

    /// Whether the one installed here can keep prepared statements apart: from 1.21 on.
    pub fn keeps_statements() -> bool {
        let Some(binary) = installed("pgbouncer") else {
            return false;
        };
        let said = Command::new(binary).arg("--version").output();
        let said = String::from_utf8(said.expect("it runs").stdout).expect("UTF-8");
        let mut version = said
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .split('.');
        let mut number = || version.next().and_then(|part| part.parse::<u32>().ok());
        (number(), number()) >= (Some(1), Some(21))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
