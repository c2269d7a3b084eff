//! Strict JSON in and out.
//!
//! The framework's own JSON payload accepts duplicate keys, unknown fields, and numbers where
//! strings are asked for, and repeats what it did not like. This one refuses the first three and
//! names only the place.

use std::borrow::Cow;

use poem::http::StatusCode;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::payload::{ParsePayload, Payload};
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use poem_openapi::{ApiResponse, impl_apirequest_for_payload};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use super::problem::Problem;
use crate::password::Password;

/// The media type of everything but problems.
const JSON: &str = "application/json";

/// A JSON request body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = JSON;

    fn check_content_type(content_type: &str) -> bool {
        let mut parts = content_type.split(';').map(str::trim);
        let is_json = parts
            .next()
            .is_some_and(|essence| essence.eq_ignore_ascii_case(JSON));
        is_json && parts.all(|parameter| parameter.to_ascii_lowercase().starts_with("charset="))
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type + DeserializeOwned> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = Vec::<u8>::from_request(request, body).await?;
        Ok(Self(read(&bytes)?))
    }
}

impl_apirequest_for_payload!(Body<T>, T: Type + DeserializeOwned);

/// Reads one JSON object and nothing else.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // The derived readers would take an array for an object, field by field.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::malformed("", "the body is not a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Problem::malformed(&pointer(&error), what(error.inner())))?;
    json.end()
        .map_err(|_| Problem::malformed("", "the body goes on after the JSON object"))?;
    Ok(parsed)
}

/// Which field it was (RFC 6901): none, where the JSON itself is broken.
fn pointer(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    use serde_path_to_error::Segment;
    if !error.inner().is_data() {
        return String::new();
    }
    error
        .path()
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            // A name that the caller made up is not repeated: only ours are.
            Segment::Map { key } if FIELDS.contains(&key.as_str()) => format!("/{key}"),
            _ => String::new(),
        })
        .collect()
}

/// Every field name that a request body may have.
const FIELDS: [&str; 4] = ["token", "password", "new_email", "email"];

/// What is wrong, in our words: the parser's would repeat the value.
fn what(error: &serde_json::Error) -> &'static str {
    let said = error.to_string();
    match said.split_whitespace().next() {
        _ if !error.is_data() => "the body is not JSON",
        Some("missing") => missing(&said),
        Some("unknown") => "the object has an unknown field",
        Some("duplicate") => "the object has a field twice",
        Some(NUL) => "the text has a NUL character",
        _ => "the value is of another type than the document says",
    }
}

fn missing(said: &str) -> &'static str {
    match FIELDS
        .iter()
        .find(|field| said.contains(&format!("`{field}`")))
    {
        Some(&"token") => "the field `token` is missing",
        Some(&"password") => "the field `password` is missing",
        Some(&"new_email") => "the field `new_email` is missing",
        Some(&"email") => "the field `email` is missing",
        _ => "a field is missing",
    }
}

const NUL: &str = "NUL";

fn without_nul<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.contains('\0') {
        Err(serde::de::Error::custom(NUL))
    } else {
        Ok(text)
    }
}

/// A text, taken as it is.
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        without_nul(deserializer).map(Self)
    }
}

/// A password, taken as it is, never shown again.
pub(crate) struct Secret(pub(crate) Password);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        without_nul(deserializer).map(|text| Self(Password::new(text)))
    }
}

/// Describes a text type in the document. It is never parsed or written through the framework.
macro_rules! text_type {
    ($name:ident, $schema:expr) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(_: Option<Value>) -> ParseResult<Self> {
                Err(ParseError::custom("read by serde"))
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                None
            }
        }
    };
}

/// What [`without_nul`] accepts.
const NO_NUL: &str = r"^[^\u0000]*$";

text_type!(
    Text,
    MetaSchema {
        pattern: Some(NO_NUL.to_owned()),
        ..MetaSchema::new("string")
    }
);
text_type!(
    Secret,
    MetaSchema {
        write_only: true,
        pattern: Some(NO_NUL.to_owned()),
        ..MetaSchema::new_with_format("string", "password")
    }
);

/// A successful JSON answer with its one status.
pub(crate) struct Answer<const STATUS: u16, T>(pub(crate) T);

impl<const STATUS: u16, T: ToJSON> IntoResponse for Answer<STATUS, T> {
    fn into_response(self) -> Response {
        let json = self.0.to_json_string();
        let status = StatusCode::from_u16(STATUS).unwrap_or_default();
        Response::builder()
            .status(status)
            .content_type(JSON)
            .body(json)
    }
}

impl<const STATUS: u16, T: ToJSON> ApiResponse for Answer<STATUS, T> {
    fn meta() -> MetaResponses {
        let description = if STATUS == 202 {
            "A mail is on its way."
        } else {
            "Done."
        };
        let content = vec![MetaMediaType {
            content_type: JSON,
            schema: T::schema_ref(),
        }];
        let response = MetaResponse {
            description,
            status: Some(STATUS),
            status_range: None,
            content,
            headers: vec![],
        };
        MetaResponses {
            responses: vec![response],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
