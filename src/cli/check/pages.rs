//! The folder of the built pages.

use std::path::Path;

use super::report::Part;
use crate::finding::Finding;
use crate::server::Pages;

pub(super) fn look(root: &Path) -> Part {
    match Pages::read(root) {
        Ok(pages) => Part::new("pages", format!("{} files", pages.count()), Vec::new()),
        Err(error) => Part::failed(
            "pages",
            Finding::grave(
                format!("READDRESS_WEB_ROOT {error}"),
                "the links in mails lead to these pages: `serve` does not start",
                "scripts/build-web    # makes web/dist: set READDRESS_WEB_ROOT to that folder, or take it away to serve no pages",
            ),
        ),
    }
}
