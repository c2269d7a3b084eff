//! Every variable, read once.
//!
//! A command reads the parts it needs through one [`Reader`], which collects what is wrong instead
//! of stopping at the first: an operator mends a whole environment in one go. Errors name the
//! variable and the way to mend it, never its value. Configuration ends here: everything behind it
//! receives plain values.

mod database_url;
mod host_tokens;
mod mails;
mod reader;
mod table;
mod values;
mod variables;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

pub use reader::{ConfigError, Reader};
use values::{
    app_url, authorities, cores, cors_origins, count, keys, lifetime, link_templates, passwords,
    quota, sender, smtp, switch, trusted_proxies, web_root,
};
pub use variables::{VARIABLES, Variable};

use crate::access::host::HostTokens;
use crate::email_change::link::Lifetimes;
use crate::email_change::mail::{LinkTemplates, Look};
use crate::keys::KeyRing;
use crate::limits::Quotas;
use crate::mailer::{Authorities, Sender, SmtpUrl};
use crate::password::Checker;
use crate::server;
use crate::telemetry::Format;
use crate::users::Layout;

/// What every command that serves needs.
#[derive(Debug)]
pub struct Common {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where metrics are served, if that has an address of its own.
    pub metrics_listen: Option<SocketAddr>,
    /// How long links live.
    pub lifetimes: Lifetimes,
    /// How long access tokens hold.
    pub access_lifetime: Duration,
    /// What each limit allows.
    pub quotas: Quotas,
    /// Threads that check passwords.
    pub password_threads: usize,
    /// Whether `signIn` is offered, if that is said.
    pub sign_in: Option<bool>,
    /// The folder of the built pages, if they are served.
    pub web_root: Option<PathBuf>,
    /// How the mails look.
    pub look: Look,
    /// How the service faces the network.
    pub server: server::Settings,
}

/// What `serve` needs besides.
pub struct Production {
    /// The keys.
    pub keys: KeyRing,
    /// Where the application is, without a trailing slash.
    pub app_url: String,
    /// Where each link leads.
    pub links: LinkTemplates,
    /// The database.
    pub database: DatabaseSettings,
    /// Recognises the host application's access tokens, if it issues any.
    pub host_tokens: Option<HostTokens>,
    /// What passwords are checked with.
    pub passwords: Checker,
    /// The mail server.
    pub smtp: SmtpUrl,
    /// Who may vouch for it.
    pub authorities: Authorities,
    /// Connections to it at once.
    pub smtp_connections: usize,
    /// Who the mails are from.
    pub sender: Sender,
}

/// The same, as far as it can be used: `check` tries each part that can be.
pub struct Parts {
    /// See [`Production`].
    pub keys: Option<KeyRing>,
    /// See [`Production`].
    pub app_url: Option<String>,
    /// See [`Production`].
    pub links: Option<LinkTemplates>,
    /// See [`Production`].
    pub database: Option<DatabaseSettings>,
    /// See [`Production`].
    pub host_tokens: Option<HostTokens>,
    /// See [`Production`].
    pub passwords: Checker,
    /// See [`Production`].
    pub smtp: Option<SmtpUrl>,
    /// See [`Production`].
    pub authorities: Option<Authorities>,
    /// See [`Production`].
    pub sender: Option<Sender>,
    /// See [`Production`].
    pub smtp_connections: usize,
}

/// What a command needs that only sends mails.
pub struct MailSettings {
    /// Where the application is, without a trailing slash.
    pub app_url: String,
    /// How the mails look.
    pub look: Look,
    /// Where each link leads.
    pub links: LinkTemplates,
    /// The mail server.
    pub smtp: SmtpUrl,
    /// Who may vouch for it.
    pub authorities: Authorities,
    /// Who the mails are from.
    pub sender: Sender,
}

/// Where the users are.
pub struct DatabaseSettings {
    /// The URL; it may hold a password.
    pub url: Zeroizing<String>,
    /// The most connections held at once.
    pub connections: u32,
    /// Which table and columns.
    pub layout: Layout,
    /// Whether a table that lets two accounts have one address is accepted.
    pub allow_non_unique: bool,
}

