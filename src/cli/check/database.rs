//! The database: can it be reached, can the table be used, how are its passwords stored, and what
//! time is it there.

use super::passwords;
use super::report::{Part, UNUSABLE};
use crate::cli::{Failure, connection_options, survey};
use crate::clock::Clock;
use crate::config::DatabaseSettings;
use crate::email_change::chain;
use crate::finding::Finding;
use crate::password::Work;
use crate::users::{self, ConnectError, Database, DatabaseError, Owner, Purpose, TlsError};

/// `iat` may lie this far ahead (docs/security.md), so clocks that differ by more refuse tokens of
/// one another. Replicas are not seen from here; the database's clock stands for them.
const APART: i64 = 60;

const WHY: &str = "the users are there: `serve` does not start without it";
const UNREACHED: &str = "not tried: the users table cannot be read";

pub(super) async fn look(settings: Option<&DatabaseSettings>, common: &Work) -> Vec<Part> {
    let unseen = |why: &str| ["passwords", "clock"].map(|name| Part::skipped(name, why));
    let Some(settings) = settings else {
        return [Part::skipped("database", UNUSABLE)]
            .into_iter()
            .chain(unseen(UNUSABLE))
            .collect();
    };
    let db = match connect(settings).await {
        Ok(db) => db,
        Err(error) => {
            let failed = Part::failed("database", unreachable(&error, settings));
            return [failed].into_iter().chain(unseen(UNREACHED)).collect();
        }
    };
    let table = table(&db, settings).await;
    let stored = match users::sample_hashes(&db, &settings.layout).await {
        Ok(hashes) => passwords::judge(&hashes, common),
        // The table has said what is wrong.
        Err(_) => Part::skipped("passwords", UNREACHED),
    };
    let clock = match users::clock_ahead(&db, &Clock::System).await {
        Ok(ahead) => clock(ahead),
        Err(error) => Part::skipped("clock", &format!("not tried: {}", chain(&error))),
    };
    vec![table, stored, clock]
}

/// First as `serve` does, with its limits, then without: what looks at a whole table takes its time.
async fn connect(settings: &DatabaseSettings) -> Result<Database, ConnectError> {
    for purpose in [Purpose::Serve, Purpose::Look] {
        let options = connection_options(settings, purpose);
        let db = users::connect(&settings.url, options).await?;
        if purpose == Purpose::Look {
            return Ok(db);
        }
        let _ = db.close().await;
    }
    unreachable!("the second purpose returns")
}

fn unreachable(error: &ConnectError, settings: &DatabaseSettings) -> Finding {
    let (why, mend) = match error {
        ConnectError::Url => (
            WHY,
            "set READDRESS_DATABASE_URL to postgres://user:password@host/database, mysql://user:password@host/database or sqlite:///path/to/file.db; percent-encode what is special in user and password",
        ),
        ConnectError::Unreachable(_) => (
            WHY,
            "check host and port in READDRESS_DATABASE_URL, that the server runs, and that this machine may connect there",
        ),
        ConnectError::Silent => (
            WHY,
            "look at the database's load and locks; behind a pooler, give the service a larger pool (pgbouncer: SHOW POOLS)",
        ),
        ConnectError::UnknownHost => (
            WHY,
            "check the host in READDRESS_DATABASE_URL, and that this machine knows the name (getent hosts NAME)",
        ),
        ConnectError::Tls(error) => {
            return Finding::grave(chain(error), WHY, tls(error, &settings.url));
        }
        ConnectError::NoFile if settings.layout.owner == Owner::Readdress => {
            (WHY, "readdress migrate up")
        }
        ConnectError::NoFile => (
            WHY,
            "check the path in READDRESS_DATABASE_URL, and that the user that the service runs as may open the file",
        ),
        ConnectError::Standby => (
            "the service writes with nearly every step",
            "name the primary in READDRESS_DATABASE_URL",
        ),
        ConnectError::Unlimited(role) => {
            return Finding::grave(
                "statements have no time limit",
                "what we stop waiting for could still be written after the person was told that nothing has changed",
                format!(
                    "ALTER ROLE {role} SET statement_timeout = '1500ms'; -- then reconnect the pooler"
                ),
            );
        }
        ConnectError::Mixed => (
            "a statement that another client prepared could be carried out in place of ours",
            "in pgbouncer.ini (1.21 or later): max_prepared_statements = 200; or pool_mode = session for this database",
        ),
        ConnectError::NotLetIn => (
            WHY,
            "check user and password in READDRESS_DATABASE_URL (reserved characters are percent-encoded), and the server's rules (PostgreSQL: pg_hba.conf)",
        ),
        ConnectError::NoDatabase => (
            WHY,
            "check the name of the database, the last part of READDRESS_DATABASE_URL",
        ),
        ConnectError::Refused(_) => (
            WHY,
            "check READDRESS_DATABASE_URL: host, port, user, password, database and its options for TLS",
        ),
    };
    Finding::grave(chain(error), why, mend)
}

