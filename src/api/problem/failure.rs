//! Which operation can fail how: what the OpenAPI document says of problems.

use std::marker::PhantomData;

use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;

use super::{Code, PROBLEM_JSON, Problem, ProblemDocument};

/// Which statuses an operation can fail with, for the document.
pub(crate) trait Fails {
    const WITH: &'static [u16];
}

/// A problem of operation `O`.
pub(crate) struct Failure<O>(Problem, PhantomData<O>);

impl<O> Failure<O> {
    pub(crate) fn from(error: impl Into<Problem>) -> Self {
        Self(error.into(), PhantomData)
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }
}

impl<O: Send + Sync + 'static> std::convert::From<Failure<O>> for poem::Error {
    fn from(failure: Failure<O>) -> Self {
        failure.0.into()
    }
}

impl<O> IntoResponse for Failure<O>
where
    O: Send,
{
    fn into_response(self) -> Response {
        self.0.respond("")
    }
}

/// The schema and media type of problems.
struct ProblemPayload;

impl Payload for ProblemPayload {
    const CONTENT_TYPE: &'static str = PROBLEM_JSON;

    fn schema_ref() -> MetaSchemaRef {
        ProblemDocument::schema_ref()
    }
}

impl<O: Fails> ApiResponse for Failure<O> {
    fn meta() -> MetaResponses {
        let responses = O::WITH.iter().map(|&status| MetaResponse {
            description: describe(status),
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: ProblemPayload::CONTENT_TYPE,
                schema: ProblemPayload::schema_ref(),
            }],
            headers: headers(status),
        });
        MetaResponses {
            responses: responses.collect(),
        }
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }
}

fn describe(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed, or the link is not one for this step.",
        401 => "Not signed in.",
        403 => "The password is wrong.",
        404 => "This operation is not offered here.",
        408 => "The body did not arrive in time.",
        409 => "Another account has the address.",
        410 => "The link has expired, was used or stopped, or the account has changed since.",
        413 => "The body is over 16 KiB.",
        415 => "The body is not `application/json`.",
        422 => "The address cannot be used.",
        429 => "Too many tries.",
        500 => "A defect of the service.",
        503 => "Not now; nothing has changed, and the same request may be sent again.",
        _ => "Something went wrong.",
    }
}

fn headers(status: u16) -> Vec<MetaHeader> {
    let header = |name: &str, description: &str, schema: MetaSchema| MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: true,
        deprecated: false,
        schema: MetaSchemaRef::Inline(Box::new(schema)),
    };
    match status {
        401 => vec![header(
            "WWW-Authenticate",
            "RFC 6750, section 3.",
            MetaSchema::new("string"),
        )],
        429 | 503 => vec![header(
            "Retry-After",
            "Whole seconds to wait.",
            MetaSchema::new("integer"),
        )],
        _ => vec![],
    }
}
