//! A folder as the mail server: one `.eml` file a mail, for `readdress dev`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs;
use uuid::Uuid;

/// A folder of mails. Cheap to clone.
#[derive(Clone)]
pub struct Folder(Arc<Path>);

impl Folder {
    /// Uses `path`, made if it does not exist.
    ///
    /// # Errors
    ///
    /// Passes on what the file system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(Arc::from(path)))
    }

    /// Removes every mail, and nothing else.
    ///
    /// # Errors
    ///
    /// Passes on what the file system says.
    pub fn empty(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "eml" || extension == "tmp")
            {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Adds a mail. Names sort by time, and a mail is there whole or not at all.
    pub(super) async fn write(&self, message: &[u8]) -> io::Result<()> {
        let name = Uuid::now_v7();
        let unfinished = self.0.join(format!("{name}.tmp"));
        fs::write(&unfinished, message).await?;
        fs::rename(&unfinished, self.0.join(format!("{name}.eml"))).await
    }

    /// The names of all mails, newest first.
    ///
    /// # Errors
    ///
    /// Passes on what the file system says.
    pub async fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut entries = fs::read_dir(&self.0).await?;
        while let Some(entry) = entries.next_entry().await? {
            if let Some(name) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.strip_suffix(".eml"))
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(names)
    }

    /// One mail as it was sent; nothing for a name that is none of ours.
    ///
    /// # Errors
    ///
    /// Passes on what the file system says.
    pub async fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        // Only a UUID names a mail, so no name leads out of the folder.
        let Ok(name) = Uuid::try_parse(name) else {
            return Ok(None);
        };
        match fs::read(self.path_of(name)).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path_of(&self, name: Uuid) -> PathBuf {
        self.0.join(format!("{name}.eml"))
    }
}
