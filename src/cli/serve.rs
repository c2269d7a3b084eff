//! `readdress serve`: production. Refuses to start while anything is missing or unsafe.

use super::{Failure, open_users, start_log, stop_signal};
use crate::app::{App, Blueprint};
use crate::clock::Clock;
use crate::config::{Common, Production, Reader};
use crate::email_change::chain;
use crate::mailer::{Mailer, Smtp};
use crate::metrics::Metrics;
use crate::server::{self, Pages};

pub(super) async fn run() -> Result<(), Failure> {
    let mut reader = Reader::of_process();
    let (clock, metrics) = (Clock::System, Metrics::new(&Clock::System));
    let telemetry = start_log(&mut reader, &metrics);
    let common = Common::read(&mut reader);
    let production = Production::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    let Some(production) = production else {
        return Err(Failure::Config(vec![]));
    };

    let pages = common.web_root.as_deref().map(Pages::read).transpose()?;
    let users = open_users(&production.database).await?;
    let host_tokens = production.host_tokens;
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
        look: common.look,
        lifetimes: common.lifetimes,
        access_lifetime: common.access_lifetime,
        sign_in: common.sign_in.unwrap_or(host_tokens.is_none()),
        host_tokens: host_tokens.clone(),
        quotas: common.quotas,
        password_threads: common.password_threads,
        passwords: production.passwords,
        users,
        metrics,
    })?;
    let stop = stop_signal()?;
    if let Some(host_tokens) = host_tokens {
        tokio::spawn(async move {
            // Nobody is recognised until they answer; everything else works, and tokens try again.
            if let Err(error) = host_tokens.probe().await {
                tracing::error!(error = chain(&error), "host keys unavailable");
            }
        });
    }
    let listener =
        server::bind(common.listen).map_err(|error| Failure::Listen(common.listen, error))?;
    let address = listener.local_addr()?;
    let mut settings = common.server;
    let mut scraped = None;
    if let Some(address) = common.metrics_listen {
        let listener = server::bind(address).map_err(|error| Failure::Listen(address, error))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "metrics");
        settings.metrics = false;
        let serve = server::serve_metrics(listener, app.limits.clone(), app.gauges.clone());
        scraped = Some(tokio::spawn(serve));
    }
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    let routes = pages.map(Pages::routes);
    server::serve(listener, app, settings, routes, stop).await;
    // Not sooner: what is answered last can still be seen there.
    if let Some(scraped) = scraped {
        scraped.abort();
    }
    tracing::info!("stopped");
    // Waits for the collector, if there is one: not on a thread that speaks to it.
    let _ = tokio::task::spawn_blocking(|| drop(telemetry)).await;
    Ok(())
}
