//! The documentation, the dashboard and the alerts name what there is, and all of it.

use std::collections::BTreeSet;
use std::path::Path;

use readdress::clock::Clock;
use readdress::metrics::Metrics;
use serde_json::Value;

use super::Scrape;
use crate::holds::deployment::Deployment;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn cells(line: &str) -> Vec<String> {
    let cells = line.trim().trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

/// The lines of the one table with that head, without it.
pub fn table(file: &str, head: &[&str]) -> Vec<Vec<String>> {
    let text = read(file);
    let heads = text.lines().filter(|line| cells(line) == head).count();
    assert_eq!(heads, 1, "{file} has one table with the head {head:?}");
    let lines = text.lines().skip_while(|line| cells(line) != head).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

/// Everything that looks like a metric in a text, as it would be registered.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c: char| !is_name(c));
    let names = words.filter(|word| {
        (word.starts_with("readdress_") || word.starts_with("process_")) && word.len() > 12
    });
    let bare = names.map(|name| {
        let parts = ["_bucket", "_count", "_sum"];
        let part = parts.iter().find_map(|part| name.strip_suffix(part));
        part.unwrap_or(name).to_owned()
    });
    bare.collect()
}

#[test]
fn the_documentation_lists_every_metric_with_its_meaning() {
    let metrics = Metrics::new(&Clock::System);
    let known = metrics.described().iter();
    let known: Vec<_> = known
        .map(|one| vec![format!("`{}`", one.name), one.help.to_owned()])
        .collect();
    assert!(known.len() >= 20);
    assert_eq!(table("docs/operations.md", &["metric", "meaning"]), known);
}

/// Of every metric that there is.
fn names() -> BTreeSet<String> {
    let metrics = Metrics::new(&Clock::System);
    let described = metrics.described();
    described.iter().map(|one| one.name.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_exported_is_documented() {
    let deployment = Deployment::on_sqlite().await;
    let server = deployment.shell.start("serve").await;
    server.get("/readyz").await.ok(200);
    let known = names();
    // Once more, for the first scrape is counted when it is over.
    Scrape::of(&server).await;
    let exported: BTreeSet<_> = Scrape::of(&server).await.names().into_iter().collect();
    assert_eq!(exported, known);
    deployment.close().await;
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let known = names();
    for file in [
        "deploy/prometheus/alerts.yml",
        "deploy/grafana/readdress.json",
    ] {
        let text = read(file);
        let named = named_in(&text);
        assert!(named.len() >= 8, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    let dashboard: Value =
        serde_json::from_str(&read("deploy/grafana/readdress.json")).expect("JSON");
    let shown = named_in(&dashboard.to_string());
    let hidden: Vec<_> = known.difference(&shown).collect();
    assert!(hidden.is_empty(), "the dashboard does not show {hidden:?}");
}

#[test]
fn every_alert_says_what_it_means_and_what_to_do() {
    let alerts = read("deploy/prometheus/alerts.yml");
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() >= 10);
    let page = read("docs/operations.md");
    let headed = page
        .lines()
        .filter_map(|line| line.strip_prefix("### Readdress"));
    let headed: Vec<_> = headed.map(|rest| format!("Readdress{rest}")).collect();
    assert_eq!(headed, names, "a section for each alert, in their order");
    let tests =
        read("deploy/prometheus/alerts_test.yml") + &read("deploy/prometheus/alerts_long_test.yml");
    for name in names {
        let anchor = format!("runbook: docs/operations.md#{}", name.to_lowercase());
        assert!(alerts.contains(&anchor), "{name} leads to its section");
        assert!(
            tests.matches(&format!("alertname: {name}\n")).count() >= 2,
            "{name} is tested both ways"
        );
    }
}
