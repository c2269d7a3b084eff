//! A database of its own for every test.

use readdress::users::{
    self, ConnectError, ConnectionOptions, Database, Layout, Owner, Purpose, Survey, Users,
};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;

/// What a test may connect to, and what must be tidied up after it.
pub struct TestDatabase {
    pub engine: Engine,
    pub url: String,
    pub pool: Database,
    tidy: Tidy,
}

enum Tidy {
    Nothing,
    Folder(#[allow(dead_code, reason = "removes the folder when dropped")] TempDir),
    Drop { admin: Database, what: String },
}

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Engine {
    /// A database of its own; nothing, and a word about it, where there is none. CI has all.
    pub async fn database(self) -> Option<TestDatabase> {
        match self {
            Self::Sqlite => Some(sqlite().await),
            Self::Postgres => postgres().await,
            Self::MariaDb => mariadb().await,
        }
    }
}

/// As the commands connect that deal with our own table.
pub async fn connect(
    url: &str,
    max_connections: u32,
    purpose: Purpose,
) -> Result<Database, ConnectError> {
    let options = ConnectionOptions {
        max_connections,
        purpose,
        owner: Owner::Readdress,
    };
    users::connect(url, options).await
}

/// A file in a folder of its own.
async fn sqlite() -> TestDatabase {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("users.db").display());
    let pool = connect(&url, 10, Purpose::Migrate)
        .await
        .expect("SQLite makes a file");
    TestDatabase {
        engine: Engine::Sqlite,
        url,
        pool,
        tidy: Tidy::Folder(folder),
    }
}

/// A schema of its own on the PostgreSQL at `TEST_POSTGRES_URL`, or on this machine's.
async fn postgres() -> Option<TestDatabase> {
    let (server, admin) = server(
        "TEST_POSTGRES_URL",
        "postgres://postgres@127.0.0.1:5432/postgres",
    )
    .await?;
    let name = fresh_name();
    admin
        .execute_unprepared(&format!("CREATE SCHEMA {name}"))
        .await
        .expect("a schema");
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options=-c%20search_path%3D{name}");
    let pool = connect(&url, 10, Purpose::Serve)
        .await
        .expect("PostgreSQL takes another connection");
    Some(TestDatabase {
        engine: Engine::Postgres,
        url,
        pool,
        tidy: Tidy::Drop {
            admin,
            what: format!("SCHEMA {name} CASCADE"),
        },
    })
}

/// A database of its own on the MariaDB at `TEST_MYSQL_URL`, or on this machine's; with a collation
/// that takes no notice of case, accents and blanks at the end.
async fn mariadb() -> Option<TestDatabase> {
    let (server, admin) = server("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/mysql").await?;
    let name = fresh_name();
    admin
        .execute_unprepared(&format!(
            "CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        ))
        .await
        .expect("a database");
    let mut url = url::Url::parse(&server).expect("a URL");
    url.set_path(&name);
    let pool = connect(url.as_str(), 10, Purpose::Serve)
        .await
        .expect("MariaDB takes another connection");
    Some(TestDatabase {
        engine: Engine::MariaDb,
        url: url.into(),
        pool,
        tidy: Tidy::Drop {
            admin,
            what: format!("DATABASE {name}"),
        },
    })
}

fn fresh_name() -> String {
    format!("readdress_{}", uuid::Uuid::now_v7().simple())
}

/// The server that a variable names, or this machine's.
async fn server(variable: &str, local: &str) -> Option<(String, Database)> {
    let named = std::env::var(variable).ok().filter(|url| !url.is_empty());
    let url = named.unwrap_or_else(|| local.to_owned());
    match connect(&url, 1, Purpose::Look).await {
        Ok(admin) => Some((url, admin)),
        Err(error) if std::env::var_os("CI").is_some() => panic!("CI needs {variable}: {error}"),
        Err(_) => {
            eprintln!("left out: nothing at {variable}, nor at its usual place on this machine");
            None
        }
    }
}

/// One text, or nothing.
pub async fn text(pool: &Database, sql: &str) -> Option<String> {
    let statement = sea_orm::Statement::from_string(pool.get_database_backend(), sql);
    let row = pool
        .query_one_raw(statement)
        .await
        .expect("the query runs")?;
    row.try_get_by_index(0).expect("a text column")
}

/// Everything that is there, on a server that is the test's own.
pub async fn at(engine: Engine, url: String) -> TestDatabase {
    let pool = connect(&url, 10, Purpose::Serve).await.expect("it answers");
    TestDatabase {
        engine,
        url,
        pool,
        tidy: Tidy::Nothing,
    }
}

async fn users_through(pool: &Database, layout: &Layout, allow_non_unique: bool) -> Users {
    let survey = users::survey(pool, layout, allow_non_unique).await;
    let survey = survey.expect("a table that can be looked at");
    let table = survey
        .table
        .unwrap_or_else(|| panic!("{:?}", survey.findings));
    Users::new(pool.clone(), table)
}

impl TestDatabase {
    /// The users table in it.
    pub async fn users(&self, layout: &Layout, allow_non_unique: bool) -> Users {
        users_through(&self.pool, layout, allow_non_unique).await
    }

    /// The same through connections of its own, as another process has them: what one pool lines
    /// up by itself, the database has to.
    pub async fn users_of_another(&self, layout: &Layout) -> Users {
        let pool = connect(&self.url, 10, Purpose::Serve).await;
        users_through(&pool.expect("it takes another"), layout, false).await
    }

    /// What is said of a users table in it.
    pub async fn survey(&self, layout: &Layout, allow_non_unique: bool) -> Survey {
        let survey = users::survey(&self.pool, layout, allow_non_unique).await;
        survey.expect("a table that can be looked at")
    }

    /// Runs one statement, as the host application or an operator would.
    pub async fn execute(&self, sql: &str) -> u64 {
        self.pool
            .execute_unprepared(sql)
            .await
            .expect("the statement runs")
            .rows_affected()
    }

    /// A text of every row.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let statement = sea_orm::Statement::from_string(self.pool.get_database_backend(), sql);
        let rows = self.pool.query_all_raw(statement).await;
        let rows = rows.expect("the query runs");
        let text = |row: &sea_orm::QueryResult| row.try_get_by_index(0).expect("a text column");
        rows.iter().map(text).collect()
    }

    /// One text, or nothing.
    pub async fn text(&self, sql: &str) -> Option<String> {
        text(&self.pool, sql).await
    }

    pub async fn close(self) {
        self.pool.close().await.expect("closes");
        if let Tidy::Drop { admin, what } = self.tidy {
            admin
                .execute_unprepared(&format!("DROP {what}"))
                .await
                .expect("drops");
        }
    }
}
