//! One exchange with a small server of the operator's: the JWK Set of the host application is
//! fetched so, and traces are handed to their collector where they are built in.
//!
//! One request on a connection of its own, for it happens once in minutes or seconds. Nothing of the answer is
//! followed: no redirect, no cookie, no further URL. Everything is bounded: the time in all, the
//! body. Built on hyper, tokio-rustls and ring, which the server, the mailer and the database driver
//! bring along: a client crate would add a pool, proxies and redirects that must then be switched off.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, rustls};
use url::{Host, Url};

use crate::telemetry;
use crate::trace::{TRACEPARENT, Trace};

/// Name, connection, TLS, answer and body together.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A set of a hundred RSA keys has 50 KiB.
const MAX_BODY: usize = 256 * 1024;

/// One URL, and how to speak to it.
pub(crate) struct Document {
    url: Url,
    tls: Option<TlsConnector>,
}

/// Why the document could not be had. Never repeats what was answered.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answers, or the conversation broke.
    #[error("cannot be reached")]
    Io(#[from] std::io::Error),
    /// Not HTTP.
    #[error("does not speak HTTP as it should")]
    Http(#[from] hyper::Error),
    /// Not as fast as it must be.
    #[error("does not answer within 3 s")]
    TimedOut,
    /// Redirects are not followed.
    #[error("answers with status {0} instead of 200")]
    Status(u16),
    /// Longer than any set of keys.
    #[error("answers with more than 256 KiB, or breaks off")]
    Body,
}

impl FetchError {
    /// Whether it is the server's certificate that is not believed.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        let Self::Io(error) = self else { return false };
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
    }
}

/// The text holds no certificates of authorities.
#[derive(Debug, thiserror::Error)]
#[error("holds no certificate in PEM form, or one that cannot be read")]
pub struct CertificatesError;

impl Document {
    /// The document at `url`. With https, its server is trusted by the public authorities that are
    /// built in, or instead by those whose certificates stand in the PEM text `authorities`.
    pub(crate) fn new(url: Url, authorities: Option<&[u8]>) -> Result<Self, CertificatesError> {
        let tls = (url.scheme() == "https").then(|| connector(authorities));
        Ok(Self {
            url,
            tls: tls.transpose()?,
        })
    }

    /// Fetches it.
    pub(super) async fn get(&self) -> Result<Bytes, FetchError> {
        let mut request = Request::get(self.target()).header(header::ACCEPT, "application/json");
        if let Some(trace) = Trace::current() {
            request = request.header(TRACEPARENT, trace.header(telemetry::is_recorded(&trace)));
        }
        let Ok(request) = request.body(Full::default()) else {
            unreachable!("a parsed URL is a valid target")
        };
        let response = self.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        Ok(response.into_body())
    }

    /// Sends one request, and reads the answer to its end.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, FetchError> {
        let sent = tokio::time::timeout(TIMEOUT, self.exchange(request)).await;
        sent.map_err(|_| FetchError::TimedOut)?
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, FetchError> {
        let port = self.url.port_or_known_default().unwrap_or(443);
        let tcp = match self.url.host() {
            Some(Host::Domain(name)) => TcpStream::connect((name, port)).await?,
            Some(Host::Ipv4(ip)) => TcpStream::connect((ip, port)).await?,
            Some(Host::Ipv6(ip)) => TcpStream::connect((ip, port)).await?,
            None => return Err(FetchError::Io(std::io::ErrorKind::InvalidInput.into())),
        };
        match &self.tls {
            None => self.ask(tcp, request).await,
            Some(tls) => {
                let stream = tls.connect(self.server_name()?, tcp).await?;
                self.ask(stream, request).await
            }
        }
    }

    fn server_name(&self) -> Result<ServerName<'static>, FetchError> {
        let name = match self.url.host() {
            Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
            Some(Host::Ipv4(ip)) => Some(ServerName::from(std::net::IpAddr::V4(ip))),
            Some(Host::Ipv6(ip)) => Some(ServerName::from(std::net::IpAddr::V6(ip))),
            None => None,
        };
        name.ok_or_else(|| FetchError::Io(std::io::ErrorKind::InvalidInput.into()))
    }

    async fn ask(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, FetchError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let _connection = AbortOnDrop(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let host = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let Ok(host) = HeaderValue::from_str(host) else {
            unreachable!("the host of a parsed URL is ASCII")
        };
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        headers.insert(header::USER_AGENT, HeaderValue::from_static("readdress"));
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BODY);
        let body = body.collect().await.map_err(|_| FetchError::Body)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// A server that goes on talking is hung up on.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn connector(authorities: Option<&[u8]>) -> Result<TlsConnector, CertificatesError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| CertificatesError)?;
                roots.add(certificate).map_err(|_| CertificatesError)?;
            }
        }
    }
    if roots.is_empty() {
        return Err(CertificatesError);
    }
    let provider = Arc::new(ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let Ok(config) = config else {
        unreachable!("ring knows the default versions of TLS")
    };
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
