//! `readdress` lets people change the e-mail address of their account, safely, beside any
//! application.
//!
//! # The story
//!
//! A signed-in user types their password, and a link goes to their current address
//! ([`email_change::request`]). Whoever opens it types the password again and the new address, and
//! a link goes there ([`email_change::confirm`]). Whoever opens *that* presses one button: the old
//! address is told and given a way back, then the new one is put in place
//! ([`email_change::activate`]). Until then the first mail can stop it ([`email_change::cancel`]);
//! afterwards the last one can take it back ([`email_change::undo`]).
//!
//! Nothing is remembered between the steps but the users table: the links carry the rest, signed,
//! and a fingerprint of the row decides whether they still hold ([`email_change::link`]).
//!
//! # The rooms
//!
//! [`server`] listens and turns every failure into a problem document; [`api`] is the contract;
//! [`telemetry`], [`metrics`], [`readiness`] and [`trace`] are what operators see of it;
//! [`email_change`] the flow; [`users`], [`password`], [`mailer`], [`email_address`], [`keys`],
//! [`jwt`], [`limits`], [`language`], [`clock`] what it works with; [`app`] puts it together, [`config`] and [`cli`]
//! start it;
//! [`dev`] the whole of it on one machine with nothing configured.

pub mod access;
pub mod api;
pub mod app;
mod boundary;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod dev;
pub mod email_address;
pub mod email_change;
pub mod finding;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod jwt;
pub mod keys;
pub mod language;
pub mod limits;
pub mod mailer;
pub mod metrics;
pub mod password;
pub mod random;
pub mod readiness;
pub mod server;
pub mod telemetry;
pub mod trace;
pub mod users;
