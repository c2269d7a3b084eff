//! Bad requests: each is a problem document that repeats nothing, and none changes anything.

use serde_json::json;

use super::{CANARY, Operation, answer_to, everything, operations};
use crate::support::{Options, TestApp};

const JSON: Option<&[u8]> = Some(b"application/json");

/// A bad body, and the field that the answer must name.
struct Case {
    what: String,
    body: Vec<u8>,
    field: Option<&'static str>,
}

fn case(what: &str, body: impl Into<Vec<u8>>) -> Case {
    Case {
        what: what.to_owned(),
        body: body.into(),
        field: None,
    }
}

/// Everything that is not even an object of the right fields.
fn broken(operation: &Operation) -> Vec<Case> {
    let good = operation.body();
    let inner = &good[1..good.len() - 1];
    let (name, value) = &operation.fields[0];
    let marked = good.replace(value, CANARY);
    let mut cases = vec![
        case("nothing", ""),
        case("blanks", "  \r\n\t "),
        case("a word", CANARY),
        case("a form", format!("{name}={CANARY}&password={CANARY}")),
        case("single quotes", format!("{{'{name}': '{CANARY}'}}")),
        case("no quotes", format!("{{{name}: {CANARY}}}")),
        case("a comment", format!("/* {CANARY} */ {good}")),
        case("a comma too many", format!("{{{inner},}}")),
        case("truncated", &marked[..marked.len() - 1]),
        case("truncated text", &marked[..marked.len() - 2]),
        case("an array", format!("[\"{CANARY}\"]")),
        case("an array of it", format!("[{good}]")),
        case("values alone", format!("[\"{CANARY}\",\"{CANARY}\",\"x\"]")),
        case(
            "its values alone",
            json!(
                operation
                    .fields
                    .iter()
                    .map(|(_, good)| good)
                    .collect::<Vec<_>>()
            )
            .to_string(),
        ),
        case("a string", format!("\"{CANARY}\"")),
        case("it as a string", json!(good).to_string()),
        case("a number", "4815162342"),
        case("null", "null"),
        case("true", "true"),
        case("an empty object", "{}"),
        case("trailing word", format!("{good} {CANARY}")),
        case("trailing comma", format!("{good},")),
        case("trailing NUL", format!("{good}\0")),
        case("two of it", format!("{good}{good}")),
        case(
            "twice, bad first",
            format!("{{\"{name}\":\"{CANARY}\",{inner}}}"),
        ),
        case(
            "twice, bad last",
            format!("{{{inner},\"{name}\":\"{CANARY}\"}}"),
        ),
        case("twice the same", format!("{{{inner},{inner}}}")),
        case(
            "twice, escaped",
            format!(
                "{{{inner},\"\\u{:04x}{}\":\"{CANARY}\"}}",
                name.as_bytes()[0],
                &name[1..]
            ),
        ),
        case(
            "unknown field",
            format!("{{{inner},\"{CANARY}\":\"{CANARY}\"}}"),
        ),
        case(
            "unknown empty field",
            format!("{{{inner},\"\":\"{CANARY}\"}}"),
        ),
        case(
            "unknown field __proto__",
            format!("{{{inner},\"__proto__\":{{\"{CANARY}\":1}}}}"),
        ),
        case(
            "field in capitals",
            good.replace(name, &name.to_uppercase()),
        ),
        case(
            "NUL in a name",
            format!("{{{inner},\"{CANARY}\\u0000\":1}}"),
        ),
        case("deep arrays", "[".repeat(16_000)),
        case("deep objects", format!("{{\"{name}\":").repeat(1_000)),
        case(
            "deep unknown field",
            format!("{{{inner},\"{CANARY}\":{}", "[".repeat(8_000)),
        ),
        case("a byte order mark", format!("\u{feff}{good}")),
        case(
            "UTF-16",
            good.encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<u8>>(),
        ),
        case("gzip", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]),
    ];
    for other in ["token", "password", "new_email", "email"] {
        if operation.fields.iter().all(|(name, _)| *name != other) {
            let what = format!("another operation's {other}");
            cases.push(case(&what, format!("{{{inner},\"{other}\":\"{CANARY}\"}}")));
        }
    }
    cases
}

