//! The templates of one language: parsed, with what they all can say, and rendered.
//!
//! Of every error it says the file that the template came from, and the line.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};

use super::built_in::{COMMON, MAILS, PHRASES};
use super::folder::File;
use super::templates::{Facts, TemplateError};

/// The most work that one template may make: an instruction costs 1, a byte of the result a part of
/// it. The largest that is built in takes less than a hundredth. Loops in loops would hold up the
/// start, and every mail.
const FUEL: u64 = 200_000;

/// The templates of one language.
pub(super) struct Set {
    pub(super) environment: Environment<'static>,
    /// The path behind each name.
    origins: BTreeMap<String, String>,
    /// What every mail of this language can say.
    pub(super) common: Value,
}

impl Set {
    /// Of files with the same name, the last one counts.
    pub(super) fn of(
        tag: &str,
        files: impl Iterator<Item = File>,
        facts: &Facts,
        errors: &mut Vec<TemplateError>,
    ) -> Self {
        let mut set = Self {
            environment: environment(),
            origins: BTreeMap::new(),
            common: Value::UNDEFINED,
        };
        let files: BTreeMap<String, (String, String)> = files
            .map(|file| (file.name, (file.origin, file.text)))
            .collect();
        let before = errors.len();
        for (name, (origin, text)) in files {
            set.origins.insert(name.clone(), origin);
            if let Err(error) = set.environment.add_template_owned(name, text) {
                errors.push(set.said(&error));
            }
        }
        let phrases = context! { product => &facts.product, support => &facts.support };
        let mut phrase = |name: &str| match set.render(name, &phrases) {
            Ok(text) => text.trim_end().to_owned(),
            Err(error) => {
                // One that cannot be parsed has been complained about.
                if errors.len() == before {
                    errors.push(error);
                }
                String::new()
            }
        };
        set.common = context! {
            product => &facts.product,
            support => &facts.support,
            logo => &facts.logo,
            language => tag,
            footer => phrase("footer.txt"),
            button_help => phrase("button.txt"),
        };
        set
    }

    /// Renders one of them.
    pub(super) fn render(&self, name: &str, facts: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template(name);
        let rendered = template.and_then(|template| template.render(facts));
        rendered.map_err(|error| self.said(&error))
    }

    /// Where one came from.
    pub(super) fn origin(&self, name: &str) -> String {
        let known = self.origins.get(name);
        known.cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The innermost cause: of an error in a file that is included, where it is in that one.
    fn said(&self, error: &minijinja::Error) -> TemplateError {
        let mut cause = error;
        while let Some(inner) = std::error::Error::source(cause).and_then(|s| s.downcast_ref()) {
            cause = inner;
        }
        let problem = match cause.detail() {
            _ if cause.kind() == ErrorKind::OutOfFuel => {
                "takes too long: a loop in a loop, or one that goes round too often".to_owned()
            }
            Some(detail) => format!("{}: {detail}", cause.kind()),
            None => cause.kind().to_string(),
        };
        TemplateError {
            file: self.origin(cause.name().unwrap_or_default()),
            line: cause.line(),
            problem,
        }
    }

    /// Whatever a template names that it will never have.
    pub(super) fn unknown_names(&self) -> Vec<TemplateError> {
        let mut errors = Vec::new();
        for (file, template) in self.environment.templates() {
            let Some(known) = known_names(file) else {
                continue;
            };
            for name in template.undeclared_variables(false) {
                let is_function = self.environment.globals().any(|(global, _)| global == name);
                if !is_function && !known.contains(&name.as_str()) {
                    let line = template
                        .source()
                        .lines()
                        .position(|line| line.contains(&name));
                    errors.push(TemplateError {
                        file: self.origin(file),
                        line: line.map(|line| line + 1),
                        problem: format!(
                            "`{name}` is unknown here; known are {}",
                            known.join(", ")
                        ),
                    });
                }
            }
        }
        errors
    }
}

/// What a template can say; `None` for parts, which say what those can that include them.
fn known_names(file: &str) -> Option<Vec<&'static str>> {
    let name = file.split('.').next()?;
    if let Some(mail) = MAILS.iter().find(|mail| mail.name == name) {
        return Some([mail.variables, COMMON].concat());
    }
    let phrase = PHRASES
        .iter()
        .find(|phrase| file == format!("{}.txt", phrase.name))?;
    Some(phrase.variables.to_vec())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // A tag on a line of its own leaves no empty line. The delimiters are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment
}
