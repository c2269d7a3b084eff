//! The templates of every language, ready to be rendered.
//!
//! A language is an environment of its own: what languages share, what is built in, and what a
//! folder puts in their place, each by its bare name. So `layout.html` is the folder's for this
//! language, or the folder's for all, or ours.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use minijinja::{Value, context};

use super::built_in::{BuiltIn, LANGUAGES, SHARED};
use super::folder::{self, File, Found};
use super::set::Set;
use crate::clock::utc;
use crate::language::{Language, Languages, Tag};

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Its path, or `built-in` and its name.
    pub file: String,
    /// From 1, if it is known.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: String,
}

impl std::error::Error for TemplateError {}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What stands in every mail.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) product: String,
    pub(super) support: Option<String>,
    pub(super) logo: String,
}

/// A rendered mail.
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// All templates.
pub(super) struct Templates {
    pub(super) languages: Languages,
    sets: Vec<Lazy>,
}

/// Those of one language, parsed when the first mail is written in it: half a megabyte, and most
/// services write in few languages.
type Lazy = LazyLock<Set, Box<dyn FnOnce() -> Set + Send>>;

impl Templates {
    /// Those that are built in, and those of the folder in their place. What a folder has part in is
    /// parsed at once, so that its mistakes are told.
    pub(super) fn read(folder: Option<&Path>, facts: &Facts) -> Result<Self, Vec<TemplateError>> {
        let Some(folder) = folder else {
            return Ok(Self::built_in(facts));
        };
        let Found {
            shared,
            mut languages,
            mut errors,
            ..
        } = folder::read(folder);
        let mut tags = Vec::new();
        let mut sets = Vec::new();
        let mut add = |tag: &str, set: Set| {
            tags.push(tag.to_owned());
            sets.push(Lazy::new(Box::new(|| set)));
        };
        for language in LANGUAGES {
            let tag = Tag::parse(language.tag);
            let place = languages
                .iter()
                .position(|(other, ..)| tag.as_ref().is_some_and(|tag| tag.is(other)));
            let own = place.map_or_else(Vec::new, |place| languages.remove(place).2);
            let files = built_in(language).chain(copied(&shared)).chain(own);
            add(
                language.tag,
                Set::of(language.tag, files, facts, &mut errors),
            );
        }
        for (tag, path, own) in languages {
            let missing =
                folder::of_language().filter(|name| own.iter().all(|own| own.name != *name));
            let missing = folder::list(missing);
            if !missing.is_empty() {
                errors.push(TemplateError {
                    file: path,
                    line: None,
                    problem: format!(
                        "is of a language that is not built in, which needs every file: {missing} not there"
                    ),
                });
                continue;
            }
            let ours = SHARED.iter().map(|(name, text)| embedded("", name, text));
            let files = ours.chain(copied(&shared)).chain(own);
            add(
                tag.as_written(),
                Set::of(tag.as_written(), files, facts, &mut errors),
            );
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let others = tags.iter().skip(1).map(String::as_str);
        Ok(Self {
            languages: Languages::new(others),
            sets,
        })
    }

    /// Those that are built in, each parsed when it is needed: tests have proven them.
    fn built_in(facts: &Facts) -> Self {
        let parsed = |language: &'static BuiltIn| {
            let facts = facts.clone();
            let parse = move || Set::of(language.tag, built_in(language), &facts, &mut Vec::new());
            Lazy::new(Box::new(parse))
        };
        let others = LANGUAGES.iter().skip(1).map(|language| language.tag);
        Self {
            languages: Languages::new(others),
            sets: LANGUAGES.iter().map(parsed).collect(),
        }
    }

    /// Renders one mail.
    pub(super) fn render(
        &self,
        language: Language,
        name: &str,
        facts: Value,
    ) -> Result<Rendered, TemplateError> {
        let set = self.set(language);
        let facts = context! { ..facts, ..set.common.clone() };
        let source = format!("{name}.txt");
        let text = set.render(&source, &facts)?;
        // The first line of a text template is its subject.
        let (subject, text) = text
            .strip_prefix("Subject: ")
            .and_then(|text| text.split_once("\n\n"))
            .filter(|(subject, _)| {
                !subject.trim().is_empty() && !subject.contains(char::is_control)
            })
            .ok_or_else(|| TemplateError {
                file: set.origin(&source),
                line: Some(1),
                problem: "must be `Subject: ` and the subject, and the line after it empty"
                    .to_owned(),
            })?;
        Ok(Rendered {
            subject: subject.trim().to_owned(),
            text: text.to_owned(),
            html: set.render(&format!("{name}.html"), &facts)?,
        })
    }

    /// A time as people write it in that language, in UTC.
    pub(super) fn date(&self, language: Language, seconds: i64) -> Result<String, TemplateError> {
        let at = utc(seconds);
        let facts = context! {
            day => at.day(),
            month => u8::from(at.month()),
            year => at.year(),
            time => format!("{:02}:{:02}", at.hour(), at.minute()),
        };
        self.set(language).render("date.txt", &facts)
    }

    /// Where a template of that language came from.
    pub(super) fn origin(&self, language: Language, name: &str) -> String {
        self.set(language).origin(name)
    }

    /// Whatever a template names that it will never have, even where no mail comes by.
    pub(super) fn unknown_names(&self) -> Vec<TemplateError> {
        self.sets
            .iter()
            .flat_map(|set| set.unknown_names())
            .collect()
    }

    /// What a template names, and neither makes nor is given by us as a function.
    #[cfg(test)]
    pub(super) fn variables(
        &self,
        language: Language,
        name: &str,
    ) -> std::collections::BTreeSet<String> {
        let template = self.set(language).environment.get_template(name);
        let variables = template.expect("it is there").undeclared_variables(false);
        variables.into_iter().collect()
    }

    fn set(&self, language: Language) -> &Set {
        // A language is given out by `languages`, which has as many.
        &self.sets[language.index()]
    }
}

fn built_in(language: &'static BuiltIn) -> impl Iterator<Item = File> {
    let shared = SHARED.iter().map(|(name, text)| embedded("", name, text));
    let own = language.files.iter();
    shared.chain(own.map(|(name, text)| embedded(language.tag, name, text)))
}

fn embedded(tag: &str, name: &str, text: &str) -> File {
    let folder = if tag.is_empty() { "" } else { "/" };
    File {
        name: name.to_owned(),
        origin: format!("built-in {tag}{folder}{name}"),
        text: text.to_owned(),
    }
}

fn copied(files: &[File]) -> impl Iterator<Item = File> {
    files.iter().map(|file| File {
        name: file.name.clone(),
        origin: file.origin.clone(),
        text: file.text.clone(),
    })
}
