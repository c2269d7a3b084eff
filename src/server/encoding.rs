//! Whether the other side takes gzip.

use poem::Request;
use poem::http::header;

/// RFC 9110, section 12.5.3; weight 0 means no.
pub(super) fn takes_gzip(request: &Request) -> bool {
    let encodings = request.header(header::ACCEPT_ENCODING).unwrap_or_default();
    encodings.split(',').any(|encoding| {
        let (name, weight) = encoding.split_once(';').unwrap_or((encoding, "q=1"));
        let weight = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|weight| weight.parse().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_none_or(|weight: f32| weight > 0.0)
    })
}
