//! `readdress dev`: the whole story on this machine, with nothing configured.
//!
//! Every start begins anew: an empty SQLite file, a throw-away key, one demo user, an empty
//! mailbox. Listens on loopback and nowhere else, for the mailbox shows every link.

use std::net::SocketAddr;
use std::path::Path;

use super::{Failure, start_log, stop_signal};
use crate::app::{App, Blueprint};
use crate::clock::Clock;
use crate::config::{Common, Reader};
use crate::deadline::Deadline;
use crate::dev;
use crate::email_address::EmailAddress;
use crate::email_change::chain;
use crate::email_change::mail::LinkTemplates;
use crate::keys::{self, KeyRing};
use crate::mailer::{Folder, Mailer, Sender};
use crate::metrics::Metrics;
use crate::password::{self, Checker, Password};
use crate::server::{self, Pages, PagesError};
use crate::users::{self, ConnectionOptions, Layout, Owner, Purpose, Users};

/// Where `make run` builds the pages, below the current directory.
const BUILT_PAGES: &str = "web/dist";
/// Below the current directory; holds nothing worth keeping.
const DATA: &str = ".readdress";
const SENDER: &str = "readdress <no-reply@example.com>";

pub(super) async fn run() -> Result<(), Failure> {
    let mut reader = Reader::of_process();
    let metrics = Metrics::new(&Clock::System);
    let _telemetry = start_log(&mut reader, &metrics);
    let common = Common::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    if !common.listen.ip().is_loopback() {
        return Err(Failure::Refused(format!(
            "`dev` shows every link to whoever asks, so it listens on this machine alone: set READDRESS_LISTEN to 127.0.0.1:{}",
            common.listen.port()
        )));
    }
    let pages = pages(common.web_root.as_deref())?;
    let stop = stop_signal()?;
    let listener =
        server::bind(common.listen).map_err(|error| Failure::Listen(common.listen, error))?;
    let address = listener.local_addr()?;
    let app_url = format!("http://{address}");

    let data = Path::new(DATA);
    std::fs::create_dir_all(data)?;
    let mailbox = fresh_mailbox(&data.join("mails"))?;
    let users = fresh_users(&data.join("users.db")).await?;
    add_demo_user(&users).await?;

    let clock = Clock::System;
    let sender: Sender = SENDER
        .parse()
        .map_err(|error| Failure::Refused(format!("the sender {error}")))?;
    let app = App::build(Blueprint {
        keys: KeyRing::parse(&keys::generate()?)
            .map_err(|error| Failure::Refused(error.to_string()))?,
        links: LinkTemplates::below(&app_url),
        look: common.look,
        lifetimes: common.lifetimes,
        access_lifetime: common.access_lifetime,
        sign_in: true,
        host_tokens: None,
        quotas: common.quotas,
        password_threads: common.password_threads,
        passwords: Checker::default(),
        mailer: Mailer::folder(mailbox.clone(), sender, clock.clone()),
        clock,
        app_url,
        users,
        metrics,
    })?;
    greet(address, pages.is_some());
    let routes = dev::routes(&mailbox, &format!("http://{address}"), pages);
    server::serve(listener, app, common.server, Some(routes), stop).await;
    Ok(())
}

/// The configured pages, or those that were built here.
fn pages(configured: Option<&Path>) -> Result<Option<Pages>, PagesError> {
    let built = Path::new(BUILT_PAGES);
    let built = built.join("index.html").is_file().then_some(built);
    configured.or(built).map(Pages::read).transpose()
}

fn fresh_mailbox(path: &Path) -> Result<Folder, Failure> {
    let folder = Folder::open(path)?;
    folder.empty()?;
    Ok(folder)
}

async fn fresh_users(file: &Path) -> Result<Users, Failure> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(Path::new(&name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let options = ConnectionOptions {
        max_connections: 4,
        purpose: Purpose::Migrate,
        owner: Owner::Readdress,
    };
    let database = users::connect(&format!("sqlite://{}", file.display()), options)
        .await
        .map_err(|error| Failure::Connect(chain(&error)))?;
    let migrated = readdress_migrations::up(&database).await;
    migrated.map_err(|error| Failure::Database(chain(&error)))?;
    let survey = users::survey(&database, &Layout::own(), false).await?;
    let Some(table) = survey.table else {
        return Err(Failure::Table(survey.findings));
    };
    Ok(Users::new(database, table))
}

async fn add_demo_user(users: &Users) -> Result<(), Failure> {
    let email =
        EmailAddress::parse(dev::DEMO_USER).map_err(|error| Failure::Refused(error.to_string()))?;
    let hash = password::hash(&Password::new(dev::DEMO_PASSWORD.to_owned()));
    let hash = hash.map_err(|error| Failure::Refused(error.to_string()))?;
    users.add(&email, &hash, Deadline::of_request()).await?;
    Ok(())
}

fn greet(address: SocketAddr, has_pages: bool) {
    let (page, shows) = if has_pages {
        ("", "change the address of the demo user")
    } else {
        (
            "docs",
            "every operation, in Swagger UI (the pages were not built)",
        )
    };
    let rows = [
        (
            "Try it",
            format!("{:<38}{shows}", format!("http://{address}/{page}")),
        ),
        ("User", dev::DEMO_USER.to_owned()),
        ("Password", dev::DEMO_PASSWORD.to_owned()),
        (
            "Mailbox",
            format!(
                "{:<38}every mail sent, with its links",
                format!("http://{address}{}", dev::MAILBOX)
            ),
        ),
        (
            "API",
            format!(
                "{:<38}every operation, in Swagger UI",
                format!("http://{address}/docs")
            ),
        ),
    ];
    println!("\n  readdress is running, on this machine alone and with nothing that is kept.\n");
    for (name, value) in rows.iter().filter(|(name, _)| has_pages || *name != "API") {
        println!("  {name:<10}{value}");
    }
    println!("\n  Ctrl-C ends it.\n");
}
