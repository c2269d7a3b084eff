//! Which operation can fail how: what the OpenAPI document says of problems.
//!
//! Every operation names its codes in [`own_codes`]; statuses, descriptions, headers and examples
//! follow from them.

use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use serde_json::{Map, Value, json};

use super::{Code, PROBLEM_JSON, Problem, ProblemDocument};

/// A problem as an operation returns it.
pub(crate) struct Failure(Problem);

impl Failure {
    pub(crate) fn from(error: impl Into<Problem>) -> Self {
        Self(error.into())
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }
}

impl std::convert::From<Failure> for poem::Error {
    fn from(failure: Failure) -> Self {
        failure.0.into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.0.respond("")
    }
}

/// One answer stands for all, because the generator forgets a schema that no answer names. The
/// document gets the others from [`responses`].
impl ApiResponse for Failure {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
                status: Some(500),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: PROBLEM_JSON,
                    schema: ProblemDocument::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

/// What the front of the server can answer before any operation begins, and what the database can
/// do to each.
const EVERYWHERE: [Code; 6] = [
    Code::MalformedRequest,
    Code::RequestTimeout,
    Code::PayloadTooLarge,
    Code::Internal,
    Code::Overloaded,
    Code::DatabaseUnavailable,
];

/// What else the operation of that id can answer.
fn own_codes(operation: &str) -> &'static [Code] {
    match operation {
        "signIn" => &[
            Code::Unauthenticated,
            Code::NotFound,
            Code::UnsupportedMediaType,
            Code::RateLimited,
        ],
        "getCurrentUser" => &[Code::Unauthenticated, Code::RateLimited],
        "requestEmailChange" => &[
            Code::Unauthenticated,
            Code::WrongPassword,
            Code::UnsupportedMediaType,
            Code::Undeliverable,
            Code::RateLimited,
            Code::MailUnavailable,
        ],
        "confirmEmailChange" => &[
            Code::InvalidLink,
            Code::WrongPassword,
            Code::LinkExpired,
            Code::LinkUsed,
            Code::UnsupportedMediaType,
            Code::InvalidEmail,
            Code::SameEmail,
            Code::Undeliverable,
            Code::RateLimited,
            Code::MailUnavailable,
        ],
        "activateEmailChange" => &[
            Code::InvalidLink,
            Code::EmailTaken,
            Code::LinkExpired,
            Code::LinkUsed,
            Code::UnsupportedMediaType,
            Code::RateLimited,
            Code::MailUnavailable,
        ],
        "cancelEmailChange" => &[
            Code::InvalidLink,
            Code::NotFound,
            Code::LinkExpired,
            Code::LinkUsed,
            Code::UnsupportedMediaType,
        ],
        "undoEmailChange" => &[
            Code::InvalidLink,
            Code::WrongPassword,
            Code::NotFound,
            Code::EmailTaken,
            Code::LinkExpired,
            Code::LinkUsed,
            Code::UnsupportedMediaType,
            Code::RateLimited,
        ],
        "inspectLink" => &[
            Code::InvalidLink,
            Code::UnsupportedMediaType,
            Code::RateLimited,
        ],
        _ => &[],
    }
}

/// The answers of an operation that are problems, as the document has them: by status, with an
/// example for each code.
pub(crate) fn responses(operation: &str) -> Map<String, Value> {
    let mut codes = [&EVERYWHERE, own_codes(operation)].concat();
    codes.sort_by_key(|code| (code.status(), *code as u8));
    codes
        .chunk_by(|one, other| one.status() == other.status())
        .map(|codes| {
            let status = codes[0].status().as_u16();
            (status.to_string(), response(operation, status, codes))
        })
        .collect()
}

fn response(operation: &str, status: u16, codes: &[Code]) -> Value {
    let examples: Map<String, Value> = codes
        .iter()
        .map(|&code| {
            let value = example(operation, code).document("019aa2b4-0000-7000-8000-00000000000f");
            let example = json!({ "summary": value["title"], "value": value });
            (code.name().to_owned(), example)
        })
        .collect();
    json!({
        "description": description(codes),
        "headers": headers(status),
        "content": { PROBLEM_JSON: {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "examples": examples,
        } },
    })
}

/// What the codes mean: one as a sentence, several as a list.
fn description(codes: &[Code]) -> String {
    let meaning = |code: Code| match code {
        Code::NotFound => "This operation is not offered here.",
        code => code.detail(),
    };
    let lines: Vec<_> = codes
        .iter()
        .map(|&code| format!("`{}`: {}", code.name(), meaning(code)))
        .collect();
    match lines.as_slice() {
        [line] => line.clone(),
        lines => format!("- {}", lines.join("\n- ")),
    }
}

fn example(operation: &str, code: Code) -> Problem {
    match (code, operation) {
        (Code::MalformedRequest, "getCurrentUser") => {
            Problem::malformed("", "the body did not arrive whole")
        }
        (Code::MalformedRequest, _) => Problem::malformed("", "the body is not JSON"),
        (Code::WrongPassword, _) => Problem::of_field(code, "/password"),
        (Code::InvalidEmail | Code::SameEmail, _) | (Code::Undeliverable, "confirmEmailChange") => {
            Problem::of_field(code, "/new_email")
        }
        _ => Problem::new(code),
    }
}

fn headers(status: u16) -> Value {
    let header = |description: &str, example: &Value, schema: &Value| {
        json!({
            "description": description,
            "required": true,
            "schema": schema,
            "example": example,
        })
    };
    match status {
        401 => json!({ "WWW-Authenticate": header(
            "RFC 6750, section 3.",
            &json!("Bearer"),
            &json!({ "type": "string" }),
        ) }),
        429 | 503 => json!({ "Retry-After": header(
            "Whole seconds to wait.",
            &json!(2),
            &json!({ "type": "integer", "minimum": 1 }),
        ) }),
        _ => json!({}),
    }
}
