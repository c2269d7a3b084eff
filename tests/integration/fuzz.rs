//! What libFuzzer has found interesting so far, through the same functions, without libFuzzer:
//! `make fuzz` looks for more, and keeps it in `fuzz/corpus`.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_of_every_target_keeps_its_promise() {
    for (name, run) in targets::TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(name);
        let mut tried = 0;
        for entry in fs::read_dir(&corpus).expect("a corpus") {
            let path = entry.expect("an entry").path();
            let input = fs::read(&path).expect("an input");
            let outcome = std::panic::catch_unwind(|| run(&input));
            assert!(outcome.is_ok(), "{}", path.display());
            tried += 1;
        }
        assert!(tried > 10, "{name} has {tried} inputs");
    }
}
