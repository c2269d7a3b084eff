//! The OpenAPI document: generated from the code, then corrected where the generator has no word
//! for what is true.
//!
//! Deterministic, and made without a server or a database: `readdress openapi` prints it, a test
//! compares it with `openapi/readdress.json`.

use serde_json::{Value, json};

use super::service;

const DESCRIPTION: &str = "Lets a signed-in user change the e-mail address of their account in \
verified steps: **request** (a link to the current address), **confirm** (a link to the new one), \
**activate**. The first mail can **cancel** it, the last one can **undo** it, and every page can \
**inspect** its link.\n\nTo try it here: call `signIn`, press *Authorize* and paste its \
`access_token`, then go through the steps in their order with the tokens from the mails.";

/// The document as it is served and committed: pretty JSON with a final newline.
#[must_use]
pub fn document() -> String {
    let Ok(mut document) = serde_json::from_str(&service().server("/").spec()) else {
        unreachable!("the generator writes JSON");
    };
    correct(&mut document);
    match serde_json::to_string_pretty(&document) {
        Ok(text) => text + "\n",
        Err(_) => unreachable!("a JSON value serialises"),
    }
}

fn correct(document: &mut Value) {
    document["info"]["description"] = json!(DESCRIPTION);
    document["info"]["license"] =
        json!({ "name": "MIT OR Apache-2.0", "url": "https://spdx.org/licenses/MIT.html" });
    for schema in values(&mut document["components"]["schemas"]) {
        if schema["type"] == "object" {
            schema["additionalProperties"] = json!(false);
        }
    }
    for operation in values(&mut document["paths"]).flat_map(values) {
        if operation.get("security").is_none() {
            operation["security"] = json!([]);
        }
        let id = operation["operationId"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if let (Some(example), Some(body)) = (
            request_example(&id),
            operation.pointer_mut("/requestBody/content/application~1json"),
        ) {
            body["example"] = example;
        }
        correct_responses(&mut operation["responses"], &id);
        link_to_inspection(operation);
    }
}

/// Every step that takes a link can be followed by asking what has become of it.
fn link_to_inspection(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default();
    let takes_a_link = request_example(id).is_some_and(|body| body.get("token").is_some());
    if !takes_a_link || id == "inspectLink" {
        return;
    }
    for status in ["200", "202"] {
        if let Some(success) = operation["responses"].get_mut(status) {
            success["links"]["inspect"] = json!({
                "operationId": "inspectLink",
                "description": "What the link is for, and whether it still holds.",
                "requestBody": { "token": "$request.body#/token" },
            });
        }
    }
}

fn correct_responses(responses: &mut Value, operation: &str) {
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    for (status, response) in responses {
        response["headers"]["X-Request-Id"] = json!({
            "description": "To be quoted to the operators, who find it in the log.",
            "required": true,
            "schema": { "type": "string", "format": "uuid" },
        });
        if let Some(problem) = response.pointer_mut("/content/application~1problem+json") {
            problem["example"] = problem_example(status, operation);
        }
    }
}

fn request_example(operation: &str) -> Option<Value> {
    let token = "eyJ0eXAiOiJyZWFkZHJlc3MtY29uZmlybStqd3QifQ.e30.c2ln";
    let password = "correct horse battery staple";
    Some(match operation {
        "signIn" => json!({ "email": "ann@example.com", "password": password }),
        "requestEmailChange" => json!({ "password": password }),
        "confirmEmailChange" => {
            json!({ "token": token, "password": password, "new_email": "ann@new.example" })
        }
        "undoEmailChange" => json!({ "token": token, "password": password }),
        "activateEmailChange" | "cancelEmailChange" | "inspectLink" => json!({ "token": token }),
        _ => return None,
    })
}

fn problem_example(status: &str, operation: &str) -> Value {
    use super::problem::{Code, Problem};
    let code = match (status, operation) {
        ("400", "signIn" | "requestEmailChange") => Code::MalformedRequest,
        ("400", _) => Code::InvalidLink,
        ("401", _) => Code::Unauthenticated,
        ("403", _) => Code::WrongPassword,
        ("404", _) => Code::NotFound,
        ("408", _) => Code::RequestTimeout,
        ("409", _) => Code::EmailTaken,
        ("410", _) => Code::LinkExpired,
        ("413", _) => Code::PayloadTooLarge,
        ("415", _) => Code::UnsupportedMediaType,
        ("422", "requestEmailChange") => Code::Undeliverable,
        ("422", _) => Code::InvalidEmail,
        ("429", _) => Code::RateLimited,
        ("503", _) => Code::MailUnavailable,
        _ => Code::Internal,
    };
    Problem::new(code).document("019aa2b4-0000-7000-8000-00000000000f")
}

fn values(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    object
        .as_object_mut()
        .into_iter()
        .flat_map(|object| object.values_mut())
}

/// Swagger UI as one HTML page, with this document in it.
#[must_use]
pub fn swagger_ui() -> String {
    let service = service().server("/");
    service
        .swagger_ui_html()
        .replacen(&service.spec(), &document(), 1)
        .replacen(
            "\n<html charset=\"UTF-8\">",
            "<!doctype html>\n<html lang=\"en\">",
            1,
        )
        .replacen(
            "<title>Swagger UI</title>",
            "<title>readdress</title><link rel=\"icon\" href=\"data:,\">",
            1,
        )
}
