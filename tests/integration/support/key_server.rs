//! A host application that publishes its keys, and misbehaves when it is told to.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// What is answered.
#[derive(Clone, Debug)]
pub enum Serves {
    Set(Value),
    Text(String),
    /// This status, with a set and a `Location` that leads to one.
    Status(u16, Value),
    /// A set, after so long.
    Late(Duration, Value),
    /// A body without an end.
    Endless,
    /// A body that stops in the middle.
    Stalls,
    /// The connection breaks.
    Nothing,
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct KeyServer {
    pub url: Url,
    state: Arc<Mutex<(Serves, usize)>>,
    traces: Arc<Mutex<Vec<String>>>,
}

impl KeyServer {
    pub async fn start(serves: Serves) -> Self {
        Self::start_with(serves, None).await
    }

    /// The same over TLS.
    pub async fn start_tls(serves: Serves, tls: TlsAcceptor) -> Self {
        Self::start_with(serves, Some(tls)).await
    }

    async fn start_with(serves: Serves, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{address}/.well-known/jwks.json?v=1");
        let server = Self {
            url: url.parse().expect("a URL"),
            state: Arc::new(Mutex::new((serves, 0))),
            traces: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => server.speak(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                server.speak(stream).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    /// From now on this is answered.
    pub fn serve(&self, serves: Serves) {
        self.state.lock().expect("not poisoned").0 = serves;
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.state.lock().expect("not poisoned").1
    }

    /// The traces that it was asked in.
    pub fn traces(&self) -> Vec<String> {
        self.traces.lock().expect("not poisoned").clone()
    }

    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let answer = service_fn(|request: hyper::Request<_>| {
            assert_eq!(request.uri(), "/.well-known/jwks.json?v=1");
            let host = request.headers()["host"].to_str().expect("ASCII");
            assert_eq!(
                host.parse::<std::net::SocketAddr>().ok(),
                self.url.socket_addrs(|| None).expect("it has one").pop()
            );
            if let Some(trace) = request.headers().get("traceparent") {
                let trace = trace.to_str().expect("ASCII").to_owned();
                self.traces.lock().expect("not poisoned").push(trace);
            }
            self.answer()
        });
        let connection = http1::Builder::new();
        let _ = connection
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }

    async fn answer(&self) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, std::io::Error> {
        let serves = {
            let mut state = self.state.lock().expect("not poisoned");
            state.1 += 1;
            state.0.clone()
        };
        let text = |text: String| Full::new(Bytes::from(text)).boxed_unsync();
        let mut response = Response::builder();
        let body = match serves {
            Serves::Set(set) => text(set.to_string()),
            Serves::Text(body) => text(body),
            Serves::Status(status, set) => {
                response = response
                    .status(StatusCode::from_u16(status).expect("a status"))
                    .header("Location", self.url.as_str());
                text(set.to_string())
            }
            Serves::Late(wait, set) => {
                tokio::time::sleep(wait).await;
                text(set.to_string())
            }
            Serves::Endless => {
                let chunk = || Ok(Frame::data(Bytes::from_static(&[b' '; 16 * 1024])));
                StreamBody::new(stream::repeat_with(chunk)).boxed_unsync()
            }
            Serves::Stalls => StreamBody::new(stream::pending()).boxed_unsync(),
            Serves::Nothing => return Err(std::io::ErrorKind::ConnectionReset.into()),
        };
        Ok(response.body(body).expect("a response"))
    }
}
