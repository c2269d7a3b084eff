//! Random concurrent histories, held against a program of one thread.
//!
//! Two people with links of every kind, eight clients at three replicas, two operations each; then a
//! look at what is. The operations, their answers and their times are a history, and the model must
//! have an order for it.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::cheap;
use super::model::{Address, Call, ConfirmLink, Nonce, Operation, Row, Seen, explains};
use super::pipe::{Pipe, Said, post};
use super::replicas::{Replicas, Sabotage, body};
use super::volume::{figure, volume};
use crate::support::app::PASSWORD;
use crate::support::smtp::SmtpSink;
use crate::support::{Person, database, forge};

const CLIENTS: usize = 8;

/// The links that exist when a history begins, and the numbers that the model knows things by.
#[derive(Clone)]
struct Cast {
    people: Vec<Person>,
    addresses: Vec<String>,
    links: Vec<ConfirmLink>,
    confirms: Vec<String>,
    /// Of each person: the address it is for, and the token.
    cancels: Vec<(Address, String)>,
    /// Of each person, perhaps: the address it restores, the confirm link that opened its window,
    /// and the token.
    undos: Vec<Option<(Address, usize, String)>>,
    begin: [Row; 2],
}

impl Cast {
    async fn set(world: &mut Replicas) -> Self {
        let mut cast = Self {
            people: vec![],
            addresses: ["x", "y"].map(|name| world.address(name)).to_vec(),
            links: vec![],
            confirms: vec![],
            cancels: vec![],
            undos: vec![],
            begin: [Row {
                email: 0,
                password: 0,
                nonce: Nonce::Fresh(1_000),
                window: None,
            }; 2],
        };
        for (who, name) in ["ann", "bob"].into_iter().enumerate() {
            let person = world.person(name).await;
            cast.begin[who].email = cast.address(&person.email);
            cast.people.push(person);
            cast.undos.push(None);
            if world.rng.bool() {
                cast.change(world, who).await;
            }
            cast.request(world, who).await;
            let cancel = cast.request(world, who).await;
            cast.cancels.push((cast.begin[who].email, cancel));
        }
        cast
    }

    fn address(&mut self, address: &str) -> Address {
        self.addresses
            .iter()
            .position(|known| known == address)
            .unwrap_or_else(|| {
                self.addresses.push(address.to_owned());
                self.addresses.len() - 1
            })
    }

    /// One more confirm link; the cancel link with it.
    async fn request(&mut self, world: &Replicas, who: usize) -> String {
        // So that each opens a window of its own.
        world.app.clock.advance(Duration::from_secs(1));
        let access = &self.people[who].access;
        world.app.request(access, PASSWORD).await.ok(202);
        let email = &self.addresses[self.begin[who].email];
        let link = |page| world.link(page, email).expect("a link");
        let (confirm, cancel) = (link("new-email"), link("cancel-email-change"));
        self.confirms.push(confirm);
        self.links.push(ConfirmLink {
            who,
            row: self.begin[who],
        });
        cancel
    }

    /// A change that is over, and can be undone.
    async fn change(&mut self, world: &Replicas, who: usize) {
        let old = self.begin[who].email;
        let new = world.address(["ann-b", "bob-b"][who]);
        self.request(world, who).await;
        let confirm = self.confirms.len() - 1;
        world
            .app
            .confirm(&self.confirms[confirm], PASSWORD, &new)
            .await
            .ok(202);
        let activate = world
            .link("email-activation", &new)
            .expect("an activate link");
        world.app.activate(&activate).await.ok(200);
        let undo = world
            .link("undo-email-change", &self.addresses[old])
            .expect("an undo link");
        self.undos[who] = Some((old, confirm, undo));
        let row = &mut self.begin[who];
        (row.nonce, row.window) = (Nonce::Fresh(2_000 + who), Some(confirm));
        self.begin[who].email = self.address(&new);
    }

