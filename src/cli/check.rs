//! `readdress check`: tries what `serve` will need, and says what is wrong and how to mend it.

mod mail;
mod templates;

use super::{Failure, connect, survey};
use crate::config::{Common, DatabaseSettings, Production, Reader};
use crate::email_change::chain;
use crate::finding::Finding;
use crate::server::Pages;
use crate::users::Purpose;

pub(super) async fn run() -> Result<(), Failure> {
    let mut reader = Reader::of_process();
    let common = Common::read(&mut reader);
    crate::config::log_format(&mut reader);
    let production = Production::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    let Some(production) = production else {
        return Err(Failure::Config(vec![]));
    };
    good("configuration", "every variable can be used");
    good("keys", &format!("{} in the ring", production.keys.count()));

    let mut wrong = 0;
    match database(&production.database).await {
        Ok(findings) => {
            if !findings.iter().any(|finding| finding.grave) {
                good("database", "answers, and the users table can be used");
            }
            for finding in &findings {
                told("database", finding, &mut wrong);
            }
        }
        Err(failure) => bad("database", &failure, &mut wrong),
    }
    if let Some(root) = &common.web_root {
        match Pages::read(root) {
            Ok(pages) => good("pages", &format!("{} files", pages.count())),
            Err(error) => bad("pages", &error.into(), &mut wrong),
        }
    }
    if let Some(host_tokens) = &production.host_tokens {
        match host_tokens.probe().await {
            Ok(keys) => good("host tokens", &format!("{keys} to verify with")),
            Err(error) => {
                let failure = Failure::Refused(format!(
                    "{} (READDRESS_HOST_TOKEN_JWKS_URL: check host, path and certificate)",
                    chain(&error)
                ));
                bad("host tokens", &failure, &mut wrong);
            }
        }
    }
    let found = templates::find(&common.look, &production.app_url, production.links);
    if found.is_empty() {
        good("templates", "every mail of every language can be written");
    }
    for finding in &found {
        told("templates", finding, &mut wrong);
    }
    match mail::probe(production.smtp, production.authorities, production.sender).await {
        Ok(()) => good(
            "mail",
            "the server takes our connection, and our login if there is one",
        ),
        Err(failure) => bad("mail", &failure, &mut wrong),
    }
    if wrong == 0 {
        Ok(())
    } else {
        Err(Failure::Refused(format!("{wrong} of the checks failed")))
    }
}

/// Connects as `serve` does, and looks at the table.
async fn database(settings: &DatabaseSettings) -> Result<Vec<Finding>, Failure> {
    connect(settings, Purpose::Serve).await?;
    let database = connect(settings, Purpose::Look).await?;
    Ok(survey(&database, settings).await?.findings)
}

fn good(what: &str, finding: &str) {
    println!("ok    {what}: {finding}");
}

fn bad(what: &str, failure: &Failure, wrong: &mut usize) {
    *wrong += 1;
    println!("FAIL  {what}: {failure}");
}

fn told(what: &str, finding: &Finding, wrong: &mut usize) {
    if finding.grave {
        *wrong += 1;
    }
    let label = if finding.grave { "FAIL " } else { "note " };
    println!("{label} {what}: {finding}");
}
