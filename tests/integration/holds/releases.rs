//! Links that an earlier release made: people hold them through an upgrade, for up to eight days.
//!
//! `tests/vectors/links-VERSION.json` is kept from each release: the keys, one row, and a token of
//! every kind that was good for it, with the commit that made them. Until 0.1.0 is released, its file
//! stands for it: the form of links has not changed since. They are made, once, by
//! `cargo test --test integration -- --ignored the_links_of_this_version_are_kept`.

use std::path::{Path, PathBuf};

use readdress::keys;
use serde_json::{Value, json};

use crate::links::{Stage, knock};
use crate::support::app::START;
use crate::support::{Options, TestApp};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// What was kept, by the name of its file.
fn releases() -> Vec<(String, Value)> {
    let files = std::fs::read_dir(folder()).expect("a folder");
    let files = files.map(|file| file.expect("a file").path());
    let named = files.map(|file| {
        let name = file.file_name().expect("a name").to_string_lossy();
        (name.into_owned(), file)
    });
    let kept = named.filter(|(name, _)| name.starts_with("links-"));
    kept.map(|(name, file)| {
        let text = std::fs::read_to_string(file).expect("read");
        (name, serde_json::from_str(&text).expect("JSON"))
    })
    .collect()
}

/// The doors at which a kept token is refused, and what is said there.
async fn refused(kept: &Value) -> Vec<(String, String)> {
    let mut refused = Vec::new();
    for (door, token) in kept["tokens"].as_object().expect("tokens") {
        let app = restored(kept).await;
        let answer = knock(&app, &app.url, door, token.as_str().expect("a token")).await;
        if !answer.status.is_success() {
            refused.push((door.clone(), answer.text));
        }
        app.close().await;
    }
    refused
}

#[tokio::test]
async fn links_of_every_earlier_release_still_hold() {
    let releases = releases();
    assert!(!releases.is_empty(), "none is kept");
    for (name, kept) in releases {
        assert_eq!(refused(&kept).await, [], "{name}");
    }
}

/// The control: a service that counts another nonce into the fingerprint, or has other keys.
#[tokio::test]
async fn links_that_hold_no_more_are_noticed() {
    for (_, kept) in releases() {
        let mut other = kept.clone();
        other["row"]["email_change_nonce"] = "1".into();
        let doors: Vec<String> = refused(&other)
            .await
            .into_iter()
            .map(|(door, _)| door)
            .collect();
        // The other two ask for no nonce.
        for door in ["confirm", "activate"] {
            assert!(doors.contains(&door.to_owned()), "{door}: {doors:?}");
        }
        other["keys"] = keys::generate().expect("random").as_str().into();
        assert_eq!(refused(&other).await.len(), 5);
    }
}

/// The service with the row and the keys as they were, at that very moment.
async fn restored(kept: &Value) -> TestApp {
    let app = TestApp::on_sqlite(Options {
        keys: kept["keys"].as_str().expect("keys").to_owned(),
        ..Options::default()
    })
    .await;
    assert_eq!(kept["at"], START, "the clock of the tests stands there");
    let row = &kept["row"];
    let text = |column: &str| row[column].as_str().expect("text");
    let insert = format!(
        "INSERT INTO users (id, email, password_hash, email_change_nonce, undo_opened_at) \
         VALUES ('{}', '{}', '{}', {}, {})",
        text("id"),
        text("email"),
        text("password_hash"),
        text("email_change_nonce"),
        text("undo_opened_at"),
    );
    assert_eq!(app.database.execute(&insert).await, 1);
    app
}

#[tokio::test]
#[ignore = "writes the file of this version: run it once, before its release"]
async fn the_links_of_this_version_are_kept() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let stage = Stage::set(&app).await;
    let mut row = json!({});
    for column in [
        "id",
        "email",
        "password_hash",
        "email_change_nonce",
        "undo_opened_at",
    ] {
        let sql = format!(
            "SELECT CAST({column} AS text) FROM users WHERE id = '{}'",
            stage.ann.id
        );
        row[column] = app.database.text(&sql).await.into();
    }
    let mut tokens = json!({});
    for (door, token) in &stage.tokens {
        tokens[*door] = token.clone().into();
    }
    let head = std::process::Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output()
        .expect("git");
    let commit = String::from_utf8(head.stdout).expect("UTF-8");
    let kept = json!({ "commit": commit.trim(), "keys": app.options.keys, "at": START, "row": row, "tokens": tokens });
    let file = folder().join(concat!("links-", env!("CARGO_PKG_VERSION"), ".json"));
    let text = serde_json::to_string_pretty(&kept).expect("JSON") + "\n";
    // What was kept is what people hold: it is never made anew.
    let mut file = std::fs::File::create_new(file).expect("not kept already");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
}
