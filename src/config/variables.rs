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

const fn secret(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        default,
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
        "required",
        "Keys as `kid:base64url`, separated by commas. The first signs, all verify. `readdress keygen` makes one",
    ),
    secret(
        "READDRESS_DATABASE_URL",
        "required",
        "`postgres://user:password@host/database`, `mysql://user:password@host/database` (MariaDB, MySQL) or `sqlite:///path/to/file.db`",
    ),
    secret(
        "READDRESS_SMTP_URL",
        "required",
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
        "READDRESS_PRODUCT_NAME",
        "the host of the application URL",
        "What the mails call the application",
    ),
    variable(
        "READDRESS_LOGO_TEXT",
        "READDRESS_PRODUCT_NAME",
        "What stands at the top of each mail's HTML",
    ),
    variable(
        "READDRESS_SUPPORT_ADDRESS",
        "none",
        "Where people can ask for help, named in every mail: an e-mail address or a https URL",
    ),
    variable(
        "READDRESS_TEMPLATES",
        "none",
        "A folder of mail templates that replace the built-in ones, by language; read once at start",
    ),
    variable(
        "READDRESS_USERS_PRESET",
        "none",
        "Whose users table it is: `django`, `laravel`, `devise` or `phoenix`. With this or any other variable about it, the table is the application's; with none, it is the service's own",
    ),
    variable(
        "READDRESS_USERS_TABLE",
        "users",
        "The table, or `schema.table`",
    ),
    variable("READDRESS_USERS_ID", "id", "The column of the primary key"),
    variable(
        "READDRESS_USERS_EMAIL",
        "email",
        "The column of the address",
    ),
    variable(
        "READDRESS_USERS_PASSWORD",
        "password_hash",
        "The column of the password hash",
    ),
    variable(
        "READDRESS_USERS_ACTIVE",
        "none",
        "The column that says whether an account is active; without one, all are",
    ),
    variable(
        "READDRESS_USERS_NONCE",
        "email_change_nonce",
        "A bigint that makes links single-use and cancellable. This and the next two are used where they are there; once named, they must be",
    ),
    variable(
        "READDRESS_USERS_UNDO_OPENED_AT",
        "undo_opened_at",
        "A bigint that makes a change be undone",
    ),
    variable(
        "READDRESS_USERS_PASSWORDS_TAT",
        "passwords_tat",
        "A bigint that makes `READDRESS_LIMIT_PASSWORDS` hold across replicas",
    ),
    variable(
        "READDRESS_USERS_ALSO_SET",
        "none",
        "Columns that carry the address too, separated by commas; changed with it in the rows in which they do",
    ),
    variable(
        "READDRESS_ALLOW_NON_UNIQUE",
        "no",
        "`yes` accepts a table in which nothing keeps two accounts from having one address",
    ),
    variable(
        "READDRESS_LISTEN",
        "127.0.0.1:8080",
        "Address and port to listen on",
    ),
    variable(
        "READDRESS_METRICS_LISTEN",
        "none",
        "Address and port at which `/metrics` is served, alone; without it, it is at `READDRESS_LISTEN`, for this machine alone",
    ),
    secret(
        "READDRESS_HOST_TOKEN_SECRET",
        "none",
        "The application's own access tokens: the secret that it signs them with (HS256), 32 bytes or more",
    ),
    secret(
        "READDRESS_HOST_TOKEN_PUBLIC_KEY",
        "none",
        "Or the public key in PEM (RS256, ES256, EdDSA)",
    ),
    variable(
        "READDRESS_HOST_TOKEN_JWKS_URL",
        "none",
        "Or the https URL of a JWK Set with such keys",
    ),
    variable(
        "READDRESS_HOST_TOKEN_CA_FILE",
        "none",
        "A file of certificates in PEM: who may vouch for that URL's server, instead of the public authorities",
    ),
    variable(
        "READDRESS_HOST_TOKEN_ISSUER",
        "any",
        "What `iss` of these tokens must be; with a JWK Set it must be set, be it to `any`",
    ),
    variable(
        "READDRESS_HOST_TOKEN_AUDIENCE",
        "none",
        "What `aud` must be or hold; `any` takes all, and without this variable `aud` must be absent. With a JWK Set it must be set",
    ),
    variable(
        "READDRESS_HOST_TOKEN_USER_ID",
        "sub",
        "The claim that holds the user's id",
    ),
    variable(
        "READDRESS_HOST_TOKEN_REQUIRE",
        "none",
        "Claims that must be there with that text, separated by commas, such as `token_type=access`",
    ),
    variable(
        "READDRESS_SIGN_IN",
        "on without host tokens, off with them",
        "Whether the operation `signIn` is offered: `on` or `off`",
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
        "Mails of one requester to one new address, and mails to one account that say a change was cancelled; or `off`",
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
        "READDRESS_WEB_ROOT",
        "none",
        "The folder of the built pages, read once at start; without it none are served",
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
        "READDRESS_PASSWORD_FORMAT",
        "argon2id:m=19456,t=2,p=1",
        "What most stored passwords are hashed with: the work done for whoever is unknown, so that nobody can tell by the time. A preset's default is what its framework hashes with",
    ),
    secret(
        "READDRESS_PASSWORD_PEPPER",
        "none",
        "Devise's `config.pepper`: added to passwords that are checked against `$2a$`, `$2b$` and `$2y$`",
    ),
    variable(
        "READDRESS_PASSWORD_THREADS",
        "as many as cores",
        "Threads that check passwords; each keeps the memory of a common hash from its first one on, 19 MiB by default",
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
