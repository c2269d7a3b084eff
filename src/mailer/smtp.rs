//! SMTP: connections kept warm, few at once, one transaction a mail.
//!
//! The library's own pool hides at which command a server refused, and that decides everything. So
//! the pool is here, and the [`transaction`] is spelt out on the library's connections.

mod authorities;
mod connect;
mod reply;
mod stream;
mod transaction;
mod url;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Semaphore;

use super::DeliveryError;
pub use authorities::{Authorities, AuthoritiesError};
pub use connect::ConnectError;
use connect::{Connection, connect};
pub use reply::Refusal;
use transaction::{Refused, transact};
pub use url::{SmtpUrl, SmtpUrlError, Tls};

/// A connection that has been idle longer is not tried again: most servers have hung up by then.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// An SMTP server.
pub struct Smtp {
    url: SmtpUrl,
    authorities: Authorities,
    hello: ClientId,
    /// Connections in use; more would be refused by most servers, and queue in vain.
    turns: Semaphore,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Smtp {
    /// Talks to the server at `url`, whose certificate `authorities` vouch for, over at most
    /// `connections` at once. Connects at the first mail.
    #[must_use]
    pub fn new(url: SmtpUrl, authorities: Authorities, connections: usize) -> Self {
        Self {
            url,
            authorities,
            hello: ClientId::default(),
            turns: Semaphore::new(connections.max(1)),
            idle: Mutex::default(),
        }
    }

    pub(super) async fn send(
        &self,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<(), DeliveryError> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|closed| DeliveryError::Unavailable(closed.into()))?;
        if let Some(mut connection) = self.take_idle() {
            match transact(&mut connection, from, to, message).await {
                Ok(()) => {
                    self.keep(connection);
                    return Ok(());
                }
                Err(Refused::AtOnce(refusal)) if refusal.is_of_a_stale_connection() => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        // In a box: it is large, and a mail seldom needs it.
        let mut connection = Box::pin(self.connect()).await?;
        transact(&mut connection, from, to, message).await?;
        self.keep(connection);
        Ok(())
    }

    /// Connects and logs in, and no more.
    pub(super) async fn probe(&self) -> Result<(), ConnectError> {
        let mut connection = self.connect().await?;
        let _ = connection.smtp.quit().await;
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        connect(&self.url, &self.authorities, &self.hello).await
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < LONGEST_IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }
}

impl From<Refused> for DeliveryError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Recipient(refusal) if refusal.says_the_mailbox_is_gone() => {
                Self::Undeliverable
            }
            Refused::AtOnce(refusal) | Refused::Recipient(refusal) | Refused::Later(refusal) => {
                Self::Unavailable(Box::new(refusal))
            }
        }
    }
}

impl From<ConnectError> for DeliveryError {
    fn from(error: ConnectError) -> Self {
        Self::Unavailable(error.into())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// Answers EHLO with `offers` and STARTTLS with `to_starttls`; returns the commands it was given.
    async fn server(offers: &'static str, to_starttls: &'static str) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let commands = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut stream = BufReader::new(stream);
            let mut commands = String::new();
            let mut answer = "220 ready\r\n";
            while stream.write_all(answer.as_bytes()).await.is_ok() {
                let mut line = Vec::new();
                let read = stream.read_until(b'\n', &mut line).await;
                if read.is_ok_and(|length| length == 0) {
                    break;
                }
                let command = String::from_utf8_lossy(&line);
                answer = match command.trim_end() {
                    "STARTTLS" => to_starttls,
                    hello if hello.starts_with("EHLO") => offers,
                    _ => "250 ok\r\n",
                };
                commands.push_str(&command);
            }
            commands
        });
        (port, commands)
    }

    async fn send_to(url: String) -> DeliveryError {
        let smtp = Smtp::new(url.parse().expect("a URL"), Authorities::default(), 1);
        let address: Address = "ann@example.com".parse().expect("an address");
        smtp.send(&address, &address, b"Subject: x\r\n\r\nx")
            .await
            .expect_err("not sent")
    }

    #[tokio::test]
    async fn what_was_slipped_in_before_the_handshake_is_no_reply() {
        let injected = "220 go on\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 ok\r\n";
        let (port, _) = server("250-sink\r\n250 STARTTLS\r\n", injected).await;
        let sent = send_to(format!("smtp://127.0.0.1:{port}?tls=required"));
        // At once: what was slipped in is read by the handshake, which cannot make sense of it. Had
        // it been read before, the handshake would wait for an answer.
        let refused = tokio::time::timeout(Duration::from_secs(2), sent).await;
        assert!(matches!(refused, Ok(DeliveryError::Unavailable(_))));
    }

    #[tokio::test]
    async fn a_password_is_not_sent_in_the_clear_because_starttls_was_taken_away() {
        for tls in ["required", "opportunistic"] {
            let (port, commands) = server("250-sink\r\n250 AUTH PLAIN LOGIN\r\n", "").await;
            let refused = send_to(format!("smtp://me:secret@127.0.0.1:{port}?tls={tls}")).await;
            assert!(matches!(refused, DeliveryError::Unavailable(_)));
            let commands = commands.await.expect("no panic");
            assert!(!commands.contains("AUTH"), "{commands}");
        }
    }
}
