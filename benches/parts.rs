//! What each part of a step costs that is not the password: microseconds, next to its milliseconds.
//!
//! `make bench` runs it before the whole flow; docs/performance.md keeps the figures.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "the macros of criterion make a function without a word; a bench that cannot run panics"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use readdress::clock::Clock;
use readdress::deadline::Deadline;
use readdress::email_address::EmailAddress;
use readdress::email_change::link::{Activate, Cancel, Confirm, Lifetimes, Undo};
use readdress::email_change::links::Links;
use readdress::email_change::mail::{Circumstances, Letters, LinkTemplates, Look, WayBack};
use readdress::jwt::Jwts;
use readdress::keys::{self, KeyRing};
use readdress::language::Language;
use readdress::users::{self, ConnectionOptions, Layout, Owner, Purpose, User, Users};

const APP_URL: &str = "https://app.example.com";
/// 15 January 2027, 08:00 UTC.
const NOW: i64 = 1_800_000_000;

fn parts(criterion: &mut Criterion) {
    let user = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(somebody());
    let links = links();
    let new_email = EmailAddress::parse("ann@new.example").expect("an address");
    links_and_fingerprints(criterion, &links, &user, &new_email);
    mails(criterion, &links, &user, &new_email);
    criterion.bench_function("address: parse", |bencher| {
        bencher.iter(|| EmailAddress::parse(black_box("  Ann.Example@Bücher.example ")));
    });
}

fn links_and_fingerprints(
    criterion: &mut Criterion,
    links: &Links,
    user: &User,
    new_email: &EmailAddress,
) {
    let next = links
        .check::<Confirm>(&links.issue_confirm(user).token)
        .expect("ours")
        .next_nonce(user, new_email);
    let activate = || links.issue_activate(user, Some(next), new_email, NOW);
    let undo = || links.issue_undo(user, NOW).expect("random");

    criterion.bench_function("confirm link: issue", |b| {
        b.iter(|| links.issue_confirm(user));
    });
    criterion.bench_function("activate link: issue", |b| b.iter(activate));
    criterion.bench_function("cancel link: issue", |b| {
        b.iter(|| links.issue_cancel(user));
    });
    criterion.bench_function("undo link: issue", |b| b.iter(undo));

    let token = links.issue_confirm(user).token;
    criterion.bench_function("confirm link: check", |b| {
        b.iter(|| links.check::<Confirm>(black_box(&token)));
    });
    let link = links.check::<Confirm>(&token).expect("ours");
    criterion.bench_function("confirm link: fingerprint", |b| b.iter(|| link.holds(user)));
    criterion.bench_function("confirm link: next nonce", |b| {
        b.iter(|| link.next_nonce(user, new_email));
    });
    let mut forged = token.clone();
    let last_but_one = token.len() - 2..token.len() - 1;
    let other = if &token[last_but_one.clone()] == "A" {
        "B"
    } else {
        "A"
    };
    forged.replace_range(last_but_one, other);
    assert!(links.check::<Confirm>(&forged).is_err());
    criterion.bench_function("confirm link: refuse a forgery", |b| {
        b.iter(|| links.check::<Confirm>(black_box(&forged)));
    });
    let token = activate().token;
    criterion.bench_function("activate link: check", |b| {
        b.iter(|| links.check::<Activate>(black_box(&token)));
    });
    let token = links.issue_cancel(user).token;
    criterion.bench_function("cancel link: check", |b| {
        b.iter(|| links.check::<Cancel>(black_box(&token)));
    });
    let token = undo().token;
    criterion.bench_function("undo link: check and open", |b| {
        b.iter(|| {
            links
                .check::<Undo>(black_box(&token))
                .map(|link| link.open())
        });
    });
}

fn mails(criterion: &mut Criterion, links: &Links, user: &User, new_email: &EmailAddress) {
    let letters = Letters::new(Look::default(), APP_URL, LinkTemplates::below(APP_URL));
    let letters = letters.expect("templates");
    let letter = letters.in_language(Language::default());
    let (token, way_back) = (
        links.issue_confirm(user).token,
        WayBack::Link(links.issue_undo(user, NOW).expect("random")),
    );
    criterion.bench_function("mail: activate", |b| {
        b.iter(|| letter.activate(new_email, &user.email, &token, NOW));
    });
    let when = Circumstances {
        at: NOW,
        from: [203, 0, 113, 7].into(),
    };
    criterion.bench_function("mail: changing", |b| {
        b.iter(|| letter.changing(&user.email, &way_back, when));
    });
}

fn links() -> Links {
    let ring = KeyRing::parse(&keys::generate().expect("random")).expect("a ring");
    let hour = Duration::from_hours(1);
    Links::new(
        Jwts::new(Arc::new(ring), APP_URL.to_owned(), Clock::manual(NOW)),
        Lifetimes {
            confirm: hour,
            activate: 24 * hour,
            undo: 7 * 24 * hour,
        },
    )
}

/// A row of a real table.
async fn somebody() -> User {
    let folder = tempfile::TempDir::new().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("users.db").display());
    let options = ConnectionOptions {
        max_connections: 1,
        purpose: Purpose::Migrate,
        owner: Owner::Readdress,
    };
    let pool = users::connect(&url, options).await.expect("SQLite");
    readdress_migrations::up(&pool).await.expect("migrates");
    let survey = users::survey(&pool, &Layout::own(), false).await;
    let users = Users::new(pool, survey.expect("a table").table.expect("ours"));
    let email = EmailAddress::parse("ann@example.com").expect("an address");
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let deadline = Deadline::of_request();
    users.add(&email, hash, deadline).await.expect("added");
    let found = users.find_by_email(email.as_str(), deadline).await;
    found.expect("a database").expect("ann")
}

criterion_group!(benches, parts);
criterion_main!(benches);
