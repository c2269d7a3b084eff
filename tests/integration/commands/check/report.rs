//! What `check` prints: everything that it can say, in a form that is promised, and no secret.

use jsonschema::Validator;
use serde_json::Value;

use super::{CANARY, Fresh};
use crate::support::process::{Finished, Shell};
use crate::support::smtp::SmtpSink;

/// A key that can be used, with the canary in it.
const KEY: &str = "k1:canary-7f3aZk3vT1pYy0uQm8n5s7dLw2xRbHcJ4aVg";

/// What is printed with `--json`, held to its schema.
fn json(checked: &Finished) -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/check.schema.json");
    let schema = std::fs::read_to_string(file).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator: Validator = jsonschema::validator_for(&schema).expect("a schema");
    let report: Value = serde_json::from_str(&checked.stdout)
        .unwrap_or_else(|error| panic!("{error}: {checked:?}"));
    let wrong: Vec<_> = validator
        .iter_errors(&report)
        .map(|e| e.to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}: {report:#}");
    let findings = |severity: &str| {
        let parts = report["parts"].as_array().expect("parts").iter();
        let all = parts.flat_map(|part| part["findings"].as_array().expect("findings"));
        all.filter(|finding| finding["severity"] == severity)
            .count()
    };
    assert_eq!(report["fails"], findings("fail"));
    assert_eq!(report["notes"], findings("note"));
    let (status, code) = if findings("fail") == 0 {
        ("ok", 0)
    } else {
        ("fail", 1)
    };
    assert_eq!(
        (report["status"].as_str(), checked.code),
        (Some(status), Some(code))
    );
    assert_eq!(checked.stderr, "");
    report
}

fn status<'a>(report: &'a Value, part: &str) -> &'a str {
    let parts = report["parts"].as_array().expect("parts");
    let found = parts.iter().find(|found| found["part"] == part);
    let found = found.unwrap_or_else(|| panic!("no {part}: {report:#}"));
    found["status"].as_str().expect("a status")
}

