//! The service from outside: real HTTP, a real SMTP conversation, a real database.
//!
//! One binary. `support` starts the service and speaks to it; then a file a step, the journeys
//! that cross steps, and what holds for all of them.

#![allow(
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod support;

mod activate;
mod cancel;
mod commands;
mod confirm;
mod delivery;
mod fuzz;
mod holds;
mod host_tokens;
mod inspect;
mod journeys;
mod links;
mod mails;
mod request;
mod rotation;
mod session;
mod tables;
mod undo;
mod wire;
