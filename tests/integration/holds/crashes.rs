//! Crashes: the process is killed at every boundary between two side effects, and at moments of
//! chance. Afterwards nothing is half done, and whoever was in the middle goes on with the same link
//! at another replica.

mod elsewhere;

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::deployment::{Deployment, body, request, show, sign_in, state_of};
use super::volume::{figure, seeded, volume};
use crate::support::Engine;
use crate::support::app::PASSWORD;
use crate::support::process::Running;

const STEPS: [&str; 5] = ["request", "confirm", "activate", "cancel", "undo"];
/// How long after its answer a step may still send a mail.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// Somebody in the middle of the story, and the link of the step that will be interrupted.
struct Interrupted {
    step: &'static str,
    old: String,
    new: String,
    access: String,
    token: String,
}

/// Where the process is killed.
#[derive(Clone, Copy, Debug)]
enum When {
    /// At the n-th boundary of the step.
    Boundary(usize),
    /// So long after the step was asked for.
    After(Duration),
}

/// Walks with one replica to where the step can be taken.
async fn prepare(
    deployment: &Deployment,
    server: &Running,
    step: &'static str,
    number: usize,
    rng: &mut fastrand::Rng,
) -> Interrupted {
    let (old, new) = (
        format!("ann{number}@example.com"),
        format!("ann{number}@new.example"),
    );
    deployment.sink.forget();
    deployment.add(&old, rng).await;
    let access = sign_in(server, &old).await;
    let mut token = String::new();
    if step != "request" {
        request(server, &access).await.ok(202);
        token = deployment.await_link("new-email", &old).await;
    }
    if ["activate", "undo", "cancel"].contains(&step) {
        show(server, "confirm", &token, &new).await.ok(202);
        token = deployment.await_link("email-activation", &new).await;
    }
    if step == "undo" {
        show(server, "activate", &token, &new).await.ok(200);
        token = deployment.await_link("undo-email-change", &old).await;
    }
    if step == "cancel" {
        token = deployment.await_link("cancel-email-change", &old).await;
    }
    Interrupted {
        step,
        old,
        new,
        access,
        token,
    }
}

/// What is known of a step whose process was killed.
struct Killed {
    /// It came to the boundary.
    stopped: bool,
    /// Its caller was told that it is done.
    acknowledged: bool,
}

