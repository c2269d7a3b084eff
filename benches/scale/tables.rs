//! The steps on tables of many sizes: our own, and an application's whose addresses are in mixed case.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::cluster::Cluster;
use crate::service::{Service, prepare};
use crate::smtp::SmtpSink;
use crate::walk::Front;
use crate::{PASSWORD, database, p50, query};

/// Rows of each kind of table, against the first; `SCALE_ROWS` makes them others.
const ROWS: &str = "1000,1000000,10000000";
/// People on each table; `SCALE_FLOWS` makes them more or fewer.
const FLOWS: usize = 200;
/// Of those, until connections are made and statements are prepared.
const WARM: usize = 10;
/// `p50` of a step, against the smallest table.
const WANTED: f64 = 1.2;

const STEPS: [&str; 7] = [
    "signIn", "request", "cancel", "confirm", "inspect", "activate", "undo",
];

/// Distinct, and in the case that people type them in.
const ADDRESS: &str = "\
    (ARRAY['Anna','ben','Chloe','DAVID','Eva','farid','Greta','Hugo','Ida','Jun'])[1 + n % 10] || '.' || \
    (ARRAY['Miller','garcia','Nguyen','OKAFOR','Rossi','Sato','van.Dijk'])[1 + n / 10 % 7] || n || '@' || \
    (ARRAY['Example.com','example.org','MAIL.Example','post.example.net'])[1 + n / 70 % 4]";

/// Sends the plans that were followed to the log of the server.
const SHOW_PLANS: &str = "?options=-c%20session_preload_libraries%3Dauto_explain%20-c%20auto_explain.log_min_duration%3D0";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    Application,
}

struct Filled {
    kind: Kind,
    rows: u64,
    url: String,
    people: Vec<String>,
    _service: Service,
    front: Front,
    took: [Vec<f64>; STEPS.len()],
}

pub async fn run(cluster: &Cluster) {
    let sizes = std::env::var("SCALE_ROWS").unwrap_or_else(|_| ROWS.to_owned());
    let sizes = sizes.split(',').map(|rows| rows.parse().expect("a number"));
    let sizes: Vec<u64> = sizes.collect();
    let flows = std::env::var("SCALE_FLOWS").ok();
    let flows = flows.map_or(FLOWS, |flows| flows.parse().expect("a number"));
    println!("\nSteps on tables of {sizes:?} rows, with passwords that cost nothing to check");
    let mut tables = Vec::new();
    for kind in [Kind::Own, Kind::Application] {
        for rows in &sizes {
            tables.push(Filled::new(cluster, kind, *rows, flows).await);
        }
    }
    query(&cluster.url(), "CHECKPOINT").await;
    for person in 0..flows {
        for table in &mut tables {
            table.walk(person).await;
        }
    }
    for kind in [Kind::Own, Kind::Application] {
        print(tables.iter_mut().filter(|table| table.kind == kind));
    }
    for table in &tables {
        table.assert_indexes(cluster).await;
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Own => "users",
            Self::Application => "accounts",
        }
    }

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Own => &[],
            Self::Application => &[
                ("READDRESS_USERS_TABLE", "accounts"),
                ("READDRESS_USERS_PASSWORD", "password"),
                ("READDRESS_USERS_ACTIVE", "is_active"),
            ],
        }
    }

    /// The index is made last, which is faster.
    fn fill(self, rows: u64) -> Vec<String> {
        let hash = cheap_hash();
        let numbers = format!("FROM generate_series(1, {rows}) AS n");
        match self {
            Self::Own => vec![
                "ALTER TABLE users DROP CONSTRAINT users_pkey, DROP CONSTRAINT users_email_key".to_owned(),
                format!(
                    "INSERT INTO users (id, email, password_hash, email_change_nonce) \
                     SELECT gen_random_uuid(), lower({ADDRESS}), '{hash}', (random() * 9e18)::bigint {numbers}"
                ),
                "ALTER TABLE users ADD PRIMARY KEY (id), ADD UNIQUE (email)".to_owned(),
                "VACUUM (FREEZE, ANALYZE) users".to_owned(),
            ],
            Self::Application => vec![
                "CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY, email varchar(254) NOT NULL, \
                 password varchar(128) NOT NULL, is_active boolean NOT NULL DEFAULT true, \
                 full_name text NOT NULL, joined_at timestamptz NOT NULL DEFAULT now(), \
                 email_change_nonce bigint, undo_opened_at bigint, passwords_tat bigint)"
                    .to_owned(),
                format!(
                    "INSERT INTO accounts (email, password, full_name, email_change_nonce) \
                     SELECT {ADDRESS}, '{hash}', 'Somebody Else', (random() * 9e18)::bigint {numbers}"
                ),
                "ALTER TABLE accounts ADD PRIMARY KEY (id)".to_owned(),
                "CREATE UNIQUE INDEX accounts_email_folded ON accounts (lower(email))".to_owned(),
                "VACUUM (FREEZE, ANALYZE) accounts".to_owned(),
            ],
        }
    }
}

