//! `readdress dev`.

use std::time::Duration;

use readdress::dev::DEMO_PASSWORD;
use serde_json::{Value, json};

use super::assert_refused;
use crate::support::Answer;
use crate::support::process::{Running, Shell};
use crate::wire::exchange;

const DEMO: &str = "demo@example.com";

fn shell() -> Shell {
    Shell::new().with("READDRESS_LISTEN", "127.0.0.1:0")
}

async fn sign_in(dev: &Running, email: &str) -> Answer {
    dev.post(
        "/v1/session",
        None,
        json!({ "email": email, "password": DEMO_PASSWORD }),
    )
    .await
}

async fn post(dev: &Running, step: &str, body: Value) -> Answer {
    dev.post(&format!("/v1/email-change/{step}"), None, body)
        .await
}

/// The newest mail's token for that page.
async fn latest_token(dev: &Running, page: &str) -> String {
    let mail = dev.get("/dev/mailbox/latest.txt").await;
    assert_eq!(
        mail.header("content-type"),
        Some("text/plain; charset=utf-8"),
        "{}",
        mail.text
    );
    let start = format!("{}/{page}?token=", dev.url);
    let link = mail.text.lines().find_map(|line| line.strip_prefix(&start));
    link.unwrap_or_else(|| panic!("no {page} link: {}", mail.text))
        .to_owned()
}

/// Path and subject of every mail in the list, from the top.
async fn mailbox(dev: &Running) -> Vec<(String, String)> {
    let page = dev.get("/dev/mailbox").await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.text);
    let entries = page.text.split("<li><a href=\"").skip(1);
    let entries = entries.map(|entry| {
        let (path, rest) = entry.split_once('"').expect("a link");
        let rest = rest.split_once('>').expect("its start").1;
        (
            path.to_owned(),
            rest.split_once("</a>").expect("its end").0.to_owned(),
        )
    });
    entries.collect()
}

