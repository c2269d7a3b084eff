//! What stays the same when everything grows: replicas, people behind a pooler, rows.
//!
//! Three parts, each with its reference in the same run, and taken in turns, so that whatever else the
//! machine does meets all of them alike: what a flow costs on one, two and four replicas behind
//! `HAProxy`; directly and through `PgBouncer`; and how long each step takes on tables of a thousand,
//! a million and ten million rows. Ratios hold from machine to machine: docs/performance.md.
//!
//! `make scale`; `cargo bench --bench scale -- replicas` (`pooler`, `tables`) for one part of it.

#![allow(
    clippy::expect_used,
    reason = "a bench that cannot run says so by panicking"
)]

mod group;
mod tables;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/support/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/support/pooler.rs"]
mod pooler;
#[path = "../../tests/integration/support/proxy.rs"]
mod proxy;
#[allow(dead_code, reason = "the other bench uses more of it")]
#[path = "../flow/service.rs"]
mod service;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/integration/support/smtp.rs"]
mod smtp;
#[path = "../flow/walk.rs"]
mod walk;

/// Where the sink finds links.
mod app {
    pub const APP_URL: &str = "https://app.example.com";
}

use sea_orm::{ConnectionTrait, Database, Statement};

use cluster::Cluster;
use group::Group;
use pooler::Pooler;

const PASSWORD: &str = "correct horse battery staple";

/// As a PostgreSQL for so many rows is set up; what is promised of a write is kept.
const SETTINGS: [&str; 4] = [
    "shared_buffers = 1GB",
    "maintenance_work_mem = 1GB",
    "max_wal_size = 4GB",
    "max_connections = 200",
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parts: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    println!("binary: {}", service::binary());
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let Some(cluster) = Cluster::start(&SETTINGS) else {
        return;
    };
    if wanted("replicas") {
        replicas(&cluster).await;
    }
    if wanted("pooler") {
        pooler(&cluster).await;
    }
    if wanted("tables") {
        tables::run(&cluster).await;
    }
}

async fn replicas(cluster: &Cluster) {
    println!("\nReplicas behind HAProxy, on one PostgreSQL");
    let url = database(cluster, "replicas").await;
    let mut groups = Vec::new();
    for count in [1, 2, 4] {
        let Some(group) = Group::behind_proxy(&url, count).await else {
            return;
        };
        groups.push(group);
    }
    group::compare(&mut groups).await;
}

async fn pooler(cluster: &Cluster) {
    println!("\nPgBouncer in transaction mode, two connections to PostgreSQL");
    if !Pooler::keeps_statements() {
        println!("left out: it takes PgBouncer 1.21 or later");
        return;
    }
    let url = database(cluster, "pooled").await;
    let limit = "ALTER ROLE postgres SET statement_timeout = '1500ms'";
    query(&url, limit).await;
    let settings = [
        "pool_mode = transaction",
        "default_pool_size = 2",
        "max_prepared_statements = 200",
    ];
    let pooler = Pooler::start(&url, &settings).await;
    let pooler = pooler.expect("it is installed");
    let mut groups = vec![
        Group::alone("directly", &url, &url).await,
        Group::alone("PgBouncer", &pooler.url, &url).await,
    ];
    group::compare(&mut groups).await;
    query(&url, "ALTER ROLE postgres RESET statement_timeout").await;
}

/// A database of its own.
async fn database(cluster: &Cluster, name: &str) -> String {
    query(&cluster.url(), &format!("CREATE DATABASE {name}")).await;
    let mut url = url::Url::parse(&cluster.url()).expect("a URL");
    url.set_path(name);
    url.into()
}

/// The first column of what it says, as texts.
async fn query(url: &str, sql: &str) -> Vec<String> {
    let database = Database::connect(url).await.expect("PostgreSQL");
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.expect(sql);
    database.close().await.expect("closed");
    let text = |row: &sea_orm::QueryResult| row.try_get_by_index(0).expect("a text");
    rows.iter().map(text).collect()
}

fn p50(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
