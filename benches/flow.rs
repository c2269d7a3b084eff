//! What a change costs: the real binary, a real SMTP conversation, a real database.
//!
//! Prints the CPU time of the process per flow against two raw Argon2 verifications measured in the
//! same run, and how `/healthz` and the memory stand a flood of wrong passwords. The flood comes
//! from a process of its own. Ratios hold from machine to machine; absolute figures do not.
//!
//! `make bench`; on PostgreSQL if `TEST_POSTGRES_URL` is set, on SQLite always.

#![allow(
    clippy::expect_used,
    reason = "a bench that cannot run says so by panicking"
)]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/integration/support/smtp.rs"]
mod smtp;

/// Where the sink finds links.
mod app {
    pub const APP_URL: &str = "https://app.example.com";
}

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use readdress::password::{self, Checker, Password, Workspace};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery staple";
const BINARY: &str = env!("CARGO_BIN_EXE_readdress");
const FLOWS: u32 = 200;
const VERIFICATIONS: u32 = 200;
const FLOODERS: usize = 120;
const FLOOD: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flood, url] = arguments.as_slice()
        && flood == "flood"
    {
        return flood_sign_in(url).await;
    }
    let raw = raw_verification();
    println!("raw verification      {raw:>8.2} ms CPU (m=19456 t=2 p=1, {VERIFICATIONS} in a row)");
    let folder = tempfile::TempDir::new().expect("a folder");
    run(
        "SQLite",
        &format!("sqlite://{}", folder.path().join("bench.db").display()),
        raw,
    )
    .await;
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        run("PostgreSQL", &url, raw).await;
    }
}

/// Milliseconds of CPU one password check takes with nothing around it.
fn raw_verification() -> f64 {
    let stored = password::hash(&Password::new(PASSWORD.to_owned())).expect("a hash");
    let (checker, mut workspace) = (Checker::default(), Workspace::default());
    let mut verify = || {
        assert!(checker.check(
            &Password::new(PASSWORD.to_owned()),
            Some(&stored),
            &mut workspace
        ));
    };
    verify();
    let before = cpu_ms("self");
    (0..VERIFICATIONS).for_each(|_| verify());
    (cpu_ms("self") - before) / f64::from(VERIFICATIONS)
}

async fn run(database: &str, database_url: &str, raw: f64) {
    println!("\n{database}");
    let sink = smtp::SmtpSink::start().await;
    let server = Server::start(database_url, &sink.url()).await;
    println!(
        "start to first answer {:>8.0} ms",
        server.started_in.as_secs_f64() * 1e3
    );
    let idle = server.memory_mib();
    println!("memory, idle          {idle:>8.1} MiB");

    let access = server.sign_in("bench0@example.com").await;
    server.flow(&sink, &access, 0).await;
    let before = server.cpu_ms();
    let began = Instant::now();
    for number in 1..=FLOWS {
        server.flow(&sink, &access, number).await;
    }
    let (cpu, wall) = (
        (server.cpu_ms() - before) / f64::from(FLOWS),
        began.elapsed().as_secs_f64() * 1e3,
    );
    println!(
        "a flow                {cpu:>8.2} ms CPU, {:.2} ms from end to end",
        wall / f64::from(FLOWS)
    );
    println!("against two raw       {:>8.3} x", cpu / (2.0 * raw));

    println!(
        "quiet /healthz        {}",
        server.probe(Duration::from_secs(2)).await
    );
    let mut flood = Command::new(std::env::current_exe().expect("this bench"))
        .args(["flood", &server.url])
        .spawn()
        .expect("a process");
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "flooded /healthz      {}",
        server
            .probe(FLOOD.saturating_sub(Duration::from_secs(2)))
            .await
    );
    let flooded = server.memory_mib();
    flood.wait().expect("the flood ends");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "memory, flooded       {flooded:>8.1} MiB: idle + {:.1}; promised is idle + {threads} x 19 + 64",
        flooded - idle
    );
}

