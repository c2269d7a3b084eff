//! Keys are rotated, again and again, while people change their addresses at three replicas.
//!
//! Each rotation is the one of docs/operations.md: the new key last everywhere, then first
//! everywhere, and later the old one is taken away. A link lives as long as its key verifies, and
//! not a moment longer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use readdress::keys;
use serde_json::json;
use tokio::task::JoinHandle;

use super::cheap;
use super::deployment::body;
use super::pipe::{Pipe, Said, get, post, post_as};
use super::volume::{figure, seeded, volume};
use crate::support::app::{PASSWORD, Replica};
use crate::support::{Engine, Options, TestApp};

const REPLICAS: usize = 3;
const PEOPLE: usize = 4;
/// From one replica of a rollout to the next: some changes of an address.
const STAGGER: Duration = Duration::from_millis(150);
/// What a key signs: a link of each kind, and an access token.
const KINDS: [&str; 5] = ["confirm", "activate", "cancel", "undo", "me"];

/// How a rotation is done.
#[derive(Clone, Copy, PartialEq)]
enum Rollouts {
    /// As the documentation says.
    Two,
    /// The new key first at once, which a replica that does not have it yet cannot verify.
    One,
}

#[tokio::test(flavor = "multi_thread")]
async fn links_survive_while_their_key_verifies_and_die_when_it_is_retired() {
    let rotations = volume("SOAK_ROTATIONS", 3);
    let Some((changed, broken)) = rotate(rotations, Rollouts::Two).await else {
        return;
    };
    figure(format_args!(
        "rotations: {rotations} under load, {changed} addresses changed meanwhile, {} steps refused",
        broken.len()
    ));
    assert!(broken.is_empty(), "{broken:?}");
    assert!(changed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_in_one_rollout_is_noticed() {
    let Some((_, broken)) = rotate(4, Rollouts::One).await else {
        return;
    };
    assert!(!broken.is_empty());
}

/// How many addresses were changed meanwhile, and every step that was refused.
async fn rotate(rotations: usize, rollouts: Rollouts) -> Option<(usize, Vec<String>)> {
    let app = Arc::new(TestApp::on(Engine::Postgres, Options::default()).await?);
    let mut ring = VecDeque::from([app.options.keys.clone()]);
    let mut fleet = Fleet::start(&app, &ring).await;
    let mut rng = seeded();
    let load = Load::start(&app, &fleet, &mut rng).await;

    let mut broken = Vec::new();
    for rotation in 0..rotations {
        // Made with the key that is about to be retired: those are used while it verifies, these
        // when it does not any more.
        let those = fleet
            .kept(&app, &format!("those{rotation}"), &mut rng)
            .await;
        let these = fleet
            .kept(&app, &format!("these{rotation}"), &mut rng)
            .await;
        let new = keys::generate().expect("random").to_string();
        if rollouts == Rollouts::Two {
            ring.push_back(new);
            fleet.roll_out(&app, &ring).await;
            ring.rotate_right(1);
        } else {
            ring.push_front(new);
        }
        fleet.roll_out(&app, &ring).await;
        for kept in those.iter().chain(&these) {
            for said in fleet.say(&kept.look()).await {
                if !kept.is_usable(&said) {
                    broken.push(format!(
                        "{rotation}: {kept:?} while its key verifies: {said:?}"
                    ));
                }
            }
        }
        for kept in &those {
            let said = fleet.door().ask(&kept.used()).await;
            broken.extend(well(kept.kind, &said).err());
        }
        load.everybody_has_begun_anew().await;
        ring.pop_back();
        fleet.roll_out(&app, &ring).await;
        for kept in &these {
            for request in [kept.look(), kept.used()] {
                for said in fleet.say(&request).await {
                    if !kept.is_refused(&said) {
                        broken.push(format!(
                            "{rotation}: {kept:?} after its key was retired: {said:?}"
                        ));
                    }
                }
            }
        }
    }
    let changed = load.stop(&mut broken).await;
    drop(fleet);
    let app = Arc::into_inner(app).expect("the load has ended");
    app.close().await;
    Some((changed, broken))
}

/// Replicas that are replaced, one after the other, by others with other keys.
struct Fleet {
    replicas: VecDeque<Replica>,
    door: Door,
}

impl Fleet {
    async fn start(app: &TestApp, ring: &VecDeque<String>) -> Self {
        let mut fleet = Self {
            replicas: VecDeque::new(),
            door: Door::default(),
        };
        for _ in 0..REPLICAS {
            fleet.replicas.push_back(app.replica(&list(ring)).await);
        }
        fleet.open();
        fleet
    }

    fn door(&self) -> &Door {
        &self.door
    }

    async fn roll_out(&mut self, app: &TestApp, ring: &VecDeque<String>) {
        for _ in 0..REPLICAS {
            let new = app.replica(&list(ring)).await;
            let old = self.replicas.pop_front();
            self.replicas.push_back(new);
            self.open();
            // Answers whom it has, and ends.
            drop(old);
            // Meanwhile some replicas have the one ring and some the other.
            tokio::time::sleep(STAGGER).await;
        }
    }

    fn open(&self) {
        let urls = self.replicas.iter().map(|replica| replica.url.clone());
        *self.door.urls.write().expect("not poisoned") = urls.collect();
    }

    /// What each replica says to that.
    async fn say(&self, request: &str) -> Vec<Said> {
        let mut all = Vec::new();
        for replica in &self.replicas {
            all.push(Pipe::open(&replica.url).await.ask(request).await);
        }
        all
    }

    /// One of each kind, of somebody each.
    async fn kept(&self, app: &TestApp, name: &str, rng: &mut fastrand::Rng) -> Vec<Kept> {
        let mut all = Vec::new();
        for kind in KINDS {
            let [email, new_email] =
                ["", ".new"].map(|which| format!("{name}.{kind}{which}@example.com"));
            cheap::person(app, &email, rng).await;
            let token = self.door.token(app, kind, &email, &new_email).await;
            all.push(Kept {
                kind,
                token: token.unwrap_or_else(|error| panic!("{kind}: {error}")),
                new_email,
            });
        }
        all
    }
}

/// What somebody has in a mailbox or a browser while the keys are rotated.
#[derive(Debug)]
struct Kept {
    kind: &'static str,
    token: String,
    new_email: String,
}

impl Kept {
    /// Shows it where that changes nothing.
    fn look(&self) -> String {
        match self.kind {
            "me" => self.used(),
            _ => post(
                "/v1/email-change/inspect",
                &body("inspect", &self.token, ""),
            ),
        }
    }

    fn used(&self) -> String {
        match self.kind {
            "me" => get("/v1/me", &self.token),
            step => post(
                &format!("/v1/email-change/{step}"),
                &body(step, &self.token, &self.new_email),
            ),
        }
    }

    /// As [`Kept::look`] sees it.
    fn is_usable(&self, said: &Said) -> bool {
        said.status == 200 && (self.kind == "me" || said.field("state") == "usable")
    }

    fn is_refused(&self, said: &Said) -> bool {
        let how = (said.status, said.code());
        match self.kind {
            "me" => how == (401, "unauthenticated".to_owned()),
            _ => how == (400, "invalid_link".to_owned()),
        }
    }
}

fn list(ring: &VecDeque<String>) -> String {
    Vec::from(ring.clone()).join(",")
}

/// Whichever replicas are open, in turn.
#[derive(Clone, Default)]
struct Door {
    urls: Arc<RwLock<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Door {
    async fn ask(&self, request: &str) -> Said {
        loop {
            let url = {
                let urls = self.urls.read().expect("not poisoned");
                urls[self.asked.fetch_add(1, Ordering::Relaxed) % urls.len()].clone()
            };
            // One that has just closed is what a proxy passes over.
            if let Ok(mut pipe) = Pipe::try_open(&url).await {
                return pipe.ask(request).await;
            }
        }
    }

    async fn step(&self, step: &str, token: &str, new_email: &str) -> Result<(), String> {
        let path = format!("/v1/email-change/{step}");
        let said = self.ask(&post(&path, &body(step, token, new_email))).await;
        well(step, &said)
    }

    /// The newest of that kind.
    async fn token(
        &self,
        app: &TestApp,
        kind: &str,
        email: &str,
        new_email: &str,
    ) -> Result<String, String> {
        match kind {
            "me" => self.access(email).await,
            "confirm" => self.confirm_link(app, email).await,
            "activate" => self.activate_link(app, email, new_email).await,
            "cancel" => {
                self.confirm_link(app, email).await?;
                mailed(app, "cancel-email-change", email).await
            }
            _ => {
                self.change(app, email, new_email).await?;
                mailed(app, "undo-email-change", email).await
            }
        }
    }

    async fn access(&self, email: &str) -> Result<String, String> {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let session = self.ask(&post("/v1/session", &credentials)).await;
        well("sign in", &session)?;
        Ok(session.field("access_token"))
    }

    /// From the password to a link in the current mailbox.
    async fn confirm_link(&self, app: &TestApp, email: &str) -> Result<String, String> {
        let (access, body) = (self.access(email).await?, json!({ "password": PASSWORD }));
        let request = post_as(&access, "/v1/email-change/request", &body);
        well("request", &self.ask(&request).await)?;
        mailed(app, "new-email", email).await
    }

    /// And on to the link in the new mailbox.
    async fn activate_link(&self, app: &TestApp, from: &str, to: &str) -> Result<String, String> {
        let confirm = self.confirm_link(app, from).await?;
        self.step("confirm", &confirm, to).await?;
        mailed(app, "email-activation", to).await
    }

    /// From one address to another.
    async fn change(&self, app: &TestApp, from: &str, to: &str) -> Result<(), String> {
        let activate = self.activate_link(app, from, to).await?;
        self.step("activate", &activate, to).await
    }
}

/// Waits for a mail with such a link: those that nothing depends on come after the answer.
async fn mailed(app: &TestApp, page: &str, to: &str) -> Result<String, String> {
    for _ in 0..500 {
        if let Some(link) = app.smtp.newest(to, |mail| mail.find_token(page)) {
            return Ok(link);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(format!("no {page} link to {to}"))
}

fn well(step: &str, said: &Said) -> Result<(), String> {
    if (200..300).contains(&said.status) {
        Ok(())
    } else {
        Err(format!("{step}: {} {}", said.status, said.code()))
    }
}

/// People who change their address all the time.
struct Load {
    over: Arc<AtomicBool>,
    /// Read by whoever is in the middle of a change.
    changing: Arc<tokio::sync::RwLock<()>>,
    people: Vec<JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    async fn start(app: &Arc<TestApp>, fleet: &Fleet, rng: &mut fastrand::Rng) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let changing = Arc::new(tokio::sync::RwLock::new(()));
        let mut people = Vec::new();
        for person in 0..PEOPLE {
            let address = move |change| format!("person{person}.{change}@example.com");
            cheap::person(app, &address(0), rng).await;
            let (app, door) = (Arc::clone(app), fleet.door().clone());
            let (over, changing) = (Arc::clone(&over), Arc::clone(&changing));
            people.push(tokio::spawn(async move {
                let (mut changed, mut refused) = (0, Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let _changing = changing.read().await;
                    let (from, to) = (address(changed), address(changed + 1));
                    match door.change(&app, &from, &to).await {
                        Ok(()) => changed += 1,
                        Err(error) => refused.push(error),
                    }
                }
                (changed, refused)
            }));
        }
        Self {
            over,
            changing,
            people,
        }
    }

    /// Nobody holds a link any more that was made before this was called: so much time passes
    /// between a rotation and the end of a key.
    async fn everybody_has_begun_anew(&self) {
        drop(self.changing.write().await);
    }

    async fn stop(self, broken: &mut Vec<String>) -> usize {
        self.over.store(true, Ordering::Relaxed);
        let mut all = 0;
        for person in self.people {
            let (changed, refused) = person.await.expect("no panic");
            all += changed;
            broken.extend(refused);
        }
        all
    }
}
