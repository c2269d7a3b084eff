//! What a change costs: the real binary, a real SMTP conversation, a real database.
//!
//! Prints the processor time of the process per flow against two raw Argon2 verifications measured
//! in the same run, each step by itself, what refused links and readers cost against `/healthz`, and
//! how `/healthz` and the memory stand a flood of wrong passwords. Load comes from a process of its
//! own. Ratios hold from machine to machine; absolute figures do not: docs/performance.md.
//!
//! `make bench`; on PostgreSQL if `TEST_POSTGRES_URL` is set, on SQLite always.

#![allow(
    clippy::expect_used,
    reason = "a bench that cannot run says so by panicking"
)]

mod load;
mod service;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/support/smtp.rs"]
mod smtp;

/// Where the sink finds links.
mod app {
    pub const APP_URL: &str = "https://app.example.com";
}

use std::process::{Command, Stdio};
use std::time::Duration;

use readdress::password::{self, Checker, Password, Workspace};
use serde_json::json;

use service::{Service, change, cpu_ms, prepare};

const PASSWORD: &str = "correct horse battery staple";
const EMAIL: &str = "bench0@example.com";
const FLOWS: u32 = 200;
const STARTS: usize = 5;
/// Raw verifications, half of them before and half after the flows of each database.
const VERIFICATIONS: u32 = 200;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "flood", url] => return load::flood(url).await,
        [_, "throughput", address, request] => {
            return load::throughput(address, request.to_owned()).await;
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
    if let Ok(url) = std::env::var("TEST_POSTGRES_URL") {
        let schema = format!("bench_{}", std::process::id());
        run("PostgreSQL", &in_schema(&url, &schema).await).await;
        psql(&url, &format!("DROP SCHEMA {schema} CASCADE")).await;
    }
}

/// A place of its own, so that what others have there is neither read nor touched.
async fn in_schema(url: &str, schema: &str) -> String {
    psql(url, &format!("CREATE SCHEMA {schema}")).await;
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options=-c%20search_path%3D{schema}")
}

async fn psql(url: &str, sql: &str) {
    use sea_orm::ConnectionTrait;
    let database = sea_orm::Database::connect(url).await.expect("PostgreSQL");
    database.execute_unprepared(sql).await.expect(sql);
}

async fn run(database: &str, database_url: &str) {
    println!("\n{database}");
    let sink = smtp::SmtpSink::start().await;
    prepare(database_url, EMAIL);
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
    flows(&service, &sink).await;
    readers(&service, &sink).await;
    flood(&service, idle).await;
}

/// Full flows, one person after the other.
async fn flows(service: &Service, sink: &smtp::SmtpSink) {
    let access = service.sign_in(EMAIL).await;
    change(service, sink, &access, 0).await;
    let mut steps = [(); 3].map(|()| (Vec::new(), Vec::new()));
    let mut raw = raw_verification(VERIFICATIONS / 2);
    for number in 1..=FLOWS {
        let costs = change(service, sink, &access, number).await;
        for (step, (cpu, took)) in steps.iter_mut().zip(costs) {
            step.0.push(cpu);
            step.1.push(took);
        }
    }
    raw = f64::midpoint(raw, raw_verification(VERIFICATIONS / 2));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / f64::from(FLOWS);
    let flow: f64 = steps.iter().map(|(cpu, _)| mean(cpu)).sum();
    println!("raw verification      {raw:>8.2} ms CPU (m=19456 t=2 p=1, {VERIFICATIONS} in a row)");
    println!(
        "a flow                {flow:>8.2} ms CPU: {:.3} x two raw verifications",
        flow / (2.0 * raw)
    );
    for (name, (cpu, took)) in ["request", "confirm", "activate"].iter().zip(&mut steps) {
        println!(
            "  {name:<19} {:>8.2} ms CPU, {:.2} ms p50, {:.2} p99",
            mean(cpu),
            at(took, 50),
            at(took, 99)
        );
    }
}

/// What costs no password, as fast as it goes: against `/healthz`.
async fn readers(service: &Service, sink: &smtp::SmtpSink) {
    let access = service
        .sign_in(&format!("bench{}@example.com", FLOWS + 1))
        .await;
    service
        .post(
            "/v1/email-change/request",
            &access,
            json!({ "password": PASSWORD }),
        )
        .await;
    let mails = sink.received();
    let link = mails.iter().find_map(|mail| mail.find_token("new-email"));
    let link = link.expect("a link");
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
    for (name, request) in [
        (
            "/healthz",
            "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        ),
        ("a forged link", post("activate", &forged)),
        ("a link of another kind", post("activate", &link)),
        ("inspect", post("inspect", &link)),
    ] {
        let before = service.cpu_ms();
        let output = Command::new(std::env::current_exe().expect("this bench"))
            .args([
                "throughput",
                service.url.trim_start_matches("http://"),
                &request,
            ])
            .stderr(Stdio::inherit())
            .output();
        let answered = String::from_utf8(output.expect("a process").stdout).expect("a number");
        let answered: f64 = answered.trim().parse().expect("a number");
        let rate = answered / load::THROUGHPUT.as_secs_f64();
        if healthz == 0.0 {
            healthz = rate;
        }
        println!(
            "{name:<22}{rate:>8.0} a second, {:.3} x /healthz, {:.1} us CPU each",
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

/// Milliseconds of processor time that one password check takes with nothing around it.
fn raw_verification(times: u32) -> f64 {
    let stored = password::hash(&Password::new(PASSWORD.to_owned())).expect("a hash");
    let (checker, mut workspace) = (Checker::default(), Workspace::default());
    let mut verify = || {
        let password = Password::new(PASSWORD.to_owned());
        assert!(checker.check(&password, Some(&stored), &mut workspace));
    };
    verify();
    let before = cpu_ms("self");
    (0..times).for_each(|_| verify());
    (cpu_ms("self") - before) / f64::from(times)
}

fn at(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
