//! The commands; nothing else.

// With optimisations, the compiler follows futures through the drivers of three databases.
#![recursion_limit = "256"]

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    readdress::cli::run().await
}
