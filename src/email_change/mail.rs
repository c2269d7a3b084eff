//! Each mail of the story: its facts, and every link in it.
//!
//! A mail is a text and an HTML template of one name in `templates/`, a folder a language, embedded
//! in the binary and replaced from a folder of the operator's. No text that a requester chose stands
//! in any of them. One function a mail; the steps call them, in the language of their caller:
//! `letters.in_language(caller.language).confirm(…)`.

mod built_in;
mod folder;
mod proof;
mod set;
mod templates;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use minijinja::{Value, context};

pub use built_in::{COMMON, Kind, MAILS, PHRASES};
pub use templates::TemplateError;

use super::link::Issued;
use crate::email_address::{EmailAddress, masked};
use crate::language::{Language, Languages};
use crate::mailer::Mail;
use templates::{Facts, Templates};

/// Everything that is wrong with the templates.
#[derive(Debug)]
pub struct TemplateErrors(pub Vec<TemplateError>);

impl std::error::Error for TemplateErrors {}

impl fmt::Display for TemplateErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mail templates cannot be used:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// How the mails look and what they call things.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The name people know the application by; without one, its host name.
    pub product: Option<String>,
    /// Where people can ask for help: an address, or a URL.
    pub support: Option<String>,
    /// What stands at the top of the HTML; without it, the product's name.
    pub logo: Option<String>,
    /// A folder of templates that replace the built-in ones.
    pub templates: Option<PathBuf>,
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
    templates: Templates,
    links: LinkTemplates,
}

/// Writes the mails in one language.
pub struct Letter<'a> {
    letters: &'a Letters,
    language: Language,
}

impl Letters {
    /// `app_url` is where the application is: its host is the product's name if it has no other.
    ///
    /// With a folder of templates, every mail of every language is rendered once, and must say what
    /// it is there for.
    ///
    /// # Errors
    ///
    /// [`TemplateErrors`], with everything that is wrong.
    pub fn new(look: Look, app_url: &str, links: LinkTemplates) -> Result<Self, TemplateErrors> {
        let product = look.product.unwrap_or_else(|| host_of(app_url));
        let facts = Facts {
            logo: look.logo.unwrap_or_else(|| product.clone()),
            support: look.support,
            product,
        };
        let folder = look.templates.as_deref();
        let templates = Templates::read(folder, &facts).map_err(TemplateErrors)?;
        let letters = Self { templates, links };
        if folder.is_some() {
            proof::prove(&letters).map_err(TemplateErrors)?;
        }
        Ok(letters)
    }

    /// The languages there are mails in.
    #[must_use]
    pub fn languages(&self) -> &Languages {
        &self.templates.languages
    }

    /// The mails in that language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> Letter<'_> {
        Letter {
            letters: self,
            language,
        }
    }
}

impl Letter<'_> {
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
                link => with_token(&self.letters.links.confirm, confirm),
                cancel_link => cancel.map(|token| with_token(&self.letters.links.cancel, token)),
                expires => self.date(expires_at)?,
                asked => self.date(when.at)?,
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
                link => with_token(&self.letters.links.activate, token),
                expires => self.date(expires_at)?,
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
            context! { asked => self.date(when.at)? },
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
                undo_link => undo.map(|undo| with_token(&self.letters.links.undo, &undo.token)),
                undo_until => undo.map(|undo| self.date(undo.expires_at)).transpose()?,
                changed_before => matches!(way_back, WayBack::Earlier),
                asked => self.date(when.at)?,
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

    /// To the old address, after an operator replaced it.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn set_by_operator(&self, to: &str, at: i64) -> Result<Mail, TemplateError> {
        self.render(
            "set_by_operator",
            to,
            context! { changed => self.date(at)? },
        )
    }

    fn date(&self, seconds: i64) -> Result<String, TemplateError> {
        self.letters.templates.date(self.language, seconds)
    }

    fn render(&self, name: &'static str, to: &str, facts: Value) -> Result<Mail, TemplateError> {
        let templates = &self.letters.templates;
        let rendered = templates.render(self.language, name, facts)?;
        Ok(Mail {
            // Told apart, the two would tell who has an account.
            kind: if name == "taken" { "activate" } else { name },
            to: to.to_owned(),
            language: templates.languages.tag(self.language).to_owned(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        })
    }
}

/// A token is of the URL-safe alphabet and dots: nothing of it needs escaping.
fn with_token(template: &str, token: &str) -> String {
    template.replace(TOKEN, token)
}

/// What people see in their address bar.
fn host_of(app_url: &str) -> String {
    let host = url::Url::parse(app_url)
        .ok()
        .and_then(|url| url.host_str().map(ToOwned::to_owned));
    host.unwrap_or_else(|| app_url.to_owned())
}
