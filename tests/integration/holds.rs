//! It holds: what people and machines do at their worst.
//!
//! Each file is one kind of worst, with an oracle that says what must be true whatever happened, and
//! in most a negative control: something really broken, which that oracle must notice. `cargo test`
//! runs a little of each, from a fixed seed; `scripts/soak` runs all of it and prints what it measured.

mod canaries;
mod cheap;
mod crashes;
mod database_faults;
pub mod deployment;
mod enumeration;
mod events;
mod floods;
mod forgeries;
mod histories;
mod leaks;
mod limits;
mod lines;
mod links;
mod mail_faults;
mod model;
pub mod pipe;
mod poolers;
mod races;
mod releases;
mod replicas;
mod rollout;
mod rotations;
mod statistics;
mod volume;
