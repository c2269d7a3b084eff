//! The OpenAPI document, and Swagger UI.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer_to;
use crate::support::contract::DOCUMENT;
use crate::support::{Options, TestApp};

const METHODS: [&str; 8] = [
    "get", "head", "post", "put", "patch", "delete", "options", "trace",
];
const CODES: [&str; 20] = [
    "malformed_request",
    "invalid_link",
    "unauthenticated",
    "wrong_password",
    "not_found",
    "method_not_allowed",
    "request_timeout",
    "email_taken",
    "link_expired",
    "link_used",
    "payload_too_large",
    "unsupported_media_type",
    "invalid_email",
    "same_email",
    "undeliverable",
    "rate_limited",
    "internal",
    "overloaded",
    "mail_unavailable",
    "database_unavailable",
];

/// Path, method and description of every operation.
fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path item").iter();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.collect()
}

/// Panics unless `value` is what the schema at `schema` says.
#[track_caller]
fn assert_valid(schema: &Value, value: &Value, what: &str) {
    let mut whole = schema.clone();
    whole["components"] = DOCUMENT["components"].clone();
    let validator = jsonschema::validator_for(&whole).expect("a schema");
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_the_committed_one() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let made = readdress::api::document::document();
    assert_eq!(
        made,
        readdress::api::document::document(),
        "the document is not deterministic"
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/readdress.json");
    let committed = std::fs::read_to_string(file).expect("openapi/readdress.json");
    assert!(
        made == committed,
        "openapi/readdress.json is not what the code says: run `make openapi`"
    );
    let served = answer_to(app.http.get(format!("{}/openapi.json", app.url))).await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert!(
        served.text == made,
        "another document is served than is printed"
    );
    app.close().await;
}

#[test]
fn the_document_has_the_operations_of_the_design_and_no_other() {
    let found: BTreeSet<_> = operations()
        .into_iter()
        .map(|(path, method, operation)| {
            (
                operation["operationId"].as_str().unwrap_or_default(),
                method,
                path,
            )
        })
        .collect();
    let designed = BTreeSet::from([
        ("signIn", "post", "/v1/session"),
        ("getCurrentUser", "get", "/v1/me"),
        ("requestEmailChange", "post", "/v1/email-change/request"),
        ("confirmEmailChange", "post", "/v1/email-change/confirm"),
        ("activateEmailChange", "post", "/v1/email-change/activate"),
        ("cancelEmailChange", "post", "/v1/email-change/cancel"),
        ("undoEmailChange", "post", "/v1/email-change/undo"),
        ("inspectLink", "post", "/v1/email-change/inspect"),
    ]);
    assert_eq!(found, designed);
    assert!(
        operations()
            .iter()
            .all(|(_, method, _)| METHODS.contains(method))
    );
    assert_eq!(DOCUMENT["servers"], json!([{ "url": "/" }]));
}

#[test]
fn the_document_says_which_operations_need_a_token() {
    for (path, _, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let expected = if ["getCurrentUser", "requestEmailChange"].contains(&id) {
            json!([{ "accessToken": [] }])
        } else {
            json!([])
        };
        assert_eq!(operation["security"], expected, "{path}");
        let has_401 = operation["responses"].get("401").is_some();
        assert_eq!(has_401, expected != json!([]) || id == "signIn", "{path}");
    }
    let scheme = &DOCUMENT["components"]["securitySchemes"]["accessToken"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
}

#[test]
fn every_object_of_the_document_is_closed() {
    fn walk(value: &Value, place: &str, objects: &mut usize) {
        let is_object = value.get("properties").is_some() || value["type"] == "object";
        if is_object && !place.ends_with("/properties") && !place.contains("/example") {
            assert_eq!(value["additionalProperties"], false, "{place}");
            *objects += 1;
        }
        match value {
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, value)| walk(value, &format!("{place}/{name}"), objects)),
            Value::Array(items) => items
                .iter()
                .for_each(|value| walk(value, &format!("{place}/*"), objects)),
            _ => {}
        }
    }
    let mut objects = 0;
    walk(&DOCUMENT, "", &mut objects);
    assert!(objects >= 14, "{objects} objects");
}

#[test]
fn every_body_and_every_problem_has_an_example_that_is_true() {
    for (path, method, operation) in operations() {
        let body = operation.pointer("/requestBody/content");
        assert_eq!(body.is_some(), method == "post", "{path}");
        for (media_type, body) in body.and_then(Value::as_object).into_iter().flatten() {
            assert_eq!(media_type, "application/json", "{path}");
            assert!(body["example"].is_object(), "no example for {path}");
            assert_valid(&body["schema"], &body["example"], path);
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let what = format!("{path} {status}");
            let content = response["content"].as_object().expect("content");
            let is_problem = !status.starts_with('2');
            let media_type = if is_problem {
                "application/problem+json"
            } else {
                "application/json"
            };
            assert_eq!(content.keys().collect::<Vec<_>>(), [media_type], "{what}");
            let media = &content[media_type];
            if is_problem {
                assert_examples_are_true(media, status, &what);
            } else {
                let example = &media["example"];
                assert!(example.is_object(), "no example for {what}");
                assert_valid(&media["schema"], example, &what);
            }
            assert!(response["headers"]["X-Request-Id"].is_object(), "{what}");
            let retries = response["headers"]["Retry-After"].is_object();
            assert_eq!(retries, ["429", "503"].contains(&status.as_str()), "{what}");
        }
    }
}

