//! The mail server, up to the login: what is wrong with it, and which line mends that.

use super::report::Part;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::email_change::chain;
use crate::finding::Finding;
use crate::mailer::{Authorities, ConnectError, Mailer, Sender, Smtp, SmtpUrl};

const WHY: &str = "every link goes by mail: `serve` starts, and nobody can change an address";

pub(super) async fn look(url: SmtpUrl, authorities: Authorities, sender: Sender) -> Part {
    let mailer = Mailer::smtp(Smtp::new(url, authorities, 1), sender, Clock::System);
    match mailer.probe(Deadline::of_request()).await {
        Ok(()) => Part::new(
            "mail",
            "the server takes our connection, and our login if there is one",
            Vec::new(),
        ),
        Err(error) => Part::failed("mail", Finding::grave(chain(&error), WHY, mend(&error))),
    }
}

fn mend(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Unreachable(_) => {
            "check host and port in READDRESS_SMTP_URL, and that this machine may connect there"
        }
        ConnectError::Silent(_) => {
            "check host and port in READDRESS_SMTP_URL; port 465 mostly wants smtps://, 587 smtp://"
        }
        ConnectError::WrongHostName => {
            "let READDRESS_SMTP_URL name the server as its certificate does"
        }
        ConnectError::Expired => "renew the certificate of the mail server",
        ConnectError::NotYetValid => {
            "check the clock of this machine, then the certificate of the mail server"
        }
        ConnectError::UnknownAuthority => {
            "set READDRESS_SMTP_CA_FILE to the PEM file of the authority that signed it, or take the variable away if a public one did; a server must send the certificates in between, too"
        }
        ConnectError::AuthorityAsServer => {
            "give the mail server a certificate with CA:FALSE, and set READDRESS_SMTP_CA_FILE to the one that signed it"
        }
        ConnectError::NotTls => {
            "for STARTTLS, begin READDRESS_SMTP_URL with smtp:// (mostly port 587)"
        }
        ConnectError::Tls(_) => "the mail server must speak TLS 1.2 or 1.3",
        ConnectError::StarttlsNotOffered => {
            "let the mail server offer STARTTLS, or begin READDRESS_SMTP_URL with smtps:// (mostly port 465)"
        }
        ConnectError::AuthNotOffered => {
            "check the port in READDRESS_SMTP_URL (submission is 587 or 465), or take user and password away"
        }
        ConnectError::AuthRefused(_) => {
            "check user and password in READDRESS_SMTP_URL; reserved characters are percent-encoded, and some providers want a password made for the application"
        }
        ConnectError::Refused(_) => {
            "check host and port in READDRESS_SMTP_URL, and that the mail server lets this machine in"
        }
    }
}
