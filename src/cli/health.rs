//! `readdress health`: asks the running server, for container health checks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Failure;
use crate::config::{Reader, listen_address};
use crate::deadline::Deadline;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn run() -> Result<(), Failure> {
    let mut reader = Reader::of_process();
    let address = reachable(listen_address(&mut reader));
    reader.finish().map_err(Failure::Config)?;
    match Deadline::after(PATIENCE).bound(ask(address)).await {
        Ok(Ok(StatusCode::OK)) => Ok(()),
        Ok(Ok(status)) => Err(Failure::Refused(format!(
            "the server at {address} answers {status}"
        ))),
        Ok(Err(error)) => Err(Failure::Refused(format!(
            "the server at {address} does not answer: {error}"
        ))),
        Err(timed_out) => Err(Failure::Refused(format!(
            "the server at {address}: {timed_out}"
        ))),
    }
}

async fn ask(address: SocketAddr) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/healthz")
        .header("Host", address.to_string())
        .body(Empty::<Bytes>::new())?;
    Ok(sender.send_request(request).await?.status())
}

/// Who listens on every address is asked on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
