//! The tables of variables in the documentation, against the one in the code.

use std::collections::BTreeSet;
use std::path::Path;

use readdress::config::VARIABLES;

use crate::support::process::Shell;

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
    let text = read(page);
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

/// Everything that people read and copy from.
const PAGES: [&str; 16] = [
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/configuration.md",
    "docs/integration.md",
    "docs/integration/devise.md",
    "docs/integration/django.md",
    "docs/integration/laravel.md",
    "docs/integration/node.md",
    "docs/integration/phoenix.md",
    "docs/mails.md",
    "docs/operations.md",
    "docs/security.md",
    "examples/django/README.md",
    "examples/django/readdress.env",
];

/// Where the service is, as applications call it in their own settings.
const OF_APPLICATIONS: &str = "READDRESS_URL";

fn read(page: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"))
}

#[test]
fn the_documentation_names_no_variable_that_does_not_exist() {
    for page in PAGES {
        let text = read(page);
        for (start, _) in text.match_indices("READDRESS_") {
            let rest = &text[start..];
            let end = rest
                .find(|c: char| !c.is_ascii_uppercase() && c != '_')
                .unwrap_or(rest.len());
            let name = &rest[..end];
            let known = VARIABLES.iter().any(|variable| {
                name == variable.name
                    || (variable.secret && name.strip_suffix("_FILE") == Some(variable.name))
                    // A beginning stands for all of them.
                    || (name.ends_with('_') && variable.name.starts_with(name))
            });
            assert!(known || name == OF_APPLICATIONS, "{page} names {name}");
        }
    }
}

/// Every `readdress …` in a page: in code between backticks, and at the beginning of a line in a
/// block of code. As words, up to the first that is an option or stands for something.
fn commands(page: &str) -> BTreeSet<Vec<String>> {
    let mut named = BTreeSet::new();
    let mut is_block = false;
    for line in read(page).lines() {
        is_block ^= line.starts_with("```");
        let quoted = line.split('`').skip(1).step_by(2);
        let typed = line.trim_start_matches("../../target/debug/");
        for code in quoted.chain(is_block.then_some(typed)) {
            let Some(command) = code.strip_prefix("readdress ") else {
                continue;
            };
            let is_literal = |word: &&str| {
                let mut bytes = word.bytes();
                word.starts_with(|first: char| first.is_ascii_lowercase())
                    && bytes.all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            };
            let words = command.split(' ').take_while(is_literal);
            named.insert(words.map(ToOwned::to_owned).collect());
        }
    }
    named
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documentation_names_no_command_that_does_not_exist() {
    let shell = Shell::new();
    let mut asked = 0;
    for page in PAGES {
        for words in commands(page) {
            // Help is given for what there is; what is not there is refused first.
            let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
            arguments.push("--help");
            let told = shell.run(&arguments).await;
            assert_eq!(told.code, Some(0), "{page}: readdress {words:?}: {told:?}");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}
