//! Starts the service and speaks to it as a front end, a mailbox and an operator would.

pub mod answer;
pub mod app;
pub mod certificates;
pub mod contract;
pub mod database;
pub mod forge;
pub mod process;
pub mod smtp;

pub use answer::Answer;
pub use app::{Options, Person, TestApp};
pub use smtp::{Fault, Received};

/// A test that is run on every database: `async fn name(app) { … }`.
///
/// On PostgreSQL it is left out, and says so, where there is none; in CI there must be.
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

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let app = $crate::support::TestApp::on_sqlite($options).await;
                story(&app).await;
                app.close().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let Some(app) = $crate::support::TestApp::on_postgres($options).await else { return };
                story(&app).await;
                app.close().await;
            }
        }
    };
}
pub(crate) use story;