    /// What one client does, by chance.
    fn program(&self, rng: &mut fastrand::Rng) -> Vec<Call> {
        let who = rng.usize(0..2);
        let own: Vec<usize> = (0..self.links.len())
            .filter(|link| self.links[*link].who == who)
            .collect();
        // Mostly the newest link and the first address: most of what is chosen evenly is dead at once.
        let newest = own.len() - 1;
        let link = own[if rng.u32(0..4) == 0 {
            rng.usize(0..own.len())
        } else {
            newest
        }];
        let to = usize::from(rng.u32(0..4) == 0);
        let undo = self.undos[who]
            .as_ref()
            .map(|(email, opened, _)| Call::Undo {
                who,
                email: *email,
                opened: *opened,
            });
        match rng.u32(0..10) {
            0..6 => vec![Call::Confirm { link, to }, Call::Activate { link, to }],
            6 => vec![
                Call::Confirm { link, to },
                Call::Confirm { link, to: 1 - to },
            ],
            7 => vec![Call::Cancel {
                who,
                email: self.cancels[who].0,
            }],
            8 => vec![Call::Password { who }],
            _ => undo.into_iter().collect(),
        }
    }
}

/// One client: its connection, and what it needs to make a request of a call.
struct Client {
    pipe: Pipe,
    cast: Cast,
    sink: SmtpSink,
    pool: readdress::users::Database,
    hashes: Vec<String>,
}

impl Client {
    async fn run(mut self, program: Vec<Call>, delays: Vec<Duration>) -> Vec<Operation> {
        let mut done = Vec::new();
        for (call, delay) in program.into_iter().zip(delays) {
            tokio::time::sleep(delay).await;
            let called = Instant::now();
            // An activate link that was never mailed cannot be pressed.
            let Some(seen) = self.make(call).await else {
                continue;
            };
            done.push(Operation {
                call,
                seen,
                called,
                answered: Instant::now(),
            });
        }
        done
    }

    async fn make(&mut self, call: Call) -> Option<Seen> {
        let (step, token) = match call {
            Call::Confirm { link, to } => (
                "confirm",
                format!("{} {}", self.cast.confirms[link], self.cast.addresses[to]),
            ),
            Call::Activate { link, to } => ("activate", self.activate_link(link, to)?),
            Call::Cancel { who, .. } => ("cancel", self.cast.cancels[who].1.clone()),
            Call::Undo { who, .. } => ("undo", self.cast.undos[who].as_ref()?.2.clone()),
            Call::Password { who } => {
                let (hash, id) = (self.hashes.pop()?, &self.cast.people[who].id);
                let sql = format!(
                    "UPDATE users SET password_hash = '{hash}' WHERE id = '{id}' RETURNING email"
                );
                database::text(&self.pool, &sql).await?;
                return Some(Seen::Written);
            }
            Call::Look { who } => {
                let sql = format!(
                    "SELECT email FROM users WHERE id = '{}'",
                    self.cast.people[who].id
                );
                let email = database::text(&self.pool, &sql).await?;
                return self
                    .cast
                    .addresses
                    .iter()
                    .position(|known| *known == email)
                    .map(Seen::Has);
            }
        };
        let said = self
            .pipe
            .ask(&post(
                &format!("/v1/email-change/{step}"),
                &body(step, &token),
            ))
            .await;
        Some(seen(call, &said))
    }

    /// The activate link of that confirm: its mail is known by the person and the time that the
    /// link carries on.
    fn activate_link(&self, link: usize, to: Address) -> Option<String> {
        let made_at = &forge::open(&self.cast.confirms[link]).claims["iat"];
        let id = &self.cast.people[self.cast.links[link].who].id;
        let mails = self.sink.received();
        let tokens = mails
            .iter()
            .filter(|mail| mail.to == self.cast.addresses[to])
            .filter_map(|mail| mail.find_token("email-activation"));
        tokens.into_iter().find(|token| {
            let claims = forge::open(token).claims;
            claims["opened_at"] == *made_at && claims["sub"] == **id
        })
    }
}

fn seen(call: Call, said: &Said) -> Seen {
    match (
        call,
        said.status,
        said.code().as_str(),
        said.field("status").as_str(),
    ) {
        (Call::Confirm { .. }, 202, ..) => Seen::Accepted,
        (Call::Activate { .. }, 200, _, "activated") => Seen::Activated,
        (Call::Activate { .. }, 200, _, "already_active") => Seen::AlreadyActive,
        (Call::Cancel { .. }, 200, ..) => Seen::Cancelled,
        (Call::Undo { .. }, 200, _, "undone") => Seen::Undone,
        (Call::Undo { .. }, 200, _, "already_undone") => Seen::AlreadyUndone,
        // The password was right when the link was made; what it is now, nobody typed.
        (_, 410, "link_used", _) => Seen::Used,
        (_, 409, "email_taken", _) => Seen::Taken,
        (Call::Cancel { .. } | Call::Undo { .. }, 503, "database_unavailable", _) => {
            Seen::Unavailable
        }
        _ => panic!("{call:?}: {said:?}"),
    }
}

