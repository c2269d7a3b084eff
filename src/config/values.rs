//! How each variable is read, and what is unsafe in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use super::reader::Reader;
use crate::email_change::mail::{LinkTemplates, TOKEN};
use crate::keys::KeyRing;
use crate::limits::Quota;
use crate::mailer::{Authorities, Sender, SmtpUrl, Tls};
use crate::password::{Checker, Work};
use crate::users::Preset;

/// The longest lifetime that can be configured; undo windows beyond a year serve nobody.
const LONGEST: Duration = Duration::from_hours(24 * 366);

pub(super) fn keys(reader: &mut Reader) -> Option<KeyRing> {
    const NAME: &str = "READDRESS_SECRET_KEYS";
    let mend = "run `readdress keygen` and set it to what that prints";
    let list = reader.required(NAME, mend)?;
    match KeyRing::parse(&list) {
        Ok(ring) => Some(ring),
        Err(error) => {
            reader.refuse(NAME, &error.to_string(), mend);
            None
        }
    }
}

pub(super) fn app_url(reader: &mut Reader) -> Option<String> {
    const NAME: &str = "READDRESS_APP_URL";
    let mend = "set it to where the pages are, such as https://app.example.com";
    let text = reader.required(NAME, mend)?;
    let Some(url) = Url::parse(&text).ok().filter(|url| url.host().is_some()) else {
        reader.refuse(NAME, "is not a URL", mend);
        return None;
    };
    if !is_safe(&url) {
        reader.refuse(NAME, "is not https, and not on this machine", mend);
        return None;
    }
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !plain || text.contains(TOKEN) {
        reader.refuse(NAME, "has a query, a fragment or a user", mend);
        return None;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// https, or a page on this very machine: tokens travel in these URLs.
pub(super) fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

pub(super) fn link_templates(reader: &mut Reader, app_url: &str) -> LinkTemplates {
    let default = LinkTemplates::below(app_url);
    let mut template = |name, default| {
        let mend = "set it to a https URL in which {token} stands once";
        let read = |text: &str| {
            let once = text.matches(TOKEN).count() == 1;
            let safe = Url::parse(&text.replace(TOKEN, "t")).is_ok_and(|url| is_safe(&url));
            (once && safe).then(|| text.to_owned())
        };
        reader
            .parsed(
                name,
                "is not a https URL with {token} in it once",
                mend,
                read,
            )
            .unwrap_or(default)
    };
    LinkTemplates {
        confirm: template("READDRESS_LINK_CONFIRM", default.confirm),
        activate: template("READDRESS_LINK_ACTIVATE", default.activate),
        cancel: template("READDRESS_LINK_CANCEL", default.cancel),
        undo: template("READDRESS_LINK_UNDO", default.undo),
    }
}

pub(super) fn smtp(reader: &mut Reader) -> Option<SmtpUrl> {
    const NAME: &str = "READDRESS_SMTP_URL";
    let mend = "set it to smtp://user:password@host:port or smtps://user:password@host:port";
    let text = reader.required(NAME, mend)?;
    let url: SmtpUrl = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            reader.refuse(NAME, &format!("{error}"), mend);
            return None;
        }
    };
    if url.tls() == Tls::None && !url.is_loopback() {
        reader.refuse(
            NAME,
            "sends mail without TLS to another machine",
            "take ?tls=none away",
        );
        return None;
    }
    Some(url)
}

/// The public authorities, or only those of a file.
pub(super) fn authorities(reader: &mut Reader) -> Option<Authorities> {
    const NAME: &str = "READDRESS_SMTP_CA_FILE";
    let mend = "set it to a PEM file with the certificates of those who sign for the mail server";
    let Some(path) = reader.optional(NAME) else {
        return Some(Authorities::default());
    };
    let problem = match std::fs::read(path.as_str()) {
        Ok(pem) => match Authorities::from_pem(&pem) {
            Ok(authorities) => return Some(authorities),
            Err(error) => format!("names a file that {error}"),
        },
        Err(error) => format!("names a file that cannot be read ({})", error.kind()),
    };
    reader.refuse(NAME, &problem, mend);
    None
}

