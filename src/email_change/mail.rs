//! Each mail of the story: its facts, and every link in it.
//!
//! A mail is a text and an HTML template of one name in `templates/en`, embedded in the binary. No
//! text that a requester chose stands in any of them. One function a mail; the steps call them.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::link::Issued;
use crate::clock::for_people;
use crate::email_address::{EmailAddress, masked};
use crate::mailer::Mail;

/// A template did not render: a defect of the template, never of the request.
#[derive(Debug, thiserror::Error)]
#[error("the mail template {template} does not render")]
pub struct TemplateError {
    template: String,
    #[source]
    source: Box<minijinja::Error>,
}

/// Where each link leads: a URL in which `{token}` stands once.
#[derive(Clone, Debug)]
pub struct LinkTemplates {
    /// The page that takes password and new address.
    pub confirm: String,
    /// The page with the one button.
    pub activate: String,
    /// The page that stops a change.
    pub cancel: String,
    /// The page that takes a change back.
    pub undo: String,
}

/// The place of the token in a link template.
pub const TOKEN: &str = "{token}";

impl LinkTemplates {
    /// The pages under one application URL.
    #[must_use]
    pub fn below(app_url: &str) -> Self {
        let page = |name: &str| format!("{app_url}/{name}?token={TOKEN}");
        Self {
            confirm: page("new-email"),
            activate: page("email-activation"),
            cancel: page("cancel-email-change"),
            undo: page("undo-email-change"),
        }
    }
}

/// When something was asked for, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Unix seconds.
    pub at: i64,
    /// The client address.
    pub from: std::net::IpAddr,
}

/// How a change can be taken back.
pub enum WayBack {
    /// With this link.
    Link(Issued),
    /// With the link in the notice about the change that opened the window now running.
    Earlier,
    /// Not at all: the users table has no place to remember it.
    None,
}

/// Writes the mails.
pub struct Letters {
    templates: Environment<'static>,
    links: LinkTemplates,
    service: String,
}

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../templates/en/", $name)))),+]
    };
}

const TEMPLATES: [(&str, &str); 16] = embedded![
    "layout.html",
    "button.html",
    "confirm.txt",
    "confirm.html",
    "activate.txt",
    "activate.html",
    "taken.txt",
    "taken.html",
    "changing.txt",
    "changing.html",
    "changed.txt",
    "changed.html",
    "cancelled.txt",
    "cancelled.html",
    "undone.txt",
    "undone.html",
];

impl Letters {
    /// `service` is the name people know the application by.
    ///
    /// # Errors
    ///
    /// [`TemplateError`] if a template cannot be read.
    pub fn new(service: String, links: LinkTemplates) -> Result<Self, TemplateError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .build()
                .map_err(|source| failed("syntax", source))?,
        );
        for (name, source) in TEMPLATES {
            templates
                .add_template(name, source)
                .map_err(|source| failed(name, source))?;
        }
        Ok(Self {
            templates,
            links,
            service,
        })
    }

    /// To the current address: here is the link to type the new one, and the way to stop it.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn confirm(
        &self,
        to: &str,
        confirm: &str,
        expires_at: i64,
        cancel: Option<&str>,
        when: Circumstances,
    ) -> Result<Mail, TemplateError> {
        self.render(
            "confirm",
            to,
            context! {
                link => with_token(&self.links.confirm, confirm),
                cancel_link => cancel.map(|token| with_token(&self.links.cancel, token)),
                expires => for_people(expires_at),
                asked => for_people(when.at),
                client => when.from.to_string(),
            },
        )
    }

    /// To the new address: press here if it is yours.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn activate(
        &self,
        to: &EmailAddress,
        current: &str,
        token: &str,
        expires_at: i64,
    ) -> Result<Mail, TemplateError> {
        self.render(
            "activate",
            to.as_str(),
            context! {
                current => masked(current),
                link => with_token(&self.links.activate, token),
                expires => for_people(expires_at),
            },
        )
    }

    /// To the owner of an address that somebody else typed.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn taken(&self, to: &EmailAddress, when: Circumstances) -> Result<Mail, TemplateError> {
        self.render(
            "taken",
            to.as_str(),
            context! { asked => for_people(when.at) },
        )
    }

    /// To the old address, before it is replaced.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn changing(
        &self,
        to: &str,
        way_back: &WayBack,
        when: Circumstances,
    ) -> Result<Mail, TemplateError> {
        let undo = match way_back {
            WayBack::Link(undo) => Some(undo),
            WayBack::Earlier | WayBack::None => None,
        };
        self.render(
            "changing",
            to,
            context! {
                undo_link => undo.map(|undo| with_token(&self.links.undo, &undo.token)),
                undo_until => undo.map(|undo| for_people(undo.expires_at)),
                changed_before => matches!(way_back, WayBack::Earlier),
                asked => for_people(when.at),
                client => when.from.to_string(),
            },
        )
    }

    /// To the new address, after it was activated.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn changed(&self, to: &str) -> Result<Mail, TemplateError> {
        self.render("changed", to, context! {})
    }

    /// To the current address, after a change was stopped.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn cancelled(&self, to: &str) -> Result<Mail, TemplateError> {
        self.render("cancelled", to, context! {})
    }

    /// To the restored address.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn undone(&self, to: &str) -> Result<Mail, TemplateError> {
        self.render("undone", to, context! {})
    }

    fn render(&self, name: &'static str, to: &str, facts: Value) -> Result<Mail, TemplateError> {
        let facts = context! { service => self.service.as_str(), ..facts };
        let render = |form: &str| {
            let template = format!("{name}.{form}");
            let rendered = self
                .templates
                .get_template(&template)
                .and_then(|found| found.render(&facts));
            rendered.map_err(|source| failed(&template, source))
        };
        let text = render("txt")?;
        // The first line of a text template is its subject.
        let (subject, text) = text.split_once("\n\n").unwrap_or((&text, ""));
        Ok(Mail {
            // Told apart, the two would tell who has an account.
            kind: if name == "taken" { "activate" } else { name },
            to: to.to_owned(),
            subject: subject.trim_start_matches("Subject: ").to_owned(),
            text: text.to_owned(),
            html: render("html")?,
        })
    }
}

/// A token is of the URL-safe alphabet and dots: nothing of it needs escaping.
fn with_token(template: &str, token: &str) -> String {
    template.replace(TOKEN, token)
}

fn failed(template: &str, source: minijinja::Error) -> TemplateError {
    TemplateError {
        template: template.to_owned(),
        source: Box::new(source),
    }
}
