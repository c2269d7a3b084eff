//! The commands: what a person or a process manager types.
//!
//! Each command is a file; this one reads the arguments and says what went wrong, to the person who
//! can mend it, on standard error.

mod check;
mod dev;
mod health;
mod migrate;
mod serve;
mod user;

use std::io;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::AppError;
use crate::config::{ConfigError, DatabaseSettings, Reader};
use crate::email_change::chain;
use crate::email_change::set_by_operator::SetByOperatorError;
use crate::finding::Finding;
use crate::metrics::Metrics;
use crate::random::RandomError;
use crate::server::PagesError;
use crate::telemetry::{self, Telemetry};
use crate::users::{
    self, ColumnsError, ConnectionOptions, Database, DatabaseError, Owner, Purpose, Users,
};
use crate::{api, keys};

/// Lets people change the e-mail address of their account, safely, beside any application.
#[derive(Parser)]
#[command(name = "readdress", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on this machine with nothing configured, to try out
    Dev,
    /// Serve in production; configured by `READDRESS_*` variables
    Serve,
    /// Make or check the service's own users table
    #[command(subcommand)]
    Migrate(Migrate),
    /// Try everything that `serve` needs; exit code 1 if anything must be mended
    Check {
        /// As one JSON object, for programs
        #[arg(long)]
        json: bool,
    },
    /// Print a new key for the variable `READDRESS_SECRET_KEYS`
    Keygen,
    /// Print the OpenAPI document
    Openapi,
    /// Add a user to the service's own table, or set an address in any table
    #[command(subcommand)]
    User(User),
    /// Ask the running server whether it lives
    Health,
}

#[derive(Clone, Copy, Subcommand)]
enum Migrate {
    /// Apply what is missing; safe from several processes at once
    Up,
    /// Say what is missing; exit code 1 if anything is
    Status,
    /// Print the statements that add the optional columns to an application's table
    Columns {
        /// Run them, too
        #[arg(long)]
        apply: bool,
    },
}

#[derive(Subcommand)]
enum User {
    /// Add a user; the password is one line from standard input
    Add {
        /// The user's address
        email: String,
    },
    /// Put another address in place for someone who lost the old mailbox: both addresses are told
    SetEmail(SetEmail),
}

