//! The commands; nothing else.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    readdress::cli::run().await
}
