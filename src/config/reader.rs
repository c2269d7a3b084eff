//! Reads variables and collects what is wrong with them.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::variables::VARIABLES;

/// What every variable of ours begins with.
const PREFIX: &str = "READDRESS_";

/// A variable that is missing or cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Its name.
    pub variable: String,
    /// What is wrong with it; never its value.
    pub problem: String,
    /// How to mend it.
    pub mend: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.variable, self.problem, self.mend)
    }
}

/// An environment being read.
pub struct Reader {
    variables: BTreeMap<String, Zeroizing<String>>,
    errors: Vec<ConfigError>,
}

impl Reader {
    /// The environment of this process. A variable of ours that we do not know is an error: it is a
    /// known one misspelt.
    #[must_use]
    pub fn of_process() -> Self {
        let ours =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours = ours.filter(|(name, _)| name.starts_with(PREFIX));
        Self::new(
            ours.map(|(name, value)| (name, Zeroizing::new(value.to_string_lossy().into_owned())))
                .collect(),
        )
    }

    /// An environment of these variables.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned())));
        Self::new(owned.collect())
    }

    fn new(variables: BTreeMap<String, Zeroizing<String>>) -> Self {
        let mut reader = Self {
            variables,
            errors: Vec::new(),
        };
        let unknown: Vec<String> = reader
            .variables
            .keys()
            .filter(|name| !is_known(name))
            .cloned()
            .collect();
        for name in unknown {
            reader.refuse(
                &name,
                "is no variable of this service",
                "look it up in docs/configuration.md",
            );
        }
        reader
    }

    /// Nothing, or everything that is wrong.
    ///
    /// # Errors
    ///
    /// Every [`ConfigError`] found so far.
    pub fn finish(self) -> Result<(), Vec<ConfigError>> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }

    /// Notes that a variable cannot be used.
    pub fn refuse(&mut self, variable: &str, problem: &str, mend: &str) {
        self.errors.push(ConfigError {
            variable: variable.to_owned(),
            problem: problem.to_owned(),
            mend: mend.to_owned(),
        });
    }

    /// How much is wrong so far.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// The value of a variable, or of the file that `…_FILE` names if it is a secret. An empty one
    /// counts as not set.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Zeroizing<String>> {
        let direct = self
            .variables
            .get(name)
            .filter(|value| !value.trim().is_empty())
            .cloned();
        let file_name = format!("{name}_FILE");
        let Some(path) = self
            .variables
            .get(&file_name)
            .filter(|path| !path.is_empty())
            .cloned()
        else {
            return direct;
        };
        if direct.is_some() {
            self.refuse(
                name,
                &format!("is set, and so is {file_name}"),
                "take one of the two away",
            );
            return None;
        }
        match std::fs::read_to_string(path.as_str()) {
            Ok(text) => Some(Zeroizing::new(
                text.trim_end_matches(['\r', '\n']).to_owned(),
            )),
            Err(error) => {
                self.refuse(
                    &file_name,
                    &format!("names a file that cannot be read ({})", error.kind()),
                    "check path and rights",
                );
                None
            }
        }
    }

    /// A variable that must be set.
    pub(super) fn required(&mut self, name: &'static str, mend: &str) -> Option<Zeroizing<String>> {
        let errors = self.errors.len();
        let value = self.optional(name);
        if value.is_none() && self.errors.len() == errors {
            self.refuse(name, "is not set", mend);
        }
        value
    }

    /// A variable that may be set, read by `read`.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        problem: &str,
        mend: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.optional(name)?;
        let value = read(text.trim());
        if value.is_none() {
            self.refuse(name, problem, mend);
        }
        value
    }

    /// A variable that has a default in the table of variables.
    pub(super) fn parsed_or_default<T>(
        &mut self,
        name: &'static str,
        problem: &str,
        mend: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let errors = self.errors.len();
        let set = self.parsed(name, problem, mend, &read);
        if set.is_some() || self.errors.len() > errors {
            return set;
        }
        VARIABLES
            .iter()
            .find(|variable| variable.name == name)
            .and_then(|variable| read(variable.default))
    }
}

fn is_known(name: &str) -> bool {
    VARIABLES.iter().any(|variable| {
        name == variable.name
            || (variable.secret && name.strip_suffix("_FILE") == Some(variable.name))
    })
}
