//! The accept loop: owns the connections, and gives each a bounded time to say what it wants.
//!
//! The framework's own server leaves half-sent requests open for ever, spins when file descriptors
//! run out, and never ends with one half-open request; this one is a page on hyper-util instead.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Request};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::Activity;
use super::front::Front;
use super::unreadable::Wire;

/// How long a request head may take to arrive, and a connection may idle between two.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may be of no use: nothing asked, or, over HTTP/1, an answer not read. (Answers
/// that wait in HTTP/2 are a few KiB, or shared.)
const UNUSED: Duration = Duration::from_secs(12);
/// The largest request head.
const MAX_HEAD: usize = 16 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 64;
/// Streams opened and reset before anybody answered them (CVE-2023-44487).
const MAX_RESET_STREAMS: usize = 20;
/// How every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// From the signal to the end.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);
/// Left of it for what outlives its callers.
const FINISHING: Duration = Duration::from_millis(500);
/// Connections that the system accepts in our name before we do. Whoever finds it full is not told,
/// and tries again a second later; the system may allow fewer (`net.core.somaxconn` on Linux).
const QUEUE: u32 = 1024;
/// After a failed accept: without it, running out of file descriptors is a busy loop.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Listens there, with room for a burst of connections.
///
/// # Errors
///
/// The address is taken, is none of this machine, or may not be listened on.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Or a restart would wait for the connections of the last process to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Serves until `stop`, then answers what is in flight. Returns when `stop` came.
pub(super) async fn serve(
    listener: TcpListener,
    front: Front,
    max_connections: usize,
    stop: impl Future<Output = ()>,
) -> Instant {
    let front = Arc::new(front);
    let builder = Arc::new(builder());
    let places = Arc::new(Semaphore::new(max_connections.max(1)));
    let (connections, stopping) = (TaskTracker::new(), CancellationToken::new());
    let begin = |(stream, peer, place): Accepted| {
        let (front, builder, stopping) =
            (Arc::clone(&front), Arc::clone(&builder), stopping.clone());
        connections.spawn(async move {
            let (_place, _open) = (place, front.metrics().connection());
            if !says_something(&stream).await {
                return;
            }
            let activity = Arc::new(Activity::new());
            let service = service_fn(|request: hyper::Request<Incoming>| {
                let (front, activity) = (Arc::clone(&front), Arc::clone(&activity));
                async move {
                    let at_work = activity.begin();
                    let peer = RemoteAddr(Addr::SocketAddr(peer));
                    let request: Request =
                        (request, LocalAddr::default(), peer, Scheme::HTTP).into();
                    // In a box: what answering took is given back while the answer waits to be read.
                    let answer = Box::pin(front.answer(request, at_work.is_beside));
                    let response: hyper::Response<_> = answer.await.into();
                    Ok::<_, Infallible>(response)
                }
            });
            let io = TokioIo::new(Wire::new(stream));
            let mut connection = pin!(builder.serve_connection(io, service));
            tokio::select! {
                // In this order: what has arrived is read before the connection hears of the end.
                // Otherwise it would end without an answer.
                biased;
                // A connection that breaks is the other side's business.
                _ = connection.as_mut() => return,
                () = activity.is_over(UNUSED) => return,
                () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            tokio::select! {
                _ = connection => {}
                () = activity.is_over(UNUSED) => {}
            }
        });
    };
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok(accepted) => begin(accepted),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
    // Whoever is in the queue believes to be connected already, and would be cut off by its end.
    last_in_the_queue(listener, &places).for_each(begin);
    let since = Instant::now();
    stopping.cancel();
    connections.close();
    if timeout_at(since + SHUTDOWN - FINISHING, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("connections were still open at the end of the shutdown");
    }
    since
}

/// A connection, whose it is, and its place among the most there may be.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// What the system has accepted in our name; then nobody listens any more.
fn last_in_the_queue(
    listener: TcpListener,
    places: &Arc<Semaphore>,
) -> impl Iterator<Item = Accepted> {
    let listener = listener.into_std().ok();
    std::iter::from_fn(move || {
        let place = Arc::clone(places).try_acquire_owned().ok()?;
        // Without waiting, as the runtime has set it.
        let (stream, peer) = listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        stream.set_nodelay(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer, place))
    })
}

/// Whether enough has arrived to tell HTTP/1 from HTTP/2. hyper's own clock starts only then, so
/// whoever sends nothing, or the first half of the HTTP/2 preface, is let go here.
async fn says_something(stream: &TcpStream) -> bool {
    let told = async {
        let mut seen = [0; PREFACE.len()];
        loop {
            let length = stream
                .peek(&mut seen)
                .await
                .ok()
                .filter(|length| *length > 0)?;
            if length == PREFACE.len() || !PREFACE.starts_with(&seen[..length]) {
                return Some(());
            }
            // What has arrived stays readable, so waiting for it to become so would not wait.
            tokio::time::sleep(BACK_OFF).await;
        }
    };
    matches!(timeout(HEAD, told).await, Ok(Some(())))
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(HEAD)
        .keep_alive_timeout(HEAD);
    builder
}
