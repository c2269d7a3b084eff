//! What is wrong with the surroundings of the service, said to whoever can mend it: `check` prints
//! every finding, `serve` refuses to start with a grave one.

use std::fmt;

/// One thing that is wrong, or could be better.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the service must not start with it.
    pub grave: bool,
    /// What is the matter.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// The exact line that mends it.
    pub mend: String,
}

impl Finding {
    /// One with which the service must not start.
    #[must_use]
    pub fn grave(what: impl Into<String>, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            grave: true,
            what: what.into(),
            why: why.into(),
            mend: mend.into(),
        }
    }

    /// One that the service can live with.
    #[must_use]
    pub fn advice(
        what: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            grave: false,
            ..Self::grave(what, why, mend)
        }
    }
}

/// Three lines, so that the last one can be copied.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n      why:  {}\n      mend: {}",
            self.what, self.why, self.mend
        )
    }
}
