//! What a change costs: the real binary, a real SMTP conversation, a real database.
//!
//! Prints the processor time of the process per flow against two raw Argon2 verifications taken in
//! turns with the flows, each step by itself, what refused links and readers cost against `/healthz`,
//! and how `/healthz` and the memory stand a flood of wrong passwords. Load comes from a process of
//! its own. Ratios hold from machine to machine; absolute figures do not: docs/performance.md.
//!
//! `make bench`; on PostgreSQL if `TEST_POSTGRES_URL` is set, on SQLite always.

#![allow(
    clippy::expect_used,
    reason = "a bench that cannot run says so by panicking"
)]

mod flows;
mod load;
mod service;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/support/smtp.rs"]
mod smtp;
mod steps;
mod walk;

/// Where the sink finds links.
mod app {
    pub const APP_URL: &str = "https://app.example.com";
}

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use service::{Service, prepare};
use walk::{Front, Person};

const PASSWORD: &str = "correct horse battery staple";
/// Whose address changes, to and fro.
const HOMES: [&str; 2] = ["bench@example.com", "bench@new.example"];
const STARTS: usize = 5;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "flood", url] => return load::flood(url).await,
        [_, "throughput", address, status, request] => {
            return load::throughput(address, status, request.to_owned()).await;
        }
        _ => {}
    }
    let bytes = std::fs::metadata(service::binary())
        .expect("a binary")
        .len();
    #[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
    let megabytes = bytes as f64 / 1e6;
    println!(
        "binary                {megabytes:>8.1} MB ({})",
        service::binary()
    );
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("bench.db");
    run("SQLite", &format!("sqlite://{}", file.display())).await;
    let url = std::env::var("TEST_POSTGRES_URL").unwrap_or_default();
    if !url.is_empty() {
        let schema = format!("bench_{}", std::process::id());
        let name = format!("PostgreSQL, fsync {}", fsync(&url).await);
        run(&name, &in_schema(&url, &schema).await).await;
        psql(&url, &format!("DROP SCHEMA {schema} CASCADE")).await;
    }
}

/// A place of its own, so that what others have there is neither read nor touched.
async fn in_schema(url: &str, schema: &str) -> String {
    psql(url, &format!("CREATE SCHEMA {schema}")).await;
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20search_path%3D{schema}")
}

/// What is promised of a write costs time, and is not asked of every server that tests use.
async fn fsync(url: &str) -> String {
    use sea_orm::{ConnectionTrait, Statement};
    let database = sea_orm::Database::connect(url).await.expect("PostgreSQL");
    let asked = Statement::from_string(database.get_database_backend(), "SHOW fsync");
    let row = database.query_one_raw(asked).await.expect("an answer");
    let row = row.expect("a row");
    row.try_get_by_index(0).expect("a text")
}

async fn psql(url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let database = sea_orm::Database::connect(url).await.expect("PostgreSQL");
    database.execute_unprepared(sql).await.expect(sql);
}

async fn run(database: &str, database_url: &str) {
    println!("\n{database}");
    let sink = Arc::new(smtp::SmtpSink::start().await);
    prepare(database_url, HOMES[0]);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let service = Service::start(database_url, &sink.url(), &[]).await;
        starts.push(service.started_in.as_secs_f64() * 1e3);
    }
    println!(
        "start to first answer {:>8.0} ms p50 of {STARTS}",
        at(&mut starts, 50)
    );
    let service = Service::start(database_url, &sink.url(), &[]).await;
    let (idle, _) = service.memory_mib();
    println!("memory, idle          {idle:>8.1} MiB");
    let front = Front::new(&service.url, &sink);
    let homes = HOMES.map(str::to_owned);
    let mut person = Person::sign_in(&front, homes).await;
    flows::run(&service, &front, &mut person).await;
    steps::run(&service, &front, database_url).await;
    readers(&service, &front, &person).await;
    flood(&service, idle).await;
}

/// What costs no password, as fast as it goes: against `/healthz`.
async fn readers(service: &Service, front: &Front, person: &Person) {
    front.request(&person.access).await;
    let link = front.link(&person.homes[0], "new-email").await;
    // Signed by somebody else: its last character but one is another.
    let mut forged = link.clone().into_bytes();
    let last = forged.len() - 2;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("ASCII");
    let post = |step: &str, token: &str| {
        let body = json!({ "token": token }).to_string();
        format!(
            "POST /v1/email-change/{step} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let mut healthz = 0.0;
    for (name, status, request) in [
        (
            "/healthz",
            "200",
            "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        ),
        ("a forged link", "400", post("activate", &forged)),
        ("a link of another kind", "400", post("activate", &link)),
        ("inspect", "200", post("inspect", &link)),
    ] {
        let before = service.cpu_ms();
        let output = Command::new(std::env::current_exe().expect("this bench"))
            .args([
                "throughput",
                service.url.trim_start_matches("http://"),
                status,
                &request,
            ])
            .stderr(Stdio::inherit())
            .output();
        let answered = String::from_utf8(output.expect("a process").stdout).expect("a number");
        let mut said = answered
            .split_whitespace()
            .map(|number| number.parse().expect("a number"));
        let mut next = || -> f64 { said.next().expect("three numbers") };
        let (answered, p50, p99) = (next(), next(), next());
        let rate = answered / load::THROUGHPUT.as_secs_f64();
        if healthz == 0.0 {
            healthz = rate;
        }
        println!(
            "{name:<22}{rate:>8.0} a second, {:.3} x /healthz; {:.1} us CPU each; {p50:.0} us p50, {p99:.0} p99",
            rate / healthz,
            (service.cpu_ms() - before) * 1e3 / answered
        );
    }
}

/// How it stands a flood of wrong passwords.
async fn flood(service: &Service, idle: f64) {
    let print = |name: &str, mut latencies: Vec<f64>| {
        println!(
            "{name:<22}{:>8.2} ms p50, {:.2} p99, {:.2} max ({} asked)",
            at(&mut latencies, 50),
            at(&mut latencies, 99),
            at(&mut latencies, 100),
            latencies.len()
        );
    };
    print(
        "quiet /healthz",
        service.probe(Duration::from_secs(2)).await,
    );
    let mut flood = Command::new(std::env::current_exe().expect("this bench"))
        .args(["flood", &service.url])
        .spawn()
        .expect("a process");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let during = load::FLOOD.saturating_sub(Duration::from_secs(2));
    print("flooded /healthz", service.probe(during).await);
    flood.wait().expect("the flood ends");
    let (now, highest) = service.memory_mib();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "memory, flooded       {now:>8.1} MiB, {highest:.1} at its highest: idle + {:.1}; promised is idle + {threads} x 19 + 64",
        highest - idle
    );
}

/// So many percent of them are smaller.
fn at(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
