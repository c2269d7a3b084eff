//! One mail over one connection, and where it ended.
//!
//! A refusal at RCPT may mean that the mailbox is gone; the same code elsewhere means that *we* are
//! not welcome. Whoever is refused anywhere gives the connection up, so nothing has to be taken back.

use std::fmt::Display;

use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::response::{Response, Severity};

use super::connect::Connection;
use super::reply::Refusal;

/// Where in the transaction it ended.
pub(super) enum Refused {
    /// Before RCPT: a connection that had been idle may just have been stale.
    AtOnce(Refusal),
    /// At RCPT.
    Recipient(Refusal),
    /// Anywhere else.
    Later(Refusal),
}

/// A server that takes commands before the last one is answered (RFC 2920) is sent the three of the
/// envelope at once: two round trips a mail instead of four.
pub(super) async fn transact(
    connection: &mut Connection,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> Result<(), Refused> {
    let smtp = &mut connection.smtp;
    let mail = Mail::new(Some(from.clone()), vec![]);
    let rcpt = Rcpt::new(to.clone(), vec![]);
    let begun = if connection.pipelines {
        completed(say(smtp, format!("{mail}{rcpt}{Data}")).await).map_err(Refused::AtOnce)?;
        completed(hear(smtp).await).map_err(Refused::Recipient)?;
        hear(smtp).await
    } else {
        completed(say(smtp, mail).await).map_err(Refused::AtOnce)?;
        completed(say(smtp, rcpt).await).map_err(Refused::Recipient)?;
        say(smtp, Data).await
    };
    expect(Severity::PositiveIntermediate, begun).map_err(Refused::Later)?;
    let sent = smtp.message(message).await.map_err(Refusal::from);
    completed(sent).map_err(Refused::Later)
}

/// Says something, and hears the first reply.
async fn say(smtp: &mut AsyncSmtpConnection, command: impl Display) -> Result<Response, Refusal> {
    smtp.command(command).await.map_err(Refusal::from)
}

async fn hear(smtp: &mut AsyncSmtpConnection) -> Result<Response, Refusal> {
    smtp.read_response().await.map_err(Refusal::from)
}

fn completed(said: Result<Response, Refusal>) -> Result<(), Refusal> {
    expect(Severity::PositiveCompletion, said)
}

/// The library takes every 2yz and 3yz for a yes, whatever was asked.
fn expect(severity: Severity, said: Result<Response, Refusal>) -> Result<(), Refusal> {
    let response = said?;
    if response.code().severity == severity {
        Ok(())
    } else {
        Err(Refusal::unexpected(&response))
    }
}
