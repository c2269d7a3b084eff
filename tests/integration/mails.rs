//! Every mail of the story, whole, with dates and tokens redacted.

use crate::support::app::{PASSWORD, TestApp};
use crate::support::{Options, Received};

fn shown(mail: &Received) -> String {
    format!(
        "From: {}\nTo: {}\nSubject: {}\n\n{}\n=== HTML ===\n{}",
        mail.from, mail.to, mail.subject, mail.text, mail.html
    )
}

fn redact() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(
        r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
        "[token]",
    );
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_says_what_it_must_and_no_more() {
    let app = TestApp::on_sqlite(Options::default()).await;
    app.add_user("taken@example.com", PASSWORD).await;
    let ann = app.person("ann@example.com").await;

    let (confirm, cancel) = app.links_of_request(&ann).await;
    app.confirm(&confirm, PASSWORD, "taken@example.com")
        .await
        .ok(202);
    app.cancel(&cancel).await.ok(200);
    app.mails_after(3).await;
    let undo = app
        .change(&ann, "ann@new.example")
        .await
        .expect("an undo link");
    let thief = app.sign_in_as("ann@new.example", PASSWORD).await;
    app.change(&thief, "c@new.example").await;
    app.undo(&undo, PASSWORD).await.ok(200);

    let mails = app.mails_after(12).await;
    let names = [
        "confirm",
        "taken",
        "cancelled",
        "",
        "activate",
        "changing",
        "changed",
        "",
        "",
        "changing_again",
        "",
        "undone",
    ];
    redact().bind(|| {
        for (name, mail) in names
            .iter()
            .zip(&mails)
            .filter(|(name, _)| !name.is_empty())
        {
            insta::assert_snapshot!(*name, shown(mail));
        }
    });
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mail_is_a_proper_automatic_message() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    app.change(&ann, "ann@new.example").await;
    let mails = app.mails_after(4).await;
    let mut ids = Vec::new();
    for mail in &mails {
        let header = |name: &str| {
            let line = mail.raw.lines().find(|line| {
                line.to_lowercase()
                    .starts_with(&format!("{}:", name.to_lowercase()))
            });
            line.and_then(|line| line.split_once(": "))
                .unwrap_or_else(|| panic!("no {name}"))
                .1
                .to_owned()
        };
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        assert_eq!(header("Date"), "Fri, 15 Jan 2027 08:00:00 +0000");
        assert_eq!(header("From"), "Accounts <accounts@app.example.com>");
        assert_eq!(header("To"), mail.to);
        assert!(header("Message-ID").ends_with("@app.example.com>"));
        assert!(header("Content-Type").starts_with("multipart/alternative"));
        assert!(mail.raw.lines().all(|line| line.len() <= 998));
        ids.push(header("Message-ID"));
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), mails.len());
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_did_is_told_to_the_address_that_was_replaced() {
    let app = TestApp::on_sqlite(Options::default()).await;
    app.add_user("ann@example.com", PASSWORD).await;
    let set = app.set_email("ann@example.com", "ann@new.example").await;
    set.expect("set");
    let notice = app.mail_to("ann@example.com");
    redact().bind(|| insta::assert_snapshot!("set_by_operator", shown(&notice)));
    app.close().await;
}
