//! A body is taken if it is an object with exactly the fields of the operation, each once, each a
//! text without NUL; every refusal is one of a few sentences and points at nothing but our fields.

use readdress::fuzzing::{BODIES, read_body};
use serde_json::Value;

use super::json::Members;

/// Names of ours. One of another operation may be pointed at, as an unknown field.
const FIELDS: [&str; 4] = ["email", "new_email", "password", "token"];
const UNKNOWN: &str = "the object has an unknown field";

const MESSAGES: [&str; 12] = [
    "a field is missing",
    "the body goes on after the JSON object",
    "the body is not JSON",
    "the body is not a JSON object",
    "the field `email` is missing",
    "the field `new_email` is missing",
    "the field `password` is missing",
    "the field `token` is missing",
    "the object has a field twice",
    UNKNOWN,
    "the text has a NUL character",
    "the value is of another type than the document says",
];

/// The first byte says for which operation the rest is.
pub fn run(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let (operation, fields) = BODIES[usize::from(choice) % BODIES.len()];
    let is_right = Members::read(body).is_some_and(|members| {
        let is_text = |name: &&str| members.text(name).is_some_and(|text| !text.contains('\0'));
        members.count() == fields.len() && fields.iter().all(is_text)
    });
    match read_body(operation, body) {
        Ok(()) => assert!(
            is_right,
            "{operation} took {:?}",
            String::from_utf8_lossy(body)
        ),
        Err(problem) => {
            assert!(
                !is_right,
                "{operation} refused {:?}",
                String::from_utf8_lossy(body)
            );
            holds_as_a_refusal(&problem, fields);
        }
    }
}

fn holds_as_a_refusal(problem: &Value, fields: &[&str]) {
    assert_eq!(problem["code"], "malformed_request", "{problem}");
    assert_eq!(problem["status"], 400, "{problem}");
    let errors = problem["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 1, "{problem}");
    let text = |name: &str| errors[0][name].as_str().expect("a text");
    let (pointer, message) = (text("pointer"), text("message"));
    assert!(MESSAGES.contains(&message), "{problem}");
    let Some(name) = pointer.strip_prefix('/') else {
        assert!(pointer.is_empty(), "{problem}");
        return;
    };
    assert!(FIELDS.contains(&name), "{problem}");
    assert!(fields.contains(&name) || message == UNKNOWN, "{problem}");
}
