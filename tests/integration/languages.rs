//! Mails in the language of whoever asks, and in the operator's own words.

use readdress::email_change::mail::Look;

use crate::support::Options;
use crate::support::app::{PASSWORD, TestApp};

/// The whole story, with every mail of it.
async fn story(app: &TestApp) {
    app.add_user("taken@example.com", PASSWORD).await;
    let ann = app.person("ann@example.com").await;
    let (confirm, cancel) = app.links_of_request(&ann).await;
    app.confirm(&confirm, PASSWORD, "taken@example.com")
        .await
        .ok(202);
    app.cancel(&cancel).await.ok(200);
    app.mails_after(3).await;
    let undo = app.change(&ann, "ann@new.example").await;
    app.undo(&undo.expect("an undo link"), PASSWORD)
        .await
        .ok(200);
    app.mails_after(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_german_browser_gets_german_mails_at_every_step() {
    let mut app = TestApp::on_sqlite(Options::default()).await;
    app.speak("de-AT,de;q=0.9,en-US;q=0.8,en;q=0.7");
    story(&app).await;
    let subjects: Vec<String> = app.mails().into_iter().map(|mail| mail.subject).collect();
    assert_eq!(
        subjects,
        [
            "Ihre E-Mail-Adresse bei app.example.com ändern",
            "Jemand wollte Ihre E-Mail-Adresse bei app.example.com verwenden",
            "Die Änderung Ihrer E-Mail-Adresse bei app.example.com wurde gestoppt",
            "Ihre E-Mail-Adresse bei app.example.com ändern",
            "Bestätigen Sie diese E-Mail-Adresse für app.example.com",
            "Ihre E-Mail-Adresse bei app.example.com wird geändert",
            "Ihre E-Mail-Adresse bei app.example.com wurde geändert",
            "Ihre E-Mail-Adresse bei app.example.com wurde wiederhergestellt",
        ]
    );
    for mail in app.mails() {
        assert!(
            mail.raw.contains("\r\nContent-Language: de\r\n"),
            "{}",
            mail.raw
        );
        assert!(mail.html.contains("<html lang=\"de\">"), "{}", mail.html);
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_answered_in_its_own_language() {
    let mut app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    for (header, language) in [
        ("nl, sv;q=0.5", "en"),
        ("*", "en"),
        ("\u{1f600}", "en"),
        ("fr;q=0.2, ja", "ja"),
        ("pt-PT", "pt-BR"),
        ("zh-CN,zh;q=0.9", "zh-Hans"),
        ("zh-TW", "en"),
    ] {
        app.speak(header);
        app.request(&ann.access, PASSWORD).await.ok(202);
        let mail = app.mail_to("ann@example.com");
        let line = format!("\r\nContent-Language: {language}\r\n");
        assert!(mail.raw.contains(&line), "{header}: {}", mail.raw);
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_header_does_no_harm() {
    let mut app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    app.speak(&format!("de,{}", "x-,;q=;".repeat(1_500)));
    app.request(&ann.access, PASSWORD).await.ok(202);
    let mail = app.mail_to("ann@example.com");
    assert!(mail.raw.contains("\r\nContent-Language: de\r\n"));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_of_any_language_passes_every_server() {
    for language in ["en", "de", "es", "fr", "ja", "pl", "pt-BR", "zh-Hans"] {
        let mut app = TestApp::on_sqlite(Options {
            look: Look {
                product: Some("Пример 例え <b>".to_owned()),
                support: Some("https://example.com/help".to_owned()),
                ..Look::default()
            },
            ..Options::default()
        })
        .await;
        app.speak(language);
        story(&app).await;
        for mail in app.mails() {
            assert!(mail.raw.is_ascii(), "{}", mail.raw);
            // RFC 5322, section 2.1.1: as it should be, not only as it must be.
            for line in mail.raw.lines() {
                assert!(line.len() <= 78, "{language}: {line}");
            }
            assert!(mail.subject.contains("Пример 例え <b>"), "{}", mail.subject);
            assert!(
                mail.text.contains("https://example.com/help"),
                "{}",
                mail.text
            );
            assert!(mail.html.contains("Пример 例え &lt;b&gt;"), "{}", mail.html);
            assert!(mail.raw.contains("\r\nAuto-Submitted: auto-generated\r\n"));
        }
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_of_the_operators_takes_the_place_of_ours() {
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::create_dir(folder.path().join("de")).expect("made");
    std::fs::write(
        folder.path().join("de/confirm.txt"),
        "Subject: Neue Adresse für {{ product }}\n\nHier entlang, bis {{ expires }}:\n\n{{ link }}\n{% if cancel_link %}\n\nOder nicht:\n\n{{ cancel_link }}\n{% endif %}\n",
    )
    .expect("written");
    let look = Look {
        product: Some("Beispiel".to_owned()),
        templates: Some(folder.path().to_owned()),
        ..Look::default()
    };
    let mut app = TestApp::on_sqlite(Options {
        look,
        ..Options::default()
    })
    .await;
    let ann = app.person("ann@example.com").await;
    app.speak("de");
    // Read once, at start.
    std::fs::remove_dir_all(folder.path().join("de")).expect("removed");
    let (confirm, cancel) = app.links_of_request(&ann).await;
    let mail = app.mail_to("ann@example.com");
    assert_eq!(mail.subject, "Neue Adresse für Beispiel");
    assert!(
        mail.text
            .starts_with("Hier entlang, bis 15. Januar 2027, 09:00 Uhr (UTC):\n"),
        "{}",
        mail.text
    );
    assert!(
        mail.html
            .contains("Jemand, der in Ihrem Konto bei Beispiel")
    );
    assert_eq!(app.state_of(&confirm).await, "usable");
    app.cancel(&cancel).await.ok(200);
    app.close().await;
}
