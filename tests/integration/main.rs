//! The service from outside: real HTTP, a real SMTP conversation, a real database.
//!
//! One binary. `support` starts the service and speaks to it; then a file a step, the journeys
//! that cross steps, and what holds for all of them.

// The futures of a whole service in a test, with optimisations.
#![recursion_limit = "256"]
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
mod languages;
mod links;
mod mails;
mod observability;
mod request;
mod rotation;
mod session;
mod set_by_operator;
mod statements;
mod tables;
mod undo;
mod wire;
