//! Replicas that do the same work, and what that costs all of them together, beside other groups.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;

use crate::proxy::Proxy;
use crate::service::{Service, add, migrate};
use crate::smtp::SmtpSink;
use crate::walk::{Front, Person};

/// People of a group: first one after the other, then all at once.
const PEOPLE: usize = 4;
/// `SCALE_ROUNDS` makes it another.
const ROUNDS: usize = 25;
/// What follows the last answer: mails that nothing depends on, the log.
const AFTERMATH: Duration = Duration::from_millis(20);

pub struct Group {
    name: String,
    services: Vec<Service>,
    front: Front,
    people: Vec<Person>,
    _proxy: Option<Proxy>,
    /// Milliseconds of processor time of all its processes, one person after the other and all at once.
    cpu: [f64; 2],
}

impl Group {
    /// Nothing where there is no `HAProxy`.
    pub async fn behind_proxy(database_url: &str, count: usize) -> Option<Self> {
        let sink = Arc::new(SmtpSink::start().await);
        let services = replicas(database_url, &sink, count).await;
        let addresses: Vec<&str> = services.iter().map(address).collect();
        let proxy = Proxy::start(&addresses).await?;
        let name = format!("{count} of them");
        let front = Front::new(&proxy.url, &sink);
        Some(Self::new(&name, services, front, Some(proxy), database_url).await)
    }

    /// One, and nothing before it. People are added without what stands before the database.
    pub async fn alone(name: &str, database_url: &str, direct_url: &str) -> Self {
        migrate(direct_url);
        let sink = Arc::new(SmtpSink::start().await);
        let services = replicas(database_url, &sink, 1).await;
        let front = Front::new(&services[0].url, &sink);
        Self::new(name, services, front, None, direct_url).await
    }

    async fn new(
        name: &str,
        services: Vec<Service>,
        front: Front,
        proxy: Option<Proxy>,
        direct_url: &str,
    ) -> Self {
        let mut people = Vec::new();
        for number in 0..PEOPLE {
            let person = format!("{number}.{}", name.replace(' ', "."));
            let homes = [
                format!("{person}@example.com"),
                format!("{person}@new.example"),
            ]
            .map(|email| email.to_lowercase());
            add(direct_url, &homes[0]);
            people.push(Person::sign_in(&front, homes).await);
        }
        Self {
            name: name.to_owned(),
            services,
            front,
            people,
            _proxy: proxy,
            cpu: [0.0; 2],
        }
    }

    fn cpu_ms(&self) -> Vec<f64> {
        self.services.iter().map(Service::cpu_ms).collect()
    }

    async fn round(&mut self) {
        for at_once in [false, true] {
            let before: f64 = self.cpu_ms().iter().sum();
            let front = &self.front;
            if at_once {
                join_all(self.people.iter_mut().map(|person| person.change(front))).await;
            } else {
                for person in &mut self.people {
                    person.change(front).await;
                }
            }
            tokio::time::sleep(AFTERMATH).await;
            let after: f64 = self.cpu_ms().iter().sum();
            self.cpu[usize::from(at_once)] += after - before;
            self.front.sink.forget();
        }
    }
}

/// The same key for all, and nothing else that they share but the database.
async fn replicas(database_url: &str, sink: &SmtpSink, count: usize) -> Vec<Service> {
    migrate(database_url);
    let key = readdress::keys::generate().expect("random");
    let more = [("READDRESS_SECRET_KEYS", key.as_str())];
    let mut services = Vec::new();
    for _ in 0..count {
        services.push(Service::start(database_url, &sink.url(), &more).await);
    }
    services
}

fn address(service: &Service) -> &str {
    service.url.trim_start_matches("http://")
}

/// Prints what a flow costs each group, in turns, against the first.
pub async fn compare(groups: &mut [Group]) {
    let rounds = std::env::var("SCALE_ROUNDS").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    // Warm: connections are made, the memory of the lanes is there.
    for group in &mut *groups {
        group.round().await;
        group.cpu = [0.0; 2];
    }
    let idle: Vec<Vec<f64>> = groups.iter().map(Group::cpu_ms).collect();
    for _ in 0..rounds {
        for group in &mut *groups {
            group.round().await;
        }
    }
    let flows = u32::try_from(rounds * PEOPLE).map_or(f64::NAN, f64::from);
    let first = groups[0].cpu;
    for (group, idle) in groups.iter().zip(idle) {
        println!(
            "{:<12} CPU a flow {:>6.2} ms, {:.3} x ({PEOPLE} at once: {:>6.2} ms, {:.3} x); {} flows, {} refusals",
            group.name,
            group.cpu[0] / flows,
            group.cpu[0] / first[0],
            group.cpu[1] / flows,
            group.cpu[1] / first[1],
            2.0 * flows,
            group.front.refused.load(Ordering::Relaxed)
        );
        let cpu = group.cpu_ms();
        let spent: Vec<f64> = cpu.iter().zip(idle).map(|(now, then)| now - then).collect();
        let all: f64 = spent.iter().sum();
        let shares = spent
            .iter()
            .map(|one| format!("{:.0} %", 100.0 * one / all));
        let memory: f64 = group.services.iter().map(|one| one.memory_mib().0).sum();
        println!(
            "             shares {}; resident {memory:.0} MiB together",
            shares.collect::<Vec<_>>().join(", ")
        );
    }
}
