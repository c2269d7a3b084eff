//! The answer to a request whose head cannot be read.
//!
//! hyper refuses it by itself, with a bare 400 or 431, before there is a request that [`front`]
//! could see. That answer is recognised here, on its way out, and replaced by a problem document:
//! every error of this service has that form. (HTTP/2 has no such answer: it resets the stream.)
//!
//! [`front`]: super::front

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

use super::front::add_headers;
use crate::api::problem::{Code, Problem};

/// A connection on which hyper's own refusals are replaced.
pub(super) struct Wire<S> {
    stream: S,
    /// What is left to write of the answer that stands in for hyper's.
    instead: Option<Vec<u8>>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            instead: None,
        }
    }
}

/// Every answer that came from the front has a request id.
fn is_bare_refusal(bytes: &[u8]) -> bool {
    let has = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    bytes.starts_with(b"HTTP/1.1 4") && !has(b"x-request-id: ")
}

fn answer() -> Vec<u8> {
    let request_id = Uuid::now_v7().to_string();
    let problem = Problem::new(Code::MalformedRequest);
    let body = problem.json(&request_id);
    let mut response = problem.respond(&request_id);
    add_headers(&mut response, &request_id);
    let mut bytes = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n".to_vec();
    for (name, value) in response.headers() {
        bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    bytes.extend(format!("content-length: {}\r\n\r\n{body}", body.len()).bytes());
    bytes
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            if !is_bare_refusal(bytes) {
                return Pin::new(&mut self.stream).poll_write(context, bytes);
            }
            self.instead = Some(answer());
        }
        let Self { stream, instead } = &mut *self;
        while let Some(rest) = instead.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.drain(..written);
        }
        *instead = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
