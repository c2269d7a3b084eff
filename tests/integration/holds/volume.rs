//! How much of a test is run, from which seed, and what it has to show for it.

use std::fmt::Arguments;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// How often: `little` in `cargo test`, or what `scripts/soak` says in that variable.
pub fn volume(variable: &str, little: usize) -> usize {
    std::env::var(variable).map_or(little, |often| {
        often
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is a number"))
    })
}

/// Random as far as the test is concerned, and the same again when it is run again: `SOAK_SEED`
/// makes it another.
pub fn seeded() -> fastrand::Rng {
    fastrand::Rng::with_seed(volume("SOAK_SEED", 20_270_115) as u64)
}

/// One line for `scripts/soak`.
pub fn figure(said: Arguments<'_>) {
    println!("figure: {said}");
}

/// What an oracle says of something that is really broken: the words of its panic, or none.
pub async fn complaint(oracle: impl Future<Output: Send>) -> String {
    let Err(panic) = AssertUnwindSafe(oracle).catch_unwind().await else {
        return String::new();
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.expect("a panic with words").to_owned()
}

/// The memory of a process (`self` is this one), in KiB; nothing where there is no `/proc`.
pub fn resident_kib(process: &str) -> Option<u64> {
    memory_kib(process, "VmRSS:")
}

/// The most that it had since [`forget_peak`].
pub fn peak_kib(process: &str) -> Option<u64> {
    memory_kib(process, "VmHWM:")
}

/// See proc(5), `clear_refs`.
pub fn forget_peak(process: &str) {
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}

fn memory_kib(process: &str, which: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(which))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many files and connections a process has open; nothing where there is no `/proc`.
pub fn open_files(process: &str) -> Option<usize> {
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).ok()?;
    Some(open.count())
}

/// The processor time of a process so far, in milliseconds (proc(5): fields 14 and 15, in hundredths
/// of a second).
pub fn cpu_ms(process: &str) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?) * 10)
}
