//! What a folder of templates may do, and what it may do wrong.

use std::path::Path;

use tempfile::TempDir;

use super::*;

/// A folder with these files.
fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        write(folder.path(), name, text.as_bytes());
    }
    folder
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

fn read(folder: &TempDir) -> Result<Letters, TemplateErrors> {
    letters(Look {
        templates: Some(folder.path().to_owned()),
        ..Look::default()
    })
}

/// What is wrong with that folder, without the path to it.
fn complaints(folder: &TempDir) -> Vec<String> {
    let root = format!("{}/", folder.path().display());
    match read(folder) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .0
            .iter()
            .map(|error| error.to_string().replace(&root, ""))
            .collect(),
    }
}

#[test]
fn a_file_replaces_one_mail_in_one_form_and_language() {
    let folder = folder_of(&[
        (
            "de/changed.txt",
            "\u{feff}Subject: Neu bei {{ product }}\r\n\r\n{% include \"_hello.txt\" %}\r\n{{ footer }}\r\n",
        ),
        ("de/_hello.txt", "Guten Tag!\n\n"),
        (".git/config", "nothing of ours"),
        ("fr/.DS_Store", "\0"),
        ("layout.html", "<html>{% block body %}{% endblock %}</html>"),
        (
            "pt-br/layout.html",
            "<html lang=\"pt\">{% block body %}{% endblock %}</html>",
        ),
    ]);
    let letters = read(&folder).unwrap_or_else(|errors| panic!("{errors}"));
    let in_language = |header: &str| {
        let language = letters.languages().choose([header]);
        letters
            .in_language(language)
            .changed("ann@example.com")
            .expect("a mail")
    };
    let german = in_language("de");
    assert_eq!(german.subject, "Neu bei app.example.com");
    assert!(german.text.starts_with("Guten Tag!\n"), "{}", german.text);
    assert!(
        german.html.starts_with("<html><p>Ab sofort")
            || german.html.starts_with("<html>\n<p>Ab sofort"),
        "{}",
        german.html
    );
    let plain = plain();
    let built_in = plain
        .in_language(Language::default())
        .changed("ann@example.com");
    assert_eq!(in_language("en").text, built_in.expect("a mail").text);
    assert!(in_language("pt").html.starts_with("<html lang=\"pt\">"));
}

#[test]
fn a_folder_can_bring_a_language_that_is_not_built_in() {
    let folder = TempDir::new().expect("a folder");
    for name in folder::of_language() {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("templates/de")
            .join(&name);
        write(
            folder.path(),
            &format!("nl/{name}"),
            &std::fs::read(ours).expect("ours"),
        );
    }
    let letters = read(&folder).unwrap_or_else(|errors| panic!("{errors}"));
    let dutch = letters.languages().choose(["nl-BE, de;q=0.5"]);
    assert_eq!(tag(&letters, dutch), "nl");
    let mail = letters
        .in_language(dutch)
        .changed("ann@example.com")
        .expect("a mail");
    assert!(mail.html.contains("<html lang=\"nl\">"), "{}", mail.html);

    std::fs::remove_file(folder.path().join("nl/taken.html")).expect("removed");
    let complaints = complaints(&folder);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].starts_with("nl: ") && complaints[0].contains("taken.html"),
        "{complaints:?}"
    );
}

const TEXT: &str = "Subject: S\n\nT\n\n";

/// Each file with that content is complained about so.
fn assert_told(cases: &[(&str, &str, &str)]) {
    for (file, content, expected) in cases {
        let complaints = complaints(&folder_of(&[(file, content)]));
        assert!(
            complaints.iter().any(|line| line.starts_with(expected)),
            "{file} {content:.80?}: {complaints:?}"
        );
    }
}

#[test]
fn a_template_that_does_not_render_is_told_with_file_and_line() {
    for (rest, expected) in [
        ("{{ naem }}", "`naem` is unknown here; known are product, "),
        ("{% if naem %}{% endif %}", "`naem` is unknown"),
        // Even where no sample comes by.
        (
            "{% if not product %}{{ naem }}{% endif %}",
            "`naem` is unknown",
        ),
        ("{{ link }}", "`link` is unknown"),
        ("{% if product %}", "syntax error: "),
        ("{{ product|shout }}", "unknown filter: "),
        ("{% include \"_gone.txt\" %}", "template not found: "),
        (
            "{% include \"changed.txt\" %}",
            "invalid operation: recursion limit",
        ),
    ] {
        let expected = format!("de/changed.txt, line 5: {expected}");
        assert_told(&[("de/changed.txt", &format!("{TEXT}{rest}"), &expected)]);
    }
    assert_told(&[
        (
            "de/changed.html",
            "{% extends \"layuot.html\" %}",
            "de/changed.html, line 1: template not found: ",
        ),
        (
            "de/date.txt",
            "{{ day }}.\n{{ mnth }}",
            "de/date.txt, line 2: `mnth` is unknown here",
        ),
        (
            "de/footer.txt",
            "{{ link }}",
            "de/footer.txt, line 1: undefined value: ",
        ),
        (
            "de/footer.txt",
            "{{",
            "de/footer.txt, line 1: syntax error: ",
        ),
        (
            "layout.html",
            "<p>\n{{ naem }}",
            "layout.html, line 2: undefined value: ",
        ),
    ]);
}

