//! Every variable with its default and meaning: the table in the documentation is compared with
//! this one by a test.

/// One variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its default, as it would be written; `required` where there is none.
    pub default: &'static str,
    /// Whether it can be read from a file, named by the variable with `_FILE` added.
    pub secret: bool,
    /// What it means.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default,
        secret: false,
        meaning,
    }
}

const fn secret(name: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default: "required",
        secret: true,
        meaning,
    }
}

/// All of them, in the order of the documentation.
pub const VARIABLES: &[Variable] = &[
    variable(
        "READDRESS_APP_URL",
        "required",
        "Where the pages are. Links are built from it, and it is issuer and audience of every token. https, unless on this machine",
    ),
    secret(
        "READDRESS_SECRET_KEYS",
        "Keys as `kid:base64url`, separated by commas. The first signs, all verify. `readdress keygen` makes one",
    ),
    secret(
        "READDRESS_DATABASE_URL",
        "`postgres://user:password@host/database` or `sqlite:///path/to/file.db`",
    ),
    secret(
        "READDRESS_SMTP_URL",
        "`smtp://user:password@host:port` (STARTTLS, port 587) or `smtps://…` (TLS, port 465). `?tls=opportunistic` must be asked for, `?tls=none` is refused outside this machine",
    ),
    variable(
        "READDRESS_SMTP_CA_FILE",
        "none",
        "PEM file of the authorities that may vouch for the mail server, instead of the public ones that are built in",
    ),
    variable(
        "READDRESS_MAIL_FROM",
        "required",
        "The sender: an address, or `Name <address>`",
    ),
    variable(
        "READDRESS_LISTEN",
        "127.0.0.1:8080",
        "Address and port to listen on",
    ),
    variable(
        "READDRESS_SIGN_IN",
        "on",
        "`off` takes the operation `signIn` away",
    ),
    variable(
        "READDRESS_CONFIRM_TTL",
        "1h",
        "How long the link to the current address lives",
    ),
    variable(
        "READDRESS_ACTIVATE_TTL",
        "24h",
        "How long the link to the new address lives",
    ),
    variable(
        "READDRESS_UNDO_TTL",
        "7d",
        "How long a change can be undone once its activation link has died",
    ),
    variable(
        "READDRESS_ACCESS_TTL",
        "15m",
        "How long an access token holds",
    ),
    variable(
        "READDRESS_LIMIT_PASSWORDS",
        "10/10m",
        "Password checks of one account: a burst, and the period that refills it; or `off`",
    ),
    variable(
        "READDRESS_LIMIT_RECIPIENT",
        "3/1h",
        "Mails of one requester to one new address; or `off`",
    ),
    variable(
        "READDRESS_LIMIT_RECIPIENT_ALL",
        "20/1d",
        "Mails to one new address, whoever asks; or `off`",
    ),
    variable(
        "READDRESS_LIMIT_CLIENT",
        "120/1m",
        "Requests of one client address; or `off`",
    ),
    variable(
        "READDRESS_TRUSTED_PROXIES",
        "none",
        "Networks whose `Forwarded` and `X-Forwarded-For` are believed, separated by commas",
    ),
    variable(
        "READDRESS_CORS_ORIGINS",
        "none",
        "Origins that may call from a browser, separated by commas",
    ),
    variable(
        "READDRESS_LINK_CONFIRM",
        "{app_url}/new-email?token={token}",
        "The page that takes password and new address",
    ),
    variable(
        "READDRESS_LINK_ACTIVATE",
        "{app_url}/email-activation?token={token}",
        "The page with the one button",
    ),
    variable(
        "READDRESS_LINK_CANCEL",
        "{app_url}/cancel-email-change?token={token}",
        "The page that stops a change",
    ),
    variable(
        "READDRESS_LINK_UNDO",
        "{app_url}/undo-email-change?token={token}",
        "The page that takes a change back",
    ),
    variable(
        "READDRESS_PASSWORD_THREADS",
        "as many as cores",
        "Threads that check passwords; each keeps 19 MiB from its first one on",
    ),
    variable("READDRESS_MAX_CONNECTIONS", "1000", "Connections at once"),
    variable(
        "READDRESS_DATABASE_CONNECTIONS",
        "10",
        "Connections to the database at once",
    ),
    variable(
        "READDRESS_SMTP_CONNECTIONS",
        "4",
        "Connections to the mail server at once",
    ),
    variable(
        "READDRESS_LOG_FORMAT",
        "text",
        "`text` or `json`; `RUST_LOG` filters (default `info`)",
    ),
];