#[derive(Args)]
struct SetEmail {
    /// The account's current address
    #[arg(long, value_name = "EMAIL", required_unless_present = "id")]
    from: Option<String>,
    /// The account's id; with --from, both must be true
    #[arg(long)]
    id: Option<String>,
    /// The address that it gets
    #[arg(long, value_name = "EMAIL")]
    to: String,
    /// Why, in one line without any address: it is logged
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The language of the two mails
    #[arg(long, value_name = "TAG", default_value = "en")]
    language: String,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the configuration cannot be used:\n{}", lines(.0))]
    Config(Vec<ConfigError>),
    #[error("cannot connect to the database (READDRESS_DATABASE_URL): {0}")]
    Connect(String),
    #[error("the database is not migrated: run `readdress migrate up`")]
    NotMigrated,
    #[error("the users table cannot be used:\n{}", findings(.0))]
    Table(Vec<Finding>),
    #[error("{0}")]
    Database(String),
    #[error("cannot listen on {0} (READDRESS_LISTEN): {1}")]
    Listen(std::net::SocketAddr, io::Error),
    #[error("READDRESS_WEB_ROOT {0}: set it to the folder of the built pages, or take it away")]
    Pages(#[from] PagesError),
    #[error("{0}")]
    App(#[from] AppError),
    #[error("{0}")]
    Random(#[from] RandomError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Argument(String),
    #[error("{0}")]
    Columns(#[from] ColumnsError),
    #[error("{0}")]
    SetEmail(#[from] SetByOperatorError),
}

impl Failure {
    /// What scripts can tell apart: 1 is anything that the operator or time must mend first, 2 the
    /// arguments (as clap has it), and the rest what `user set-email` found in the table.
    fn code(&self) -> u8 {
        match self {
            Self::Argument(_) | Self::SetEmail(SetByOperatorError::TooLong) => 2,
            Self::SetEmail(SetByOperatorError::NoAccount) => 3,
            Self::SetEmail(SetByOperatorError::EmailTaken) => 4,
            Self::SetEmail(SetByOperatorError::SameEmail) => 5,
            _ => 1,
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::Database(chain(&error))
    }
}

fn lines(errors: &[ConfigError]) -> String {
    errors
        .iter()
        .map(|error| format!("  {error}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn findings(findings: &[Finding]) -> String {
    let graves = findings.iter().filter(|finding| finding.grave);
    graves
        .map(|finding| format!("  {finding}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs the command that the arguments name.
pub async fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Dev => dev::run().await,
        Command::Serve => serve::run().await,
        Command::Migrate(command) => migrate::run(command).await,
        Command::Check { json } => return check::run(json).await,
        Command::Keygen => keys::generate()
            .map(|key| println!("{}", *key))
            .map_err(Failure::from),
        Command::Openapi => {
            print!("{}", api::document::document());
            Ok(())
        }
        Command::User(User::Add { email }) => user::add(&email).await,
        Command::User(User::SetEmail(order)) => user::set_email(order).await,
        Command::Health => health::run().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("readdress: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// Where the users are, for the commands that need to know nothing else.
fn database_settings() -> Result<DatabaseSettings, Failure> {
    let mut reader = Reader::of_process();
    let settings = DatabaseSettings::read(&mut reader);
    reader.finish().map_err(Failure::Config)?;
    settings.ok_or(Failure::Config(vec![]))
}

/// The users table, once it has been looked at; meanwhile a connection to serve is opened, for both
/// wait for the database alone.
async fn open_users(settings: &DatabaseSettings) -> Result<Users, Failure> {
    let (table, serving) = tokio::join!(
        Box::pin(fit_table(settings)),
        Box::pin(connect(settings, Purpose::Serve))
    );
    let table = table?;
    Ok(Users::new(serving?, table))
}

/// The table as it was found, if it can be used.
async fn fit_table(settings: &DatabaseSettings) -> Result<users::Table, Failure> {
    let database = connect(settings, Purpose::Look).await?;
    let survey = survey(&database, settings).await?;
    let closed = database.close().await;
    closed.map_err(|error| Failure::Database(chain(&error)))?;
    let Some(table) = survey.table else {
        return Err(Failure::Table(survey.findings));
    };
    for advice in &survey.findings {
        tracing::warn!(
            what = advice.what,
            why = advice.why,
            mend = advice.mend,
            "about the users table"
        );
    }
    Ok(table)
}

async fn survey(
    database: &Database,
    settings: &DatabaseSettings,
) -> Result<users::Survey, Failure> {
    if settings.layout.owner == Owner::Readdress {
        let pending = readdress_migrations::pending(database).await;
        let pending = pending.map_err(|error| Failure::Database(chain(&error)))?;
        if !pending.is_empty() {
            return Err(Failure::NotMigrated);
        }
    }
    Ok(users::survey(database, &settings.layout, settings.allow_non_unique).await?)
}

async fn connect(settings: &DatabaseSettings, purpose: Purpose) -> Result<Database, Failure> {
    users::connect(&settings.url, connection_options(settings, purpose))
        .await
        .map_err(|error| Failure::Connect(chain(&error)))
}

fn connection_options(settings: &DatabaseSettings, purpose: Purpose) -> ConnectionOptions {
    ConnectionOptions {
        // Who looks asks one thing after the other; a pool would open another connection for the
        // second question, while the first is on its way back.
        max_connections: match purpose {
            Purpose::Look => 1,
            Purpose::Serve | Purpose::Migrate => settings.connections,
        },
        owner: settings.layout.owner,
        purpose,
    }
}

/// Resolves at SIGTERM or SIGINT. They are heard from this call on, not only from when it is waited
/// for: unheard, one would end the process without an answer to those who wait for theirs.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

fn start_log(reader: &mut Reader, metrics: &Metrics) -> Telemetry {
    telemetry::start(crate::config::log_format(reader), metrics.clone())
}