#[test]
fn a_mail_that_does_not_say_what_it_must_is_refused() {
    const NO_SUBJECT: &str = "de/changed.txt, line 1: must be `Subject: `";
    let long_subject = format!("Subject: {}\n\nT", "s".repeat(201));
    let long_text = format!(
        "{TEXT}{{% for i in range(200) %}}{}{{% endfor %}}",
        "x".repeat(600)
    );
    assert_told(&[
        ("de/changed.txt", "Hello", NO_SUBJECT),
        ("de/changed.txt", "Subject: S\nT", NO_SUBJECT),
        ("de/changed.txt", "Subject: S\n  T\n\nU", NO_SUBJECT),
        ("de/changed.txt", "Subject: \n\nT", NO_SUBJECT),
        (
            "de/changed.txt",
            "Subject: S\n\n \n",
            "de/changed.txt: says nothing",
        ),
        (
            "de/changed.txt",
            &long_subject,
            "de/changed.txt: the subject is longer",
        ),
        (
            "de/changed.txt",
            &long_text,
            "de/changed.txt: is longer than 102400 bytes",
        ),
        (
            "de/activate.txt",
            "Subject: S\n\nHere: {{ link }}",
            "de/activate.txt: the link to go on ({{ link }}) must stand on a line of its own",
        ),
        (
            "de/confirm.txt",
            "Subject: S\n\n{{ link }}\n",
            "de/confirm.txt: the link to stop the change ({{ cancel_link }}) must stand",
        ),
        (
            "de/changing.txt",
            "Subject: S\n\n{{ asked }}\n",
            "de/changing.txt: the link to undo the change ({{ undo_link }}) must stand",
        ),
        (
            "de/activate.html",
            "<p>{{ link }}</p>",
            "de/activate.html: the link to go on ({{ link }}) must be the href",
        ),
    ]);
}

#[test]
fn a_file_that_is_no_template_is_refused() {
    let huge = format!("{TEXT}{}", "x".repeat(64 * 1024));
    assert_told(&[
        (
            "de/changed.txt",
            &huge,
            "de/changed.txt: is larger than 65536 bytes",
        ),
        (
            "de/chagned.txt",
            TEXT,
            "de/chagned.txt: is no template: there are date.txt, ",
        ),
        (
            "confirm.txt",
            TEXT,
            "confirm.txt: is no template: a folder for each language, ",
        ),
        (
            "deutsch!/changed.txt",
            TEXT,
            "deutsch!: is named after no language",
        ),
    ]);
}

#[test]
fn a_misspelt_name_is_one_complaint() {
    for file in ["de/changed.txt", "de/changed.html"] {
        let content = format!("{TEXT}{{{{ naem }}}}{{{{ naem }}}}");
        let complaints = complaints(&folder_of(&[(file, &content)]));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(
            complaints[0].contains("`naem` is unknown"),
            "{complaints:?}"
        );
    }
}

#[test]
fn a_template_that_never_comes_to_its_end_is_refused_soon() {
    let loops = "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}";
    let text = format!("{TEXT}{loops}");
    assert_told(&[
        (
            "de/changed.txt",
            &text,
            "de/changed.txt, line 5: takes too long",
        ),
        (
            "de/changed.html",
            loops,
            "de/changed.html, line 1: takes too long",
        ),
        ("layout.html", loops, "layout.html, line 1: takes too long"),
    ]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_once() {
    let folder = folder_of(&[
        ("de/changed.txt", "Subject: S\n\n{{ naem }}"),
        ("fr/undone.html", "{% if %}"),
        ("ja/README.md", "not here"),
    ]);
    write(folder.path(), "es/taken.txt", b"Subject: \xff\n\nT");
    let complaints = complaints(&folder);
    // What can be read is looked into once all of it can be.
    let files = [
        "es/taken.txt: is not in UTF-8",
        "ja/README.md: is no template",
        "fr/undone.html, line 1: ",
    ];
    assert_eq!(complaints.len(), files.len(), "{complaints:?}");
    for file in files {
        assert_eq!(
            complaints
                .iter()
                .filter(|line| line.starts_with(file))
                .count(),
            1,
            "{file}: {complaints:?}"
        );
    }
}
