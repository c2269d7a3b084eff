//! What is tried against every reader of text that a stranger wrote: a function a target, from bytes
//! to nothing, which panics where a promise is broken.
//!
//! libFuzzer calls them (`make fuzz`, `fuzz_targets/`), and `make test` runs the kept corpora
//! through them on any toolchain (`tests/integration/fuzz.rs` takes this very file in). Each target
//! compares the service with a second reading of its own, so "accepted" is checked, not only "did
//! not panic".

pub mod address;
pub mod forwarded;
pub mod json;
pub mod link;
pub mod request_body;
pub mod stored_hash;

/// A target: its name, which is its corpus' too, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("address", address::run),
    ("forwarded", forwarded::run),
    ("link", link::run),
    ("request_body", request_body::run),
    ("stored_hash", stored_hash::run),
];
