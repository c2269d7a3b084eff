//! Enumeration: whether an address has an account is told neither by what is answered, nor by what
//! is mailed, nor by the time it takes.
//!
//! Pairs of twins that differ in nothing but that, in an order of chance, with hashes of the real
//! price. A control adds two milliseconds to one of them, and the classifier must see it.

use std::time::{Duration, Instant};

use readdress::deadline::Deadline;
use readdress::limits::Quota;
use readdress::users::User;
use serde_json::json;

use super::pipe::{Pipe, Said, post};
use super::statistics::{Auc, auc};
use super::volume::{complaint, figure, seeded, volume};
use crate::support::app::PASSWORD;
use crate::support::{Fault, Options, Person, TestApp};

/// What the upper bound of the area under the curve may be.
const TOLD_APART: f64 = 0.52;
/// With fewer pairs that bound says nothing,
const ENOUGH: usize = 5_000;
/// and the control adds this. With more, [`LEAK`].
const COARSE_LEAK: Duration = Duration::from_millis(400);
const LEAK: Duration = Duration::from_millis(2);
/// What the area may be of as few pairs as `cargo test` tries: more than four standard errors from
/// guessing.
const COARSELY_TOLD_APART: f64 = 0.8;
/// Accounts whose addresses are taken, and known at sign-in.
const ACCOUNTS: usize = 20;

#[derive(Clone, Copy, Debug)]
enum Door {
    Confirm,
    SignIn,
}

struct Pairs<'a> {
    app: &'a TestApp,
    asker: Person,
    pipe: Pipe,
    leak: Duration,
}

impl<'a> Pairs<'a> {
    async fn prepare(app: &'a TestApp, leak: Duration) -> Self {
        let asker = app.person("asker@example.com").await;
        for number in 0..ACCOUNTS {
            app.add_user(&address(true, number), PASSWORD).await;
        }
        Self {
            app,
            asker,
            pipe: Pipe::open(&app.url).await,
            leak,
        }
    }

    async fn row(&self) -> User {
        let found = self
            .app
            .users
            .find(&self.asker.id, Deadline::of_request())
            .await;
        found.expect("a database").expect("a row")
    }

    /// One question, what was said, and how many milliseconds it took.
    async fn ask(&mut self, door: Door, known: bool, number: usize) -> (Said, f64) {
        let address = address(known, number);
        let request = match door {
            Door::Confirm => {
                let token = self.app.flow.links.issue_confirm(&self.row().await).token;
                post(
                    "/v1/email-change/confirm",
                    &json!({ "token": token, "password": PASSWORD, "new_email": address }),
                )
            }
            Door::SignIn => post(
                "/v1/session",
                &json!({ "email": address, "password": "wrong" }),
            ),
        };
        let began = Instant::now();
        let said = self.pipe.ask(&request).await;
        if known && !self.leak.is_zero() {
            tokio::time::sleep(self.leak).await;
        }
        (said, began.elapsed().as_secs_f64() * 1e3)
    }

    /// Times of the known and of the unknown.
    async fn run(&mut self, door: Door, count: usize) -> [Vec<f64>; 2] {
        let mut rng = seeded();
        let mut times = [Vec::new(), Vec::new()];
        for pair in 0..count {
            self.app.smtp.forget();
            let number = rng.usize(0..ACCOUNTS);
            let known_first = rng.bool();
            let mut said = Vec::new();
            for known in [known_first, !known_first] {
                let (answer, took) = self.ask(door, known, number).await;
                times[usize::from(!known)].push(took);
                let address = address(known, number);
                said.push((answer.status, alike(&answer, &address)));
            }
            assert_eq!(said[0], said[1], "{door:?}, pair {pair}");
            if let Door::Confirm = door {
                assert_eq!(said[0].0, 202, "{said:?}");
                let mut to: Vec<String> =
                    self.app.mails().into_iter().map(|mail| mail.to).collect();
                to.sort_unstable();
                let mut both = [address(false, number), address(true, number)];
                both.sort_unstable();
                assert_eq!(to, both, "one mail each");
            } else {
                assert_eq!(said[0].0, 401, "{said:?}");
                assert!(self.app.mails().is_empty());
            }
        }
        times
    }
}

/// Twins: as long, as canonical, in the same domain.
fn address(known: bool, number: usize) -> String {
    format!(
        "{}{number:02}@twins.example",
        if known { "known" } else { "newer" }
    )
}