/// Each field in turn is missing or of another type.
fn ill_typed(operation: &Operation) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, _) in &operation.fields {
        let with = |value: &[u8]| {
            let mut body = b"{".to_vec();
            for (index, (other, good)) in operation.fields.iter().enumerate() {
                let good = json!(good).to_string();
                let value = if other == name {
                    value
                } else {
                    good.as_bytes()
                };
                body.extend(if index == 0 { "" } else { "," }.as_bytes());
                body.extend(format!("\"{other}\":").as_bytes());
                body.extend(value);
            }
            body.extend(b"}");
            body
        };
        let mut add = |what: &str, body, field| {
            cases.push(Case {
                what: format!("{what} as {name}"),
                body,
                field,
            });
        };
        let absent = operation.fields.iter().filter(|(other, _)| other != name);
        let absent: Vec<String> = absent
            .map(|(other, good)| format!("\"{other}\":{}", json!(good)))
            .collect();
        add(
            "nothing",
            format!("{{{}}}", absent.join(",")).into_bytes(),
            Some(*name),
        );
        for value in ["null", "4815162342", "-1.5e3", "true", "false", "[]", "{}"] {
            add(value, with(value.as_bytes()), Some(*name));
        }
        let text = |inside: &str| format!("\"{inside}\"");
        for (what, value) in [
            ("an array", format!("[\"{CANARY}\"]")),
            ("an object", format!("{{\"{CANARY}\":\"{CANARY}\"}}")),
            ("an escaped NUL", text(&format!("{CANARY}\\u0000{CANARY}"))),
            ("NUL alone", text("\\u0000")),
            (
                "deep nesting",
                format!("{}{}", "[".repeat(3_000), "]".repeat(3_000)),
            ),
        ] {
            add(what, with(value.as_bytes()), Some(*name));
        }
        for (what, value) in [
            ("a raw NUL", text(&format!("{CANARY}\0"))),
            ("a raw line break", text(&format!("{CANARY}\n"))),
            ("a lone surrogate", text(&format!("{CANARY}\\ud800"))),
            ("a lone low surrogate", text(&format!("\\udc00{CANARY}"))),
            (
                "surrogates in the wrong order",
                text(&format!("{CANARY}\\udc00\\ud800")),
            ),
            ("half an escape", text(&format!("{CANARY}\\u00"))),
            ("an unknown escape", text(&format!("{CANARY}\\x41"))),
            ("NaN", "NaN".to_owned()),
        ] {
            add(what, with(value.as_bytes()), None);
        }
        for (what, bytes) in [
            ("invalid UTF-8", b"\"canary-7f3a\xff\"".as_slice()),
            ("overlong UTF-8", b"\"canary-7f3a\xc0\x80\""),
            ("a surrogate in UTF-8", b"\"canary-7f3a\xed\xa0\x80\""),
            ("Latin-1", b"\"canary-7f3a\xe9\""),
        ] {
            add(what, with(bytes), None);
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_body_is_refused_without_a_word_of_it() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    let mut wrong = Vec::new();
    for operation in &operations {
        let before = everything(&app).await;
        let cases = broken(operation).into_iter().chain(ill_typed(operation));
        for Case { what, body, field } in cases {
            let answer = operation.post(&app, JSON, body).await;
            if answer.json["code"] != "malformed_request" || answer.status.as_u16() != 400 {
                wrong.push(format!("{}: {what}: {}", operation.path, answer.text));
                continue;
            }
            operation.assert_silent(&answer, &what);
            let said = &answer.json["errors"][0];
            let names = |field| {
                said["pointer"] == format!("/{field}")
                    || said["message"].to_string().contains(&format!("`{field}`"))
            };
            if !field.is_none_or(names) {
                wrong.push(format!("{}: {what} is not named: {said}", operation.path));
            }
        }
        if everything(&app).await != before {
            wrong.push(format!("{}: something changed", operation.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_or_strange_text_is_text_and_never_a_defect() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    let before = everything(&app).await;
    for operation in &operations {
        for (name, good) in &operation.fields {
            let strange = [
                String::new(),
                " ".to_owned(),
                format!(" {good}"),
                format!("{good}\n{CANARY}"),
                format!("{CANARY}' OR '1'='1"),
                format!("{CANARY}\u{202e}\u{1f600}e\u{301}\u{ffff}\u{10ffff}"),
                CANARY.repeat(1_000),
                "../".repeat(100),
            ];
            for value in strange {
                let exchanged = Operation {
                    path: operation.path,
                    access: operation.access.clone(),
                    fields: operation
                        .fields
                        .iter()
                        .map(|(other, good)| {
                            (
                                *other,
                                if other == name {
                                    value.clone()
                                } else {
                                    good.clone()
                                },
                            )
                        })
                        .collect(),
                };
                // With blanks around it, an address is still one.
                if matches!(*name, "email" | "new_email") && value.trim() == good {
                    continue;
                }
                let answer = exchanged
                    .post(&app, JSON, exchanged.body().into_bytes())
                    .await;
                let status = answer.status.as_u16();
                assert!(
                    (400..500).contains(&status),
                    "{} {name} {value:?}: {}",
                    operation.path,
                    answer.text
                );
                operation.assert_silent(&answer, &value);
            }
        }
    }
    assert_eq!(everything(&app).await, before);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_say_it_is_json_is_not_read() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    let before = everything(&app).await;
    let wrong: [Option<&[u8]>; 15] = [
        None,
        Some(b""),
        Some(b" "),
        Some(b"text/plain"),
        Some(b"text/plain; application/json"),
        Some(b"text/json"),
        Some(b"application/x-www-form-urlencoded"),
        Some(b"multipart/form-data; boundary=application/json"),
        Some(b"application/problem+json"),
        Some(b"application/jsonp"),
        Some(b"application/json, text/plain"),
        Some(b"json"),
        Some(b"*/*"),
        Some(b"application/canary-7f3a; charset=canary-7f3a"),
        Some(b"canary-7f3a\xff\xfe"),
    ];
    for operation in &operations {
        for content_type in wrong {
            let what = String::from_utf8_lossy(content_type.unwrap_or(b"no content type"));
            let answer = operation
                .post(&app, content_type, operation.body().into_bytes())
                .await;
            assert_eq!(
                answer.status.as_u16(),
                415,
                "{}: {what}: {}",
                operation.path,
                answer.text
            );
            answer.problem(415, "unsupported_media_type");
            operation.assert_silent(&answer, &what);
        }
    }
    assert_eq!(everything(&app).await, before);
    let inspect = operations.last().expect("an operation");
    let right: [&[u8]; 5] = [
        b"application/json",
        b"Application/JSON",
        b"application/json; charset=utf-8",
        b"application/json;charset=UTF-8",
        b"application/json ; Charset=\"utf-8\"",
    ];
    for content_type in right {
        inspect
            .post(&app, Some(content_type), inspect.body().into_bytes())
            .await
            .ok(200);
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_or_query_is_repeated_and_none_carries_a_token() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    let ann = operations[1].access.clone().expect("a token");
    let authorizations: [&[u8]; 9] = [
        b"canary-7f3a",
        b"Bearer",
        b"Bearer ",
        b"Bearer canary-7f3a",
        b"Bearer canary-7f3a canary-7f3a",
        b"Basic Y2FuYXJ5LTdmM2E6Y2FuYXJ5LTdmM2E=",
        b"Bearer \xff\xfecanary-7f3a",
        b"Bearer a.b.c",
        b"canary-7f3a Bearer x",
    ];
    let me = |query: &str| app.http.get(format!("{}/v1/me{query}", app.url));
    for authorization in authorizations {
        let answer = app
            .receive(
                me("").header("Authorization", authorization),
                "GET",
                "/v1/me",
            )
            .await;
        answer.problem(401, "unauthenticated");
        operations[1].assert_silent(&answer, "an authorization");
    }
    for request in [
        me(&format!("?access_token={ann}")),
        me("").header("Cookie", format!("access_token={ann}; session={ann}")),
        me("").header("X-Access-Token", &ann),
    ] {
        app.receive(request, "GET", "/v1/me")
            .await
            .problem(401, "unauthenticated");
    }
    for name in [
        "Origin",
        "Host",
        "Referer",
        "User-Agent",
        "Accept",
        "Accept-Language",
        "Accept-Encoding",
        "Cookie",
        "Forwarded",
        "Range",
        "If-Match",
    ] {
        let answer = answer_to(me("?canary-7f3a").header(name, CANARY)).await;
        answer.problem(401, "unauthenticated");
        operations[1].assert_silent(&answer, name);
    }
    let token = &operations[3].fields[0].1;
    let in_the_query = app.http.post(format!(
        "{}/v1/email-change/activate?token={token}",
        app.url
    ));
    let in_the_query = in_the_query
        .header("Content-Type", "application/json")
        .body("{}");
    let answer = app
        .receive(in_the_query, "POST", "/v1/email-change/activate")
        .await;
    answer.problem(400, "malformed_request");
    app.close().await;
}
