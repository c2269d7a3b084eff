//! `readdress user`: adds users to the service's own table, and sets an address in any.

use std::io::{BufRead, IsTerminal, stdin};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::{Failure, SetEmail, database_settings, open_users, start_log};
use crate::app::AppError;
use crate::clock::Clock;
use crate::config::{DatabaseSettings, MailSettings, Reader};
use crate::deadline::Deadline;
use crate::email_address::EmailAddress;
use crate::email_change::mail::Letters;
use crate::email_change::set_by_operator::{Operator, Order, Reason};
use crate::mailer::{Mailer, Smtp};
use crate::metrics::Metrics;
use crate::password::{self, Password};
use crate::users::Owner;

/// Connections to the mail server: one for each address that is told.
const SMTP_CONNECTIONS: usize = 2;

pub(super) async fn add(email: &str) -> Result<(), Failure> {
    let email = EmailAddress::parse(email)
        .map_err(|error| Failure::Refused(format!("the address is {error}")))?;
    let settings = database_settings()?;
    if settings.layout.owner == Owner::Application {
        return Err(Failure::Refused(
            "the users table is the application's: add users there".to_owned(),
        ));
    }
    let users = open_users(&settings).await?;
    let hash =
        password::hash(&read_password()?).map_err(|error| Failure::Refused(error.to_string()))?;
    if users.add(&email, &hash, Deadline::of_request()).await? {
        println!("added {email}");
        Ok(())
    } else {
        Err(Failure::Refused(
            "another account has this address".to_owned(),
        ))
    }
}

pub(super) async fn set_email(typed: SetEmail) -> Result<(), Failure> {
    let to = EmailAddress::parse(&typed.to)
        .map_err(|error| Failure::Argument(format!("--to is {error}")))?;
    let reason = Reason::parse(&typed.reason)
        .map_err(|error| Failure::Argument(format!("--reason {error}")))?;
    let mut reader = Reader::of_process();
    let _telemetry = start_log(&mut reader, &Metrics::new(&Clock::System));
    let database = DatabaseSettings::read(&mut reader);
    let mail = MailSettings::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    let (Some(database), Some(mail)) = (database, mail) else {
        return Err(Failure::Config(vec![]));
    };
    let smtp = Smtp::new(mail.smtp, mail.authorities, SMTP_CONNECTIONS);
    let operator = Operator {
        letters: Letters::new(mail.look, &mail.app_url, mail.links).map_err(AppError::from)?,
        mailer: Mailer::smtp(smtp, mail.sender, Clock::System),
        clock: Clock::System,
        users: open_users(&database).await?,
    };
    let order = Order {
        id: typed.id,
        from: typed.from,
        to,
        reason,
        by: who(),
        language: typed.language,
    };
    let done = operator.set_email(&order).await?;
    println!(
        "changed user {} from {} to {}",
        done.user_id, done.from, done.to
    );
    for (which, why) in done.untold {
        eprintln!("readdress: the change stands, but the {which} address could not be told: {why}");
    }
    Ok(())
}

/// The operating system's user, and who became that user with sudo, in one line. `id` knows names
/// from a directory service too; an image without it knows no names, and the number is as good.
fn who() -> String {
    let user = name_of_user().or_else(|| {
        let process = std::fs::metadata("/proc/self").ok()?;
        Some(format!("uid {}", process.uid()))
    });
    let user = user.unwrap_or_else(|| "unknown".to_owned());
    let said = match std::env::var("SUDO_USER") {
        Ok(before) if before != user && !before.is_empty() => format!("{user} (sudo: {before})"),
        _ => user,
    };
    said.escape_debug().to_string()
}

fn name_of_user() -> Option<String> {
    let said = Command::new("id").arg("-un").output().ok()?;
    let name = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    (said.status.success() && !name.is_empty()).then_some(name)
}

fn read_password() -> Result<Password, Failure> {
    if stdin().is_terminal() {
        eprint!("password (shown while you type; better piped in): ");
    }
    let mut line = String::new();
    stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() || password.contains('\0') {
        return Err(Failure::Refused(
            "the password is one line on standard input, and not empty".to_owned(),
        ));
    }
    Ok(Password::new(password))
}
