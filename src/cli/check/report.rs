//! What `check` found, as people read it and as programs do.
//!
//! The JSON form is a promise: `docs/check.schema.json` describes it, and tests hold it to that. The
//! texts in it are for people and may change.

use std::fmt;

use serde_json::{Value, json};

use crate::finding::Finding;

/// Why a part was not looked at: the finding about its variable says the rest.
pub(super) const UNUSABLE: &str = "not tried: its variables cannot be used";

/// The width of the longest name of a part, so that everything else stands in one column.
const NAME_WIDTH: usize = 13;
/// The column of what is said.
const INDENT: usize = 6 + NAME_WIDTH + 2;

/// Everything that was looked at, in the order of the configuration.
pub(super) struct Report(pub(super) Vec<Part>);

/// One thing that was looked at.
pub(super) struct Part {
    name: &'static str,
    /// What is well, or why it was skipped.
    summary: Option<String>,
    findings: Vec<Finding>,
    is_skipped: bool,
}

impl Part {
    /// Looked at; `summary` is told unless something grave was found.
    pub(super) fn new(
        name: &'static str,
        summary: impl Into<String>,
        findings: Vec<Finding>,
    ) -> Self {
        let is_grave = findings.iter().any(|finding| finding.grave);
        Self {
            name,
            summary: (!is_grave).then(|| summary.into()),
            findings,
            is_skipped: false,
        }
    }

    /// Nothing is well.
    pub(super) fn failed(name: &'static str, finding: Finding) -> Self {
        Self::new(name, "", vec![finding])
    }

    /// Not looked at.
    pub(super) fn skipped(name: &'static str, why: &str) -> Self {
        Self {
            name,
            summary: Some(why.to_owned()),
            findings: Vec::new(),
            is_skipped: true,
        }
    }

    fn status(&self) -> &'static str {
        if self.is_skipped {
            "skipped"
        } else if self.findings.iter().any(|finding| finding.grave) {
            "fail"
        } else if self.findings.is_empty() {
            "ok"
        } else {
            "note"
        }
    }
}

impl Report {
    /// Whether nothing has to be mended first.
    pub(super) fn is_good(&self) -> bool {
        self.count(true) == 0
    }

    fn count(&self, grave: bool) -> usize {
        let findings = self.0.iter().flat_map(|part| &part.findings);
        findings.filter(|finding| finding.grave == grave).count()
    }

    /// As programs read it.
    pub(super) fn json(&self) -> Value {
        let parts = self.0.iter().map(|part| {
            let findings = part.findings.iter().map(|finding| {
                json!({
                    "severity": if finding.grave { "fail" } else { "note" },
                    "what": finding.what,
                    "why": finding.why,
                    "mend": finding.mend,
                })
            });
            json!({
                "part": part.name,
                "status": part.status(),
                "summary": part.summary,
                "findings": findings.collect::<Vec<_>>(),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "status": if self.is_good() { "ok" } else { "fail" },
            "fails": self.count(true),
            "notes": self.count(false),
            "parts": parts.collect::<Vec<_>>(),
        })
    }
}

/// As people read it: a label, the part, what is said. What mends a finding stands on lines of its
/// own, so that it can be copied.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            if let Some(summary) = &part.summary {
                let label = if part.is_skipped { "skip" } else { "ok" };
                writeln!(f, "{label:4}  {:NAME_WIDTH$}  {summary}", part.name)?;
            }
            for finding in &part.findings {
                let label = if finding.grave { "FAIL" } else { "note" };
                writeln!(f, "{label:4}  {:NAME_WIDTH$}  {}", part.name, finding.what)?;
                writeln!(f, "{:INDENT$}why   {}", "", finding.why)?;
                writeln!(f, "{:INDENT$}mend  {}", "", finding.mend)?;
            }
        }
        let notes = match self.count(false) {
            0 => String::new(),
            1 => ", 1 note".to_owned(),
            notes => format!(", {notes} notes"),
        };
        match self.count(true) {
            0 => writeln!(f, "\nNothing must be mended{notes}."),
            1 => writeln!(f, "\n1 thing must be mended{notes}."),
            fails => writeln!(f, "\n{fails} things must be mended{notes}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report(vec![
            Part::new("keys", "k1 signs", vec![]),
            Part::new(
                "configuration",
                "all is well",
                vec![
                    Finding::grave("a is wrong", "b", "c"),
                    Finding::advice("d", "e", "f"),
                ],
            ),
            Part::skipped("mail", UNUSABLE),
        ])
    }

    #[test]
    fn a_report_is_aligned_and_counts_what_must_be_mended() {
        let text = report().to_string();
        assert_eq!(
            text,
            "\
ok    keys           k1 signs
FAIL  configuration  a is wrong
                     why   b
                     mend  c
note  configuration  d
                     why   e
                     mend  f
skip  mail           not tried: its variables cannot be used

1 thing must be mended, 1 note.
"
        );
        let good = Report(vec![Part::new("keys", "k1 signs", vec![])]);
        assert!(good.is_good() && !report().is_good());
        assert!(good.to_string().ends_with("\nNothing must be mended.\n"));
    }
}
