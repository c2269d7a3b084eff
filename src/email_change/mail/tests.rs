//! Every mail of every language, and what a folder of templates may do wrong.

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const APP_URL: &str = "https://app.example.com";

fn letters(look: Look) -> Result<Letters, TemplateErrors> {
    Letters::new(look, APP_URL, LinkTemplates::below(APP_URL))
}

fn plain() -> Letters {
    letters(Look::default()).expect("the built-in templates")
}

/// With everything that an operator can say.
fn with_all() -> Letters {
    letters(Look {
        product: Some("Example & Söhne".to_owned()),
        support: Some("help@example.com".to_owned()),
        logo: Some("<Example>".to_owned()),
        templates: None,
    })
    .expect("the built-in templates")
}

fn tag(letters: &Letters, language: Language) -> String {
    letters.languages().tag(language).to_owned()
}

/// Every mail of a language, as it may look.
fn mails(letters: &Letters, language: Language) -> Vec<(&'static str, Mail)> {
    let samples = proof::samples(&letters.in_language(language));
    samples
        .into_iter()
        .map(|sample| (sample.name, sample.mail.expect("a mail")))
        .collect()
}

#[test]
fn every_language_has_every_mail_with_its_links() {
    for letters in [plain(), with_all()] {
        proof::prove(&letters).expect("nothing is wrong");
        for language in letters.languages().all() {
            let names: BTreeSet<_> = mails(&letters, language)
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            let all: BTreeSet<_> = MAILS.iter().map(|mail| mail.name).collect();
            assert_eq!(names, all, "{}", tag(&letters, language));
        }
    }
}

#[test]
fn every_language_says_the_same_things() {
    let letters = plain();
    for language in letters.languages().all() {
        for name in folder::of_language() {
            let variables = |language| letters.templates.variables(language, &name);
            let tag = tag(&letters, language);
            assert_eq!(
                variables(language),
                variables(Language::default()),
                "{tag}/{name}"
            );
        }
    }
}

#[test]
fn the_table_of_variables_is_what_the_mails_say() {
    let letters = plain();
    for mail in MAILS {
        let mut said = BTreeSet::new();
        for form in ["txt", "html"] {
            let name = format!("{}.{form}", mail.name);
            said.extend(letters.templates.variables(Language::default(), &name));
        }
        for common in COMMON {
            said.remove(*common);
        }
        let table: BTreeSet<String> = mail.variables.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(said, table, "{}", mail.name);
    }
}

#[test]
fn no_language_has_english_left_in_it() {
    const ENGLISH: [&str; 14] = [
        "the", "your", "you", "was", "this", "and", "account", "address", "password", "changed",
        "nobody", "from", "until", "help",
    ];
    let letters = with_all();
    for language in letters.languages().all().skip(1) {
        let tag = tag(&letters, language);
        for (name, mail) in mails(&letters, language) {
            let words = format!("{}\n{}", mail.subject, mail.text);
            let lines = words
                .lines()
                .chain(mail.html.lines().filter(|line| !line.contains("href")));
            let lines = lines.filter(|line| !line.contains('@') && !line.starts_with("https://"));
            for line in lines {
                let line = without_tags(line).to_lowercase();
                for word in line.split(|c: char| !c.is_alphanumeric()) {
                    assert!(!ENGLISH.contains(&word), "{tag}/{name}: {word} in {line}");
                }
            }
            assert!(
                mail.html.contains(&format!("<html lang=\"{tag}\">")),
                "{tag}/{name}"
            );
            assert_eq!(mail.language, tag);
        }
    }
}

#[test]
fn texts_fit_into_eighty_columns_and_subjects_into_one_line() {
    let letters = plain();
    for language in letters.languages().all() {
        let tag = tag(&letters, language);
        for (name, mail) in mails(&letters, language) {
            for line in mail
                .text
                .lines()
                .filter(|line| !line.starts_with("https://"))
            {
                assert!(columns(line) <= 80, "{tag}/{name}: {line}");
                assert!(
                    !line.ends_with(' ') || line == "-- ",
                    "{tag}/{name}: {line}"
                );
            }
            assert!(!mail.subject.contains(char::is_control), "{tag}/{name}");
            assert!(
                columns(&mail.subject) <= 100,
                "{tag}/{name}: {}",
                mail.subject
            );
            assert!(!mail.text.contains("\n\n\n"), "{tag}/{name}: {}", mail.text);
        }
    }
}

/// East Asian characters take two.
fn columns(line: &str) -> usize {
    let wide = |c: char| matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}');
    line.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

#[test]
fn times_are_written_as_each_language_writes_them() {
    let letters = plain();
    // 1 March 2028 and 23 November 2026.
    let times = [1_835_481_900, 1_795_474_020].map(|seconds| {
        letters
            .languages()
            .all()
            .map(|language| letters.in_language(language).date(seconds).expect("a date"))
            .collect::<Vec<_>>()
    });
    assert_eq!(
        times[0],
        [
            "1 March 2028, 00:05 UTC",
            "1. März 2028, 00:05 Uhr (UTC)",
            "1 de marzo de 2028, 00:05 h (UTC)",
            "1er mars 2028 à 00:05 (UTC)",
            "2028年3月1日 00:05（UTC）",
            "1 marca 2028 r., 00:05 (UTC)",
            "1º de março de 2028, 00:05 (UTC)",
            "2028年3月1日 00:05（UTC）",
        ]
    );
    assert_eq!(
        times[1],
        [
            "23 November 2026, 22:47 UTC",
            "23. November 2026, 22:47 Uhr (UTC)",
            "23 de noviembre de 2026, 22:47 h (UTC)",
            "23 novembre 2026 à 22:47 (UTC)",
            "2026年11月23日 22:47（UTC）",
            "23 listopada 2026 r., 22:47 (UTC)",
            "23 de novembro de 2026, 22:47 (UTC)",
            "2026年11月23日 22:47（UTC）",
        ]
    );
}

