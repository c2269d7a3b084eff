//! What the operating system says of this process, read at each scrape from `/proc`; where there is
//! none, these metrics are left out. The names are those of every Prometheus client.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Described;
use crate::clock::Clock;

/// Ticks of a second in `/proc`: fixed in Linux's interface, whatever the kernel's own clock.
const TICKS: f64 = 100.0;

const CPU: &str = "process_cpu_seconds_total";
const RESIDENT: &str = "process_resident_memory_bytes";
const OPEN_FDS: &str = "process_open_fds";
const MAX_FDS: &str = "process_max_fds";
const START: &str = "process_start_time_seconds";

pub(super) const DESCRIBED: [Described; 5] = [
    Described {
        name: CPU,
        help: "Processor time used, in user and system mode",
    },
    Described {
        name: RESIDENT,
        help: "Memory in use",
    },
    Described {
        name: OPEN_FDS,
        help: "Open file descriptors",
    },
    Described {
        name: MAX_FDS,
        help: "The most there can be",
    },
    Described {
        name: START,
        help: "When the process started, in Unix seconds",
    },
];

#[derive(Debug)]
pub(super) struct Process {
    start: i64,
}

impl Process {
    pub(super) fn begun(clock: &Clock) -> Self {
        Self {
            start: clock.seconds(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let gauges = [
            (RESIDENT, resident()),
            (OPEN_FDS, open_fds()),
            (MAX_FDS, max_fds()),
            (START, Some(self.start)),
        ];
        if let Some(cpu) = cpu() {
            let counter = ConstCounter::new(cpu);
            let name = CPU.trim_end_matches("_total");
            let one = encoder.encode_descriptor(name, help(CPU), None, counter.metric_type())?;
            counter.encode(one)?;
        }
        for (name, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let one = encoder.encode_descriptor(name, help(name), None, gauge.metric_type())?;
            gauge.encode(one)?;
        }
        Ok(())
    }
}

fn help(name: &str) -> &'static str {
    let found = DESCRIBED.iter().find(|described| described.name == name);
    found.map_or("", |described| described.help)
}

/// The 14th and 15th field of `stat`; the second one may hold blanks, and ends with a bracket.
fn cpu() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || times.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS)
}

fn resident() -> Option<i64> {
    let kilobytes = after(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?;
    kilobytes.checked_mul(1024)
}

fn open_fds() -> Option<i64> {
    // One of them is the folder being read.
    i64::try_from(fs::read_dir("/proc/self/fd").ok()?.count() - 1).ok()
}

fn max_fds() -> Option<i64> {
    after(
        &fs::read_to_string("/proc/self/limits").ok()?,
        "Max open files",
    )
}

/// The number that follows that word at the beginning of a line.
fn after(text: &str, word: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(word))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
