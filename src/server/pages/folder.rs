//! Reads the folder of the pages into memory, and nothing outside of it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::PagesError;

/// Thirty times what the pages are: past it the variable names another folder.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// How deep folders may lie in each other.
const MAX_DEPTH: usize = 8;

/// Every file, by its path with a slash in front.
///
/// Hidden files stay out. A link to a file is followed where it ends inside the folder (that is how
/// Kubernetes mounts files), a link to a folder never: it could end in itself.
pub(super) fn read(root: &Path) -> Result<BTreeMap<String, Vec<u8>>, PagesError> {
    let root = root.canonicalize()?;
    let mut reading = Reading {
        root: &root,
        left: MAX_BYTES,
        files: BTreeMap::new(),
    };
    reading.folder(&root, "", MAX_DEPTH)?;
    Ok(reading.files)
}

struct Reading<'a> {
    root: &'a Path,
    left: u64,
    files: BTreeMap<String, Vec<u8>>,
}

impl Reading<'_> {
    fn folder(&mut self, folder: &Path, above: &str, depth: usize) -> Result<(), PagesError> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let (path, kind) = (format!("{above}/{name}"), entry.file_type()?);
            if name.starts_with('.') {
                continue;
            }
            if !kind.is_dir() {
                self.file(&entry.path(), path)?;
            } else if depth > 0 {
                self.folder(&entry.path(), &path, depth - 1)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &Path, path: String) -> Result<(), PagesError> {
        let file = match file.canonicalize() {
            Ok(file) => file,
            // A link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let facts = file.metadata()?;
        if !file.starts_with(self.root) || !facts.is_file() {
            tracing::warn!(
                path,
                "not served: it leads out of READDRESS_WEB_ROOT, or is no file"
            );
            return Ok(());
        }
        self.left = self
            .left
            .checked_sub(facts.len())
            .ok_or(PagesError::TooLarge)?;
        self.files.insert(path, std::fs::read(file)?);
        Ok(())
    }
}
