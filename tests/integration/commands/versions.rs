//! One version: everything that is published together, or speaks of it, says the one in Cargo.toml.

use std::path::Path;

use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn packages_and_the_document_have_the_version_of_the_service() {
    for (file, pointers) in [
        ("openapi/readdress.json", &["/info/version"][..]),
        ("clients/typescript/package.json", &["/version"]),
        (
            "clients/typescript/package-lock.json",
            &["/version", "/packages//version"],
        ),
        ("web/package.json", &["/version"]),
        ("web/package-lock.json", &["/version", "/packages//version"]),
        ("tests/browser/package.json", &["/version"]),
        (
            "tests/browser/package-lock.json",
            &["/version", "/packages//version"],
        ),
    ] {
        let parsed: Value = serde_json::from_str(&read(file)).expect(file);
        for pointer in pointers {
            let version = parsed.pointer(pointer).and_then(Value::as_str);
            assert_eq!(version, Some(VERSION), "{file}: {pointer}");
        }
    }
    let migrations = read("migrations/Cargo.toml");
    assert!(migrations.contains("\nversion.workspace = true\n"));
    let lock = read("fuzz/Cargo.lock");
    for name in ["readdress", "readdress-migrations"] {
        let package = format!("\nname = \"{name}\"\nversion = \"{VERSION}\"\n");
        assert!(lock.contains(&package), "fuzz/Cargo.lock: {name}");
    }
}

#[test]
fn the_documentation_speaks_of_the_version_that_there_is() {
    let changelog = read("CHANGELOG.md");
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ["));
    let newest = newest.and_then(|rest| rest.split(']').next());
    assert_eq!(newest, Some(VERSION), "CHANGELOG.md: the first section");
    let status = format!("\nVersion {VERSION}");
    assert!(
        read("README.md").contains(&status),
        "README.md, Status: a line that begins with Version {VERSION}"
    );
    let operations = read("docs/operations.md");
    let sample = format!("\n  \"version\": \"{VERSION}\",\n");
    assert!(
        operations.contains(&sample),
        "docs/operations.md: what `check --json` prints"
    );
    for image in operations.split(" readdress:").skip(1) {
        assert!(image.starts_with(VERSION), "docs/operations.md: the image");
    }
}