impl Filled {
    async fn new(cluster: &Cluster, kind: Kind, rows: u64, flows: usize) -> Self {
        let name = kind.name();
        let url = database(cluster, &format!("{name}_{rows}")).await;
        if kind == Kind::Own {
            prepare(&url, "first@example.com");
        }
        for statement in kind.fill(rows) {
            query(&url, &statement).await;
        }
        let people = format!("SELECT email::text FROM {name} ORDER BY random() LIMIT {flows}");
        let people = query(&url, &people).await;
        let size = format!("SELECT pg_size_pretty(pg_total_relation_size('{name}'))");
        println!("{name:<9}{rows:>9} rows, {}", query(&url, &size).await[0]);
        let sink = Arc::new(SmtpSink::start().await);
        let service = Service::start(&url, &sink.url(), kind.settings()).await;
        Self {
            kind,
            rows,
            front: Front::new(&service.url, &sink),
            url,
            people,
            _service: service,
            took: Default::default(),
        }
    }

    /// The whole story of one account, which ends where it began.
    async fn walk(&mut self, person: usize) {
        // A small table has fewer people than there are walks.
        let stored = &self.people[person % self.people.len()];
        let steps = story(&self.front, stored, &format!("moved{person}@new.example")).await;
        if person >= WARM {
            for (all, took) in self.took.iter_mut().zip(steps) {
                all.push(took);
            }
        }
        self.front.sink.forget();
    }

    /// Once more, with the plans in the log of the server.
    async fn assert_indexes(&self, cluster: &Cluster) {
        let before = cluster.log().len();
        let url = format!("{}{SHOW_PLANS}", self.url);
        let smtp_url = self.front.sink.url();
        let service = Service::start(&url, &smtp_url, self.kind.settings()).await;
        let front = Front::new(&service.url, &self.front.sink);
        story(&front, &self.people[0], "planned@new.example").await;
        let log = cluster.log();
        let (log, name) = (&log[before..], self.kind.name());
        let plans = log.matches("plan:\n").count();
        let searches = log.matches("Index Scan using").count();
        let whole = log.matches(&format!("Seq Scan on {name}")).count();
        println!(
            "{name:<9}{:>9} rows: {plans} plans, {searches} searches of an index, the whole table read {whole} times",
            self.rows
        );
        // A table of two pages is read whole, and should be.
        assert!(self.rows <= 1_000 || whole == 0, "{log}");
        // Nine steps, and what is asked at the start; the limit of the account among them.
        assert!(plans > 15 && log.contains("passwords_tat"), "{log}");
    }
}

/// Every step of one account, in the order of [`STEPS`].
async fn story(front: &Front, stored: &str, new: &str) -> [f64; STEPS.len()] {
    // Signed in with an address in another case than it is stored in.
    let (access, sign_in) = front.sign_in(&swap_case(stored)).await;
    front.request(&access).await;
    let cancel = front.cancel(stored).await;
    let request = front.request(&access).await;
    let confirm = front.confirm(stored, new).await;
    let inspect = front.inspect(new).await;
    let activate = front.activate(new).await;
    let undo = front.undo(stored).await;
    [sign_in, request, cancel, confirm, inspect, activate, undo]
}

fn print<'a>(tables: impl Iterator<Item = &'a mut Filled>) {
    let mut tables: Vec<&mut Filled> = tables.collect();
    println!("\np50 of each step on {}, ms", tables[0].kind.name());
    let sizes = tables.iter().map(|table| format!("{:>16}", table.rows));
    println!("{:<10}{}", "rows", sizes.collect::<String>());
    let mut highest = 0.0_f64;
    for (step, name) in STEPS.iter().enumerate() {
        let middle: Vec<f64> = tables
            .iter_mut()
            .map(|table| p50(&mut table.took[step]))
            .collect();
        let cells = middle.iter().map(|p50| {
            let ratio = p50 / middle[0];
            highest = highest.max(ratio);
            format!("{p50:>8.2} {ratio:>5.2} x")
        });
        println!("{name:<10}{}", cells.collect::<String>());
    }
    println!("highest {highest:.2} x; wanted: {WANTED} x at most");
}

fn swap_case(address: &str) -> String {
    let swapped = address.chars().map(|c| {
        if c.is_ascii_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    });
    swapped.collect()
}

/// The password of everybody, with the least work that Argon2 knows: what is left is the database's.
fn cheap_hash() -> String {
    let (salt, mut out) = ([7; 16], [0; 32]);
    let least = Params::new(8, 1, 1, Some(out.len())).expect("parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, least)
        .hash_password_into(PASSWORD.as_bytes(), &salt, &mut out)
        .expect("a hash");
    let [salt, out] = [&salt[..], &out].map(|part| STANDARD_NO_PAD.encode(part));
    format!("$argon2id$v=19$m=8,t=1,p=1${salt}${out}")
}
