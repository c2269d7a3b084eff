//! Faults of the mail server: nothing is lost, nothing waits for ever, and the same link works once
//! the mail server does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cheap;
use super::volume::{figure, seeded, volume};
use crate::support::app::{PASSWORD, at_once};
use crate::support::{Answer, Fault, Options, Person, TestApp};

/// No answer takes longer, whatever is broken.
const LONGEST: Duration = Duration::from_secs(10);
/// From the end of a fault to the first success.
const RECOVERY: Duration = Duration::from_secs(3);
const FLOWS_AT_ONCE: usize = 8;
/// How often somebody presses before they leave it for later.
const TRIES: usize = 2;

const STEPS: [&str; 3] = ["request", "confirm", "activate"];

/// Somebody on the way from one address to another.
struct Traveller {
    person: Person,
    new: String,
    /// The step that comes next; past the last one they have arrived.
    at: usize,
    token: String,
}

impl Traveller {
    async fn new(app: &TestApp, name: &str, rng: &mut fastrand::Rng) -> Self {
        let person = cheap::person(app, &format!("{name}@example.com"), rng).await;
        Self {
            person,
            new: format!("{name}@new.example"),
            at: 0,
            token: String::new(),
        }
    }

    /// As far as before that step, in fair weather.
    async fn before(app: &TestApp, step: &str, name: &str, rng: &mut fastrand::Rng) -> Self {
        let mut traveller = Self::new(app, name, rng).await;
        while STEPS[traveller.at] != step {
            assert!(traveller.go(app).await.status.is_success());
        }
        traveller
    }

    fn has_arrived(&self) -> bool {
        self.at == STEPS.len()
    }

    /// Takes the next step, and with it the link that was mailed.
    async fn go(&mut self, app: &TestApp) -> Answer {
        let began = Instant::now();
        let answer = match STEPS[self.at] {
            "request" => app.request(&self.person.access, PASSWORD).await,
            "confirm" => app.confirm(&self.token, PASSWORD, &self.new).await,
            _ => app.activate(&self.token).await,
        };
        assert!(
            began.elapsed() < LONGEST,
            "{} took {:?}",
            STEPS[self.at],
            began.elapsed()
        );
        if answer.status.is_success() {
            let link = match STEPS[self.at] {
                "request" => link(app, "new-email", &self.person.email),
                "confirm" => link(app, "email-activation", &self.new),
                _ => None,
            };
            self.token = link.unwrap_or_default();
            self.at += 1;
        } else {
            answer.problem(503, "mail_unavailable");
            assert!(answer.retry_after() > 0);
        }
        answer
    }

    /// They have the new address, and the old one was told.
    async fn check(&self, app: &TestApp) -> Result<(), String> {
        let now = app.email_of(&self.person).await;
        if now != self.new {
            return Err(format!("activated, and the address is {now}"));
        }
        let undo = link(app, "undo-email-change", &self.person.email)
            .ok_or("the old address was not told")?;
        match app.state_of(&undo).await.as_str() {
            "usable" => Ok(()),
            state => Err(format!("the undo link is {state}")),
        }
    }
}

