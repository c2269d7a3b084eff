//! The tables of variables in the documentation, against the one in the code.

use std::path::Path;

use readdress::config::VARIABLES;

const HEAD: [&str; 3] = ["variable", "default", "meaning"];
/// What follows the meaning of a secret.
const ALSO_AS_FILE: &str = " Also as `…_FILE`.";

/// The cells of a line of a table; a `|` inside code would be `\\|`.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    let cells = line.replace("\\|", "\u{0}");
    let cells = cells.split('|').map(|cell| cell.replace('\u{0}', "|"));
    cells.map(|cell| cell.trim().to_owned()).collect()
}

/// The lines of the one table of variables in that page, without its head.
fn table(page: &str) -> Vec<Vec<String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
    let heads = text.lines().filter(|line| cells(line) == HEAD).count();
    assert_eq!(heads, 1, "{page} has one table with the head {HEAD:?}");
    let lines = text.lines().skip_while(|line| cells(line) != HEAD).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect()
}

#[test]
fn the_documentation_lists_every_variable_with_its_default_and_meaning() {
    for page in ["README.md", "docs/configuration.md"] {
        let found = table(page);
        let listed: Vec<_> = found
            .iter()
            .map(|line| line[0].trim_matches('`').to_owned())
            .collect();
        let known: Vec<_> = VARIABLES
            .iter()
            .map(|variable| variable.name.to_owned())
            .collect();
        assert_eq!(listed, known, "{page}: each once, in the order of the code");
        for (line, variable) in found.iter().zip(VARIABLES) {
            let name = variable.name;
            assert_eq!(line.len(), 3, "{page}: {name}");
            assert_eq!(line[0], format!("`{name}`"), "{page}: {name}");
            assert_eq!(
                line[1].trim_matches('`'),
                variable.default,
                "{page}: default of {name}"
            );
            let meaning = if variable.secret {
                let meaning = line[2].strip_suffix(ALSO_AS_FILE);
                meaning.unwrap_or_else(|| panic!("{page}: {name} does not say{ALSO_AS_FILE}"))
            } else {
                line[2].as_str()
            };
            assert_eq!(
                meaning.trim_end_matches('.'),
                variable.meaning,
                "{page}: meaning of {name}"
            );
        }
    }
}

#[test]
fn the_documentation_names_no_variable_that_does_not_exist() {
    for page in [
        "README.md",
        "docs/architecture.md",
        "docs/configuration.md",
        "docs/mails.md",
        "docs/operations.md",
        "docs/security.md",
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
        for (start, _) in text.match_indices("READDRESS_") {
            let rest = &text[start..];
            let end = rest
                .find(|c: char| !c.is_ascii_uppercase() && c != '_')
                .unwrap_or(rest.len());
            let name = &rest[..end];
            let known = VARIABLES.iter().any(|variable| {
                name == variable.name
                    || (variable.secret && name.strip_suffix("_FILE") == Some(variable.name))
            });
            // The beginning alone stands for all of them.
            assert!(known || name == "READDRESS_", "{page} names {name}");
        }
    }
}
