//! `HAProxy` in front of replicas, as operators set it up: a connection a request, and another server
//! is tried only if the first could not be connected to. What was sent to a server is never sent again,
//! so a server that drops a connection it was given is noticed.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

pub struct Proxy {
    process: Child,
    pub url: String,
    _folder: TempDir,
}

impl Proxy {
    /// In front of these; nothing, and a word about it, where `HAProxy` is not installed.
    pub async fn start(servers: &[&str]) -> Option<Self> {
        let binary = installed("haproxy")?;
        let folder = TempDir::new().expect("a folder");
        let port = free_port();
        let mut configuration = format!(
            "global\n  maxconn 1000\n\
             defaults\n  mode http\n  option httpclose\n  option redispatch 1\n  retries 6\n  retry-on conn-failure\n  \
             timeout connect 2s\n  timeout client 20s\n  timeout server 20s\n  timeout queue 5s\n\
             listen readdress\n  bind 127.0.0.1:{port}\n  balance roundrobin\n"
        );
        for (number, address) in servers.iter().enumerate() {
            let server = ["  server replica", &number.to_string(), " ", address];
            configuration.extend(server);
            configuration += " check inter 100ms fall 1 rise 1\n";
        }
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, configuration).expect("written");
        let process = Command::new(binary)
            .arg("-f")
            .arg(&file)
            .arg("-db")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("HAProxy starts");
        await_port(port).await;
        Some(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where that program is installed; nothing, and a word about it, where it is not. CI has it.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin";
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI needs {program}");
        eprintln!("left out: {program} is not installed here");
    }
    found
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until somebody listens there.
pub async fn await_port(port: u16) {
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody listens at {port}");
}
