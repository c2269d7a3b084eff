//! Hostile links: whatever is not exactly a link of ours does nothing at all.
//!
//! Not accepted, no 5xx, no mail, no row changed, no hash computed, no memory kept.

use std::time::Instant;

use futures_util::future::join_all;
use readdress::keys::{self, KeyRing};
use serde_json::json;

use super::forgeries::{Forger, Genuine, Knowledge};
use super::pipe::{AT_ONCE, Pipe, Said, get, post};
use super::volume::{figure, resident_kib, seeded, volume};
use crate::links::{LIFETIMES, Stage};
use crate::support::app::PASSWORD;
use crate::support::{Options, TestApp};

const CONNECTIONS: usize = 4;
/// What a million of them may leave behind.
const GROWTH_KIB: u64 = 5 * 1024;

/// A token at a door, and what the oracle may say of it.
struct Attempt {
    door: &'static str,
    token: String,
    how: String,
}

/// What came of many attempts.
#[derive(Default)]
struct Tally {
    shown: usize,
    accepted: Vec<String>,
    broken: Vec<String>,
}

impl Tally {
    fn add(&mut self, attempt: &Attempt, said: &Said) {
        self.shown += 1;
        let told = || {
            format!(
                "{} ({}): {} {} to {:?}",
                attempt.door, attempt.how, said.status, said.body, attempt.token
            )
        };
        match (
            said.status,
            said.code().as_str(),
            said.field("state").as_str(),
        ) {
            (400, "invalid_link" | "malformed_request", _)
            | (401, "unauthenticated", _)
            | (410, "link_used" | "link_expired", _)
            | (200, "", "used" | "expired") => {}
            (200..300, ..) => self.accepted.push(told()),
            _ => self.broken.push(told()),
        }
    }

    #[track_caller]
    fn assert_clean(&self) {
        assert!(self.accepted.is_empty(), "accepted: {:#?}", &self.accepted);
        assert!(self.broken.is_empty(), "{:#?}", &self.broken);
    }
}

/// Shows tokens over a few connections, each of them always full.
struct Attack {
    pipes: Vec<Pipe>,
    tally: Tally,
}

impl Attack {
    async fn begin(app: &TestApp) -> Self {
        let pipes = join_all((0..CONNECTIONS).map(|_| Pipe::open(&app.url))).await;
        Self {
            pipes,
            tally: Tally::default(),
        }
    }

    async fn show(&mut self, attempts: &[Attempt]) {
        assert!(attempts.len() <= CONNECTIONS * AT_ONCE);
        let shares: Vec<&[Attempt]> = attempts.chunks(AT_ONCE).collect();
        let asked = self.pipes.iter_mut().zip(&shares).map(|(pipe, share)| {
            let requests: Vec<String> = share.iter().map(request).collect();
            async move { pipe.ask_all(&requests).await }
        });
        for (share, answers) in shares.iter().zip(join_all(asked).await) {
            for (attempt, said) in share.iter().zip(&answers) {
                self.tally.add(attempt, said);
            }
        }
    }
}

/// Everything but the token as it must be.
fn request(attempt: &Attempt) -> String {
    let Attempt { door, token, .. } = attempt;
    let path = format!("/v1/email-change/{door}");
    match *door {
        "me" => get("/v1/me", token),
        "confirm" => post(
            &path,
            &json!({ "token": token, "password": PASSWORD, "new_email": "somebody@third.example" }),
        ),
        "undo" => post(&path, &json!({ "token": token, "password": PASSWORD })),
        _ => post(&path, &json!({ "token": token })),
    }
}

