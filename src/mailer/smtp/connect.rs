//! From nothing to a connection that takes mails: TCP, TLS, greeting, login; and which of them
//! failed.

use std::error::Error;
use std::io;

use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError};

use super::authorities::Authorities;
use super::reply::Refusal;
use super::stream::Stream;
use super::url::{SmtpUrl, Tls};
use crate::deadline::TimedOut;

/// Why a mail server cannot be used. Says nothing that the server said: its words may hold
/// anything.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name is not known, or nothing listens there.
    #[error("the mail server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Something listens, but does not talk.
    #[error("the mail server did not answer")]
    Silent(#[from] TimedOut),
    /// Its certificate names other hosts than the one in the URL.
    #[error("the mail server's certificate is for another host name")]
    WrongHostName,
    /// Its certificate is too old.
    #[error("the mail server's certificate has expired")]
    Expired,
    /// Its certificate, or the clock of this machine, is too young.
    #[error("the mail server's certificate is not valid yet")]
    NotYetValid,
    /// Nobody who is trusted has signed its certificate.
    #[error("the mail server's certificate is not signed by an authority that is trusted here")]
    UnknownAuthority,
    /// Its certificate may sign others, and so may not be a server's (RFC 5280, section 4.2.1.9).
    #[error("the mail server's certificate is an authority's own (CA:TRUE), not a server's")]
    AuthorityAsServer,
    /// What came was no TLS.
    #[error("the mail server does not speak TLS from the first byte")]
    NotTls,
    /// Anything else between the two TLS libraries.
    #[error("TLS with the mail server failed")]
    Tls(#[source] rustls::Error),
    /// Encryption is required, or there is a password to send, and STARTTLS is not offered.
    #[error("the mail server offers no STARTTLS, and without it nothing is sent")]
    StarttlsNotOffered,
    /// There is a login, and nowhere to use it.
    #[error("the mail server offers no login (AUTH PLAIN or AUTH LOGIN)")]
    AuthNotOffered,
    /// User or password is not accepted.
    #[error("the mail server refuses the login")]
    AuthRefused(#[source] Refusal),
    /// It hung up, or refused something before a mail was so much as mentioned.
    #[error("the mail server does not talk to us")]
    Refused(#[source] Refusal),
}

/// A connection on which mails can be sent at once.
pub(super) struct Connection {
    pub(super) smtp: AsyncSmtpConnection,
    /// Whether the server takes commands before the last one is answered (RFC 2920).
    pub(super) pipelines: bool,
}

/// From nothing to such a connection.
pub(super) async fn connect(
    url: &SmtpUrl,
    authorities: &Authorities,
    hello: &ClientId,
) -> Result<Connection, ConnectError> {
    let host = url.host();
    let stream = Stream::connect((host.as_str(), url.port))
        .await
        .map_err(ConnectError::Unreachable)?;
    let mut connection = if url.tls() == Tls::Implicit {
        let connector = authorities.connector().map_err(ConnectError::Tls)?;
        let name = ServerName::try_from(host.clone()).map_err(|_| ConnectError::WrongHostName)?;
        let stream = stream.encrypt(&connector, name).await?;
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await?
    } else {
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await?
    };
    if may_start_tls(url, &connection)? {
        let parameters = authorities.parameters(&host)?;
        connection.starttls(parameters, hello).await?;
    }
    let pipelines = offers_pipelining(&mut connection, hello).await?;
    log_in(url, &mut connection).await?;
    Ok(Connection {
        smtp: connection,
        pipelines,
    })
}

/// The library keeps no extension that it does not use itself, so the server is asked once more. One
/// that does not like to be asked twice is spoken to as before.
async fn offers_pipelining(
    connection: &mut AsyncSmtpConnection,
    hello: &ClientId,
) -> Result<bool, ConnectError> {
    let offered = match connection.command(Ehlo::new(hello.clone())).await {
        Err(refused) if refused.status().is_some() => return Ok(false),
        offered => offered?,
    };
    let mut keywords = offered.message().skip(1);
    Ok(keywords.any(|keyword| keyword.trim().eq_ignore_ascii_case("PIPELINING")))
}

/// Whether STARTTLS is to be said on this connection.
fn may_start_tls(url: &SmtpUrl, connection: &AsyncSmtpConnection) -> Result<bool, ConnectError> {
    let offered = connection.can_starttls();
    match url.tls() {
        Tls::Implicit | Tls::None => Ok(false),
        // An offer that somebody in between took away must not lay the password open.
        Tls::Opportunistic if url.credentials.is_none() => Ok(offered),
        Tls::Required | Tls::Opportunistic if offered => Ok(true),
        Tls::Required | Tls::Opportunistic => Err(ConnectError::StarttlsNotOffered),
    }
}

async fn log_in(url: &SmtpUrl, connection: &mut AsyncSmtpConnection) -> Result<(), ConnectError> {
    let Some((user, password)) = &url.credentials else {
        return Ok(());
    };
    let offered = connection.server_info();
    if offered.get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
        return Err(ConnectError::AuthNotOffered);
    }
    let credentials = Credentials::new(user.clone(), password.to_string());
    match connection.auth(DEFAULT_MECHANISMS, &credentials).await {
        Ok(_) => Ok(()),
        Err(error) if error.status().is_some() => Err(ConnectError::AuthRefused(error.into())),
        Err(error) => Err(error.into()),
    }
}

impl From<smtp::Error> for ConnectError {
    fn from(error: smtp::Error) -> Self {
        // The library wraps what TLS said in errors of its own, and those in one another.
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(tls) = inner.downcast_ref().and_then(tls_error) {
                return tls.into();
            }
            source = inner.source();
        }
        Self::Refused(error.into())
    }
}

/// Of a TLS handshake.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        match tls_error(&error) {
            Some(tls) => tls.into(),
            None => Self::Unreachable(error),
        }
    }
}

fn tls_error(error: &io::Error) -> Option<rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>().cloned()
}

impl From<rustls::Error> for ConnectError {
    fn from(error: rustls::Error) -> Self {
        use CertificateError as Certificate;
        let rustls::Error::InvalidCertificate(certificate) = &error else {
            return match error {
                rustls::Error::InvalidMessage(_) => Self::NotTls,
                error => Self::Tls(error),
            };
        };
        match certificate {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                Self::WrongHostName
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => Self::Expired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => Self::NotYetValid,
            Certificate::UnknownIssuer => Self::UnknownAuthority,
            Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::AuthorityAsServer
            }
            _ => Self::Tls(error),
        }
    }
}
