//! `readdress check`: tries what `serve` will need, part by part, and says what is wrong, why it
//! matters and which line mends it.
//!
//! A part that fails stops no other one; a part whose variables cannot be used is skipped. A grave
//! finding makes the exit code 1, everything else leaves it 0. Every part is a function that returns
//! a [`Part`], in a file of its own; a new one is added to the list in [`look`].

mod configuration;
mod database;
mod host_tokens;
mod mail;
mod pages;
mod passwords;
mod report;
mod templates;

use std::process::ExitCode;

use crate::config::{Common, Parts, Reader};
use report::{Part, Report};

pub(super) async fn run(json: bool) -> ExitCode {
    let report = look().await;
    if json {
        println!("{:#}", report.json());
    } else {
        print!("{report}");
    }
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn look() -> Report {
    let mut reader = Reader::of_process();
    let common = Common::read(&mut reader);
    crate::config::log_format(&mut reader);
    let settings = Parts::read(&mut reader);

    let mut parts = vec![
        configuration::look(reader.finish()),
        configuration::keys(settings.keys.as_ref()),
    ];
    parts.extend(database::look(settings.database.as_ref(), settings.passwords.common()).await);
    if let Some(tokens) = &settings.host_tokens {
        parts.push(host_tokens::look(tokens).await);
    }
    parts.push(match (&settings.app_url, settings.links) {
        (Some(app_url), Some(links)) => {
            let findings = templates::find(&common.look, app_url, links);
            Part::new(
                "templates",
                "every mail of every language can be written",
                findings,
            )
        }
        _ => Part::skipped("templates", report::UNUSABLE),
    });
    parts.push(
        match (settings.smtp, settings.authorities, settings.sender) {
            (Some(smtp), Some(authorities), Some(sender)) => {
                mail::look(smtp, authorities, sender).await
            }
            _ => Part::skipped("mail", report::UNUSABLE),
        },
    );
    if let Some(root) = &common.web_root {
        parts.push(pages::look(root));
    }
    Report(parts)
}
