//! The connection to a mail server, as the library is given it: plain, or TLS from the first byte.
//!
//! The library reads ahead, and what it had read before a STARTTLS handshake it would take for the
//! answer to the first command after it: whoever sits in between could slip in replies that look
//! encrypted (CVE-2011-0411, seen from the client). So the answer to STARTTLS is read byte by byte,
//! and what follows it stays in the socket, where the handshake stumbles over it.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

#[derive(Debug)]
pub(super) struct Stream<T> {
    io: T,
    peer: SocketAddr,
    starting_tls: bool,
}

impl Stream<TcpStream> {
    pub(super) async fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        // Without it, every command of a warm connection waits for a delayed ACK.
        tcp.set_nodelay(true)?;
        Ok(Self {
            peer: tcp.peer_addr()?,
            io: tcp,
            starting_tls: false,
        })
    }

    /// TLS before anything is said.
    pub(super) async fn encrypt(
        self,
        tls: &TlsConnector,
        host: ServerName<'static>,
    ) -> io::Result<Stream<TlsStream<TcpStream>>> {
        Ok(Stream {
            io: tls.connect(host, self.io).await?,
            peer: self.peer,
            starting_tls: false,
        })
    }
}

impl<T> AsyncTokioStream for Stream<T>
where
    T: AsyncRead + AsyncWrite + Send + Sync + Unpin + Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.starting_tls {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.io).poll_read(context, &mut one))?;
        buffer.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.starting_tls = bytes.eq_ignore_ascii_case(b"STARTTLS\r\n");
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
