//! An SMTP server that keeps what it accepts, and misbehaves when it is told to. It speaks TLS and
//! asks for a login if it is started so.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

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
    /// The login is not accepted, and is repeated in the reply.
    RefuseLogin,
    /// This reply to MAIL.
    RefuseSender(&'static str),
    /// This reply to RCPT.
    RefuseRecipient(&'static str),
    /// This reply to DATA's end.
    RefuseMessage(&'static str),
    /// This reply to DATA, and then the message is waited for all the same.
    AnswerData(&'static str),
    /// The connection breaks when the message should come, and it is not kept.
    HangUpInData,
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
    /// Waits before every answer.
    Tarpit(Duration),
    /// The message is accepted, and lost.
    Lose,
    /// Refuses each recipient once, for now.
    Greylist,
    /// So many of a hundred mails meet one of the faults above that end at once, by chance.
    Weather(u32),
}

impl Fault {
    /// What this mail meets.
    fn drawn(&self, chance: &mut fastrand::Rng) -> Option<Self> {
        match self {
            Self::Weather(percent) if chance.u32(0..100) >= *percent => None,
            Self::Weather(_) => Some(match chance.u32(0..10) {
                0 => Self::RefuseSender("421 4.3.2 going down"),
                1 => Self::RefuseSender("530 5.7.0 log in first"),
                2 => Self::RefuseRecipient("450 4.7.1 greylisted"),
                3 => Self::RefuseRecipient("550 5.7.1 policy"),
                4 => Self::RefuseRecipient("552 5.2.2 mailbox full"),
                5 => Self::AnswerData("451 4.3.0 no room"),
                6 => Self::RefuseMessage("554 5.6.0 content"),
                7 => Self::HangUpWhenIdle,
                8 => Self::HangUpInData,
                _ => Self::HangUpAfterMessage,
            }),
            fault => Some(fault.clone()),
        }
    }
}

/// How the server is spoken to.
#[derive(Clone, Default)]
pub enum Encryption {
    #[default]
    None,
    Starttls(TlsAcceptor),
    Implicit(TlsAcceptor),
}

/// The one login that is accepted, and without which no mail is.
pub const LOGIN: (&str, &str) = ("mailer@example.com", "a pass:word/canary-7f3a");

#[derive(Default)]
struct State {
    received: Vec<Received>,
    fault: Option<Fault>,
    /// Of the weather.
    chance: fastrand::Rng,
    connections: usize,
    logins: usize,
    greylisted: HashSet<String>,
    /// Does not offer PIPELINING.
    one_by_one: bool,
    /// Mails whose recipient was there before their sender was answered.
    pipelined: usize,
    /// What EHLO is answered with, beside what is always there.
    offers: Vec<&'static str>,
    /// Accepts connections and talks on them, until it is dropped.
    listening: Option<AbortOnDropHandle<()>>,
}

/// Anything to talk over.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

type Stream = BufReader<Box<dyn Connection>>;

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct SmtpSink {
    pub address: SocketAddr,
    encryption: Encryption,
    asks_for_login: bool,
    state: Arc<Mutex<State>>,
}

impl SmtpSink {
    pub async fn start() -> Self {
        Self::start_with(Encryption::None, false).await
    }

    pub async fn start_with(encryption: Encryption, asks_for_login: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sink = Self {
            address: listener.local_addr().expect("an address"),
            encryption,
            asks_for_login,
            state: Arc::default(),
        };
        sink.listen(listener);
        sink
    }

    fn listen(&self, listener: TcpListener) {
        let server = self.clone();
        let listening = tokio::spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                server.lock().connections += 1;
                let server = server.clone();
                talks.spawn(async move { server.serve(Box::new(stream)).await });
            }
        });
        self.lock().listening = Some(AbortOnDropHandle::new(listening));
    }

    /// From now on each command is said after the last one was answered, and EHLO once.
    pub fn one_by_one(&self) {
        self.lock().one_by_one = true;
    }

    /// How many mails came without waiting for each answer.
    pub fn pipelined(&self) -> usize {
        self.lock().pipelined
    }

    /// From now on EHLO says this too.
    pub fn offer(&self, extension: &'static str) {
        self.lock().offers.push(extension);
    }

    /// Nobody listens any more, and every conversation breaks off.
    pub fn stop(&self) {
        self.lock().listening = None;
    }

    /// Listens again where it was.
    pub async fn restart(&self) {
        self.stop();
        let mut tries = 0;
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(tries < 100, "{error}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        self.listen(listener);
    }

    pub fn url(&self) -> String {
        format!("smtp://{}?tls=none", self.address)
    }

    /// From now on this goes wrong; `None` ends it.
    pub fn fault(&self, fault: impl Into<Option<Fault>>) {
        self.lock().fault = fault.into();
    }

    /// The course of the weather.
    pub fn seed(&self, chance: fastrand::Rng) {
        self.lock().chance = chance;
    }

    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// What `read` finds in the newest mail to that address in which it finds something.
    pub fn newest<T>(&self, to: &str, read: impl Fn(&Received) -> Option<T>) -> Option<T> {
        let state = self.lock();
        let theirs = state.received.iter().rev().filter(|mail| mail.to == to);
        theirs.into_iter().find_map(read)
    }

    /// What was received so far is nobody's business any more.
    pub fn forget(&self) {
        self.lock().received.clear();
    }

    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// How often somebody logged in.
    pub fn logins(&self) -> usize {
        self.lock().logins
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    async fn serve(&self, mut stream: Box<dyn Connection>) -> Option<()> {
        if self.lock().fault == Some(Fault::HangUpAtOnce) {
            return None;
        }
        if let Encryption::Implicit(tls) = &self.encryption {
            stream = Box::new(tls.accept(stream).await.ok()?);
        }
        let mut stream = BufReader::new(stream);
        say(&mut stream, "220 sink ESMTP").await?;
        let mut stream = self.talk(stream, self.encryption.is_implicit()).await?;
        let Encryption::Starttls(tls) = &self.encryption else {
            return None;
        };
        say(&mut stream, "220 2.0.0 go on").await?;
        let stream = tls.accept(stream.into_inner()).await.ok()?;
        self.talk(BufReader::new(Box::new(stream)), true).await?;
        None
    }

    /// Talks until the end, or until STARTTLS, and then returns the connection.
    #[expect(
        clippy::too_many_lines,
        reason = "a command an arm, and reads as the conversation"
    )]
    async fn talk(&self, mut stream: Stream, encrypted: bool) -> Option<Stream> {
        let offers_starttls = matches!(self.encryption, Encryption::Starttls(_)) && !encrypted;
        let (mut logged_in, mut greeted) = (!self.asks_for_login, false);
        let (mut from, mut to) = (String::new(), String::new());
        let mut weather = None;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let command = line.trim_end().to_owned();
            if command.starts_with("MAIL") && stream.buffer().starts_with(b"RCPT") {
                self.lock().pipelined += 1;
            }
            let mut fault = self.lock().fault.clone();
            if let Some(Fault::Weather(_)) = fault {
                if command.starts_with("MAIL") {
                    let chance = &mut self.lock().chance;
                    weather = fault.as_ref().and_then(|fault| fault.drawn(chance));
                }
                fault.clone_from(&weather);
            }
            if let Some(Fault::Tarpit(wait)) = fault {
                tokio::time::sleep(wait).await;
            }
            match command
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                // Such an old one that it wants to be greeted once.
                "EHLO" if greeted && self.lock().one_by_one => {
                    say(&mut stream, "503 5.5.1 you said that").await?;
                }
                "EHLO" => {
                    greeted = true;
                    let more = self.lock().offers.clone();
                    let mut offers = "250-sink\r\n".to_owned();
                    if !self.lock().one_by_one {
                        offers.push_str("250-PIPELINING\r\n");
                    }
                    for line in &more {
                        offers.extend(["250-", line, "\r\n"]);
                    }
                    if offers_starttls {
                        offers.push_str("250-STARTTLS\r\n");
                    }
                    if self.asks_for_login && !offers_starttls {
                        offers.push_str("250-AUTH PLAIN\r\n");
                    }
                    offers.push_str("250 ENHANCEDSTATUSCODES");
                    say(&mut stream, &offers).await?;
                }
                "STARTTLS" if offers_starttls => return Some(stream),
                "AUTH" if fault == Some(Fault::RefuseLogin) => {
                    say(&mut stream, &format!("535 5.7.8 not you: {command}")).await?;
                }
                "AUTH" if self.asks_for_login => {
                    logged_in = is_login(&command);
                    if logged_in {
                        self.lock().logins += 1;
                        say(&mut stream, "235 2.7.0 welcome").await?;
                    } else {
                        let refused = format!("535 5.7.8 not you: {command}");
                        say(&mut stream, &refused).await?;
                    }
                }
                "AUTH" => say(&mut stream, "235 2.7.0 welcome").await?,
                "MAIL" if !logged_in => say(&mut stream, "530 5.7.0 log in").await?,
                "MAIL" => match fault {
                    Some(Fault::HangUpWhenIdle) => {
                        if weather.is_none() {
                            self.fault(None);
                        }
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
                    Some(Fault::Greylist) if self.lock().greylisted.insert(mailbox(&command)) => {
                        say(&mut stream, "450 4.7.1 try again later").await?;
                    }
                    fault => {
                        if let Some(Fault::Slow(wait)) = fault {
                            tokio::time::sleep(wait).await;
                        }
                        assert!(to.is_empty(), "one recipient a mail");
                        to = mailbox(&command);
                        say(&mut stream, "250 2.1.5 ok").await?;
                    }
                },
                // RFC 5321, section 3.3: no valid recipients.
                "DATA" if to.is_empty() => say(&mut stream, "554 5.5.1 for whom?").await?,
                "DATA" => {
                    if let Some(Fault::AnswerData(reply)) = fault {
                        say(&mut stream, reply).await?;
                        continue;
                    }
                    say(&mut stream, "354 go on").await?;
                    if fault == Some(Fault::HangUpInData) {
                        return None;
                    }
                    let raw = message(&mut stream).await?;
                    if let Some(Fault::RefuseMessage(reply)) = fault {
                        say(&mut stream, reply).await?;
                        continue;
                    }
                    let received = read(std::mem::take(&mut to), std::mem::take(&mut from), raw);
                    if fault != Some(Fault::Lose) {
                        self.lock().received.push(received);
                    }
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

impl Encryption {
    fn is_implicit(&self) -> bool {
        matches!(self, Self::Implicit(_))
    }
}

/// RFC 4616: no authorization identity, then user and password.
fn is_login(command: &str) -> bool {
    let (user, password) = LOGIN;
    let expected = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
    command.strip_prefix("AUTH PLAIN ") == Some(&expected)
}

async fn say(stream: &mut Stream, reply: &str) -> Option<()> {
    stream
        .write_all(format!("{reply}\r\n").as_bytes())
        .await
        .ok()?;
    stream.flush().await.ok()
}

fn mailbox(command: &str) -> String {
    let (_, rest) = command.split_once('<').expect("an angle bracket");
    rest.split_once('>').expect("its twin").0.to_owned()
}

async fn message(stream: &mut Stream) -> Option<String> {
    let mut raw = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
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
