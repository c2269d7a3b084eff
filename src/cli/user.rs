//! `readdress user`: users of the service's own table.

use std::io::{BufRead, IsTerminal, stdin};

use super::{Failure, database_settings, open_users};
use crate::deadline::Deadline;
use crate::email_address::EmailAddress;
use crate::password::{self, Password};
use crate::users::Owner;

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
