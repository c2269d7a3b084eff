//! A second reading of JSON objects, which sees what most readers hide: names that come twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The members of an object as they stand, twins included.
pub struct Members(Vec<(String, Value)>);

impl Members {
    /// Reads a text that is one object and nothing else.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The value of a name that is there exactly once.
    pub fn one(&self, name: &str) -> Option<&Value> {
        let mut found = self.0.iter().filter(|(other, _)| other == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.one(name)?.as_str()
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.one(name)?.as_i64()
    }

    /// Whether every name is one of these.
    pub fn only(&self, names: &[&str]) -> bool {
        self.0
            .iter()
            .all(|(name, _)| names.contains(&name.as_str()))
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
