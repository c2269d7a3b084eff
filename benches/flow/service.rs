//! The release binary as a process of its own, and what the system knows about it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{PASSWORD, app};

/// What is measured: `BENCH_BINARY` (`make bench` names the one that is shipped), or the bench's own.
pub fn binary() -> String {
    let own = env!("CARGO_BIN_EXE_readdress");
    std::env::var("BENCH_BINARY").unwrap_or_else(|_| own.to_owned())
}

pub struct Service {
    process: Child,
    pub url: String,
    http: reqwest::Client,
    pub started_in: Duration,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(arguments: &[&str], database_url: &str) -> Command {
    let mut command = Command::new(binary());
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("READDRESS_"));
    command
        .args(arguments)
        .env_clear()
        .envs(ours)
        .env("READDRESS_DATABASE_URL", database_url)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A table, and one person in it.
pub fn prepare(database_url: &str, email: &str) {
    migrate(database_url);
    add(database_url, email);
}

pub fn migrate(database_url: &str) {
    let migrated = command(&["migrate", "up"], database_url).status();
    assert!(migrated.expect("runs").success());
}

/// One person more.
pub fn add(database_url: &str, email: &str) {
    let mut add = command(&["user", "add", email], database_url)
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    std::io::Write::write_all(&mut add.stdin.take().expect("a pipe"), PASSWORD.as_bytes())
        .expect("written");
    assert!(add.wait().expect("ends").success());
}

impl Service {
    /// Starts it, and waits for its first answer. `more` is set besides, or instead.
    pub async fn start(database_url: &str, smtp_url: &str, more: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let listen = format!("127.0.0.1:{port}");
        let key = readdress::keys::generate().expect("random");
        let mut serve = command(&["serve"], database_url);
        serve
            .envs([
                ("READDRESS_APP_URL", app::APP_URL),
                ("READDRESS_SECRET_KEYS", &key),
                ("READDRESS_SMTP_URL", smtp_url),
                ("READDRESS_MAIL_FROM", "a@app.example.com"),
                ("READDRESS_LISTEN", &listen),
                ("READDRESS_ACCESS_TTL", "1h"),
                // As in deploy/.
                ("READDRESS_LOG_FORMAT", "json"),
            ])
            .envs(
                // Charged as anywhere, and never reached.
                ["PASSWORDS", "RECIPIENT", "RECIPIENT_ALL", "CLIENT"]
                    .map(|name| (format!("READDRESS_LIMIT_{name}"), "1000000/1s")),
            )
            .envs(more.iter().copied());
        serve.stderr(Stdio::piped());
        let began = Instant::now();
        let mut process = serve.spawn().expect("runs");
        drain(process.stderr.take().expect("a pipe"));
        let (url, http) = (format!("http://{listen}"), reqwest::Client::new());
        while http.get(format!("{url}/healthz")).send().await.is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the server does not start"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Self {
            process,
            url,
            http,
            started_in: began.elapsed(),
        }
    }

    /// Latencies of `/healthz`, asked 100 times a second, in milliseconds.
    pub async fn probe(&self, during: Duration) -> Vec<f64> {
        let (began, mut latencies) = (Instant::now(), Vec::new());
        while began.elapsed() < during {
            let asked = Instant::now();
            let answer = self.http.get(format!("{}/healthz", self.url)).send().await;
            assert!(answer.expect("an answer").status().is_success());
            latencies.push(asked.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        latencies
    }

    /// Processor time of all its threads so far, in milliseconds.
    pub fn cpu_ms(&self) -> f64 {
        cpu_ms(&self.process.id().to_string())
    }

    /// Resident now, and at its highest, in MiB (proc(5)).
    pub fn memory_mib(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("a process");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let kib = line.and_then(|line| line.split_whitespace().nth(1));
            kib.and_then(|kib| kib.parse::<f64>().ok())
                .expect("a number")
                / 1024.0
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

/// The log is read, as it is wherever a service runs.
fn drain(mut log: std::process::ChildStderr) {
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
}

/// Processor time of a process so far, in milliseconds: of all its threads, in nanoseconds
/// (Documentation/scheduler/sched-stats.rst); none of ours ends meanwhile.
pub fn cpu_ms(process: &str) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("a process");
    let nanoseconds = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}
