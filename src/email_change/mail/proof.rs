//! Every mail of every language, rendered once with samples: whether templates say what the mails
//! are there for.
//!
//! [`Letters::new`](super::Letters::new) calls it when there is a folder of templates, so a mistake
//! is told when the service starts and not when somebody waits for a mail.

use std::net::{IpAddr, Ipv4Addr};

use minijinja::{ErrorKind, HtmlEscape};

use super::{Circumstances, Letter, Letters, TemplateError, WayBack, with_token};
use crate::email_address::EmailAddress;
use crate::email_change::link::Issued;
use crate::language::Language;
use crate::mailer::Mail;

/// 29 December 2027, 23:59 UTC: a day and a month that differ.
const WHEN: i64 = 1_830_124_740;
/// Mail programs on the web cut off what is longer.
const MAX_BODY: usize = 100 * 1024;
/// What a list of mails shows is a third of it.
const MAX_SUBJECT: usize = 200;

/// A mail as it may look, and the links that must be in it.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) mail: Result<Mail, TemplateError>,
    pub(super) links: Vec<String>,
}

/// Renders everything.
pub(super) fn prove(letters: &Letters) -> Result<(), Vec<TemplateError>> {
    let mut errors = letters.templates.unknown_names();
    // A name that is unknown is undefined, too, when its template is rendered.
    let unknown: Vec<String> = errors.iter().map(|error| error.file.clone()).collect();
    let undefined = ErrorKind::UndefinedError.to_string();
    let is_told = |error: &TemplateError| {
        unknown.contains(&error.file) && error.problem.starts_with(&undefined)
    };
    for language in letters.languages().all() {
        for sample in samples(&letters.in_language(language)) {
            let wrong = wrong_with(letters, language, sample);
            errors.extend(wrong.into_iter().filter(|error| !is_told(error)));
        }
    }
    // The same mistake may show in several samples.
    let mut told = Vec::new();
    errors.retain(|error| {
        let is_new = !told.contains(error);
        told.extend(is_new.then(|| error.clone()));
        is_new
    });
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// Each mail in every way in which it can be sent.
pub(super) fn samples(letter: &Letter<'_>) -> Vec<Sample> {
    let links = &letter.letters.links;
    let token = |kind: &str| format!("sample.{kind}.token");
    let (confirm, activate, cancel, undo) = (
        token("confirm"),
        token("activate"),
        token("cancel"),
        token("undo"),
    );
    let link = |template: &str, token: &str| with_token(template, token);
    let (confirm_link, activate_link, cancel_link, undo_link) = (
        link(&links.confirm, &confirm),
        link(&links.activate, &activate),
        link(&links.cancel, &cancel),
        link(&links.undo, &undo),
    );
    let when = Circumstances {
        at: WHEN,
        from: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    };
    let old = "old@example.com";
    let way_back = WayBack::Link(Issued {
        token: undo,
        expires_at: WHEN,
    });
    let sample = |name, mail, links: &[&String]| Sample {
        name,
        mail,
        links: links.iter().map(|link| (*link).clone()).collect(),
    };
    let mut samples = vec![
        sample(
            "confirm",
            letter.confirm(old, &confirm, WHEN, Some(&cancel), when),
            &[&confirm_link, &cancel_link],
        ),
        sample(
            "confirm",
            letter.confirm(old, &confirm, WHEN, None, when),
            &[&confirm_link],
        ),
        sample(
            "changing",
            letter.changing(old, &way_back, when),
            &[&undo_link],
        ),
        sample(
            "changing",
            letter.changing(old, &WayBack::Earlier, when),
            &[],
        ),
        sample("changing", letter.changing(old, &WayBack::None, when), &[]),
        sample("changed", letter.changed(old), &[]),
        sample("cancelled", letter.cancelled(old), &[]),
        sample("undone", letter.undone(old), &[]),
        sample("set_by_operator", letter.set_by_operator(old, WHEN), &[]),
    ];
    if let Ok(new) = EmailAddress::parse("new@example.org") {
        samples.push(sample(
            "activate",
            letter.activate(&new, old, &activate, WHEN),
            &[&activate_link],
        ));
        samples.push(sample("taken", letter.taken(&new, when), &[]));
    }
    samples
}

fn wrong_with(letters: &Letters, language: Language, sample: Sample) -> Vec<TemplateError> {
    let mail = match sample.mail {
        Ok(mail) => mail,
        Err(error) => return vec![error],
    };
    let mut errors = Vec::new();
    let mut wrong = |form: &str, problem: String| {
        let file = format!("{}.{form}", sample.name);
        errors.push(TemplateError {
            file: letters.templates.origin(language, &file),
            line: None,
            problem,
        });
    };
    if mail.subject.chars().count() > MAX_SUBJECT {
        wrong(
            "txt",
            format!("the subject is longer than {MAX_SUBJECT} characters"),
        );
    }
    for (form, body) in [("txt", &mail.text), ("html", &mail.html)] {
        if body.trim().is_empty() {
            wrong(form, "says nothing".to_owned());
        }
        if body.len() > MAX_BODY {
            wrong(form, format!("is longer than {MAX_BODY} bytes"));
        }
    }
    for link in &sample.links {
        let kind = kind_of(link);
        if !mail.text.lines().any(|line| line == link) {
            wrong("txt", format!("the {kind} must stand on a line of its own"));
        }
        if !has_link(&mail.html, link) {
            wrong("html", format!("the {kind} must be the href of a link"));
        }
    }
    errors
}

/// What a template calls that link.
fn kind_of(link: &str) -> &'static str {
    if link.contains("sample.cancel.token") {
        "link to stop the change ({{ cancel_link }})"
    } else if link.contains("sample.undo.token") {
        "link to undo the change ({{ undo_link }})"
    } else {
        "link to go on ({{ link }})"
    }
}

fn has_link(html: &str, link: &str) -> bool {
    [link.to_owned(), HtmlEscape(link).to_string()]
        .iter()
        .any(|link| {
            ['"', '\'']
                .iter()
                .any(|quote| html.contains(&format!("href={quote}{link}{quote}")))
        })
}