/// Every byte that was said, but for what must differ: the address, the number of the request, and
/// the time of day.
fn alike(said: &Said, address: &str) -> String {
    let mut text = format!("{}\r\n{}", said.head, said.body).replace(address, "that address");
    for line in said.head.lines() {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        if ["date", "x-request-id"].contains(&name.to_ascii_lowercase().as_str()) {
            text = text.replace(value, name);
        }
    }
    let json = said.json();
    if let Some(expires_at) = json.get("expires_at") {
        text = text.replace(&expires_at.to_string(), "then");
    }
    text
}

async fn told_apart(door: Door, count: usize, leak: Duration) -> Auc {
    // Every limit is charged, and none is reached.
    let many: Quota = "1000000/1m".parse().expect("a quota");
    let app = TestApp::on_sqlite(Options::limited(|quotas| {
        quotas.passwords = Some(many);
        quotas.recipient = Some(many);
        quotas.recipient_all = Some(many);
        quotas.client = Some(many);
    }))
    .await;
    let mut pairs = Pairs::prepare(&app, leak).await;
    // Nobody's first question is like the others.
    pairs.run(door, 3).await;
    let began = Instant::now();
    let [known, unknown] = pairs.run(door, count).await;
    let seen = auc(&known, &unknown);
    figure(format_args!(
        "enumeration: {door:?}, {count} pairs in {:.0} s{}, the same bytes and as many mails; AUC {:.4}, bounds {:.4} and {:.4}",
        began.elapsed().as_secs_f64(),
        if leak.is_zero() {
            String::new()
        } else {
            format!(" with {leak:?} added to one (control)")
        },
        seen.area,
        seen.at_least(),
        seen.bound
    ));
    app.close().await;
    seen
}

async fn nobody_learns_of(door: Door) {
    let count = volume("SOAK_PAIRS", 40);
    let is_coarse = count < ENOUGH;
    let seen = told_apart(door, count, Duration::ZERO).await;
    if is_coarse {
        assert!(seen.told() < COARSELY_TOLD_APART, "{seen:?}");
    } else {
        assert!(seen.bound <= TOLD_APART, "{seen:?}");
    }
    let leak = if is_coarse { COARSE_LEAK } else { LEAK };
    let control = told_apart(door, (count / 5).max(20), leak).await;
    // By its lower bound: the upper one of a few pairs is high, whatever they are.
    let is_told = if is_coarse {
        control.told() > COARSELY_TOLD_APART
    } else {
        control.at_least() > TOLD_APART
    };
    assert!(is_told, "{leak:?} are not noticed: {control:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirm_does_not_tell_a_taken_address_from_a_free_one() {
    nobody_learns_of(Door::Confirm).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_in_does_not_tell_a_known_address_from_an_unknown_one() {
    nobody_learns_of(Door::SignIn).await;
}

/// The control: a mail server that loses what it has accepted is as silent as a service that mails
/// to one of two alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_missing_is_noticed() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let mut pairs = Pairs::prepare(&app, Duration::ZERO).await;
    app.smtp.fault(Fault::Lose);
    let complaint = complaint(pairs.run(Door::Confirm, 1)).await;
    assert!(complaint.contains("one mail each"), "{complaint}");
    app.close().await;
}

/// The control: one byte, wherever it is.
#[test]
fn one_byte_of_difference_is_noticed() {
    let said = |head: &str, body: &str| Said {
        status: 202,
        head: head.to_owned(),
        body: body.to_owned(),
    };
    let head = "HTTP/1.1 202 Accepted\r\nx-request-id: 7f3a\r\ndate: today\r\n";
    let body = r#"{"sent_to":"a@x.example","expires_at":"2027-01-15T08:00:00Z"}"#;
    let one = alike(&said(head, body), "a@x.example");
    let (other_head, other_body) = (
        head.replace("7f3a", "9b1c").replace("today", "later"),
        body.replace("a@x", "b@x").replace("08:", "09:"),
    );
    assert_eq!(one, alike(&said(&other_head, &other_body), "b@x.example"));
    for (head, body) in [
        (head.replace("Accepted", "accepted"), body.to_owned()),
        (format!("{head}vary: origin\r\n"), body.to_owned()),
        (head.to_owned(), body.replace("sent_to", "sent-to")),
        (head.to_owned(), format!("{body} ")),
    ] {
        assert_ne!(one, alike(&said(&head, &body), "a@x.example"));
    }
}
