//! A database of its own for every test.

use readdress::users::{self, ConnectError, ConnectionOptions, Database, Purpose};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;

/// What a test may connect to, and what must be tidied up after it.
pub struct TestDatabase {
    pub url: String,
    pub pool: Database,
    tidy: Tidy,
}

enum Tidy {
    Folder(#[allow(dead_code, reason = "removes the folder when dropped")] TempDir),
    Schema { admin: Database, name: String },
}

async fn connect(
    url: &str,
    max_connections: u32,
    purpose: Purpose,
) -> Result<Database, ConnectError> {
    users::connect(
        url,
        ConnectionOptions {
            max_connections,
            purpose,
        },
    )
    .await
}

/// A file in a folder of its own.
pub async fn sqlite() -> TestDatabase {
    let folder = TempDir::new().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("users.db").display());
    let pool = connect(&url, 10, Purpose::Migrate)
        .await
        .expect("SQLite makes a file");
    TestDatabase {
        url,
        pool,
        tidy: Tidy::Folder(folder),
    }
}

/// A schema of its own on the PostgreSQL at `TEST_POSTGRES_URL`, or on this machine's; nothing,
/// and a word about it, where there is none.
pub async fn postgres() -> Option<TestDatabase> {
    let server = std::env::var("TEST_POSTGRES_URL")
        .ok()
        .filter(|url| !url.is_empty())
        .unwrap_or_else(|| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    let admin = match connect(&server, 1, Purpose::Look).await {
        Ok(admin) => admin,
        Err(error) if std::env::var_os("CI").is_some() => panic!("CI needs PostgreSQL: {error}"),
        Err(_) => {
            eprintln!("left out: no PostgreSQL at TEST_POSTGRES_URL or on 127.0.0.1:5432");
            return None;
        }
    };
    let name = format!("readdress_{}", uuid::Uuid::now_v7().simple());
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
        url,
        pool,
        tidy: Tidy::Schema { admin, name },
    })
}

impl TestDatabase {
    /// Runs one statement, as the host application or an operator would.
    pub async fn execute(&self, sql: &str) -> u64 {
        self.pool
            .execute_unprepared(sql)
            .await
            .expect("the statement runs")
            .rows_affected()
    }

    /// One text, or nothing.
    pub async fn text(&self, sql: &str) -> Option<String> {
        let statement = sea_orm::Statement::from_string(self.pool.get_database_backend(), sql);
        let row = self
            .pool
            .query_one_raw(statement)
            .await
            .expect("the query runs")?;
        row.try_get_by_index(0).expect("a text column")
    }

    pub async fn close(self) {
        self.pool.close().await.expect("closes");
        if let Tidy::Schema { admin, name } = self.tidy {
            admin
                .execute_unprepared(&format!("DROP SCHEMA {name} CASCADE"))
                .await
                .expect("drops");
        }
    }
}
