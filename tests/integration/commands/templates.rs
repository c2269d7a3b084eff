//! A folder of mail templates, as the commands meet it.

use std::fs;

use super::{Fresh, assert_good, assert_refused};
use crate::support::smtp::SmtpSink;

async fn configured(file: &str, text: &str) -> (Fresh, SmtpSink) {
    let sink = SmtpSink::start().await;
    let mut fresh = Fresh::on_sqlite();
    fresh.configure(&sink.url());
    fresh.migrate().await;
    let path = fresh.shell.path().join("mails").join(file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
    fresh.shell.set("READDRESS_TEMPLATES", "mails");
    (fresh, sink)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_template_refuses_the_start_and_check_says_where() {
    let (fresh, sink) = configured(
        "de/undone.txt",
        "Subject: Zurück\n\nGuten Tag,\n\nIhr Konto bei {{ prodcut }}\n",
    )
    .await;
    let says = [
        "mails/de/undone.txt, line 5: `prodcut` is unknown here",
        "product, support",
    ];
    assert_refused(&fresh.shell.run(&["serve"]).await, &says);
    assert_refused(&fresh.shell.run(&["dev"]).await, &says);
    let checked = fresh.shell.run(&["check"]).await;
    assert_refused(&checked, &says);
    assert_refused(
        &checked,
        &[
            "FAIL  templates",
            "mend: edit mails/de/undone.txt, line 5",
            "ok    mail",
        ],
    );
    assert!(sink.received().is_empty());
    fresh.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_without_its_link_refuses_the_start() {
    let (fresh, _sink) = configured("es/activate.html", "<p>{{ expires }}</p>\n").await;
    let says =
        ["mails/es/activate.html: the link to go on ({{ link }}) must be the href of a link"];
    assert_refused(&fresh.shell.run(&["serve"]).await, &says);
    assert_refused(&fresh.shell.run(&["check"]).await, &says);
    fresh.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_is_content_with_good_templates() {
    let (fresh, _sink) = configured(
        "fr/changed.txt",
        "Subject: C’est fait\n\nBonjour de {{ product }}.\n",
    )
    .await;
    let checked = fresh.shell.run(&["check"]).await;
    assert_good(&checked);
    assert!(checked.stdout.contains("ok    templates"), "{checked:?}");
    fresh.close().await;
}
