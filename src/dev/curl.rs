//! What can be done with a link where there are no pages: the `curl` line that does it.

use minijinja::{Value, context};

use super::DEMO_PASSWORD;

/// Where the links lead.
pub(super) const PAGES: [&str; 4] = [
    "/new-email",
    "/email-activation",
    "/cancel-email-change",
    "/undo-email-change",
];

/// One line for a shell.
pub(super) struct Curl {
    does: &'static str,
    command: String,
}

impl Curl {
    /// The line for a link to one of the pages, sent to the service at `url`.
    pub(super) fn of(link: &str, url: &str) -> Option<Self> {
        let (page, token) = link.split_once("?token=")?;
        // It ends up in a shell: nothing but what a token is made of.
        if !token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        {
            return None;
        }
        let (does, path, more) = match page.rsplit_once('/')?.1 {
            "new-email" => (
                "Choose the new address",
                "confirm",
                format!(",\"password\":\"{DEMO_PASSWORD}\",\"new_email\":\"new@example.org\""),
            ),
            "email-activation" => ("Activate the new address", "activate", String::new()),
            "cancel-email-change" => ("Stop the change", "cancel", String::new()),
            "undo-email-change" => (
                "Take the change back",
                "undo",
                format!(",\"password\":\"{DEMO_PASSWORD}\""),
            ),
            _ => return None,
        };
        let body = format!("{{\"token\":\"{token}\"{more}}}");
        let command = format!(
            "curl -sS {url}/v1/email-change/{path} -H 'Content-Type: application/json' -d '{body}'"
        );
        Some(Self { does, command })
    }
}

impl From<Curl> for Value {
    fn from(curl: Curl) -> Self {
        context! { does => curl.does, command => curl.command }
    }
}
