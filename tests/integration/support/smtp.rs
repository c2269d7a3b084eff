//! An SMTP server that keeps what it accepts, and misbehaves when it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One mail that was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    /// The one recipient of the envelope.
    pub to: String,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    pub raw: String,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This reply to MAIL.
    RefuseSender(&'static str),
    /// This reply to RCPT.
    RefuseRecipient(&'static str),
    /// This reply to DATA's end.
    RefuseMessage(&'static str),
    /// This reply to DATA, and then the message is waited for all the same.
    AnswerData(&'static str),
    /// The message is accepted, but the connection breaks before that is said.
    HangUpAfterMessage,
    /// The connection breaks as soon as it is opened.
    HangUpAtOnce,
    /// Nothing is ever answered to RCPT.
    Stall,
    /// The next command of an open connection finds it closed.
    HangUpWhenIdle,
    /// Waits before it answers RCPT.
    Slow(Duration),
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    fault: Option<Fault>,
    connections: usize,
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct SmtpSink {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl SmtpSink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sink = Self {
            address: listener.local_addr().expect("an address"),
            state: Arc::default(),
        };
        let server = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                server.lock().connections += 1;
                let server = server.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        sink
    }

    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// From now on this goes wrong; `None` ends it.
    pub fn fault(&self, fault: impl Into<Option<Fault>>) {
        self.lock().fault = fault.into();
    }

    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// What was received so far is nobody's business any more.
    pub fn forget(&self) {
        self.lock().received.clear();
    }

    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    async fn talk(&self, stream: TcpStream) -> Option<()> {
        if self.lock().fault == Some(Fault::HangUpAtOnce) {
            return None;
        }
        let mut stream = BufReader::new(stream);
        say(&mut stream, "220 sink ESMTP").await?;
        let (mut from, mut to) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let fault = self.lock().fault.clone();
            let command = line.trim_end().to_owned();
            match command
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "EHLO" => say(&mut stream, "250-sink\r\n250 ENHANCEDSTATUSCODES").await?,
                "MAIL" => match fault {
                    Some(Fault::HangUpWhenIdle) => {
                        self.fault(None);
                        return None;
                    }
                    Some(Fault::RefuseSender(reply)) => say(&mut stream, reply).await?,
                    _ => {
                        from = mailbox(&command);
                        say(&mut stream, "250 2.1.0 ok").await?;
                    }
                },
                "RCPT" => match fault {
                    Some(Fault::RefuseRecipient(reply)) => say(&mut stream, reply).await?,
                    Some(Fault::Stall) => std::future::pending().await,
                    fault => {
                        if let Some(Fault::Slow(wait)) = fault {
                            tokio::time::sleep(wait).await;
                        }
                        assert!(to.is_empty(), "one recipient a mail");
                        to = mailbox(&command);
                        say(&mut stream, "250 2.1.5 ok").await?;
                    }
                },
                "DATA" => {
                    if let Some(Fault::AnswerData(reply)) = fault {
                        say(&mut stream, reply).await?;
                        continue;
                    }
                    say(&mut stream, "354 go on").await?;
                    let raw = message(&mut stream).await?;
                    if let Some(Fault::RefuseMessage(reply)) = fault {
                        say(&mut stream, reply).await?;
                        continue;
                    }
                    let received = read(std::mem::take(&mut to), std::mem::take(&mut from), raw);
                    self.lock().received.push(received);
                    if fault == Some(Fault::HangUpAfterMessage) {
                        return None;
                    }
                    say(&mut stream, "250 2.0.0 kept").await?;
                }
                "QUIT" => {
                    say(&mut stream, "221 2.0.0 bye").await?;
                    return None;
                }
                _ => say(&mut stream, "502 5.5.1 unknown").await?,
            }
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, reply: &str) -> Option<()> {
    stream
        .write_all(format!("{reply}\r\n").as_bytes())
        .await
        .ok()
}

fn mailbox(command: &str) -> String {
    let (_, rest) = command.split_once('<').expect("an angle bracket");
    rest.split_once('>').expect("its twin").0.to_owned()
}

async fn message(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut raw = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if line == ".\r\n" {
            return Some(raw);
        }
        raw.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

fn read(to: String, from: String, raw: String) -> Received {
    assert!(raw.is_ascii(), "a mail is ASCII on the wire");
    let message = MessageParser::default()
        .parse(raw.as_bytes())
        .expect("a mail");
    let part =
        |body: Option<std::borrow::Cow<'_, str>>| body.expect("a part").replace("\r\n", "\n");
    Received {
        subject: message.subject().expect("a subject").to_owned(),
        text: part(message.body_text(0)),
        html: part(message.body_html(0)),
        to,
        from,
        raw,
    }
}

impl Received {
    /// The token of the link to that page; in the text part it stands on a line of its own, and the
    /// HTML part leads to the same place.
    pub fn token(&self, page: &str) -> String {
        self.find_token(page)
            .unwrap_or_else(|| panic!("no {page} link in {:?}", self.subject))
    }

    pub fn find_token(&self, page: &str) -> Option<String> {
        let start = format!("{}/{page}?token=", super::app::APP_URL);
        let link = self.text.lines().find(|line| line.starts_with(&start))?;
        let html = self.html.replace("&#x2f;", "/");
        assert!(
            html.contains(&format!("href=\"{link}\"")),
            "the HTML part has the same link"
        );
        Some(link[start.len()..].to_owned())
    }
}