impl Common {
    /// Reads what every command that serves needs. What is wrong is left with the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let lifetimes = Lifetimes {
            confirm: lifetime(reader, "READDRESS_CONFIRM_TTL"),
            activate: lifetime(reader, "READDRESS_ACTIVATE_TTL"),
            undo: lifetime(reader, "READDRESS_UNDO_TTL"),
        };
        let quotas = Quotas {
            passwords: quota(reader, "READDRESS_LIMIT_PASSWORDS"),
            recipient: quota(reader, "READDRESS_LIMIT_RECIPIENT"),
            recipient_all: quota(reader, "READDRESS_LIMIT_RECIPIENT_ALL"),
            client: quota(reader, "READDRESS_LIMIT_CLIENT"),
        };
        Self {
            listen: listen_address(reader),
            metrics_listen: metrics_address(reader),
            lifetimes,
            access_lifetime: lifetime(reader, "READDRESS_ACCESS_TTL"),
            quotas,
            password_threads: count(reader, "READDRESS_PASSWORD_THREADS", cores()),
            sign_in: switch(reader, "READDRESS_SIGN_IN"),
            web_root: web_root(reader),
            look: mails::look(reader),
            server: server::Settings {
                trusted_proxies: trusted_proxies(reader),
                cors_origins: cors_origins(reader),
                max_connections: count(reader, "READDRESS_MAX_CONNECTIONS", 1_000),
                metrics: true,
            },
        }
    }
}

impl Production {
    /// Reads what `serve` needs besides. `None` if anything is missing or wrong: the reader says
    /// what.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let parts = Parts::read(reader);
        Some(Self {
            keys: parts.keys?,
            app_url: parts.app_url?,
            links: parts.links?,
            database: parts.database?,
            host_tokens: parts.host_tokens,
            passwords: parts.passwords,
            smtp: parts.smtp?,
            authorities: parts.authorities?,
            smtp_connections: parts.smtp_connections,
            sender: parts.sender?,
        })
    }
}

impl Parts {
    /// Reads all of them. What is missing or wrong is left out, and left with the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let keys = keys(reader);
        let app_url = app_url(reader);
        let links = app_url.as_deref().map(|url| link_templates(reader, url));
        let database = DatabaseSettings::read(reader);
        let host_tokens = host_tokens::host_tokens(reader);
        let preset = table::known_preset(reader);
        Self {
            keys,
            app_url,
            links,
            database,
            host_tokens,
            passwords: passwords(reader, preset),
            smtp: smtp(reader),
            authorities: authorities(reader),
            sender: sender(reader),
            smtp_connections: count(reader, "READDRESS_SMTP_CONNECTIONS", 4),
        }
    }
}

impl MailSettings {
    /// Reads what mails are made of and sent with. `None` if anything is missing or wrong: the
    /// reader says what.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        let app_url = app_url(reader);
        let links = app_url.as_deref().map(|url| link_templates(reader, url));
        let (smtp, authorities, sender) = (smtp(reader), authorities(reader), sender(reader));
        let look = mails::look(reader);
        Some(Self {
            app_url: app_url?,
            look,
            links: links?,
            smtp: smtp?,
            authorities: authorities?,
            sender: sender?,
        })
    }
}

impl DatabaseSettings {
    /// Reads where the users are.
    pub fn read(reader: &mut Reader) -> Option<Self> {
        const NAME: &str = "READDRESS_DATABASE_URL";
        let mend = "set it to postgres://user:password@host/database, mysql://user:password@host/database or sqlite:///path/to/file.db";
        let connections =
            u32::try_from(count(reader, "READDRESS_DATABASE_CONNECTIONS", 10)).unwrap_or(10);
        let url = reader.required(NAME, mend);
        let layout = table::layout(reader, url.as_deref().is_some_and(|url| folds_names(url)));
        let allow_non_unique = table::allow_non_unique(reader);
        let url = url?;
        let known = ["postgres:", "postgresql:", "mysql:", "sqlite:"]
            .iter()
            .any(|scheme| url.starts_with(scheme));
        if !known {
            reader.refuse(NAME, "is of no database this service knows", mend);
            return None;
        }
        if let Err(unread) = database_url::refuse_unread(&url) {
            reader.refuse(NAME, &unread.problem, &unread.mend);
            return None;
        }
        Some(Self {
            url,
            connections,
            layout: layout?,
            allow_non_unique,
        })
    }
}