async fn mailbox_of(dev: &Running, count: usize) -> Vec<(String, String)> {
    for _ in 0..300 {
        let mails = mailbox(dev).await;
        if mails.len() == count {
            return mails;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not {count} mails: {:?}", mailbox(dev).await);
}

/// Asks for a change; the page of the one mail that follows.
async fn first_mail(dev: &Running) -> String {
    let session = sign_in(dev, DEMO).await;
    let access = Some(session.field("access_token"));
    let body = json!({ "password": DEMO_PASSWORD });
    dev.post("/v1/email-change/request", access, body)
        .await
        .ok(202);
    mailbox_of(dev, 1).await.remove(0).0
}

fn unescaped(html: &str) -> String {
    let entities = [
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(html.to_owned(), |text, (entity, plain)| {
            text.replace(entity, plain)
        })
}

/// Where the page's `curl` line for that step sends what.
fn curl_line(page: &str, step: &str) -> (String, Value) {
    let page = unescaped(page);
    let line = page
        .split("<pre>")
        .find(|line| line.starts_with("curl ") && line.contains(&format!("/{step} ")));
    let line = line.unwrap_or_else(|| panic!("no line for {step}: {page}"));
    let url = line
        .split(' ')
        .find(|word| word.starts_with("http"))
        .expect("a URL");
    let (_, body) = line.split_once("-d '").expect("a body");
    let body = body.split_once('\'').expect("its end").0;
    (url.to_owned(), serde_json::from_str(body).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_takes_anybody_through_the_whole_change_with_nothing_configured() {
    let shell = shell();
    let dev = shell.start("dev").await;
    let greeting = dev.stdout();
    for line in [
        DEMO,
        DEMO_PASSWORD,
        &format!("{}/docs", dev.url),
        &format!("{}/dev/mailbox", dev.url),
    ] {
        assert!(greeting.contains(line), "{line}: {greeting}");
    }
    dev.get("/dev/mailbox/latest.txt")
        .await
        .problem(404, "not_found");
    assert_eq!(mailbox(&dev).await, []);

    let session = sign_in(&dev, DEMO).await;
    session.ok(200);
    let access = Some(session.field("access_token"));
    dev.post(
        "/v1/email-change/request",
        access,
        json!({ "password": DEMO_PASSWORD }),
    )
    .await
    .ok(202);
    let confirm = latest_token(&dev, "new-email").await;
    let body =
        json!({ "token": confirm, "password": DEMO_PASSWORD, "new_email": "new@example.org" });
    post(&dev, "confirm", body).await.ok(202);
    let activate = latest_token(&dev, "email-activation").await;
    assert_eq!(
        post(&dev, "activate", json!({ "token": activate }))
            .await
            .ok(200)["status"],
        "activated"
    );
    sign_in(&dev, "new@example.org").await.ok(200);

    let mails = mailbox_of(&dev, 4).await;
    let subjects: Vec<_> = mails.iter().map(|(_, subject)| subject.as_str()).collect();
    let expected = [
        "was changed",
        "is being changed",
        "Confirm this e-mail address",
        "Change your e-mail address",
    ];
    assert!(
        subjects
            .iter()
            .zip(expected)
            .all(|(subject, part)| subject.contains(part)),
        "newest first: {subjects:?}"
    );
    let (url, body) = curl_line(&dev.get(&mails[1].0).await.text, "undo");
    assert_eq!(url, format!("{}/v1/email-change/undo", dev.url));
    assert_eq!(post(&dev, "undo", body).await.ok(200)["email"], DEMO);
    assert_eq!(dev.end("INT").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_start_of_dev_begins_anew() {
    let shell = shell();
    let dev = shell.start("dev").await;
    let page = first_mail(&dev).await;
    let page = dev.get(&page).await.text;
    for (step, field) in [("confirm", "new_email"), ("cancel", "token")] {
        let (url, body) = curl_line(&page, step);
        assert_eq!(url, format!("{}/v1/email-change/{step}", dev.url));
        assert!(body[field].is_string(), "{body}");
    }
    post(&dev, "confirm", curl_line(&page, "confirm").1)
        .await
        .ok(202);
    let (page, _) = mailbox_of(&dev, 2).await.remove(0);
    let page = dev.get(&page).await.text;
    post(&dev, "activate", curl_line(&page, "activate").1)
        .await
        .ok(200);
    sign_in(&dev, DEMO).await.problem(401, "unauthenticated");
    assert_eq!(dev.end("TERM").await.0, Some(0));

    let again = shell.start("dev").await;
    assert_eq!(mailbox(&again).await, []);
    again
        .get("/dev/mailbox/latest.txt")
        .await
        .problem(404, "not_found");
    again.get("/v1/me").await.problem(401, "unauthenticated");
    sign_in(&again, DEMO).await.ok(200);
    let entries = std::fs::read_dir(shell.path()).expect("a folder");
    let names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names, [".readdress"], "it keeps to one folder");
    assert_eq!(again.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_shown_in_a_frame_that_can_do_nothing() {
    let shell = shell();
    let dev = shell.start("dev").await;
    let path = first_mail(&dev).await;
    let page = dev.get(&path).await;
    assert!(
        page.text.contains(&format!("<iframe src=\"{path}/html\"")),
        "{}",
        page.text
    );
    let html = dev.get(&format!("{path}/html")).await;
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = html.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("sandbox") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'self'"), "{policy}");
    for forbidden in [
        "allow-scripts",
        "allow-same-origin",
        "allow-forms",
        "script-src",
        "unsafe-eval",
    ] {
        assert!(!policy.contains(forbidden), "{policy}");
    }
    assert!(
        unescaped(&html.text).contains("/new-email?token="),
        "{}",
        html.text
    );
    for page in [&page, &dev.get("/dev/mailbox").await] {
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(
            !policy.contains("script-src") && !page.text.contains("<script"),
            "{policy}"
        );
        assert_eq!(
            (page.header("cache-control"), page.header("referrer-policy")),
            (Some("no-store"), Some("no-referrer"))
        );
    }
    assert_eq!(dev.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mailbox_has_mails_and_nothing_else() {
    let shell = shell();
    let dev = shell.start("dev").await;
    let path = first_mail(&dev).await;
    let uuid = path.rsplit('/').next().expect("a name").to_owned();
    std::fs::write(
        shell.path().join(".readdress/secret.eml"),
        "To: x\r\n\r\ncanary-7f3a",
    )
    .expect("written");
    for name in [
        "../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "../secret",
        "..%2fsecret",
        "....//secret",
        "secret",
        "secret.eml",
        "latest",
        "latest.txt/html",
        "x",
        "%00",
        "..",
        ".",
        "",
        "00000000-0000-0000-0000-000000000000",
        &format!("{uuid}.eml"),
        &format!("{uuid}x"),
        &format!("{uuid}/html/x"),
    ] {
        // Over the bare socket: a client would tidy the path up.
        let request =
            format!("GET /dev/mailbox/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(&dev.url, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 404 ") && answer.contains("\"code\":\"not_found\""),
            "{name}: {answer}"
        );
        assert!(
            !answer.contains("root:") && !answer.contains("canary-7f3a"),
            "{name}: {answer}"
        );
    }
    for path in ["/dev/mailbox", &path] {
        dev.post(path, None, json!({}))
            .await
            .problem(405, "method_not_allowed");
    }
    assert_eq!(dev.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_listens_on_this_machine_alone() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let shell = Shell::new().with("READDRESS_LISTEN", address);
        assert_refused(
            &shell.run(&["dev"]).await,
            &["READDRESS_LISTEN", "127.0.0.1"],
        );
        assert_eq!(
            std::fs::read_dir(shell.path()).expect("a folder").count(),
            0,
            "nothing was made"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_writes_and_shows_mails_in_the_language_of_the_browser() {
    let shell = shell().with("READDRESS_PRODUCT_NAME", "例え & Söhne");
    let dev = shell.start("dev").await;
    let session = sign_in(&dev, DEMO).await;
    let request = dev
        .http
        .post(format!("{}/v1/email-change/request", dev.url))
        .header("Accept-Language", "ja-JP, en;q=0.5")
        .header("Content-Type", "application/json")
        .bearer_auth(session.field("access_token"))
        .body(json!({ "password": DEMO_PASSWORD }).to_string());
    Answer::read(request.send().await.expect("an answer"))
        .await
        .ok(202);
    let subject = "例え &amp; Söhne のメールアドレスの変更";
    let mails = mailbox_of(&dev, 1).await;
    assert_eq!(mails[0].1, subject);
    let page = dev.get(&mails[0].0).await.text;
    assert!(
        page.contains(&format!("<h1 lang=\"ja\">{subject}</h1>")),
        "{page}"
    );
    let html = dev.get(&format!("{}/html", mails[0].0)).await;
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        html.text.contains("<html lang=\"ja\">") && html.text.contains("お心当たりがない場合"),
        "{}",
        html.text
    );
    let text = dev.get("/dev/mailbox/latest.txt").await.text;
    assert!(text.contains("ご本人による操作の場合は、"), "{text}");
    latest_token(&dev, "new-email").await;
}
