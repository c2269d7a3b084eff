//! `readdress user`: users of the service's own table.

use std::io::{BufRead, IsTerminal, stdin};

use super::{Failure, configured_database};
use crate::deadline::Deadline;
use crate::email_address::EmailAddress;
use crate::password::{self, Password};
use crate::users::{Purpose, Users};

pub(super) async fn add(email: &str) -> Result<(), Failure> {
    let email = EmailAddress::parse(email)
        .map_err(|error| Failure::Refused(format!("the address is {error}")))?;
    let users = Users::new(configured_database(Purpose::Serve).await?);
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
