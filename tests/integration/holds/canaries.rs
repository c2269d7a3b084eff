//! Canaries: what stands for a secret, and is looked for in every form that a log could give it: as
//! it is, in percent form, in base64 and base64url.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Of a canary, in characters: shorter ones are found by chance.
const SHORTEST: usize = 8;

/// Everything that must not be said.
#[derive(Default)]
pub struct Canaries(Vec<(String, Vec<String>)>);

impl Canaries {
    pub fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= SHORTEST, "{what} is short");
        let mut percent = String::new();
        for byte in secret.bytes() {
            let _ = write!(percent, "%{byte:02X}");
        }
        let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent];
        // Wherever in a longer text it stands, one of three alignments: without the characters at
        // either end, which its neighbours share.
        for before in 0..3 {
            let padded = [vec![0; before], secret.as_bytes().to_vec()].concat();
            let whole = padded.len() / 3 * 4;
            let encoded = STANDARD_NO_PAD.encode(&padded);
            let inner = &encoded[(before * 8).div_ceil(6)..whole];
            forms.push(inner.to_owned());
            forms.push(inner.replace('+', "-").replace('/', "_"));
        }
        self.0.push((what.to_owned(), forms));
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Each that is in there, and as what. In one pass: of thousands of flows there are a million
    /// forms to look for.
    pub fn found_in(&self, said: &str) -> Vec<String> {
        let mut by_start = HashMap::<&[u8], Vec<(&str, &str)>>::new();
        for (what, forms) in &self.0 {
            for form in forms {
                let start = &form.as_bytes()[..SHORTEST];
                by_start.entry(start).or_default().push((what, form));
            }
        }
        let mut found = BTreeSet::new();
        for (at, start) in said.as_bytes().windows(SHORTEST).enumerate() {
            let here = &said.as_bytes()[at..];
            for (what, form) in by_start.get(start).into_iter().flatten() {
                if here.starts_with(form.as_bytes()) {
                    found.insert(format!("{what} as {form}"));
                }
            }
        }
        found.into_iter().collect()
    }
}

/// The control: every form is found, in the middle of something else.
#[test]
fn a_canary_is_found_in_every_form() {
    let mut canaries = Canaries::default();
    canaries.add("it", "hunter2-hunter2");
    assert!(canaries.found_in("nothing of the kind").is_empty());
    for said in [
        "x hunter2-hunter2 y".to_owned(),
        "%68%75%6E%74%65%72%32%2D%68%75%6E%74%65%72%32".to_owned(),
    ] {
        assert!(!canaries.found_in(&said).is_empty(), "{said}");
    }
    for before in 0..7 {
        let said = STANDARD_NO_PAD.encode(format!(
            "{}hunter2-hunter2{}",
            "x".repeat(before),
            "y".repeat(9 - before)
        ));
        assert!(!canaries.found_in(&said).is_empty(), "{said}");
    }
}