struct Server {
    process: Child,
    url: String,
    http: reqwest::Client,
    started_in: Duration,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    async fn start(database_url: &str, smtp_url: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let listen = format!("127.0.0.1:{port}");
        let command = |arguments: &[&str]| {
            let mut command = Command::new(BINARY);
            let ours = std::env::vars().filter(|(name, _)| name.starts_with("READDRESS_"));
            command
                .args(arguments)
                .env_clear()
                .envs(ours)
                .env("READDRESS_DATABASE_URL", database_url)
                .stdout(Stdio::null());
            command
        };
        assert!(
            command(&["migrate", "up"])
                .status()
                .expect("runs")
                .success()
        );
        let mut add = command(&["user", "add", "bench0@example.com"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("runs");
        std::io::Write::write_all(&mut add.stdin.take().expect("a pipe"), PASSWORD.as_bytes())
            .expect("written");
        add.wait().expect("ends");

        let key = readdress::keys::generate().expect("random");
        let mut serve = command(&["serve"]);
        serve
            .envs([
                ("READDRESS_APP_URL", app::APP_URL),
                ("READDRESS_SECRET_KEYS", &key),
                ("READDRESS_SMTP_URL", smtp_url),
            ])
            .envs([
                ("READDRESS_MAIL_FROM", "a@app.example.com"),
                ("READDRESS_LISTEN", &listen),
                ("READDRESS_ACCESS_TTL", "1h"),
            ])
            .envs(
                ["PASSWORDS", "RECIPIENT", "RECIPIENT_ALL", "CLIENT"]
                    .map(|name| (format!("READDRESS_LIMIT_{name}"), "off")),
            )
            .stderr(Stdio::null());
        let began = Instant::now();
        let process = serve.spawn().expect("runs");
        let (url, http) = (format!("http://{listen}"), reqwest::Client::new());
        while http.get(format!("{url}/healthz")).send().await.is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the server does not start"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self {
            process,
            url,
            http,
            started_in: began.elapsed(),
        }
    }

    async fn post(&self, path: &str, access: &str, body: Value) -> Value {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("Content-Type", "application/json");
        let answer = request
            .header("Authorization", format!("Bearer {access}"))
            .body(body.to_string())
            .send()
            .await;
        let text = answer.expect("an answer").text().await.expect("a body");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn sign_in(&self, email: &str) -> String {
        let session = self
            .post(
                "/v1/session",
                "",
                json!({ "email": email, "password": PASSWORD }),
            )
            .await;
        session["access_token"]
            .as_str()
            .expect("signed in")
            .to_owned()
    }

    /// Request, confirm, activate: from one address to the next.
    async fn flow(&self, sink: &smtp::SmtpSink, access: &str, number: u32) {
        let newest = |page: &str| {
            sink.received()
                .iter()
                .rev()
                .find_map(|mail| mail.find_token(page))
                .expect("a link")
        };
        self.post(
            "/v1/email-change/request",
            access,
            json!({ "password": PASSWORD }),
        )
        .await;
        let confirm = json!({ "token": newest("new-email"), "password": PASSWORD, "new_email": format!("bench{}@example.com", number + 1) });
        self.post("/v1/email-change/confirm", access, confirm).await;
        let activated = self
            .post(
                "/v1/email-change/activate",
                access,
                json!({ "token": newest("email-activation") }),
            )
            .await;
        assert_eq!(activated["status"], "activated", "{activated}");
    }

    /// Latencies of `/healthz`, asked 100 times a second.
    async fn probe(&self, during: Duration) -> String {
        let (began, mut latencies) = (Instant::now(), Vec::new());
        while began.elapsed() < during {
            let asked = Instant::now();
            let answer = self
                .http
                .get(format!("{}/healthz", self.url))
                .send()
                .await
                .expect("an answer");
            assert!(answer.status().is_success());
            latencies.push(asked.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        latencies.sort_by(f64::total_cmp);
        let at =
            |percent: usize| latencies[(latencies.len() * percent / 100).min(latencies.len() - 1)];
        format!(
            "{:>8.2} ms p50, {:.2} p99, {:.2} max ({} asked)",
            at(50),
            at(99),
            at(100),
            latencies.len()
        )
    }

    fn cpu_ms(&self) -> f64 {
        cpu_ms(&self.process.id().to_string())
    }

    fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))
            .expect("a process");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .expect("its memory");
        line.split_whitespace()
            .nth(1)
            .and_then(|kib| kib.parse::<f64>().ok())
            .expect("a number")
            / 1024.0
    }
}

/// User and system time of a process so far (proc(5): fields 14 and 15, in hundredths of a second).
fn cpu_ms(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .expect("a name")
        .1
        .split_whitespace()
        .collect();
    (fields[11].parse::<f64>().expect("a number") + fields[12].parse::<f64>().expect("a number"))
        * 10.0
}

async fn flood_sign_in(url: &str) {
    let body = json!({ "email": "bench0@example.com", "password": "wrong" }).to_string();
    let ends = Instant::now() + FLOOD;
    let flooders: Vec<_> = (0..FLOODERS)
        .map(|_| {
            let (http, url, body) = (
                reqwest::Client::new(),
                format!("{url}/v1/session"),
                body.clone(),
            );
            tokio::spawn(async move {
                let (mut hashed, mut refused) = (0, 0);
                while Instant::now() < ends {
                    let request = http
                        .post(&url)
                        .header("Content-Type", "application/json")
                        .body(body.clone());
                    match request.send().await.expect("an answer").status().as_u16() {
                        401 => hashed += 1,
                        503 => {
                            refused += 1;
                            // As a client that heeds nothing would, but not in a busy loop of its own.
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        other => panic!("{other}"),
                    }
                }
                (hashed, refused)
            })
        })
        .collect();
    let (mut hashed, mut refused) = (0, 0);
    for flooder in flooders {
        let (one, other) = flooder.await.expect("a flooder");
        hashed += one;
        refused += other;
    }
    println!(
        "the flood             {FLOODERS} clients, {hashed} wrong passwords checked and {refused} refused in {} s",
        FLOOD.as_secs()
    );
}