/// The options are those of the database that the URL is of.
fn tls(error: &TlsError, url: &str) -> String {
    let (mode, prefer, one_authority, authorities, server) = if url.starts_with("mysql") {
        (
            "ssl-mode",
            "PREFERRED",
            "VERIFY_CA",
            "ssl-ca",
            "MariaDB: ssl_cert and ssl_key",
        )
    } else {
        (
            "sslmode",
            "prefer",
            "verify-ca",
            "sslrootcert",
            "PostgreSQL: ssl = on",
        )
    };
    match error {
        TlsError::NotOffered => format!(
            "turn TLS on in the database ({server}); or, if nobody can listen on the way there, set {mode}={prefer} in READDRESS_DATABASE_URL"
        ),
        TlsError::WrongHostName => format!(
            "let READDRESS_DATABASE_URL name the server as its certificate does; {mode}={one_authority} asks for the authority alone"
        ),
        TlsError::Expired => "renew the certificate of the database".to_owned(),
        TlsError::NotYetValid => {
            "check the clock of this machine, then the certificate of the database".to_owned()
        }
        TlsError::UnknownAuthority => format!(
            "set {authorities}=/path/to/authority.pem in READDRESS_DATABASE_URL to the PEM file of the authority that signed it"
        ),
        TlsError::File => format!(
            "let {authorities} in READDRESS_DATABASE_URL name a PEM file that is there and that the user that the service runs as may read"
        ),
        TlsError::Other(_) => format!(
            "check {mode} and {authorities} in READDRESS_DATABASE_URL, and the certificate of the database"
        ),
    }
}

async fn table(db: &Database, settings: &DatabaseSettings) -> Part {
    let mut findings = Vec::new();
    match users::missing_rights(db, &settings.layout).await {
        Ok(denied) => findings.extend(denied),
        Err(error) => return Part::failed("database", broken(&error)),
    }
    let is_denied = !findings.is_empty();
    match survey(db, settings).await {
        Ok(survey) => findings.extend(survey.findings),
        Err(Failure::NotMigrated) => findings.push(Finding::grave(
            "the database is not migrated",
            "the users table is not there, or older than this binary: `serve` does not start",
            "readdress migrate up",
        )),
        // Without the right to look there is nothing more to be said.
        Err(_) if is_denied => {}
        Err(failure) => findings.push(Finding::grave(
            failure.to_string(),
            WHY,
            "look into the database's own log",
        )),
    }
    Part::new(
        "database",
        "answers, and the users table can be used",
        findings,
    )
}

fn broken(error: &DatabaseError) -> Finding {
    Finding::grave(chain(error), WHY, "look into the database's own log")
}

fn clock(ahead: Option<i64>) -> Part {
    let Some(ahead) = ahead else {
        return Part::new("clock", "the database's is this machine's", Vec::new());
    };
    let by = ahead.unsigned_abs();
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let summary = match by {
        0 | 1 => "the database's agrees with this machine's".to_owned(),
        by => format!("the database's is {by} s {way} this machine's"),
    };
    let mut findings = Vec::new();
    if by > APART.unsigned_abs() {
        findings.push(Finding::advice(
            format!("the database's clock is {by} s {way} this machine's"),
            "one of the two is wrong. If it is ours, links expire too early or too late, and what this replica issues is refused by the others when it is more than 60 s ahead",
            "timedatectl set-ntp true    # on the machine whose clock is wrong; `timedatectl` shows it",
        ));
    }
    Part::new("clock", summary, findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_be_a_minute_apart_and_no_more() {
        for (ahead, noted) in [
            (None, false),
            (Some(0), false),
            (Some(60), false),
            (Some(-60), false),
            (Some(61), true),
            (Some(-61), true),
            (Some(i64::MIN), true),
        ] {
            let said = super::super::Report(vec![clock(ahead)]).to_string();
            assert_eq!(said.contains("note  clock"), noted, "{ahead:?}: {said}");
        }
    }
}
