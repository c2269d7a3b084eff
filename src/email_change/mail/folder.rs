//! A folder of templates that replace the built-in ones: read once, within bounds.
//!
//! `FOLDER/de/confirm.txt` replaces one mail in one form and language, `FOLDER/layout.html` what all
//! languages share. A file that is none of these is refused, for it is most likely a misspelt one.

use std::fs;
use std::io;
use std::path::Path;

use super::built_in::{MAILS, PHRASES, SHARED};
use super::templates::TemplateError;
use crate::language::Tag;

/// The largest file. The largest that is built in has 2 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// The most files: fifty languages, each with every mail, and room for parts of their own.
const MAX_FILES: usize = 1_000;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// For all languages.
    pub(super) shared: Vec<File>,
    /// For one each.
    pub(super) languages: Vec<(Tag, String, Vec<File>)>,
    pub(super) errors: Vec<TemplateError>,
    files: usize,
}

/// One file.
pub(super) struct File {
    pub(super) name: String,
    /// Its path, for who is told that it is wrong.
    pub(super) origin: String,
    pub(super) text: String,
}

/// Reads the folder; what is wrong with it is found, too.
pub(super) fn read(folder: &Path) -> Found {
    let mut found = Found::default();
    for (name, path) in found.entries(folder) {
        if path.is_dir() {
            found.language(&name, &path);
        } else if is_shared(&name) {
            let file = found.file(name, &path);
            found.shared.extend(file);
        } else {
            let problem = format!(
                "is no template: a folder for each language, {} and files beginning with _ can stand here",
                list(SHARED.iter().map(|(name, _)| (*name).to_owned()))
            );
            found.refuse(&path, problem);
        }
    }
    found
}

impl Found {
    fn language(&mut self, name: &str, path: &Path) {
        let Some(tag) = Tag::parse(name) else {
            return self.refuse(path, "is named after no language, such as de or pt-BR");
        };
        if self.languages.iter().any(|(other, ..)| other.is(&tag)) {
            return self.refuse(path, "is there twice, in another case");
        }
        let mut files = Vec::new();
        for (name, path) in self.entries(path) {
            if is_of_language(&name) || is_shared(&name) {
                files.extend(self.file(name, &path));
            } else {
                self.refuse(
                    &path,
                    format!("is no template: there are {}", list(of_language())),
                );
            }
        }
        self.languages
            .push((tag, path.display().to_string(), files));
    }

    /// What is in a folder, in order. What begins with a dot is none of ours: version control and
    /// mounted volumes put such files there.
    fn entries(&mut self, folder: &Path) -> Vec<(String, std::path::PathBuf)> {
        let read = || -> io::Result<Vec<_>> {
            fs::read_dir(folder)?
                .take(MAX_FILES + 1)
                .map(|entry| {
                    let entry = entry?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    Ok((name, entry.path()))
                })
                .collect()
        };
        let mut entries = read().unwrap_or_else(|error| {
            self.refuse(folder, format!("cannot be read ({})", error.kind()));
            Vec::new()
        });
        entries.retain(|(name, _)| !name.starts_with('.'));
        entries.sort();
        entries
    }

    fn file(&mut self, name: String, path: &Path) -> Option<File> {
        self.files += 1;
        if self.files > MAX_FILES {
            if self.files == MAX_FILES + 1 {
                self.refuse(
                    path,
                    format!("is one too many: at most {MAX_FILES} are read"),
                );
            }
            return None;
        }
        match read_text(path) {
            Ok(text) => Some(File {
                name,
                origin: path.display().to_string(),
                text,
            }),
            Err(problem) => {
                self.refuse(path, problem);
                None
            }
        }
    }

    fn refuse(&mut self, path: &Path, problem: impl Into<String>) {
        self.errors.push(TemplateError {
            file: path.display().to_string(),
            line: None,
            problem: problem.into(),
        });
    }
}

/// With line breaks as ours, whatever editor wrote it.
fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("cannot be read ({})", error.kind());
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err("is no file".to_owned());
    }
    if about.len() > MAX_FILE {
        return Err(format!("is larger than {MAX_FILE} bytes"));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not in UTF-8".to_owned())?;
    Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))
}

/// A part that templates include or extend, or one of ours that they can replace.
fn is_shared(name: &str) -> bool {
    name.starts_with('_') || SHARED.iter().any(|(shared, _)| name == *shared)
}

fn is_of_language(name: &str) -> bool {
    of_language().any(|file| name == file)
}

/// The files that make a language.
pub(super) fn of_language() -> impl Iterator<Item = String> {
    let phrases = PHRASES.iter().map(|phrase| format!("{}.txt", phrase.name));
    let mails = MAILS.iter();
    phrases
        .chain(mails.flat_map(|mail| ["txt", "html"].map(|form| format!("{}.{form}", mail.name))))
}

pub(super) fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