/// One example for each code, and each of them is what the service would say.
#[track_caller]
fn assert_examples_are_true(media: &Value, status: &str, what: &str) {
    let examples = media["examples"].as_object().expect("examples");
    assert!(!examples.is_empty(), "no example for {what}");
    for (code, example) in examples {
        let example = &example["value"];
        assert_valid(&media["schema"], example, what);
        assert_eq!(example["status"].to_string(), *status, "{what}");
        assert_eq!(example["code"], **code, "{what}");
        assert_eq!(
            example["type"],
            format!("urn:readdress:problem:{code}"),
            "{what}"
        );
    }
}

#[test]
fn the_codes_are_a_closed_set() {
    let codes = &DOCUMENT["components"]["schemas"]["Code"]["enum"];
    let codes: BTreeSet<_> = codes
        .as_array()
        .expect("an enum")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(codes, BTreeSet::from(CODES));
    let code = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"].to_string();
    assert!(code.contains("#/components/schemas/Code"), "{code}");
}

#[test]
fn every_code_but_that_of_a_wrong_method_belongs_to_an_operation() {
    let mut used = BTreeSet::from(["method_not_allowed"]);
    for (_, _, operation) in operations() {
        for (_, response) in operation["responses"].as_object().expect("responses") {
            let problems = &response["content"]["application/problem+json"]["examples"];
            let codes = problems.as_object().into_iter().flat_map(|all| all.keys());
            used.extend(codes.map(String::as_str));
        }
    }
    assert_eq!(used, BTreeSet::from(CODES));
}

#[test]
fn a_generated_client_gets_plain_types() {
    for (name, schema) in DOCUMENT["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        let properties = schema["properties"].as_object();
        for (field, property) in properties.into_iter().flatten() {
            let what = format!("{name}.{field}: {property}");
            assert!(property["description"].is_string(), "{what}");
            // A second schema in `allOf` would make `ActivationStatus & unknown` of an enum.
            assert!(
                property["allOf"]
                    .as_array()
                    .is_none_or(|all| all.len() == 1),
                "{what}"
            );
            // Generators make a `bigint` of 64 bits, which JSON does not carry.
            assert!(!property["format"].to_string().contains("64"), "{what}");
        }
    }
}

/// What stands between the tags of each script, as a browser reads it, and the page without them.
fn scripts(page: &str) -> (Vec<&str>, String) {
    let (mut scripts, mut rest, mut without) = (Vec::new(), page, String::new());
    while let Some((before, after)) = rest.split_once("<script") {
        let (attributes, after) = after.split_once('>').expect("a tag");
        let (script, after) = after.split_once("</script>").expect("its end");
        assert!(
            !attributes.contains("src"),
            "a script from elsewhere: {attributes}"
        );
        without += before;
        scripts.push(script);
        rest = after;
    }
    (scripts, without + rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swagger_ui_is_one_page_that_needs_nothing_from_outside() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let answer = answer_to(app.http.get(format!("{}/docs", app.url))).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(answer.header("content-encoding"), None);
    let (scripts, rest) = scripts(&answer.text);
    assert!(answer.text.starts_with("<!doctype html>") && !scripts.is_empty());
    for attribute in ["src=", "href=", "url(", "@import"] {
        for (index, _) in rest.match_indices(attribute) {
            let value = rest[index + attribute.len()..].trim_start_matches(['"', '\'', ' ']);
            assert!(
                !value.starts_with("http") && !value.starts_with("//"),
                "{}",
                &value[..80.min(value.len())]
            );
        }
    }
    let policy = answer.header("content-security-policy").expect("a policy");
    let script_src = policy
        .split(';')
        .find(|part| part.trim().starts_with("script-src"))
        .expect("script-src");
    let allowed: BTreeSet<_> = script_src
        .split_whitespace()
        .skip(1)
        .map(ToOwned::to_owned)
        .collect();
    let hashes = scripts
        .iter()
        .map(|script| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script))));
    assert_eq!(
        allowed,
        hashes.collect(),
        "the policy allows exactly the scripts of the page"
    );
    for (name, value) in [
        ("default-src", "'none'"),
        ("connect-src", "'self'"),
        ("base-uri", "'none'"),
        ("frame-ancestors", "'none'"),
    ] {
        assert!(policy.contains(&format!("{name} {value}")), "{policy}");
    }
    assert!(
        scripts
            .iter()
            .any(|script| script.contains("requestEmailChange")),
        "the document is in the page"
    );
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swagger_ui_is_gzipped_for_those_who_ask() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ask = |encodings: &'static str| {
        let request = app
            .http
            .get(format!("{}/docs", app.url))
            .header("Accept-Encoding", encodings);
        async move {
            let response = request.send().await.expect("an answer");
            let headers = response.headers().clone();
            (headers, response.bytes().await.expect("a body"))
        }
    };
    let (_, plain) = ask("identity").await;
    for encodings in ["gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1"] {
        let (headers, zipped) = ask(encodings).await;
        assert_eq!(headers["content-encoding"], "gzip", "{encodings}");
        assert!(
            headers["vary"]
                .to_str()
                .expect("ASCII")
                .to_lowercase()
                .contains("accept-encoding")
        );
        assert!(
            zipped.len() < plain.len() / 2,
            "{} of {}",
            zipped.len(),
            plain.len()
        );
        let mut page = Vec::new();
        GzDecoder::new(zipped.as_ref())
            .read_to_end(&mut page)
            .expect("gzip");
        assert!(page == plain, "{encodings}: another page");
    }
    for encodings in ["", "br", "deflate", "gzip;q=0", "identity, gzip;q=0.0"] {
        let (headers, page) = ask(encodings).await;
        assert!(
            !headers.contains_key("content-encoding") && page == plain,
            "{encodings:?} gets {headers:?}"
        );
    }
    app.close().await;
}
