//! `readdress check`: tries what `serve` will need, and says what is wrong and how to mend it.

mod mail;

use super::{Failure, connect};
use crate::config::{Common, Production, Reader};
use crate::deadline::Deadline;
use crate::email_change::chain;
use crate::users::{Purpose, Users};

pub(super) async fn run() -> Result<(), Failure> {
    let mut reader = Reader::of_process();
    Common::read(&mut reader);
    crate::config::log_format(&mut reader);
    let production = Production::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    let Some(production) = production else {
        return Err(Failure::Config(vec![]));
    };
    good("configuration", "every variable can be used");
    good("keys", &format!("{} in the ring", production.keys.count()));

    let mut wrong = 0;
    match database(&production).await {
        Ok(()) => good("database", "answers, and the table has every column"),
        Err(failure) => bad("database", &failure, &mut wrong),
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

async fn database(production: &Production) -> Result<(), Failure> {
    let database = connect(&production.database, Purpose::Look).await?;
    let pending = readdress_migrations::pending(&database).await;
    let pending = pending.map_err(|error| Failure::Database(chain(&error)))?;
    if !pending.is_empty() {
        return Err(Failure::NotMigrated);
    }
    Ok(Users::new(database).probe(Deadline::of_request()).await?)
}

fn good(what: &str, finding: &str) {
    println!("ok    {what}: {finding}");
}

fn bad(what: &str, failure: &Failure, wrong: &mut usize) {
    *wrong += 1;
    println!("FAIL  {what}: {failure}");
}