/// Takes the step at a process of its own, and kills that.
async fn interrupt(deployment: &mut Deployment, person: &Interrupted, when: When) -> Killed {
    let stop_at = if let When::Boundary(number) = when {
        number
    } else {
        0
    };
    deployment
        .shell
        .set("STOP_AT_BOUNDARY", &stop_at.to_string());
    let victim = deployment.shell.start("serve").await;
    let mut asked = victim
        .http
        .post(format!("{}/v1/email-change/{}", victim.url, person.step));
    let body = if person.step == "request" {
        asked = asked.header("Authorization", format!("Bearer {}", person.access));
        serde_json::json!({ "password": PASSWORD })
    } else {
        body(person.step, &person.token, &person.new)
    };
    let asked = asked
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let mut asked = tokio::spawn(asked.send());
    let is_success = |answer: reqwest::Result<reqwest::Response>| {
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    if let When::After(delay) = when {
        sleep(delay).await;
        victim.end("KILL").await;
        return Killed {
            stopped: true,
            acknowledged: is_success(asked.await.expect("no panic")),
        };
    }
    let is_stopped = || victim.stderr().contains("stopped at a boundary");
    let mut answer = None;
    let over = async {
        answer = Some((&mut asked).await.expect("no panic"));
        sleep(AFTERWARDS).await;
    };
    let stopped = async {
        while !is_stopped() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    // After its answer a step may still come to a boundary.
    tokio::select! {
        () = stopped => {}
        () = over => {}
    }
    let stopped = is_stopped();
    victim.end("KILL").await;
    let answer = match answer {
        Some(answer) => answer,
        None => asked.await.expect("no panic"),
    };
    let acknowledged = is_success(answer);
    assert!(
        stopped || acknowledged,
        "{}: it failed by itself",
        person.step
    );
    Killed {
        stopped,
        acknowledged,
    }
}

/// What was acknowledged before the process was killed is there.
async fn is_there(
    deployment: &Deployment,
    server: &Running,
    person: &Interrupted,
) -> Result<(), String> {
    let Interrupted { step, old, new, .. } = person;
    let (page, to, state) = match *step {
        "activate" | "undo" => {
            let address = if *step == "undo" { old } else { new };
            return hold(deployment.has(address).await, || {
                format!("{step} was acknowledged, and is lost")
            });
        }
        "request" => ("new-email", old, "usable"),
        "confirm" => ("email-activation", new, "usable"),
        _ => ("email-activation", new, "used"),
    };
    let link = deployment.link(page, to).ok_or("no link was mailed")?;
    let is = state_of(server, &link).await;
    hold(is == state, || {
        format!("{step} was acknowledged, and is lost: a link to {page} is {is}")
    })
}

/// What must be true at once, and what must still be possible.
async fn goes_on(
    deployment: &Deployment,
    server: &Running,
    person: &Interrupted,
    acknowledged: bool,
) -> Result<(), String> {
    let Interrupted {
        step,
        old,
        new,
        access,
        token,
    } = person;
    let (has_old, has_new) = (deployment.has(old).await, deployment.has(new).await);
    hold(has_old != has_new, || "two addresses, or none".to_owned())?;
    if has_new {
        let notice = deployment.link("undo-email-change", old);
        hold(notice.is_some(), || {
            "the address was replaced, and the old one was not told".to_owned()
        })?;
    }
    if acknowledged {
        is_there(deployment, server, person).await?;
    }
    let again = match *step {
        "request" => request(server, access).await,
        _ => show(server, step, token, new).await,
    };
    hold(again.status.is_success(), || {
        format!("{step} again: {}", again.text)
    })?;

    match *step {
        "request" => {
            let confirm = deployment.await_link("new-email", old).await;
            let confirmed = show(server, "confirm", &confirm, new).await;
            hold(confirmed.status.is_success(), || {
                format!("confirm: {}", confirmed.text)
            })?;
        }
        "cancel" => {
            let activate = deployment.await_link("email-activation", new).await;
            let state = state_of(server, &activate).await;
            return hold(state == "used" && deployment.has(old).await, || {
                format!("cancelled, and {state}")
            });
        }
        "undo" => {
            let state = state_of(server, token).await;
            return hold(
                state == "already_undone" && deployment.has(old).await,
                || format!("undone, and {state}"),
            );
        }
        _ => {}
    }
    let activate = deployment.await_link("email-activation", new).await;
    let activated = show(server, "activate", &activate, new).await;
    hold(activated.status.is_success(), || {
        format!("activate: {}", activated.text)
    })?;
    hold(deployment.has(new).await, || {
        format!("{} and not there", activated.text)
    })?;
    for mail in deployment.sink.received() {
        if let Some(undo) = mail.find_token("undo-email-change") {
            let state = state_of(server, &undo).await;
            hold(state == "usable", || {
                format!("an undo link that was mailed is {state}")
            })?;
        }
    }
    let undo = deployment
        .link("undo-email-change", old)
        .ok_or("no undo link")?;
    let undone = show(server, "undo", &undo, new).await;
    hold(
        undone.status.is_success() && deployment.has(old).await,
        || format!("undo: {}", undone.text),
    )
}

fn hold(is: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(otherwise()) }
}

async fn kill_everywhere(mut deployment: Deployment, steps: &[&'static str]) {
    let (times, began) = (volume("SOAK_CRASHES", 1), Instant::now());
    let mut rng = seeded();
    let survivor = deployment.shell.start("serve").await;
    let (mut number, mut boundaries, mut moments, mut acknowledged) = (0, 0, 0, 0);
    for _ in 0..times {
        for &step in steps {
            for boundary in 1.. {
                number += 1;
                let person = prepare(&deployment, &survivor, step, number, &mut rng).await;
                let killed = interrupt(&mut deployment, &person, When::Boundary(boundary)).await;
                let gone_on = goes_on(&deployment, &survivor, &person, killed.acknowledged).await;
                assert_eq!(gone_on, Ok(()), "{step}, killed at boundary {boundary}");
                acknowledged += usize::from(killed.acknowledged);
                if !killed.stopped {
                    assert!(boundary > 4, "{step} has {} boundaries", boundary - 1);
                    break;
                }
                boundaries += 1;

                number += 1;
                let person = prepare(&deployment, &survivor, step, number, &mut rng).await;
                let when = When::After(Duration::from_micros(rng.u64(0..25_000)));
                let killed = interrupt(&mut deployment, &person, when).await;
                let gone_on = goes_on(&deployment, &survivor, &person, killed.acknowledged).await;
                assert_eq!(gone_on, Ok(()), "{step}, killed {when:?}");
                acknowledged += usize::from(killed.acknowledged);
                moments += 1;
            }
        }
    }
    figure(format_args!(
        "crashes: on {:?}, kill -9 at {boundaries} boundaries and {moments} moments of chance in {:.0} s, {acknowledged} of them after the answer; nothing half done, everybody went on with the same link",
        deployment.database.engine,
        began.elapsed().as_secs_f64()
    ));
    let (code, _) = survivor.end("TERM").await;
    assert_eq!(code, Some(0));
    deployment.close().await;
}

macro_rules! killed_between_any_two_side_effects {
    ($($name:ident: $engine:ident;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let Some(deployment) = Deployment::on(Engine::$engine).await else { return };
            kill_everywhere(deployment, &STEPS).await;
        }
    )* };
}

killed_between_any_two_side_effects! {
    killed_between_any_two_side_effects_on_sqlite: Sqlite;
    killed_between_any_two_side_effects_on_postgres: Postgres;
    killed_between_any_two_side_effects_on_mariadb: MariaDb;
}

/// The controls: what a service that writes before it mails would leave behind, one whose write does
/// not last, and one that acknowledges before it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_half_done_is_noticed() {
    let deployment = Deployment::on_sqlite().await;
    let (server, mut rng) = (deployment.shell.start("serve").await, seeded());
    let person = prepare(&deployment, &server, "activate", 1, &mut rng).await;
    let replace = format!(
        "UPDATE users SET email = '{}' WHERE email = '{}'",
        person.new, person.old
    );
    deployment.database.execute(&replace).await;
    let seen = goes_on(&deployment, &server, &person, false).await;
    assert!(seen.is_err_and(|seen| seen.contains("was not told")));

    for (number, step) in ["confirm", "activate", "cancel", "undo"]
        .into_iter()
        .enumerate()
    {
        let person = prepare(&deployment, &server, step, 10 + number, &mut rng).await;
        let seen = goes_on(&deployment, &server, &person, true).await;
        let is_missed = |seen: String| seen.contains("lost") || seen.contains("no link was mailed");
        assert!(seen.is_err_and(is_missed), "{step}");
    }

    let person = prepare(&deployment, &server, "activate", 2, &mut rng).await;
    let nothing = "CREATE TRIGGER sabotage AFTER UPDATE OF email ON users BEGIN UPDATE users SET email = OLD.email WHERE id = OLD.id; END";
    deployment.database.execute(nothing).await;
    let seen = goes_on(&deployment, &server, &person, false).await;
    assert!(seen.is_err_and(|seen| seen.contains("activate: ")));
    deployment.close().await;
}