/// One history, and how often each answer was seen in it; the history itself if nothing explains it.
async fn play(world: &mut Replicas, counts: &mut HashMap<String, usize>) -> Result<(), String> {
    world.begin_round();
    let cast = Cast::set(world).await;
    world.begin_sabotage().await;
    let spread = [0, 1_000, 6_000][world.rng.usize(0..3)];
    let mut clients = Vec::new();
    for at in 0..CLIENTS {
        let client = Client {
            pipe: Pipe::open(&world.urls[at % world.urls.len()]).await,
            cast: cast.clone(),
            sink: world.app.smtp.clone(),
            pool: world.app.database.pool.clone(),
            hashes: vec![cheap::hash(&mut world.rng)],
        };
        let delays = vec![
            Duration::from_micros(world.rng.u64(0..=spread)),
            Duration::ZERO,
        ];
        clients.push((client, cast.program(&mut world.rng), delays));
    }
    let running: Vec<_> = clients
        .into_iter()
        .map(|(client, program, delays)| tokio::spawn(client.run(program, delays)))
        .collect();
    let mut history = Vec::new();
    for client in running {
        history.extend(client.await.expect("no panic"));
    }
    let looker = Client {
        pipe: Pipe::open(&world.urls[0]).await,
        cast: cast.clone(),
        sink: world.app.smtp.clone(),
        pool: world.app.database.pool.clone(),
        hashes: vec![],
    };
    let looks = vec![Call::Look { who: 0 }, Call::Look { who: 1 }];
    history.extend(looker.run(looks, vec![Duration::ZERO; 2]).await);
    world.end_sabotage().await;
    for operation in &history {
        *counts
            .entry(
                format!("{:?}", operation.seen)
                    .split('(')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            )
            .or_default() += 1;
    }
    if explains(cast.begin, &history, &cast.links) {
        Ok(())
    } else {
        Err(told(&cast, history))
    }
}

/// A history as one reads it: a line an operation, with the milliseconds of its call and answer.
fn told(cast: &Cast, mut history: Vec<Operation>) -> String {
    history.sort_by_key(|operation| operation.called);
    let begin = history.first().map(|first| first.called);
    let millis = |at: Instant| begin.map_or(0.0, |begin| (at - begin).as_secs_f64() * 1e3);
    let mut told = format!("{:?}\n", cast.begin);
    for (number, link) in cast.links.iter().enumerate() {
        let _ = writeln!(told, "link {number}: {link:?}");
    }
    for Operation {
        call,
        seen,
        called,
        answered,
    } in history
    {
        let _ = writeln!(
            told,
            "{:8.2} to {:8.2}: {call:?} -> {seen:?}",
            millis(called),
            millis(answered)
        );
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_history_could_have_happened_one_step_at_a_time() {
    let (histories, began) = (volume("SOAK_HISTORIES", 12), Instant::now());
    let Some(mut world) = Replicas::start(Sabotage::None).await else {
        return;
    };
    let mut counts = HashMap::new();
    for number in 0..histories {
        let explained = play(&mut world, &mut counts).await;
        assert!(
            explained.is_ok(),
            "history {number}: {}",
            explained.unwrap_err()
        );
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_unstable();
    figure(format_args!(
        "histories: {histories} in {:.0} s, every one explained; seen {counts:?}",
        began.elapsed().as_secs_f64()
    ));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_of_links_that_are_never_used_up_has_no_explanation() {
    let Some(mut world) = Replicas::start(Sabotage::Frozen).await else {
        return;
    };
    let mut explained = Ok(());
    for _ in 0..50 {
        explained = play(&mut world, &mut HashMap::new()).await;
        if explained.is_err() {
            break;
        }
    }
    println!(
        "noticed: {}",
        explained.expect_err("what cannot be is not explained")
    );
    world.close().await;
}
