//! The OpenAPI document: generated from the code, then corrected where the generator has no word
//! for what is true.
//!
//! Deterministic, and made without a server or a database: `readdress openapi` prints it, a test
//! compares it with `openapi/readdress.json`.

use poem_openapi::types::ParseFromJSON;
use serde_json::{Value, json};

use super::problem::{self, Code};
use super::service;

const DESCRIPTION: &str = "Lets a signed-in user change the e-mail address of their account in \
verified steps: **request** (a link to the current address), **confirm** (a link to the new one), \
**activate**. The first mail can **cancel** it, the last one can **undo** it, and every page can \
**inspect** its link.\n\nTo try it here: call `signIn`, press *Authorize* and paste its \
`access_token`, then go through the steps in their order with the tokens from the mails.\n\n\
Whatever goes wrong is answered as a problem document (RFC 9457), whose `code` is one of a closed \
set. Request bodies are strict: unknown fields, duplicate keys and NUL are refused.";

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
    if let Some(tags) = document["tags"].as_array_mut() {
        // In the order of the story: signing in comes first.
        tags.reverse();
    }
    correct_schemas(&mut document["components"]["schemas"]);
    let schemas = document["components"]["schemas"].clone();
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
        correct_responses(&mut operation["responses"], &id, &schemas);
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

fn correct_schemas(schemas: &mut Value) {
    for schema in values(schemas) {
        if schema["type"] == "object" {
            schema["additionalProperties"] = json!(false);
        }
        for property in schema.get_mut("properties").into_iter().flat_map(values) {
            // The generator repeats the description as a second schema, which generated clients
            // take for another type.
            if let Some(all) = property.get_mut("allOf").and_then(Value::as_array_mut) {
                all.truncate(1);
            }
        }
    }
    for (place, facts) in facts() {
        let (Some(property), Value::Object(facts)) = (schemas.pointer_mut(place), facts) else {
            unreachable!("{place} is in the document");
        };
        for (keyword, value) in facts {
            property[keyword] = value;
        }
    }
    schemas["Code"]["description"] = json!(meanings(&schemas["Code"]["enum"]));
}

/// What is true of a property, and the generator has no word for.
fn facts() -> [(&'static str, Value); 8] {
    let time = json!({ "format": "date-time" });
    [
        ("/MailSent/properties/expires_at", time.clone()),
        ("/InspectedLink/properties/expires_at", time),
        (
            "/InspectedLink/properties/new_email",
            json!({ "format": "email" }),
        ),
        (
            "/Session/properties/token_type",
            json!({ "enum": ["Bearer"] }),
        ),
        (
            "/Session/properties/expires_in",
            json!({ "format": "int32", "minimum": 1 }),
        ),
        (
            "/Problem/properties/status",
            json!({ "format": "int32", "minimum": 400, "maximum": 599 }),
        ),
        ("/Problem/properties/type", json!({ "format": "uri" })),
        (
            "/Problem/properties/request_id",
            json!({ "format": "uuid" }),
        ),
    ]
}

/// Every code with its status, and what can be done about it.
fn meanings(codes: &Value) -> String {
    let codes = codes.as_array().into_iter().flatten().cloned();
    let lines = codes.filter_map(|code| Code::parse_from_json(Some(code)).ok());
    let lines = lines.map(|code| {
        let (status, detail) = (code.status().as_u16(), code.detail());
        format!("\n- `{}` ({status}): {detail}", code.name())
    });
    format!(
        "What went wrong: a closed set, for programs.\n{}",
        lines.collect::<String>()
    )
}

fn correct_responses(responses: &mut Value, operation: &str, schemas: &Value) {
    let Some(responses) = responses.as_object_mut() else {
        return;
    };
    responses.extend(problem::responses(operation));
    for response in responses.values_mut() {
        // What it brings says more than that it is done.
        let brings = response
            .pointer("/content/application~1json/schema/$ref")
            .and_then(Value::as_str)
            .and_then(|name| schemas.get(name.rsplit('/').next()?));
        if let Some(brings) = brings {
            response["description"] = brings["description"].clone();
            response["content"]["application/json"]["example"] =
                of_operation(operation, brings["example"].clone());
        }
        response["headers"]["X-Request-Id"] = json!({
            "description": "To be quoted to the operators, who find it in the log.",
            "required": true,
            "schema": { "type": "string", "format": "uuid" },
        });
    }
}

/// The request tells the current address masked, the confirmation the new one in full.
fn of_operation(operation: &str, mut example: Value) -> Value {
    if operation == "confirmEmailChange" {
        example["sent_to"] = json!("ann@new.example");
    }
    example
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
