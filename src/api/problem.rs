//! Problem documents (RFC 9457): the one place where errors become HTTP.
//!
//! Here is what can be said; [`steps`] maps every error of a step to it, once; [`failure`] tells the
//! OpenAPI document which operation can fail how. No problem repeats what the caller sent.

mod failure;
mod steps;

use std::fmt;
use std::time::Duration;

use poem::Response;
use poem::error::ResponseError;
use poem::http::{HeaderValue, StatusCode, header};
use poem_openapi::types::ParseFromParameter;
use poem_openapi::{Enum, Object};
use serde::{Serialize, Serializer};

pub(crate) use failure::{Failure, responses};

use crate::limits::Wait;

/// When to come back after a 503: soon, for most of what causes one is over in seconds.
const RETRY: Duration = Duration::from_secs(2);
/// The media type of problem documents.
const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong: a closed set, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Code {
    /// Not JSON, duplicate keys, NUL, or a missing, unknown or ill-typed field.
    MalformedRequest,
    /// Not made by us, of another kind, or for a user that is gone.
    InvalidLink,
    /// Access token missing, invalid or expired; or no such user and password.
    Unauthenticated,
    /// The password is not the account's.
    WrongPassword,
    /// No such path.
    NotFound,
    /// The path exists, with another method.
    MethodNotAllowed,
    /// The body did not arrive in time.
    RequestTimeout,
    /// Another account has the address; only said to who has proven the mailbox.
    EmailTaken,
    /// The link's time is over.
    LinkExpired,
    /// Used, cancelled, overtaken, or the account changed since.
    LinkUsed,
    /// The body is over 16 KiB.
    PayloadTooLarge,
    /// The body is not `application/json`.
    UnsupportedMediaType,
    /// Not an address that can be mailed to.
    InvalidEmail,
    /// The account already has this address.
    SameEmail,
    /// The mail server refuses this mailbox itself.
    Undeliverable,
    /// Too many tries; see `Retry-After`.
    RateLimited,
    /// A defect of the service.
    Internal,
    /// Too much to do at once; see `Retry-After`.
    Overloaded,
    /// The mail server cannot be reached or does not accept mail; see `Retry-After`.
    MailUnavailable,
    /// The database cannot be reached; see `Retry-After`.
    DatabaseUnavailable,
}

impl Code {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::MalformedRequest | Self::InvalidLink => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::WrongPassword => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::EmailTaken => StatusCode::CONFLICT,
            Self::LinkExpired | Self::LinkUsed => StatusCode::GONE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidEmail | Self::SameEmail | Self::Undeliverable => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Overloaded | Self::MailUnavailable | Self::DatabaseUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What a person who knows nothing of HTTP can do about it.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request is not what this operation asks for.",
            Self::InvalidLink => {
                "This is not a link of this service, or not one for this step. Open the link from the mail again."
            }
            Self::Unauthenticated => {
                "Sign in first: there is no valid access token, or no such user and password."
            }
            Self::WrongPassword => "The password is wrong.",
            Self::NotFound => "There is nothing at this path.",
            Self::MethodNotAllowed => "This path takes another method; the Allow header names it.",
            Self::RequestTimeout => "The request did not arrive in time. Send it again.",
            Self::EmailTaken => "Another account has this address.",
            Self::LinkExpired => "The link has expired. Ask for a new one.",
            Self::LinkUsed => {
                "The link was used or stopped, or the account has changed since. Ask for a new one."
            }
            Self::PayloadTooLarge => "The body is larger than 16 KiB.",
            Self::UnsupportedMediaType => "Send the body as application/json.",
            Self::InvalidEmail => "This is not an e-mail address that mail can be sent to.",
            Self::SameEmail => "The account already has this address.",
            Self::Undeliverable => "The mail server refuses this mailbox. Check the address.",
            Self::RateLimited => "Too many tries. Wait as long as Retry-After says.",
            Self::Internal => {
                "Something went wrong in the service. Give its operators the request id."
            }
            Self::Overloaded => {
                "The service has too much to do. Nothing has changed; try again shortly."
            }
            Self::MailUnavailable => {
                "The mail could not be sent. Nothing has changed; try again shortly."
            }
            Self::DatabaseUnavailable => "The database could not be reached. Try again shortly.",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "Malformed request",
            Self::InvalidLink => "Invalid link",
            Self::Unauthenticated => "Not signed in",
            Self::WrongPassword => "Wrong password",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::RequestTimeout => "Request timeout",
            Self::EmailTaken => "Address taken",
            Self::LinkExpired => "Link expired",
            Self::LinkUsed => "Link used",
            Self::PayloadTooLarge => "Payload too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::InvalidEmail => "Invalid address",
            Self::SameEmail => "Same address",
            Self::Undeliverable => "Undeliverable",
            Self::RateLimited => "Rate limited",
            Self::Internal => "Internal error",
            Self::Overloaded => "Overloaded",
            Self::MailUnavailable => "Mail unavailable",
            Self::DatabaseUnavailable => "Database unavailable",
        }
    }

    /// As it is written on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::InvalidLink => "invalid_link",
            Self::Unauthenticated => "unauthenticated",
            Self::WrongPassword => "wrong_password",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::EmailTaken => "email_taken",
            Self::LinkExpired => "link_expired",
            Self::LinkUsed => "link_used",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::InvalidEmail => "invalid_email",
            Self::SameEmail => "same_email",
            Self::Undeliverable => "undeliverable",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Overloaded => "overloaded",
            Self::MailUnavailable => "mail_unavailable",
            Self::DatabaseUnavailable => "database_unavailable",
        }
    }

    /// The code that is so written.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::parse_from_parameter(name).ok()
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A field that was refused.
#[derive(Clone, Debug, Object, Serialize)]
pub struct FieldError {
    /// Where it stands in the body (RFC 6901).
    pointer: String,
    /// What is wrong with it.
    message: String,
}