pub(super) fn sender(reader: &mut Reader) -> Option<Sender> {
    const NAME: &str = "READDRESS_MAIL_FROM";
    let mend = "set it to an address, or to Name <address>";
    let text = reader.required(NAME, mend)?;
    let sender = text.parse();
    if let Err(error) = &sender {
        reader.refuse(NAME, &format!("{error}"), mend);
    }
    sender.ok()
}

pub(super) fn lifetime(reader: &mut Reader, name: &'static str) -> Duration {
    let mend = "set it to a time from 1s to 366d, such as 15m, 24h or 7d";
    let read = |text: &str| {
        let duration = humantime::parse_duration(text).ok()?;
        (Duration::from_secs(1)..=LONGEST)
            .contains(&duration)
            .then_some(duration)
    };
    reader
        .parsed_or_default(name, "is not a time from 1s to 366d", mend, read)
        .unwrap_or(LONGEST)
}

pub(super) fn quota(reader: &mut Reader, name: &'static str) -> Option<Quota> {
    let mend = "set it to a burst and the period that refills it, such as 10/10m, or to off";
    let read = |text: &str| {
        if text == "off" {
            Some(None)
        } else {
            text.parse().ok().map(Some)
        }
    };
    reader
        .parsed_or_default(name, "is neither burst/period nor off", mend, read)
        .flatten()
}

pub(super) fn count(reader: &mut Reader, name: &'static str, default: usize) -> usize {
    let read = |text: &str| {
        text.parse()
            .ok()
            .filter(|count| (1..=100_000).contains(count))
    };
    reader
        .parsed(
            name,
            "is not a whole number from 1",
            "set it to a whole number from 1",
            read,
        )
        .unwrap_or(default)
}

/// `None` if it is not set.
pub(super) fn switch(reader: &mut Reader, name: &'static str) -> Option<bool> {
    let read = |text: &str| match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    };
    reader.parsed(name, "is neither on nor off", "set it to on or off", read)
}

pub(super) fn web_root(reader: &mut Reader) -> Option<PathBuf> {
    let read = |text: &str| {
        let root = Path::new(text);
        root.join("index.html").is_file().then(|| root.to_owned())
    };
    reader.parsed(
        "READDRESS_WEB_ROOT",
        "names a folder in which there is no index.html",
        "build the pages with scripts/build-web and set it to the folder web/dist, or take it away to serve none",
        read,
    )
}

/// With whose preset the table is read, that framework's usual format is the common one.
pub(super) fn passwords(reader: &mut Reader, preset: Option<Preset>) -> Checker {
    let mend = "set it to a format and its parameters, such as bcrypt:12, pbkdf2_sha256:1000000 or argon2id:m=19456,t=2,p=1; `readdress check` reads yours from a row";
    let common = reader.parsed(
        "READDRESS_PASSWORD_FORMAT",
        "is no password format, or asks for more than this service gives to one password",
        mend,
        |text| text.parse().ok(),
    );
    let usual = || preset.and_then(|preset| preset.password_format().parse().ok());
    let pepper = reader.optional("READDRESS_PASSWORD_PEPPER");
    Checker::new(common.or_else(usual).unwrap_or_else(Work::ours), pepper)
}

pub(super) fn trusted_proxies(reader: &mut Reader) -> Vec<IpNet> {
    let read = |text: &str| {
        list(text, |entry| {
            entry
                .parse()
                .ok()
                .or_else(|| entry.parse().ok().map(|ip: std::net::IpAddr| ip.into()))
        })
    };
    let mend = "set it to networks or addresses, separated by commas, such as 10.0.0.0/8,192.0.2.1";
    reader
        .parsed(
            "READDRESS_TRUSTED_PROXIES",
            "is not a list of networks",
            mend,
            read,
        )
        .unwrap_or_default()
}

pub(super) fn cors_origins(reader: &mut Reader) -> Vec<String> {
    let read = |text: &str| {
        list(text, |entry| {
            let url = Url::parse(entry).ok()?;
            (url.origin().ascii_serialization() == entry && is_safe(&url)).then(|| entry.to_owned())
        })
    };
    let mend = "set it to https origins, separated by commas, such as https://app.example.com";
    reader
        .parsed(
            "READDRESS_CORS_ORIGINS",
            "is not a list of https origins",
            mend,
            read,
        )
        .unwrap_or_default()
}

fn list<T>(text: &str, read: impl FnMut(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(read)
        .collect()
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