/// Whether that database takes two names of columns for one that differ in case alone.
fn folds_names(url: &str) -> bool {
    !url.starts_with("postgres")
}

/// Where to listen, or to ask for health.
pub fn listen_address(reader: &mut Reader) -> SocketAddr {
    let mend = "set it to an address and a port, such as 127.0.0.1:8080";
    reader
        .parsed(
            "READDRESS_LISTEN",
            "is not an address and a port",
            mend,
            |text| text.parse().ok(),
        )
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)))
}

fn metrics_address(reader: &mut Reader) -> Option<SocketAddr> {
    let mend = "set it to an address and a port, such as 127.0.0.1:9090";
    reader.parsed(
        "READDRESS_METRICS_LISTEN",
        "is not an address and a port",
        mend,
        |text| text.parse().ok(),
    )
}

/// How log lines are written.
pub fn log_format(reader: &mut Reader) -> Format {
    let read = |text: &str| match text {
        "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    };
    reader
        .parsed(
            "READDRESS_LOG_FORMAT",
            "is neither text nor json",
            "set it to text or json",
            read,
        )
        .unwrap_or(Format::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong, as lines, with that environment.
    fn complaints(variables: &[(&str, &str)]) -> Vec<String> {
        let mut reader = Reader::of(variables);
        Common::read(&mut reader);
        let _ = Production::read(&mut reader);
        reader.finish().map_or_else(
            |errors| errors.iter().map(ToString::to_string).collect(),
            |()| vec![],
        )
    }

    fn good() -> Vec<(&'static str, &'static str)> {
        vec![
            (
                "READDRESS_SECRET_KEYS",
                "k1:Zk3vT1pYy0uQm8n5s7dLw2xRbHcJ4aVgEo6iKqPzXtU",
            ),
            ("READDRESS_APP_URL", "https://app.example.com/"),
            (
                "READDRESS_DATABASE_URL",
                "postgres://u:p@db.example.com/app",
            ),
            ("READDRESS_SMTP_URL", "smtp://u:p@mail.example.com"),
            ("READDRESS_MAIL_FROM", "Accounts <accounts@example.com>"),
        ]
    }

    #[test]
    fn a_good_environment_is_accepted() {
        assert_eq!(complaints(&good()), Vec::<String>::new());
    }

    #[test]
    fn everything_that_is_missing_is_named_at_once() {
        let complaints = complaints(&[]);
        for name in [
            "SECRET_KEYS",
            "APP_URL",
            "DATABASE_URL",
            "SMTP_URL",
            "MAIL_FROM",
        ] {
            assert_eq!(
                complaints.iter().filter(|line| line.contains(name)).count(),
                1,
                "{name}: {complaints:?}"
            );
        }
    }

    #[test]
    fn an_unsafe_value_is_refused_and_not_repeated() {
        for (name, value) in [
            ("READDRESS_SECRET_KEYS", "k1:c2hvcnQ-canary"),
            (
                "READDRESS_SECRET_KEYS",
                "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            ),
            ("READDRESS_APP_URL", "http://app.canary.example"),
            ("READDRESS_APP_URL", "canary"),
            ("READDRESS_APP_URL", "https://app.example.com/?canary"),
            ("READDRESS_DATABASE_URL", "oracle://canary"),
            (
                "READDRESS_DATABASE_URL",
                "postgres://u:p@db.example.com/app?sslmod=canary",
            ),
            (
                "READDRESS_SMTP_URL",
                "smtp://canary@mail.example.com?tls=none",
            ),
            ("READDRESS_SMTP_URL", "smtp://mail.example.com?canary=1"),
            ("READDRESS_MAIL_FROM", "canary"),
            ("READDRESS_SMTP_CA_FILE", "/nowhere/canary.pem"),
            ("READDRESS_SMTP_CA_FILE", "Cargo.toml"),
            ("READDRESS_LISTEN", "canary"),
            ("READDRESS_CONFIRM_TTL", "0s"),
            ("READDRESS_CONFIRM_TTL", "-1h"),
            ("READDRESS_UNDO_TTL", "999ms"),
            ("READDRESS_ACCESS_TTL", "367d"),
            ("READDRESS_LIMIT_CLIENT", "canary"),
            ("READDRESS_LINK_CONFIRM", "https://app.example.com/canary"),
            (
                "READDRESS_LINK_UNDO",
                "https://app.example.com/{token}/{token}",
            ),
            ("READDRESS_LINK_CANCEL", "http://app.example.com/{token}"),
            ("READDRESS_TRUSTED_PROXIES", "canary"),
            ("READDRESS_CORS_ORIGINS", "*"),
            ("READDRESS_CORS_ORIGINS", "https://app.example.com/"),
            ("READDRESS_SIGN_IN", "canary"),
            ("READDRESS_WEB_ROOT", "/canary"),
            ("READDRESS_PASSWORD_THREADS", "0"),
            (
                "READDRESS_HOST_TOKEN_SECRET",
                "canary-that-is-too-short-a-key.",
            ),
            ("READDRESS_HOST_TOKEN_PUBLIC_KEY", "canary"),
            ("READDRESS_HOST_TOKEN_PUBLIC_KEY_FILE", "/canary"),
            ("READDRESS_HOST_TOKEN_ISSUER", "canary"),
            ("READDRESS_HOST_TOKEN_REQUIRE", "canary=1"),
            ("READDRESS_PASSWORD_FORMAT", "canary"),
            ("READDRESS_PASSWORD_FORMAT", "bcrypt:16"),
            ("READDRESS_CONFIM_TTL", "1h"),
            ("READDRESS_USERS_PRESET", "canary"),
            ("READDRESS_USERS_TABLE", "a.b.canary"),
            ("READDRESS_USERS_TABLE", ".canary"),
            ("READDRESS_USERS_ALSO_SET", "canary,,x"),
            ("READDRESS_ALLOW_NON_UNIQUE", "canary"),
            ("READDRESS_PRODUCT_NAME", "canary\r\nBcc: eve@example.com"),
            ("READDRESS_PRODUCT_NAME", "canary\u{202e}"),
            ("READDRESS_LOGO_TEXT", "canary\u{85}canary"),
            ("READDRESS_SUPPORT_ADDRESS", "canary"),
            ("READDRESS_SUPPORT_ADDRESS", "http://canary.example.com"),
            ("READDRESS_SUPPORT_ADDRESS", "canary@example.com\nX: y"),
            ("READDRESS_TEMPLATES", "/nowhere/canary"),
        ] {
            let mut environment = good();
            environment.retain(|(other, _)| *other != name);
            environment.push((name, value));
            let complaints = complaints(&environment);
            assert_eq!(complaints.len(), 1, "{name}={value}: {complaints:?}");
            assert!(
                complaints[0].starts_with(name) && !complaints[0].contains("canary"),
                "{complaints:?}"
            );
        }
    }

    #[test]
    fn host_tokens_have_one_key_and_rules_that_fit_it() {
        const SECRET: (&str, &str) = (
            "READDRESS_HOST_TOKEN_SECRET",
            "x7Qm2vT9_pLr4Zk8WnB1cYs6-HdJ3fGu0EaRoViKtXwM5N",
        );
        const URL: (&str, &str) = (
            "READDRESS_HOST_TOKEN_JWKS_URL",
            "https://id.example.com/keys",
        );
        const ISSUER: (&str, &str) = ("READDRESS_HOST_TOKEN_ISSUER", "https://id.example.com");
        const AUDIENCE: (&str, &str) = ("READDRESS_HOST_TOKEN_AUDIENCE", "any");
        let complaints_with = |variables: &[(&'static str, &'static str)]| {
            complaints(&[good().as_slice(), variables].concat())
        };
        for accepted in [
            &[SECRET][..],
            &[SECRET, ("READDRESS_HOST_TOKEN_USER_ID", "user_id")],
            &[
                SECRET,
                (
                    "READDRESS_HOST_TOKEN_REQUIRE",
                    "token_type=access, scope=a=b",
                ),
            ],
            &[SECRET, ISSUER, AUDIENCE],
            &[URL, ISSUER, AUDIENCE],
            &[
                (
                    "READDRESS_HOST_TOKEN_JWKS_URL",
                    "http://127.0.0.1:8000/keys",
                ),
                ISSUER,
                AUDIENCE,
            ],
        ] {
            assert_eq!(
                complaints_with(accepted),
                Vec::<String>::new(),
                "{accepted:?}"
            );
        }
        for (refused, names) in [
            (&[SECRET, URL, ISSUER, AUDIENCE][..], &[URL.0][..]),
            (&[URL], &[ISSUER.0, AUDIENCE.0]),
            (&[URL, AUDIENCE], &[ISSUER.0]),
            (
                &[
                    (
                        "READDRESS_HOST_TOKEN_JWKS_URL",
                        "http://id.example.com/keys",
                    ),
                    ISSUER,
                    AUDIENCE,
                ],
                &[URL.0],
            ),
            (
                &[
                    (
                        "READDRESS_HOST_TOKEN_JWKS_URL",
                        "https://u:p@id.example.com/keys",
                    ),
                    ISSUER,
                    AUDIENCE,
                ],
                &[URL.0],
            ),
            (
                &[
                    URL,
                    ISSUER,
                    AUDIENCE,
                    ("READDRESS_HOST_TOKEN_CA_FILE", "/nowhere"),
                ],
                &["READDRESS_HOST_TOKEN_CA_FILE"],
            ),
            (
                &[
                    URL,
                    ISSUER,
                    AUDIENCE,
                    ("READDRESS_HOST_TOKEN_CA_FILE", "/dev/null"),
                ],
                &["READDRESS_HOST_TOKEN_CA_FILE"],
            ),
            (
                &[SECRET, ("READDRESS_HOST_TOKEN_REQUIRE", "access")],
                &["READDRESS_HOST_TOKEN_REQUIRE"],
            ),
        ] {
            let complaints = complaints_with(refused);
            assert_eq!(complaints.len(), names.len(), "{refused:?}: {complaints:?}");
            for (complaint, name) in complaints.iter().zip(names) {
                assert!(complaint.starts_with(name), "{refused:?}: {complaints:?}");
            }
        }
    }

    #[test]
    fn a_preset_brings_the_password_format_of_its_framework_unless_another_is_named() {
        for (preset, format) in [
            ("", "argon2id:m=19456,t=2,p=1"),
            ("django", "pbkdf2_sha256:1500000"),
            ("laravel", "bcrypt:12"),
            ("devise", "bcrypt:12"),
            ("phoenix", "bcrypt:12"),
        ] {
            let common = |named: &str| {
                let variables = [
                    ("READDRESS_USERS_PRESET", preset),
                    ("READDRESS_PASSWORD_FORMAT", named),
                ];
                let parts = Parts::read(&mut Reader::of(&variables));
                parts.passwords.common().to_string()
            };
            assert_eq!(common(""), format, "{preset}");
            assert_eq!(common("bcrypt:10"), "bcrypt:10", "{preset}");
        }
    }

    #[test]
    fn what_can_be_used_is_read_although_the_rest_cannot() {
        let mut environment = good();
        environment[3].1 = "canary";
        let mut reader = Reader::of(&environment);
        let parts = Parts::read(&mut reader);
        assert!(parts.smtp.is_none() && parts.database.is_some() && parts.keys.is_some());
        assert_eq!(reader.finish().expect_err("refused").len(), 1);
    }

    #[test]
    fn pages_and_mail_on_this_machine_need_no_tls() {
        let mut environment = good();
        environment.retain(|(name, _)| !["READDRESS_APP_URL", "READDRESS_SMTP_URL"].contains(name));
        environment.push(("READDRESS_APP_URL", "http://127.0.0.1:5173"));
        environment.push(("READDRESS_SMTP_URL", "smtp://127.0.0.1:2525?tls=none"));
        assert_eq!(complaints(&environment), Vec::<String>::new());
    }

    #[test]
    fn a_secret_is_read_from_a_file_but_not_from_both() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "smtp://mail.example.com\n").expect("written");
        let path = file.path().to_str().expect("UTF-8");
        let mut environment = good();
        environment.push(("READDRESS_SMTP_URL_FILE", path));
        assert_eq!(complaints(&environment).len(), 1);
        environment.retain(|(name, _)| *name != "READDRESS_SMTP_URL");
        assert_eq!(complaints(&environment), Vec::<String>::new());
        environment.retain(|(name, _)| *name != "READDRESS_SMTP_URL_FILE");
        environment.push(("READDRESS_SMTP_URL_FILE", "/nowhere"));
        assert_eq!(complaints(&environment).len(), 1);
    }
}
