//! What docs/security.md promises of tests: each one that it names is there. A threat whose test was
//! renamed or taken away would look as if it were held.

use std::path::Path;

/// Of every table under "Threats": where its tests are, and the cells that name them.
fn cells(document: &str) -> Vec<(String, &str)> {
    let threats = document
        .split("\n## ")
        .find(|section| section.starts_with("Threats\n"))
        .expect("a section about threats");
    let mut found = Vec::new();
    let mut table: Option<(usize, String)> = None;
    for line in threats.lines() {
        if !line.starts_with('|') {
            table = None;
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        match &table {
            None => {
                let place = cells.iter().position(|cell| cell.starts_with("test"));
                let place = place.unwrap_or_else(|| panic!("names no tests: {line}"));
                let folder = cells[place].split('`').nth(1);
                let folder = folder.unwrap_or("tests/integration/").to_owned();
                table = Some((place, folder));
            }
            Some((place, folder)) => found.push((folder.clone(), cells[*place])),
        }
    }
    found
}

/// The file that a name leads to, and the function in it, if it names one.
fn file_and_test(folder: &str, name: &str) -> (String, Option<String>) {
    let (module, test) = match name.rsplit_once("::") {
        Some((module, test)) => (module, Some(test.to_owned())),
        None => (name, None),
    };
    let folder = if module.starts_with("src/") {
        ""
    } else {
        folder
    };
    (format!("{folder}{}.rs", module.replace("::", "/")), test)
}

fn missing(root: &Path, folder: &str, name: &str) -> Option<String> {
    let (file, test) = file_and_test(folder, name);
    let Ok(source) = std::fs::read_to_string(root.join(&file)) else {
        return Some(format!("{name}: there is no {file}"));
    };
    let has = |test: &String| source.contains(&format!("fn {test}("));
    test.filter(|test| !has(test))
        .map(|test| format!("{name}: {file} has no {test}"))
}

#[test]
fn every_test_that_the_page_about_security_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let mut names = 0;
    let mut gone = Vec::new();
    for (folder, cell) in cells(&document) {
        // What stands in backticks; those of the browser are sentences, in files of their own.
        for name in cell.split('`').skip(1).step_by(2) {
            if name.contains(' ') || name == "tests/browser" {
                continue;
            }
            names += 1;
            gone.extend(missing(root, &folder, name));
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
    assert!(names > 90, "only {names} were found: is the page read?");
    let control = missing(root, "tests/integration/", "documents::nobody_wrote_this");
    assert!(control.is_some(), "a name that leads nowhere is noticed");
}
