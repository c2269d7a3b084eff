//! Three replicas on one PostgreSQL, what can be fired at them at once, and what can be wrong with
//! the database meanwhile: the controls of the tests of races.

use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::json;

use super::cheap;
use super::pipe::{Pipe, Said, post};
use super::volume::seeded;
use crate::support::app::{PASSWORD, Replica};
use crate::support::{Engine, Options, Person, TestApp};

/// How much later one side of a volley may begin, in microseconds: longer than a step takes.
pub const LATEST: u64 = 40_000;

/// What is wrong with the database from the volley on.
#[derive(Clone, Copy, Debug)]
pub enum Sabotage {
    /// Nothing.
    None,
    /// Every write is acknowledged, and does not happen.
    Ignored,
    /// No link is ever used up: the nonce stays as it is.
    Frozen,
    /// No password ever changes.
    SamePassword,
    /// An undo is acknowledged, and does not happen.
    NoUndo,
    /// Two rows may have one address.
    NotUnique,
}

impl Sabotage {
    fn begins(self) -> Option<String> {
        let trigger = |body: &str| {
            format!(
                "CREATE FUNCTION sabotage() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'; \
             CREATE TRIGGER sabotage BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION sabotage()"
            )
        };
        match self {
            Self::None => None,
            Self::Ignored => Some(trigger("RETURN OLD;")),
            Self::Frozen => Some(trigger(
                "NEW.email_change_nonce := OLD.email_change_nonce; RETURN NEW;",
            )),
            Self::SamePassword => Some(trigger(
                "NEW.password_hash := OLD.password_hash; RETURN NEW;",
            )),
            // An undo closes its window, and nothing else does.
            Self::NoUndo => Some(trigger(
                "IF NEW.undo_opened_at IS NULL THEN RETURN OLD; END IF; RETURN NEW;",
            )),
            Self::NotUnique => {
                Some("ALTER TABLE users DROP CONSTRAINT IF EXISTS users_email_key".to_owned())
            }
        }
    }

    fn ends(self) -> Option<&'static str> {
        match self {
            Self::None | Self::NotUnique => None,
            Self::Ignored | Self::Frozen | Self::SamePassword | Self::NoUndo => {
                Some("DROP TRIGGER sabotage ON users; DROP FUNCTION sabotage")
            }
        }
    }
}

/// Three replicas on one PostgreSQL.
pub struct Replicas {
    pub app: TestApp,
    pub urls: Vec<String>,
    others: Vec<Replica>,
    pub rng: Rng,
    round: usize,
    sabotage: Sabotage,
}

/// One request of a volley.
pub type Shot = (&'static str, String);

impl Replicas {
    pub async fn start(sabotage: Sabotage) -> Option<Self> {
        let app = TestApp::on(Engine::Postgres, Options::default()).await?;
        let replicas = vec![
            app.replica(&app.options.keys).await,
            app.replica(&app.options.keys).await,
        ];
        let urls = replicas
            .iter()
            .map(|replica| &replica.url)
            .chain([&app.url])
            .cloned()
            .collect();
        Some(Self {
            app,
            urls,
            others: replicas,
            rng: seeded(),
            round: 0,
            sabotage,
        })
    }

    /// Everybody and every mail from now on are new.
    pub fn begin_round(&mut self) {
        self.round += 1;
        self.app.smtp.forget();
    }

    pub async fn close(self) {
        drop(self.others);
        self.app.close().await;
    }

    /// Fires all of them at once, at replicas and after delays of chance; the answers, in the order
    /// of the shots.
    pub async fn volley(&mut self, shots: &[Shot]) -> Vec<Said> {
        self.volley_beside(shots, async {}).await.0
    }

    /// The same while something else is done, from the moment on that the volley is sent.
    pub async fn volley_beside<T: Send + 'static>(
        &mut self,
        shots: &[Shot],
        other: impl Future<Output = T> + Send + 'static,
    ) -> (Vec<Said>, T) {
        let spread = [0, 500, 2_000, 8_000][self.rng.usize(0..4)];
        // Every other time one side begins later, or the one that has less to do would always be
        // first.
        let late = shots[self.rng.usize(0..shots.len())].0;
        let latest = if self.rng.bool() { LATEST } else { 0 };
        let later = Duration::from_micros(self.rng.u64(0..=latest));
        self.begin_sabotage().await;
        let mut pipes =
            join_all((0..shots.len()).map(|at| Pipe::open(&self.urls[at % self.urls.len()]))).await;
        self.rng.shuffle(&mut pipes);
        let other = tokio::spawn(other);
        let firing = pipes
            .into_iter()
            .zip(shots)
            .map(|(mut pipe, (step, token))| {
                let mut delay = Duration::from_micros(self.rng.u64(0..=spread));
                if *step == late {
                    delay += later;
                }
                let request = post(&format!("/v1/email-change/{step}"), &body(step, token));
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    pipe.ask(&request).await
                })
            });
        let firing: Vec<_> = firing.collect();
        let mut answers = Vec::new();
        for shot in firing {
            answers.push(shot.await.expect("no panic"));
        }
        let other = other.await.expect("no panic");
        self.end_sabotage().await;
        (answers, other)
    }

    pub async fn begin_sabotage(&self) {
        if let Some(sql) = self.sabotage.begins() {
            self.app.database.execute(&sql).await;
        }
    }

    pub async fn end_sabotage(&self) {
        if let Some(sql) = self.sabotage.ends() {
            self.app.database.execute(sql).await;
        }
    }

    // The story so far.

    pub fn address(&self, name: &str) -> String {
        format!("{name}{}@example.com", self.round)
    }

    pub async fn person(&mut self, name: &str) -> Person {
        let email = self.address(name);
        cheap::person(&self.app, &email, &mut self.rng).await
    }

    /// The newest link to that page which that address got.
    pub fn link(&self, page: &str, to: &str) -> Option<String> {
        self.app.smtp.newest(to, |mail| mail.find_token(page))
    }

    pub fn links(&self, page: &str) -> Vec<(String, String)> {
        let mails = self.app.mails();
        mails
            .iter()
            .filter_map(|mail| Some((mail.to.clone(), mail.find_token(page)?)))
            .collect()
    }

    /// Every address whose activate link holds.
    pub async fn live(&self) -> Vec<String> {
        let mut live = Vec::new();
        for (to, link) in self.links("email-activation") {
            if self.app.state_of(&link).await == "usable" && !live.contains(&to) {
                live.push(to);
            }
        }
        live
    }
}

pub fn body(step: &str, token: &str) -> serde_json::Value {
    match step {
        "confirm" => {
            let (token, new_email) = token.split_once(' ').expect("an address");
            json!({ "token": token, "password": PASSWORD, "new_email": new_email })
        }
        "undo" => json!({ "token": token, "password": PASSWORD }),
        _ => json!({ "token": token }),
    }
}
