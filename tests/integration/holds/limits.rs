//! Limits under pressure: what is left is what is hashed, however many ask at once and wherever.

use std::time::Duration;

use futures_util::future::join_all;
use readdress::limits::Quota;
use serde_json::json;

use super::cheap;
use super::pipe::{Pipe, Said};
use super::volume::{complaint, figure, seeded, volume};
use crate::support::app::Replica;
use crate::support::{Engine, Options, Person, TestApp};

const BURST: usize = 10;
const LEFT: usize = 5;
/// What refills one of ten in ten minutes.
const INTERVAL: u64 = 60;

fn options() -> Options {
    let quota: Quota = "10/10m".parse().expect("a quota");
    Options::limited(|quotas| quotas.passwords = Some(quota))
}

/// A request with a wrong password.
fn guess(person: &Person, number: usize) -> String {
    let body = json!({ "password": format!("guess {number}") }).to_string();
    format!(
        "POST /v1/email-change/request HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        person.access,
        body.len()
    )
}

fn checked(app: &TestApp, replicas: &[Replica]) -> u64 {
    app.flow.lane.checked()
        + replicas
            .iter()
            .map(|replica| replica.flow.lane.checked())
            .sum::<u64>()
}

async fn guesses(urls: &[&str], person: &Person, count: usize) -> Vec<Said> {
    let mut pipes = join_all((0..count).map(|at| Pipe::open(urls[at % urls.len()]))).await;
    let requests: Vec<String> = (0..count).map(|number| guess(person, number)).collect();
    join_all(
        pipes
            .iter_mut()
            .zip(&requests)
            .map(|(pipe, request)| pipe.ask(request)),
    )
    .await
}

fn urls<'a>(app: &'a TestApp, replicas: &'a [Replica]) -> Vec<&'a str> {
    let others = replicas.iter().map(|replica| replica.url.as_str());
    others.chain([app.url.as_str()]).collect()
}

/// Two hundred guesses at once, of a person with five left: never more than five are hashed, and
/// whatever those leave is there for others, to the last.
async fn exactly_what_is_left_is_hashed(app: &TestApp, replicas: &[Replica], person: &Person) {
    let urls = urls(app, replicas);
    for said in guesses(&urls, person, BURST - LEFT).await {
        assert_eq!(said.code(), "wrong_password");
    }
    let before = checked(app, replicas);
    let hashed = || checked(app, replicas) - before;
    let mut answers = guesses(&urls, person, 200).await;
    assert!(hashed() <= LEFT as u64, "{} were hashed", hashed());
    // Who found no place, or no connection in time, was turned away before, and charged nothing.
    let mut refused = false;
    for url in urls.iter().cycle().take(50) {
        answers.extend(guesses(&[url], person, 1).await);
        refused = answers[answers.len() - 1].code() == "rate_limited";
        if refused {
            break;
        }
    }
    assert!(refused, "nobody is limited: {answers:?}");
    assert_eq!(hashed(), LEFT as u64, "{answers:?}");
    let of = |code: &str| answers.iter().filter(|said| said.code() == code).count();
    assert_eq!(of("wrong_password"), LEFT);
    let turned_away = of("rate_limited") + of("overloaded") + of("database_unavailable");
    assert_eq!(turned_away + LEFT, answers.len(), "{answers:?}");
}

async fn holds(app: &TestApp, replicas: &[Replica], name: &str) {
    let rounds = volume("SOAK_LIMITS", 1);
    let mut rng = seeded();
    for round in 0..rounds {
        let person = cheap::person(app, &format!("ann{round}@example.com"), &mut rng).await;
        exactly_what_is_left_is_hashed(app, replicas, &person).await;

        // `Retry-After` is true: a second earlier is too early, and then one is let in, and one only.
        let refused = app.request(&person.access, "guess").await;
        refused.problem(429, "rate_limited");
        let wait = refused.retry_after();
        assert!((1..=INTERVAL).contains(&wait), "{wait}");
        app.clock.advance(Duration::from_secs(wait - 1));
        app.request(&person.access, "guess")
            .await
            .problem(429, "rate_limited");
        app.clock.advance(Duration::from_secs(1));
        let next = guesses(&urls(app, replicas), &person, 9).await;
        assert_eq!(
            next.iter()
                .filter(|said| said.code() == "wrong_password")
                .count(),
            1
        );
        // Nobody else was charged for it, and the person can still sign in.
        app.sign_in(&person.email, crate::support::app::PASSWORD)
            .await
            .ok(200);
    }
    figure(format_args!(
        "limits: {name}, {rounds} times 200 guesses at once with {LEFT} left: exactly {LEFT} hashed"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_guesses_at_once_five_are_hashed() {
    let app = TestApp::on_sqlite(options()).await;
    holds(&app, &[], "one process on SQLite").await;
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_have_one_limit() {
    let Some(app) = TestApp::on(Engine::Postgres, options()).await else {
        return;
    };
    let replicas = [
        app.replica(&app.options.keys).await,
        app.replica(&app.options.keys).await,
    ];
    holds(&app, &replicas, "three replicas on PostgreSQL").await;
    drop(replicas);
    app.close().await;
}

/// The controls: a table that forgets what was charged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_is_forgotten_is_noticed() {
    let app = TestApp::on_sqlite(options()).await;
    let forget = "CREATE TRIGGER sabotage AFTER UPDATE OF passwords_tat ON users \
        BEGIN UPDATE users SET passwords_tat = NULL WHERE id = NEW.id; END";
    is_noticed(&app, &[], forget).await;
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_is_forgotten_is_noticed_at_three_replicas() {
    let Some(app) = TestApp::on(Engine::Postgres, options()).await else {
        return;
    };
    let replicas = [
        app.replica(&app.options.keys).await,
        app.replica(&app.options.keys).await,
    ];
    let forget = "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN NEW.passwords_tat := NULL; RETURN NEW; END'; \
        CREATE TRIGGER sabotage BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION sabotage()";
    is_noticed(&app, &replicas, forget).await;
    drop(replicas);
    app.close().await;
}

async fn is_noticed(app: &TestApp, replicas: &[Replica], sabotage: &str) {
    let person = cheap::person(app, "ann@example.com", &mut seeded()).await;
    app.database.execute(sabotage).await;
    let complaint = complaint(exactly_what_is_left_is_hashed(app, replicas, &person)).await;
    assert!(complaint.ends_with("were hashed"), "{complaint:?}");
}
