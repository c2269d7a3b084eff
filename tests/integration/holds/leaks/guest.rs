//! A user of a database whose password is a canary, and what is said of a database that is not there.

use std::fmt::Write as _;

use url::Url;

use super::canary;
use crate::support::Engine;
use crate::support::database::TestDatabase;
use crate::support::process::Shell;
use crate::support::proxy::free_port;

/// Who may use a test's database, with a password that is a canary: the test's own URL has none.
pub struct Guest {
    name: String,
    pub password: String,
    pub url: Url,
}

impl Guest {
    /// Nobody where a file is the database.
    pub async fn of(database: &TestDatabase, rng: &mut fastrand::Rng) -> Option<Self> {
        // A server's own, and so of this run alone.
        let name = format!("guest_{}", uuid::Uuid::now_v7().simple());
        let password = canary(rng);
        let mut url = Url::parse(&database.url).expect("a URL");
        let welcome = match database.engine {
            Engine::Sqlite => return None,
            Engine::Postgres => {
                let schema = database.text("SELECT CAST(current_schema AS text)").await;
                let schema = schema.expect("a schema of its own");
                [
                    format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"),
                    format!("GRANT USAGE ON SCHEMA {schema} TO {name}"),
                    format!("GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}"),
                ]
                .to_vec()
            }
            Engine::MariaDb => {
                let own = url.path().trim_start_matches('/');
                [
                    format!("CREATE USER {name} IDENTIFIED BY '{password}'"),
                    format!("GRANT ALL ON {own}.* TO {name}"),
                ]
                .to_vec()
            }
        };
        for statement in welcome {
            database.execute(&statement).await;
        }
        url.set_username(&name).expect("a URL with a host");
        url.set_password(Some(&password)).expect("the same");
        Some(Self {
            name,
            password,
            url,
        })
    }

    pub async fn leave(&self, database: &TestDatabase) {
        let name = &self.name;
        if database.engine == Engine::Postgres {
            database.execute(&format!("DROP OWNED BY {name}")).await;
            database.execute(&format!("DROP ROLE {name}")).await;
        } else {
            database.execute(&format!("DROP USER {name}")).await;
        }
    }
}

/// What whoever opens a database says of a port where nobody listens, of a name that it does not
/// know, and of a password that is wrong.
pub async fn said_of_no_database(shell: &mut Shell, right: &Url) -> String {
    let [mut nowhere, mut unknown, mut refused] = [right.clone(), right.clone(), right.clone()];
    nowhere.set_port(Some(free_port())).expect("a host");
    unknown.set_path("no_such_database");
    let wrong = format!("{}-not", right.password().expect("a password"));
    refused.set_password(Some(&wrong)).expect("a host");
    let mut said = String::new();
    for (url, must_fail) in [(nowhere, true), (unknown, true), (refused, false)] {
        shell.set("READDRESS_DATABASE_URL", url.as_str());
        // A PostgreSQL may trust whoever comes, and a server that serves does not end.
        let commands: &[&str] = if must_fail {
            &["check", "serve"]
        } else {
            &["check"]
        };
        for command in commands {
            let ended = shell.run(&[command]).await;
            assert!(!must_fail || ended.code != Some(0), "{command}: {ended:?}");
            let _ = write!(said, "{}{}", ended.stdout, ended.stderr);
        }
    }
    said
}
