//! Every mail of every language: complete, translated, within bounds.

mod folders;

use std::collections::BTreeSet;

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