/// What is sent when something went wrong (RFC 9457).
#[derive(Clone, Debug, Object, Serialize)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
pub struct ProblemDocument {
    /// Names the code as a URN.
    r#type: String,
    /// The code for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What can be done about it.
    detail: String,
    /// What went wrong, for programs.
    code: Code,
    /// To be quoted to the operators, who find it in the log.
    request_id: String,
    /// The fields that were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
    /// Of readiness alone.
    #[oai(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Box<serde_json::Value>>,
}

/// What went wrong, before it is known in which request.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What it is.
    pub code: Code,
    field: Option<FieldError>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    token_shown: bool,
    checks: Option<Box<serde_json::Value>>,
}

impl Problem {
    /// A problem of which there is no more to say.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let retry_after = (code.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY);
        Self {
            code,
            field: None,
            retry_after,
            allow: None,
            token_shown: false,
            checks: None,
        }
    }

    /// Too many tries.
    #[must_use]
    pub fn limited(wait: Wait) -> Self {
        Self {
            retry_after: Some(wait.0),
            ..Self::new(Code::RateLimited)
        }
    }

    /// Another method than the path takes.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(Code::MethodNotAllowed)
        }
    }

    /// Not signed in, and whether a token was shown (RFC 6750, section 3.1).
    #[must_use]
    pub fn unauthenticated(token_shown: bool) -> Self {
        Self {
            token_shown,
            ..Self::new(Code::Unauthenticated)
        }
    }

    /// Not ready, and why: `checks` is a member of its own (RFC 9457, section 3.2).
    pub(crate) fn not_ready(code: Code, checks: serde_json::Value) -> Self {
        Self {
            checks: Some(Box::new(checks)),
            ..Self::new(code)
        }
    }

    pub(crate) fn malformed(pointer: &str, message: &'static str) -> Self {
        let field = Some(FieldError {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        });
        Self {
            field,
            ..Self::new(Code::MalformedRequest)
        }
    }

    fn of_field(code: Code, pointer: &str) -> Self {
        let field = Some(FieldError {
            pointer: pointer.to_owned(),
            message: code.detail().to_owned(),
        });
        Self {
            field,
            ..Self::new(code)
        }
    }

    fn about(&self, request_id: &str) -> ProblemDocument {
        ProblemDocument {
            r#type: format!("urn:readdress:problem:{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.code.detail().to_owned(),
            code: self.code,
            request_id: request_id.to_owned(),
            errors: self.field.clone().map(|field| vec![field]),
            checks: self.checks.clone(),
        }
    }

    /// The document, for the request of that id.
    pub(crate) fn document(&self, request_id: &str) -> serde_json::Value {
        serde_json::to_value(self.about(request_id)).unwrap_or_default()
    }

    /// The same, as it is sent.
    pub(crate) fn json(&self, request_id: &str) -> String {
        serde_json::to_string(&self.about(request_id)).unwrap_or_default()
    }

    /// The answer to the request of that id.
    #[must_use]
    pub fn respond(self, request_id: &str) -> Response {
        let mut response = Response::builder()
            .status(self.code.status())
            .content_type(PROBLEM_JSON)
            .body(self.json(request_id));
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(wait.as_secs().max(1)),
            );
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.code == Code::Unauthenticated {
            let challenge = if self.token_shown {
                "Bearer error=\"invalid_token\""
            } else {
                "Bearer"
            };
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.detail())
    }
}

impl std::error::Error for Problem {}

/// Lets a problem travel through the framework; the front of the server answers it.
impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.code.status()
    }
}

/// A defect that has no error of its own.
pub(crate) fn internal() -> Problem {
    tracing::error!("the request was not prepared: this is a defect");
    Problem::new(Code::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_named_in_metrics_as_it_is_on_the_wire() {
        use poem_openapi::registry::Registry;
        use poem_openapi::types::Type;
        let mut registry = Registry::new();
        Code::register(&mut registry);
        let schema = &registry.schemas[&*<Code as Type>::name()];
        assert!(schema.enum_items.len() >= 20);
        for item in &schema.enum_items {
            let name = item.as_str().expect("a text");
            assert_eq!(Code::named(name).map(Code::name), Some(name));
        }
    }
}
