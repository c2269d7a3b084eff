//! The control of floods: a server as one writes it in an evening. It hashes where it answers, waits
//! for everybody for ever, and lets streams be reset as often as they are opened.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

/// What a hash costs.
const HASH: Duration = Duration::from_millis(20);

/// Starts it, on one thread of its own, and says where it listens. It ends with the test's process.
pub fn start() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(serve(listener));
    });
    url
}

async fn serve(listener: std::net::TcpListener) {
    let listener = TcpListener::from_std(listener).expect("a socket");
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http2()
        .max_pending_accept_reset_streams(usize::MAX)
        .max_local_error_reset_streams(usize::MAX);
    while let Ok((stream, _)) = listener.accept().await {
        let builder = builder.clone();
        tokio::spawn(async move {
            let answer = service_fn(answer);
            let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let _ = request.collect().await;
    let status = if path == "/v1/session" {
        // On the thread that answers everybody.
        std::thread::sleep(HASH);
        401
    } else {
        200
    };
    let answer = Response::builder().status(status);
    Ok(answer.body(Full::from("{}")).expect("an answer"))
}
