//! `readdress serve`: production. Refuses to start while anything is missing or unsafe.

use tokio::net::TcpListener;

use super::{Failure, connect, start_log, stop_signal};
use crate::app::{App, Blueprint};
use crate::clock::Clock;
use crate::config::{Common, Production, Reader};
use crate::email_change::chain;
use crate::mailer::{Mailer, Smtp};
use crate::server;
use crate::users::Purpose;

pub(super) async fn run() -> Result<(), Failure> {
    let mut reader = Reader::of_process();
    start_log(&mut reader);
    let common = Common::read(&mut reader);
    let production = Production::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    let Some(production) = production else {
        return Err(Failure::Config(vec![]));
    };

    let database = connect(&production.database, Purpose::Serve).await?;
    let pending = readdress_migrations::pending(&database).await;
    let pending = pending.map_err(|error| Failure::Database(chain(&error)))?;
    if !pending.is_empty() {
        return Err(Failure::NotMigrated);
    }

    let clock = Clock::System;
    let smtp = Smtp::new(
        production.smtp,
        production.authorities,
        production.smtp_connections,
    );
    let app = App::build(Blueprint {
        mailer: Mailer::smtp(smtp, production.sender, clock.clone()),
        clock,
        keys: production.keys,
        app_url: production.app_url,
        links: production.links,
        lifetimes: common.lifetimes,
        access_lifetime: common.access_lifetime,
        sign_in: common.sign_in,
        quotas: common.quotas,
        password_threads: common.password_threads,
        database,
    })?;
    let listener = TcpListener::bind(common.listen)
        .await
        .map_err(|error| Failure::Listen(common.listen, error))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    server::serve(listener, app, common.server, None, stop_signal()).await;
    tracing::info!("stopped");
    Ok(())
}