#[test]
fn each_language_reads_like_this() {
    let letters = with_all();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for language in letters.languages().all() {
            let shown: Vec<String> = mails(&letters, language)
                .iter()
                .map(|(name, mail)| {
                    let html = mail.html.split_once("<body").expect("a body").1;
                    let lines = html.lines().skip(1).map(without_tags);
                    let html: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
                    format!(
                        "=== {name}\nSubject: {}\n\n{}\n--- as HTML\n{}\n",
                        mail.subject,
                        mail.text,
                        html.join("\n")
                    )
                })
                .collect();
            insta::assert_snapshot!(tag(&letters, language), shown.join("\n"));
        }
    });
}

fn without_tags(line: &str) -> String {
    let mut parts = line.split('<');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('>').map_or(part, |(_, rest)| rest)
    })
}

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

#[test]
fn what_is_wrong_is_told_with_file_and_line() {
    const TEXT: &str = "Subject: S\n\nT\n\n";
    let text = |rest: &str| format!("{TEXT}{rest}");
    for (file, content, expected) in [
        (
            "de/changed.txt",
            text("{{ naem }}"),
            "de/changed.txt, line 5: `naem` is unknown here; known are product, ",
        ),
        (
            "de/changed.txt",
            text("{% if naem %}{% endif %}"),
            "de/changed.txt, line 5: `naem` is unknown",
        ),
        // Even where no sample comes by.
        (
            "de/changed.txt",
            text("{% if not product %}{{ naem }}{% endif %}"),
            "de/changed.txt, line 5: `naem` is unknown",
        ),
        (
            "de/changed.txt",
            text("{{ link }}"),
            "de/changed.txt, line 5: `link` is unknown",
        ),
        (
            "de/changed.txt",
            text("{% if product %}"),
            "de/changed.txt, line 5: syntax error: ",
        ),
        (
            "de/changed.txt",
            text("{{ product|shout }}"),
            "de/changed.txt, line 5: unknown filter: ",
        ),
        (
            "de/changed.txt",
            text("{% include \"_gone.txt\" %}"),
            "de/changed.txt, line 5: template not found: ",
        ),
        (
            "de/changed.txt",
            text("{% include \"changed.txt\" %}"),
            "de/changed.txt, line 5: invalid operation: recursion limit",
        ),
        (
            "de/changed.txt",
            "Hello".to_owned(),
            "de/changed.txt, line 1: must be `Subject: `",
        ),
        (
            "de/changed.txt",
            "Subject: S\nT".to_owned(),
            "de/changed.txt, line 1: must be `Subject: `",
        ),
        (
            "de/changed.txt",
            "Subject: S\n  T\n\nU".to_owned(),
            "de/changed.txt, line 1: must be `Subject: `",
        ),
        (
            "de/changed.txt",
            "Subject: \n\nT".to_owned(),
            "de/changed.txt, line 1: must be `Subject: `",
        ),
        (
            "de/changed.txt",
            "Subject: S\n\n \n".to_owned(),
            "de/changed.txt: says nothing",
        ),
        (
            "de/changed.txt",
            format!("Subject: {}\n\nT", "s".repeat(201)),
            "de/changed.txt: the subject is longer",
        ),
        (
            "de/changed.txt",
            text(&"x".repeat(64 * 1024)),
            "de/changed.txt: is larger than 65536 bytes",
        ),
        (
            "de/changed.txt",
            text("{% for i in range(200) %}{{ footer ~ (\"x\" * 600) }}{% endfor %}"),
            "de/changed.txt: is longer than 102400 bytes",
        ),
        (
            "de/activate.txt",
            text("Here: {{ link }}"),
            "de/activate.txt: the link to go on ({{ link }}) must stand on a line of its own",
        ),
        (
            "de/confirm.txt",
            text("{{ link }}\n"),
            "de/confirm.txt: the link to stop the change ({{ cancel_link }}) must stand",
        ),
        (
            "de/changing.txt",
            text("{{ undo_until }}\n"),
            "de/changing.txt: the link to undo the change ({{ undo_link }}) must stand",
        ),
        (
            "de/activate.html",
            "<p>{{ link }}</p>".to_owned(),
            "de/activate.html: the link to go on ({{ link }}) must be the href",
        ),
        (
            "de/changed.html",
            "{% extends \"layuot.html\" %}".to_owned(),
            "de/changed.html, line 1: template not found: ",
        ),
        (
            "de/date.txt",
            "{{ day }}.\n{{ mnth }}".to_owned(),
            "de/date.txt, line 2: undefined value: ",
        ),
        (
            "de/footer.txt",
            "{{ link }}".to_owned(),
            "de/footer.txt, line 1: undefined value: ",
        ),
        (
            "de/footer.txt",
            "{{".to_owned(),
            "de/footer.txt, line 1: syntax error: ",
        ),
        (
            "layout.html",
            "<p>\n{{ naem }}".to_owned(),
            "layout.html, line 2: undefined value: ",
        ),
        (
            "de/chagned.txt",
            text(""),
            "de/chagned.txt: is no template: there are date.txt, ",
        ),
        (
            "confirm.txt",
            text(""),
            "confirm.txt: is no template: a folder for each language, ",
        ),
        (
            "deutsch!/changed.txt",
            text(""),
            "deutsch!: is named after no language",
        ),
    ] {
        let complaints = complaints(&folder_of(&[(file, &content)]));
        assert!(
            complaints
                .iter()
                .any(|complaint| complaint.starts_with(expected)),
            "{file} {content:.80?}: {complaints:?}"
        );
    }
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
