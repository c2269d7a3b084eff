//! One mail of the folder, read for showing.

use mail_parser::{DateTime, MessageParser, MimeHeaders};
use minijinja::{Value, context};

/// What is shown of a mail.
pub(super) struct Mail {
    pub(super) name: String,
    from: String,
    to: String,
    subject: String,
    /// What it is written in: the pages around it are English.
    language: String,
    /// RFC 3339, for programs.
    sent_at: String,
    /// The same for people, in UTC: no script asks the browser where it is.
    sent: String,
    pub(super) text: String,
    pub(super) html: String,
}

impl Mail {
    /// Reads a message as it was sent.
    pub(super) fn read(name: &str, message: &[u8]) -> Option<Self> {
        let message = MessageParser::default().parse(message)?;
        let address = |list: Option<&mail_parser::Address<'_>>| {
            let first = list.and_then(|list| list.first());
            let address = first.and_then(|address| address.address());
            address.unwrap_or_default().to_owned()
        };
        let text = message.body_text(0).unwrap_or_default();
        Some(Self {
            name: name.to_owned(),
            from: address(message.from()),
            to: address(message.to()),
            subject: message.subject().unwrap_or_default().to_owned(),
            language: message
                .content_language()
                .as_text()
                .unwrap_or("en")
                .to_owned(),
            sent_at: message.date().map(DateTime::to_rfc3339).unwrap_or_default(),
            sent: message.date().map(for_people).unwrap_or_default(),
            text: text.replace("\r\n", "\n"),
            html: message.body_html(0).unwrap_or_default().into_owned(),
        })
    }

    /// The links in it: each stands on a line of its own.
    pub(super) fn links(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| is_link(line))
    }
}

impl From<Mail> for Value {
    fn from(mail: Mail) -> Self {
        let lines = mail.text.lines();
        let lines = lines.map(|line| context! { text => line, is_link => is_link(line) });
        context! {
            name => mail.name, from => mail.from, to => mail.to, subject => mail.subject,
            language => mail.language,
            sent_at => mail.sent_at, sent => mail.sent, lines => lines.collect::<Vec<_>>(),
        }
    }
}

/// Whether a line of a mail's text is a link and nothing else.
fn is_link(line: &str) -> bool {
    line.starts_with("http") && line.contains("://") && !line.contains(char::is_whitespace)
}

fn for_people(date: &DateTime) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    )
}
