//! A folder of mail templates, as the commands meet it.

use std::fs;

use readdress::email_change::mail::{COMMON, Kind, MAILS, PHRASES};

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
            "mend  edit mails/de/undone.txt, line 5",
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

#[test]
fn the_page_on_mails_lists_what_each_template_can_say() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mails.md");
    let page = fs::read_to_string(page).expect("the page");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let named = |cell: &str| -> Vec<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(ToOwned::to_owned).collect()
    };
    let listed = |name: &str, kind: &Kind| {
        let row = rows.iter().find(|row| row[0] == format!("`{name}`"));
        let row = row.unwrap_or_else(|| panic!("no line for {name}"));
        let mut variables = named(row[2]);
        // An example of what one looks like.
        variables.retain(|name| !name.contains(':'));
        assert_eq!(variables, kind.variables, "{name}");
    };
    for mail in MAILS {
        listed(mail.name, mail);
    }
    for phrase in PHRASES {
        listed(&format!("{}.txt", phrase.name), phrase);
    }
    let explained: Vec<String> = rows.iter().flat_map(|row| named(row[0])).collect();
    let variables = MAILS.iter().flat_map(|mail| mail.variables);
    for name in variables.chain(COMMON) {
        assert!(
            explained.iter().any(|other| other == name),
            "{name} is not explained"
        );
    }
}