fn link(app: &TestApp, page: &str, to: &str) -> Option<String> {
    app.smtp.newest(to, |mail| mail.find_token(page))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flow_through_bad_weather_ends_well_once_it_is_over() {
    // Of so few the weather would spare all, once in a hundred runs, if they were sixteen.
    let (flows, began, mut rng) = (volume("SOAK_FLOWS", 40), Instant::now(), seeded());
    let app = Arc::new(TestApp::on_sqlite(Options::default()).await);
    let mut travellers = Vec::new();
    for number in 0..flows {
        travellers.push(Traveller::new(&app, &format!("t{number}"), &mut rng).await);
    }
    app.smtp.seed(rng.fork());
    app.smtp.fault(Fault::Weather(30));
    let places = Arc::new(Semaphore::new(FLOWS_AT_ONCE));
    let mut under_way = JoinSet::new();
    for mut traveller in travellers {
        let (app, places) = (Arc::clone(&app), Arc::clone(&places));
        under_way.spawn(async move {
            let _place = places.acquire().await.expect("a place");
            let mut refused = 0;
            while !traveller.has_arrived() {
                let before = traveller.at;
                for _ in 0..TRIES {
                    if traveller.go(&app).await.status.is_success() {
                        break;
                    }
                    refused += 1;
                }
                if traveller.at == before {
                    break;
                }
            }
            (traveller, refused)
        });
    }
    let (mut travellers, mut refused) = (Vec::new(), 0);
    while let Some(done) = under_way.join_next().await {
        let (traveller, times) = done.expect("no panic");
        refused += times;
        travellers.push(traveller);
    }
    app.smtp.fault(None);
    let left = travellers
        .iter()
        .filter(|traveller| !traveller.has_arrived())
        .count();
    for traveller in &mut travellers {
        while !traveller.has_arrived() {
            // At the first try, with the link that they had.
            assert!(traveller.go(&app).await.status.is_success());
        }
        assert_eq!(traveller.check(&app).await, Ok(()));
    }
    assert!(refused > 0 && left > 0, "the weather was fair");
    figure(format_args!(
        "mail faults: {flows} flows with 30 % faults, {refused} refusals, {left} flows finished after recovery with the link they had, all complete, in {:.0} s",
        began.elapsed().as_secs_f64()
    ));
}

/// The control: a mail server that loses what it has accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_was_lost_is_noticed() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let mut traveller = Traveller::before(&app, "activate", "ann", &mut seeded()).await;
    app.smtp.fault(Fault::Lose);
    traveller.go(&app).await;
    assert_eq!(
        traveller.check(&app).await,
        Err("the old address was not told".to_owned())
    );
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_answered_in_time_and_changes_nothing() {
    let (app, mut rng) = (TestApp::on_sqlite(Options::default()).await, seeded());
    for (round, fault) in [
        Fault::RefuseSender("421 4.3.2 going down"),
        Fault::RefuseSender("535 5.7.8 who are you"),
        Fault::RefuseRecipient("452 4.5.3 too many"),
        Fault::RefuseRecipient("554 5.7.1 listed"),
        Fault::AnswerData("503 5.5.1 no"),
        Fault::RefuseMessage("552 5.3.4 too big"),
        Fault::HangUpAtOnce,
        Fault::HangUpInData,
        Fault::HangUpAfterMessage,
        Fault::Stall,
        Fault::Tarpit(Duration::from_secs(3)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut travellers = Vec::new();
        for step in STEPS {
            travellers
                .push(Traveller::before(&app, step, &format!("{step}{round}"), &mut rng).await);
        }
        let before = app.state().await;
        // A connection that is kept would not meet a fault that begins with a new one.
        app.smtp.restart().await;
        app.smtp.fault(fault.clone());
        let answers = futures_util::future::join_all(
            travellers.iter_mut().map(|traveller| traveller.go(&app)),
        )
        .await;
        assert!(
            answers.iter().all(|answer| answer.status == 503),
            "{fault:?}: {answers:?}"
        );
        assert_eq!(app.state().await, before, "{fault:?}");
        app.smtp.fault(None);
        for traveller in &mut travellers {
            assert!(traveller.go(&app).await.status.is_success(), "{fault:?}");
        }
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_while_idle_is_nobodys_business() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let mut traveller = Traveller::before(&app, "activate", "ann", &mut seeded()).await;
    let before = app.smtp.connections();
    app.smtp.fault(Fault::HangUpWhenIdle);
    traveller.go(&app).await.ok(200);
    assert!(app.smtp.connections() > before, "the old one was closed");
    assert_eq!(traveller.check(&app).await, Ok(()));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greylisted_mail_is_a_matter_of_pressing_again() {
    let (app, mut rng) = (TestApp::on_sqlite(Options::default()).await, seeded());
    let mut traveller = Traveller::new(&app, "ann", &mut rng).await;
    app.smtp.fault(Fault::Greylist);
    let statuses = [
        // The current address, then the new one, each once; the current one is known by now.
        traveller.go(&app).await.status,
        traveller.go(&app).await.status,
        traveller.go(&app).await.status,
        traveller.go(&app).await.status,
        traveller.go(&app).await.status,
    ];
    assert_eq!(
        statuses.map(|status| status.as_u16()),
        [503, 202, 503, 202, 200]
    );
    assert_eq!(traveller.check(&app).await, Ok(()));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_restarts_under_load_is_found_again() {
    let (restarts, mut rng) = (volume("SOAK_MAIL_RESTARTS", 3), seeded());
    let app = Arc::new(TestApp::on_sqlite(Options::default()).await);
    let mut slowest = Duration::ZERO;
    for round in 0..restarts {
        let mut travellers = Vec::new();
        for number in 0..8 {
            travellers.push(Traveller::new(&app, &format!("t{round}-{number}"), &mut rng).await);
        }
        let travellers = Arc::new(tokio::sync::Mutex::new(travellers));
        let down = Duration::from_millis(rng.u64(0..60));
        let sink = app.smtp.clone();
        let switch = tokio::spawn(async move {
            tokio::time::sleep(down).await;
            sink.stop();
            tokio::time::sleep(Duration::from_millis(200)).await;
            sink.restart().await;
            Instant::now()
        });
        let walked = at_once(8, |_| {
            let (app, travellers) = (Arc::clone(&app), Arc::clone(&travellers));
            async move {
                let mut traveller = travellers.lock().await.pop().expect("one each");
                while traveller.go(&app).await.status.is_success() && !traveller.has_arrived() {}
                traveller
            }
        })
        .await;
        let up = switch.await.expect("no panic");
        for mut traveller in walked {
            while !traveller.has_arrived() {
                assert!(traveller.go(&app).await.status.is_success());
                slowest = slowest.max(up.elapsed());
            }
            assert_eq!(traveller.check(&app).await, Ok(()));
        }
        assert!(slowest < RECOVERY, "{slowest:?}");
    }
    figure(format_args!(
        "mail restarts: {restarts} under load, everybody done within {:.2} s of the last",
        slowest.as_secs_f64()
    ));
}
