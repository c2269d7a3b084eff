//! Why TLS with the database failed: the driver says it in several ways, and what mends it differs.
//! Called by [`connection`](super::connection) alone.

use std::io;

use sea_orm::sqlx;
use tokio_rustls::rustls::{self, CertificateError};

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The URL asks for TLS, the server has none.
    #[error("the database offers no TLS, and its URL asks for it")]
    NotOffered,
    /// Its certificate names other hosts than the one in the URL.
    #[error("the database's certificate is for another host name")]
    WrongHostName,
    /// Its certificate is too old.
    #[error("the database's certificate has expired")]
    Expired,
    /// Its certificate, or the clock of this machine, is too young.
    #[error("the database's certificate is not valid yet")]
    NotYetValid,
    /// Nobody who is trusted has signed its certificate.
    #[error("the database's certificate is not signed by an authority that is trusted here")]
    UnknownAuthority,
    /// A file of certificates that the URL names is not there, or is none.
    #[error("a file of certificates that the database's URL names cannot be read")]
    File,
    /// Anything else.
    #[error("TLS with the database failed: {0}")]
    Other(rustls::Error),
}

impl TlsError {
    /// What the driver's error says of TLS, on a host that answers; nothing if it is about
    /// something else.
    pub(super) fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(error) => {
                match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(tls) => Some(Self::from(tls)),
                    None => is_of_a_file(error).then_some(Self::File),
                }
            }
            sqlx::Error::Tls(inner) => match inner.downcast_ref::<rustls::Error>() {
                Some(tls) => Some(Self::from(tls)),
                // A text of the driver's own.
                None if inner.to_string().contains("does not support TLS") => {
                    Some(Self::NotOffered)
                }
                None => Some(Self::File),
            },
            _ => None,
        }
    }
}

/// Who is connected already gets these from a file only.
fn is_of_a_file(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(
        error.kind(),
        NotFound | PermissionDenied | IsADirectory | NotADirectory
    )
}

impl From<&rustls::Error> for TlsError {
    fn from(error: &rustls::Error) -> Self {
        use CertificateError as Certificate;
        let rustls::Error::InvalidCertificate(certificate) = error else {
            return Self::Other(error.clone());
        };
        match certificate {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                Self::WrongHostName
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => Self::Expired,
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => Self::NotYetValid,
            Certificate::UnknownIssuer => Self::UnknownAuthority,
            _ => Self::Other(error.clone()),
        }
    }
}
