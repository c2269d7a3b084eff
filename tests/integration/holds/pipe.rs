//! A client in a hurry: one connection kept alive, many requests sent before the first is answered.
//!
//! What an answer must look like is tested elsewhere; here it is kept as it came.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// So many requests at once fit into the buffers of both sides: nobody waits for the other to read.
pub const AT_ONCE: usize = 32;

pub struct Pipe(BufReader<TcpStream>);

#[derive(Clone, Debug)]
pub struct Said {
    pub status: u16,
    /// Status line and headers, a line each.
    pub head: String,
    pub body: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The code of a problem, or nothing.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A field of a success, or nothing.
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }
}

impl Pipe {
    pub async fn open(url: &str) -> Self {
        Self::try_open(url).await.expect("a connection")
    }

    pub async fn try_open(url: &str) -> std::io::Result<Self> {
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends this, and reads nothing.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// Reads whatever comes, to the end.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes).await;
        bytes
    }

    /// Sends one request and reads its answer.
    pub async fn ask(&mut self, request: &str) -> Said {
        self.ask_all(&[request]).await.remove(0)
    }

    /// Sends them all, then reads the answers, in order.
    pub async fn ask_all(&mut self, requests: &[impl AsRef<str>]) -> Vec<Said> {
        assert!(requests.len() <= AT_ONCE);
        let all: String = requests.iter().map(AsRef::as_ref).collect();
        self.0.write_all(all.as_bytes()).await.expect("written");
        let mut answers = Vec::with_capacity(requests.len());
        for _ in requests {
            answers.push(self.read().await.expect("an answer"));
        }
        answers
    }

    /// Reads one answer; nothing if the connection ends first.
    pub async fn read(&mut self) -> Option<Said> {
        let (mut status, mut length, mut head) = (None, None, String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line.trim_end().is_empty() {
                break;
            }
            head.push_str(&line);
            let line = line.to_ascii_lowercase();
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse::<usize>().ok();
            }
        }
        let mut body = vec![0; length?];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Said {
            status: status?,
            head,
            body: String::from_utf8(body).ok()?,
        })
    }
}

/// A `POST` with that body.
pub fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The same with that access token.
pub fn post_as(access: &str, path: &str, body: &Value) -> String {
    let host = "Host: x\r\n";
    let authorized = format!("{host}Authorization: Bearer {access}\r\n");
    post(path, body).replacen(host, &authorized, 1)
}

/// A `GET` with that access token.
pub fn get(path: &str, access: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {access}\r\n\r\n")
}