/// A ring of two keys, and somebody with links of every kind beside Ann.
async fn a_service() -> (TestApp, Vec<(&'static str, String)>, String) {
    let ring = format!("{},{}", *new_key(), *new_key());
    let app = TestApp::on_sqlite(Options {
        keys: ring,
        ..Options::default()
    })
    .await;
    let bob = app.person("bob@example.com").await;
    let undo = app
        .change(&bob, "bob@new.example")
        .await
        .expect("an undo link");
    let activate = app.activate_link(&bob, "bob@third.example").await;
    let (confirm, cancel) = app.links_of_request(&bob).await;
    let tokens = vec![
        ("confirm", confirm),
        ("activate", activate),
        ("cancel", cancel),
        ("undo", undo),
    ];
    (app, tokens, bob.id)
}

fn new_key() -> zeroize::Zeroizing<String> {
    keys::generate().expect("random")
}

fn forger(
    app: &TestApp,
    stage: &Stage<'_>,
    strangers: Vec<(&'static str, String)>,
    stranger_id: String,
) -> Forger {
    let ring = app.ring();
    let named = |kid: &str, ring: &KeyRing| {
        let key = ring.find(kid).expect("a key");
        (
            kid.to_owned(),
            key.signing_secret().to_vec(),
            key.access_secret().to_vec(),
        )
    };
    let signing = ring.signing();
    let genuine = stage
        .tokens
        .iter()
        .zip(LIFETIMES)
        .map(|((door, token), (_, lifetime))| Genuine {
            door,
            token: token.clone(),
            secret: if *door == "me" {
                signing.access_secret()
            } else {
                signing.signing_secret()
            }
            .to_vec(),
            lifetime,
        });
    let (other_kid, _) = app
        .options
        .keys
        .split(',')
        .nth(1)
        .and_then(|key| key.split_once(':'))
        .expect("two keys");
    let retired = new_key();
    let (retired_kid, raw) = retired.split_once(':').expect("a kid");
    let known = Knowledge {
        genuine: genuine.collect(),
        strangers,
        stranger_id,
        other_key: named(other_kid, &ring),
        retired_key: named(retired_kid, &KeyRing::parse(&retired).expect("a ring")),
        wrong_secrets: vec![
            vec![],
            vec![0; 32],
            raw.as_bytes().to_vec(),
            signing.kid().as_bytes().to_vec(),
            b"secret".to_vec(),
        ],
    };
    Forger::new(seeded(), known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forgery_does_anything() {
    let count = volume("SOAK_LINKS", 4_000);
    let (app, strangers, stranger_id) = a_service().await;
    let stage = Stage::set(&app).await;
    let mut forger = forger(&app, &stage, strangers, stranger_id);
    let mut attack = Attack::begin(&app).await;
    let (hashes, began) = (app.flow.lane.checked(), Instant::now());
    let (mut signed, mut warm) = (0, None);
    while attack.tally.shown < count {
        let attempts: Vec<Attempt> = std::iter::repeat_with(|| forger.next())
            .take(CONNECTIONS * AT_ONCE)
            .inspect(|forgery| signed += usize::from(forgery.signed))
            .map(|forgery| Attempt {
                door: forgery.door,
                token: forgery.token,
                how: forgery.how,
            })
            .collect();
        attack.show(&attempts).await;
        attack.tally.assert_clean();
        if attack.tally.shown >= count / 10 && warm.is_none() {
            warm = resident_kib("self");
        }
    }
    let grown = warm
        .zip(resident_kib("self"))
        .map(|(warm, now)| now.saturating_sub(warm));
    assert_eq!(app.flow.lane.checked(), hashes, "no hash was computed");
    stage.is_untouched().await;
    figure(format_args!(
        "hostile links: {} shown, {signed} of them signed with our own keys, in {:.0} s; none accepted, no 5xx, no mail, no row changed, no hash computed; memory +{} KiB after the first tenth",
        attack.tally.shown,
        began.elapsed().as_secs_f64(),
        grown.unwrap_or_default()
    ));
    // Alone in its process, and long enough to tell a leak from an allocator that settles.
    if count >= 200_000 {
        assert!(
            grown.is_none_or(|grown| grown < GROWTH_KIB),
            "{grown:?} KiB"
        );
    }
    app.close().await;
}

/// What a character is replaced by, or is put before it: all of ASCII, and some that look like it, or
/// are not seen at all.
fn characters() -> impl Iterator<Item = char> {
    ('\0'..='\x7f').chain([
        '\u{85}',
        '\u{ad}',
        'é',
        'ſ',
        'K',
        'Ａ',
        '．',
        '\u{200b}',
        '\u{10ffff}',
    ])
}

/// Everything that one edit of one character at that place makes of a token; past its end, too.
fn edits_at(place: usize, token: &str) -> Vec<String> {
    let (before, rest) = token.split_at(place);
    let mut edits: Vec<String> = characters()
        .map(|other| format!("{before}{other}{rest}"))
        .collect();
    if let Some(this) = rest.chars().next() {
        let after = &rest[1..];
        edits.push(format!("{before}{after}"));
        let others = characters().filter(|other| *other != this);
        edits.extend(others.map(|other| format!("{before}{other}{after}")));
    }
    edits
}

/// Shows every edit at every so many places, at the token's own door and to `inspect`.
async fn show_edits(attack: &mut Attack, door: &'static str, token: &str, step: usize) {
    let mut waiting = Vec::new();
    for place in (0..=token.len()).step_by(step) {
        for edit in edits_at(place, token) {
            // A header carries what can be seen of ASCII.
            let carried = door != "me" || edit.bytes().all(|byte| (0x21..0x7f).contains(&byte));
            for door in carried.then_some(door).into_iter().chain(["inspect"]) {
                waiting.push(Attempt {
                    door,
                    token: edit.clone(),
                    how: format!("an edit at {place}"),
                });
            }
        }
        while waiting.len() >= CONNECTIONS * AT_ONCE {
            let rest = waiting.split_off(CONNECTIONS * AT_ONCE);
            attack.show(&waiting).await;
            waiting = rest;
        }
    }
    attack.show(&waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_edit_of_one_character_does_anything() {
    let step = volume("SOAK_EDIT_STEP", 149);
    let (app, ..) = a_service().await;
    let stage = Stage::set(&app).await;
    let mut attack = Attack::begin(&app).await;
    let (hashes, began) = (app.flow.lane.checked(), Instant::now());
    for (door, token) in &stage.tokens {
        show_edits(&mut attack, door, token, step).await;
        attack.tally.assert_clean();
    }
    assert_eq!(app.flow.lane.checked(), hashes);
    stage.is_untouched().await;
    figure(format_args!(
        "one-character edits: {} shown (replaced, put in, left out, at every {step}th place of five kinds, to their own door and to inspect) in {:.0} s, none accepted",
        attack.tally.shown,
        began.elapsed().as_secs_f64()
    ));
    app.close().await;
}

/// The control: a link that is one edit away from a right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_makes_a_link_right_is_noticed() {
    let (app, ..) = a_service().await;
    let stage = Stage::set(&app).await;
    let right = stage.token("cancel");
    let place = right.len() / 2;
    for edit in [
        format!("{}{}", &right[..place], &right[place + 1..]),
        format!("{}~{}", &right[..place], &right[place..]),
        format!("{}~{}", &right[..place], &right[place + 1..]),
    ] {
        let mut attack = Attack::begin(&app).await;
        show_edits(&mut attack, "inspect", &edit, place).await;
        // Twice, for both doors are the same here.
        assert_eq!(
            attack.tally.accepted.len(),
            2,
            "{:?}",
            attack.tally.accepted
        );
    }
    app.close().await;
}

/// The control: one right link among the wrong ones, and every alarm rings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_right_link_among_the_wrong_ones_is_noticed() {
    let (app, strangers, stranger_id) = a_service().await;
    let stage = Stage::set(&app).await;
    let mut forger = forger(&app, &stage, strangers, stranger_id);
    let mut attack = Attack::begin(&app).await;
    let (hashes, state, mails) = (
        app.flow.lane.checked(),
        app.state().await,
        app.mails().len(),
    );
    let mut attempts: Vec<Attempt> = std::iter::repeat_with(|| forger.next())
        .take(100)
        .map(|forgery| Attempt {
            door: forgery.door,
            token: forgery.token,
            how: forgery.how,
        })
        .collect();
    attempts.insert(
        50,
        Attempt {
            door: "confirm",
            token: stage.token("confirm").to_owned(),
            how: "right".to_owned(),
        },
    );
    attack.show(&attempts).await;
    assert_eq!(
        attack.tally.accepted.len(),
        1,
        "{:?}",
        attack.tally.accepted
    );
    assert!(attack.tally.accepted[0].contains("(right)"));
    assert_eq!(app.flow.lane.checked(), hashes + 1);
    assert_eq!(app.mails().len(), mails + 1);
    assert_ne!(app.state().await, state);
    app.close().await;
}
