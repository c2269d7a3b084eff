//! Starts the service and speaks to it as a front end, a mailbox and an operator would.

pub mod answer;
pub mod app;
pub mod certificates;
pub mod cluster;
pub mod contract;
pub mod database;
pub mod driver;
pub mod forge;
pub mod key_server;
pub mod mariadb;
pub mod pooler;
pub mod process;
pub mod proxy;
pub mod smtp;

pub use answer::Answer;
pub use app::{Options, Person, TestApp};
pub use database::Engine;
pub use smtp::{Fault, Received};

/// A test that is run on every database: `async fn name(app) { … }`.
///
/// On PostgreSQL and MariaDB it is left out, and says so, where there is none; CI has both.
macro_rules! story {
    ($(#[$meta:meta])* async fn $name:ident($app:ident) $body:block) => {
        story! { $(#[$meta])* async fn $name($app with $crate::support::Options::default()) $body }
    };
    ($(#[$meta:meta])* async fn $name:ident($app:ident with $options:expr) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn story($app: &$crate::support::TestApp) $body

            async fn run(engine: $crate::support::Engine) {
                let Some(app) = $crate::support::TestApp::on(engine, $options).await else { return };
                story(&app).await;
                app.close().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                run($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                run($crate::support::Engine::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_mariadb() {
                run($crate::support::Engine::MariaDb).await;
            }
        }
    };
}
pub(crate) use story;
