//! `readdress user set-email`: what it says, what it logs, and how scripts tell its ends apart.

use super::{Fresh, assert_good, assert_refused, on_every_database};
use crate::support::Received;
use crate::support::app::PASSWORD;
use crate::support::smtp::SmtpSink;

const REASON: &str = "ticket 4711, passport seen";

/// Everything but the addresses.
const WHY: [&str; 4] = ["user", "set-email", "--reason", REASON];

on_every_database! {
    async fn an_address_is_set_and_one_event_says_who_did_it_and_why(fresh) {
        fresh.migrate().await;
        for email in ["ann@example.com", "bob@example.com"] {
            assert_good(&fresh.shell.run_with(&["user", "add", email], PASSWORD).await);
        }
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        // It issues no link, so it needs no key; sudo says who became whom.
        for (name, value) in [("READDRESS_SECRET_KEYS", ""), ("READDRESS_LOG_FORMAT", "json"), ("PATH", "/usr/bin:/bin"), ("SUDO_USER", "o\nperator")] {
            fresh.shell.set(name, value);
        }
        let set = async |from: &str, to: &str| {
            let said = fresh.shell.run(&[&WHY[..], &["--from", from, "--to", to]].concat()).await;
            assert!(!said.stderr.contains("panicked"), "{said:?}");
            said
        };
        let done = set("ann@example.com", "Ann@NEW.example").await;
        assert_good(&done);
        assert!(done.stdout.ends_with(" from a***@example.com to a***@new.example\n"), "{done:?}");
        assert_eq!(done.stdout.lines().count(), 1, "{done:?}");
        assert_eq!(sink.received().len(), 2);
        let event = done.stderr.lines().find(|line| line.contains("email_change.set_by_operator"));
        let event: serde_json::Value = serde_json::from_str(event.expect("an event")).expect("JSON");
        let id = event["user_id"].as_str().expect("an id");
        assert!(done.stdout.contains(id), "{event}");
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["message"], "email_change.set_by_operator");
        assert_eq!((&event["from"], &event["to"]), (&"a***@example.com".into(), &"a***@new.example".into()));
        assert_eq!(event["reason"], REASON);
        let user = std::process::Command::new("id").arg("-un").output().expect("id");
        let user = String::from_utf8(user.stdout).expect("UTF-8");
        assert_eq!(event["by"], format!("{} (sudo: o\\nperator)", user.trim()));
        for private in ["ann@", "Ann@"] {
            assert!(!format!("{done:?}").contains(private), "{done:?}");
        }

        for (from, to, code, says) in [
            ("ann@example.com", "a@b.example", 3, "no active account"),
            ("ann@new.example", "bob@example.com", 4, "another account"),
            ("ann@new.example", "ANN@new.example", 5, "already"),
            ("ann@new.example", "nonsense", 2, "--to"),
        ] {
            let refused = set(from, to).await;
            assert_eq!(refused.code, Some(code), "{refused:?}");
            assert!(refused.stderr.contains(says) && refused.stdout.is_empty(), "{refused:?}");
            assert!(!refused.stderr.contains("email_change."), "{refused:?}");
        }
        assert_eq!(sink.received().len(), 2, "nobody is told of what did not happen");

        let by_id = fresh.shell.run(&[&WHY[..], &["--id", id, "--to", "c@new.example", "--language", "de-AT"]].concat()).await;
        assert_good(&by_id);
        let told = sink.received();
        let german = |mail: &Received| mail.raw.contains("Content-Language: de");
        assert_eq!(told.iter().map(german).collect::<Vec<_>>(), [false, false, true, true]);
        fresh.shell.set("READDRESS_SMTP_URL", "smtp://127.0.0.1:1?tls=none");
        let untold = fresh.shell.run(&[&WHY[..], &["--id", id, "--to", "d@new.example"]].concat()).await;
        assert_good(&untold);
        for which in ["the old address could not be told", "the new address could not be told"] {
            assert!(untold.stderr.contains(which), "{untold:?}");
        }

        // It has no other trace, so no filter leaves it out.
        for (filter, to) in [("error", "e@new.example"), ("warn,readdress=error", "f@new.example"), ("off", "g@new.example")] {
            fresh.shell.set("RUST_LOG", filter);
            let done = fresh.shell.run(&[&WHY[..], &["--id", id, "--to", to]].concat()).await;
            assert_good(&done);
            let events = done.stderr.lines().filter(|line| line.contains("email_change.set_by_operator"));
            assert_eq!(events.count(), 1, "{filter}: {done:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_carried_out_is_refused_before_anything_is_opened() {
    let mut fresh = Fresh::on_sqlite();
    let account = ["user", "set-email", "--from", "a@b.example"];
    let to = ["--to", "c@d.example"];
    let long = "x".repeat(201);
    for wrong in [
        &["--to", "c@d.example"][..],
        &["--reason", REASON],
        &[&to[..], &["--reason", ""]].concat(),
        &[&to[..], &["--reason", "one\ntwo"]].concat(),
        &[&to[..], &["--reason", "one\u{202e}two"]].concat(),
        &[&to[..], &["--reason", &long]].concat(),
        &[&to[..], &["--reason", "ann@example.com asked"]].concat(),
    ] {
        let refused = fresh.shell.run(&[&account[..], wrong].concat()).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    let nobody = fresh.shell.run(&[&WHY[..], &to].concat()).await;
    assert_eq!(nobody.code, Some(2), "{nobody:?}");

    let whole = [&account[..], &to, &["--reason", REASON]].concat();
    let bare = fresh.shell.run(&whole).await;
    let names = [
        "READDRESS_APP_URL",
        "READDRESS_SMTP_URL",
        "READDRESS_MAIL_FROM",
    ];
    assert_refused(&bare, &names);
    assert!(!bare.stderr.contains("READDRESS_SECRET_KEYS"), "{bare:?}");
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    std::fs::write(fresh.shell.path().join("users.db"), "").expect("written");
    assert_refused(&fresh.shell.run(&whole).await, &["readdress migrate up"]);
}
