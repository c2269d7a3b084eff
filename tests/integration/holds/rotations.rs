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
use super::pipe::{Pipe, Said, post};
use super::volume::{figure, seeded, volume};
use crate::support::app::{PASSWORD, Replica};
use crate::support::{Engine, Options, TestApp};

const REPLICAS: usize = 3;
const PEOPLE: usize = 4;
/// From one replica of a rollout to the next: some changes of an address.
const STAGGER: Duration = Duration::from_millis(150);
const ANN: &str = "ann@example.com";

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
    cheap::person(&app, ANN, &mut rng).await;
    let load = Load::start(&app, &fleet, &mut rng).await;

    let mut broken = Vec::new();
    for rotation in 0..rotations {
        // Made with the key that is about to be retired, and not used.
        let link = fleet.door().confirm_link(&app, ANN).await.expect("a link");
        let new = keys::generate().expect("random").to_string();
        if rollouts == Rollouts::Two {
            ring.push_back(new);
            fleet.roll_out(&app, &ring).await;
            ring.rotate_right(1);
        } else {
            ring.push_front(new);
        }
        fleet.roll_out(&app, &ring).await;
        for state in fleet.states_of(&link).await {
            if state != (200, "usable".to_owned()) {
                broken.push(format!("{rotation}: {state:?} while its key verifies"));
            }
        }
        load.everybody_has_begun_anew().await;
        ring.pop_back();
        fleet.roll_out(&app, &ring).await;
        for state in fleet.states_of(&link).await {
            if state != (400, "invalid_link".to_owned()) {
                broken.push(format!("{rotation}: {state:?} after its key was retired"));
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

    /// What each replica says of a link.
    async fn states_of(&self, link: &str) -> Vec<(u16, String)> {
        let request = post("/v1/email-change/inspect", &body("inspect", link, ""));
        let mut states = Vec::new();
        for replica in &self.replicas {
            let said = Pipe::open(&replica.url).await.ask(&request).await;
            states.push((said.status, said.field("state") + &said.code()));
        }
        states
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

    /// From the password to a link in the current mailbox.
    async fn confirm_link(&self, app: &TestApp, email: &str) -> Result<String, String> {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let session = self.ask(&post("/v1/session", &credentials)).await;
        well("sign in", &session)?;
        let request = post("/v1/email-change/request", &json!({ "password": PASSWORD }));
        let authorization = format!(
            "Authorization: Bearer {}\r\n",
            session.field("access_token")
        );
        let request = request.replacen("Host: x\r\n", &format!("Host: x\r\n{authorization}"), 1);
        well("request", &self.ask(&request).await)?;
        let link = app.smtp.newest(email, |mail| mail.find_token("new-email"));
        link.ok_or_else(|| "request: no mail".to_owned())
    }

    /// From one address to another.
    async fn change(&self, app: &TestApp, from: &str, to: &str) -> Result<(), String> {
        let confirm = self.confirm_link(app, from).await?;
        self.step("confirm", &confirm, to).await?;
        let link = app
            .smtp
            .newest(to, |mail| mail.find_token("email-activation"));
        let activate = link.ok_or("confirm: no mail")?;
        self.step("activate", &activate, to).await
    }
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
