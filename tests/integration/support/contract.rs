//! Every answer the tests see is validated against the OpenAPI document.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&readdress::api::document::document()).expect("JSON"));

static VALIDATORS: LazyLock<Mutex<HashMap<String, &'static Validator>>> =
    LazyLock::new(Mutex::default);

/// Panics unless the document allows this answer to this operation.
pub fn validate(method: &str, path: &str, status: u16, headers: &HeaderMap, body: &Value) {
    let context = format!("{method} {path} -> {status}: {body}");
    assert!(
        headers.contains_key("x-request-id"),
        "no request id: {context}"
    );
    let content_type = headers
        .get("content-type")
        .map(|value| value.to_str().expect("ASCII"))
        .unwrap_or_default();
    let operation = &DOCUMENT["paths"][path][method.to_lowercase()];
    if operation.is_null() {
        assert_eq!(content_type, "application/problem+json", "{context}");
        return check("#/components/schemas/Problem", body, &context);
    }
    let response = &operation["responses"][status.to_string()];
    assert!(
        !response.is_null(),
        "a status that the document does not know: {context}"
    );
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        assert!(
            header["required"] != true || headers.contains_key(name),
            "no {name}: {context}"
        );
    }
    let media = &response["content"][content_type];
    if let Some(code) = body["code"].as_str() {
        assert!(
            media["examples"][code].is_object(),
            "a code that the document does not have for this answer: {context}"
        );
    }
    let schema = media["schema"]["$ref"].as_str();
    check(
        schema.unwrap_or_else(|| panic!("undocumented media type {content_type:?}: {context}")),
        body,
        &context,
    );
}

fn check(reference: &str, body: &Value, context: &str) {
    let mut validators = VALIDATORS.lock().expect("not poisoned");
    let validator = validators.entry(reference.to_owned()).or_insert_with(|| {
        let schema = json!({ "$ref": reference, "components": DOCUMENT["components"] });
        Box::leak(Box::new(
            jsonschema::validator_for(&schema).expect("a schema"),
        ))
    });
    let errors: Vec<String> = validator
        .iter_errors(body)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{context}: {errors:?}");
}