/// Beside an application's table that has no optional column and holds bcrypt.
async fn beside(sink: &SmtpSink) -> Fresh {
    let mut fresh = Fresh::on_sqlite();
    let file = fresh.shell.path().join("users.db");
    let made = sea_orm::Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await;
    let made = made.expect("a file");
    for sql in [
        "CREATE TABLE users (id integer PRIMARY KEY, email text COLLATE NOCASE UNIQUE, password text)",
        "INSERT INTO users VALUES (1, 'a@example.com', '$2b$10$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS')",
    ] {
        sea_orm::ConnectionTrait::execute_unprepared(&made, sql)
            .await
            .expect("it runs");
    }
    made.close().await.expect("closes");
    fresh.configure(&sink.url());
    fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
    fresh
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_read_a_form_that_is_promised_and_notes_leave_the_exit_code_0() {
    let sink = SmtpSink::start().await;
    let mut fresh = beside(&sink).await;
    let noted = json(&fresh.shell.run(&["check", "--json"]).await);
    // Three columns, and the rows' cost is not the preset's.
    assert_eq!(
        (noted["notes"].as_u64(), noted["status"].as_str()),
        (Some(4), Some("ok")),
        "{noted:#}"
    );
    assert_eq!(
        (status(&noted, "database"), status(&noted, "passwords")),
        ("note", "note")
    );
    assert_eq!(status(&noted, "mail"), "ok");

    fresh.shell.set("READDRESS_PASSWORD_FORMAT", "bcrypt:10");
    let agreed = json(&fresh.shell.run(&["check", "--json"]).await);
    assert_eq!(status(&agreed, "passwords"), "ok");

    fresh
        .shell
        .set("READDRESS_SMTP_URL", "smtp://127.0.0.1:1?tls=none");
    let failed = json(&fresh.shell.run(&["check", "--json"]).await);
    assert_eq!(
        (status(&failed, "mail"), status(&failed, "database")),
        ("fail", "note")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_fails_stops_no_other_one() {
    let sink = SmtpSink::start().await;
    let mut fresh = beside(&sink).await;
    for (name, value) in [
        ("READDRESS_SECRET_KEYS", ""),
        ("READDRESS_CONFIM_TTL", "1h"),
        ("READDRESS_WEB_ROOT", "/nowhere"),
    ] {
        fresh.shell.set(name, value);
    }
    let report = json(&fresh.shell.run(&["check", "--json"]).await);
    for (part, expected) in [
        ("configuration", "fail"),
        ("keys", "skipped"),
        ("database", "note"),
        ("passwords", "note"),
        ("mail", "ok"),
    ] {
        assert_eq!(status(&report, part), expected, "{part}: {report:#}");
    }
    assert_eq!(report["fails"], 3, "{report:#}");

    fresh.shell.set("READDRESS_SMTP_URL", "");
    fresh
        .shell
        .set("READDRESS_DATABASE_URL", "postgres://nobody@127.0.0.1:1/x");
    let report = json(&fresh.shell.run(&["check", "--json"]).await);
    for (part, expected) in [
        ("database", "fail"),
        ("passwords", "skipped"),
        ("clock", "skipped"),
        ("mail", "skipped"),
        ("templates", "ok"),
    ] {
        assert_eq!(status(&report, part), expected, "{part}: {report:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nothing_set_everything_that_is_needed_is_named() {
    let checked = Shell::new().run(&["check", "--json"]).await;
    let report = json(&checked);
    assert_eq!(report["fails"], 5, "{report:#}");
    let said = Shell::new().run(&["check"]).await;
    assert_eq!(said.code, Some(1));
    for name in [
        "APP_URL",
        "SECRET_KEYS",
        "DATABASE_URL",
        "SMTP_URL",
        "MAIL_FROM",
    ] {
        let line = format!("FAIL  configuration  READDRESS_{name} is not set\n");
        assert!(said.stdout.contains(&line), "{name}: {said:?}");
    }
    for line in said.stdout.lines().filter(|line| !line.is_empty()) {
        let is_first = ["ok  ", "note", "FAIL", "skip"]
            .iter()
            .any(|label| line.starts_with(label));
        let is_aligned = line.get(19..21) == Some("  ");
        assert!(is_aligned || line.ends_with("must be mended."), "{line}");
        assert!(
            is_first || line.starts_with("     ") || line.ends_with("must be mended."),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_be_it_good_or_not() {
    let sink = SmtpSink::start().await;
    let login = sink
        .url()
        .replace("smtp://", "smtp://canary-7f3a:canary-7f3a@");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{CANARY}\n-----END PUBLIC KEY-----");
    let secret = format!("{CANARY}-x7Qm2vT9_pLr4Zk8WnB1cYs6-HdJ3fGu0");
    for (name, value) in [
        ("READDRESS_SECRET_KEYS", KEY),
        ("READDRESS_SECRET_KEYS", "k1:canary-7f3a"),
        ("READDRESS_SECRET_KEYS", CANARY),
        (
            "READDRESS_DATABASE_URL",
            "postgres://canary-7f3a:canary-7f3a@127.0.0.1:1/canary-7f3a",
        ),
        (
            "READDRESS_DATABASE_URL",
            "postgres://canary-7f3a:canary-7f3a@127.0.0.1:5432/canary-7f3a",
        ),
        (
            "READDRESS_DATABASE_URL",
            "mysql://canary-7f3a:canary-7f3a@127.0.0.1:3306/canary-7f3a",
        ),
        ("READDRESS_DATABASE_URL", "postgres://u:canary-7f3a@[bad/x"),
        ("READDRESS_DATABASE_URL", "sqlite:///nowhere/canary-7f3a"),
        ("READDRESS_DATABASE_URL", CANARY),
        ("READDRESS_SMTP_URL", &login),
        (
            "READDRESS_SMTP_URL",
            "smtp://u:canary-7f3a@canary-7f3a.invalid",
        ),
        ("READDRESS_SMTP_URL", CANARY),
        ("READDRESS_HOST_TOKEN_SECRET", &secret),
        ("READDRESS_HOST_TOKEN_SECRET", CANARY),
        ("READDRESS_HOST_TOKEN_PUBLIC_KEY", &pem),
        ("READDRESS_PASSWORD_PEPPER", CANARY),
    ] {
        let mut fresh = beside(&sink).await;
        fresh.shell.set(name, value);
        for arguments in [&["check"][..], &["check", "--json"]] {
            let checked = fresh.shell.run(arguments).await;
            let said = format!("{}{}", checked.stdout, checked.stderr);
            assert!(!said.contains(CANARY), "{name}: {said}");
            assert!(
                said.contains("database") && said.contains("mail"),
                "{name}: {said}"
            );
        }
        // From a file, too.
        fresh.shell.move_to_file(name);
        let checked = fresh.shell.run(&["check"]).await;
        assert!(
            !format!("{checked:?}").contains(CANARY),
            "{name}: {checked:?}"
        );
    }
}
