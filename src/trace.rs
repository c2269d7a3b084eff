//! Which trace a request belongs to (W3C Trace Context): what the caller says, or one of our own.
//!
//! The front reads it and names it in every line of the log; what is asked of other services on
//! behalf of the request carries it on.

use std::future::Future;

use uuid::Uuid;

/// The header, in and out.
pub const TRACEPARENT: &str = "traceparent";

/// `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

/// The trace of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The span of the caller, 16 digits; `None` if the trace begins here.
    pub parent: Option<String>,
    /// Whether the caller records it.
    pub is_sampled: bool,
    /// Our own span, 16 digits.
    pub span: String,
}

tokio::task_local! {
    static CURRENT: Trace;
}

impl Trace {
    /// The trace that the caller names, in the one header there may be; otherwise one that begins
    /// here. Both it and our span are named after the request.
    #[must_use]
    pub fn of<'a>(mut headers: impl Iterator<Item = &'a [u8]>, request: Uuid) -> Self {
        let named = headers
            .next()
            .filter(|_| headers.next().is_none())
            .and_then(read);
        // The second half of a UUIDv7 is random, but for two bits that keep it from being zero.
        let (whole, span) = (request.simple().to_string(), request.as_u64_pair().1);
        let span = format!("{span:016x}");
        let (id, parent, is_sampled) = match named {
            Some((id, parent, is_sampled)) => (id, Some(parent), is_sampled),
            None => (whole, None, false),
        };
        Self {
            id,
            parent,
            is_sampled,
            span,
        }
    }

    /// The header for what is asked on behalf of this request, which is recorded or not.
    #[must_use]
    pub fn header(&self, is_recorded: bool) -> String {
        let flags = u8::from(is_recorded);
        format!("00-{}-{}-{flags:02x}", self.id, self.span)
    }

    /// Does that work as a part of this trace.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// The trace that is being worked for.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }
}

/// Section 3.2.2 of the specification; a version that is not known yet may go on after a dash.
fn read(header: &[u8]) -> Option<(String, String, bool)> {
    let text = std::str::from_utf8(header.get(..LENGTH)?).ok()?;
    let mut parts = text.split('-');
    let (version, id) = (parts.next()?, parts.next()?);
    let (parent, flags) = (parts.next()?, parts.next()?);
    let lengths = [version.len(), id.len(), parent.len(), flags.len()];
    let rest = &header[LENGTH..];
    let ends = rest.is_empty() || (version != "00" && rest[0] == b'-');
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let is_good = lengths == [2, 32, 16, 2]
        && parts.next().is_none()
        && [version, id, parent, flags].into_iter().all(is_hex)
        && version != "ff"
        && !is_zero(id)
        && !is_zero(parent)
        && ends;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    is_good.then(|| (id.to_owned(), parent.to_owned(), flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(headers: &[&str]) -> Trace {
        let request = Uuid::now_v7();
        let trace = Trace::of(headers.iter().map(|header| header.as_bytes()), request);
        if trace.parent.is_none() {
            assert_eq!(trace.id, request.simple().to_string());
        }
        trace
    }

    #[test]
    fn the_callers_trace_goes_on_with_a_span_of_ours() {
        let trace = of(&[GOOD]);
        assert_eq!(trace.id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent.as_deref(), Some("00f067aa0ba902b7"));
        let header = trace.header(trace.is_sampled);
        assert!(header.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(header.ends_with("-01") && !header.contains("00f067aa0ba902b7"));
        assert_eq!(of(&[&header]).id, trace.id, "what we say can be read");
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-what-comes-later";
        assert_eq!(of(&[later]).id, trace.id);
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        for bad in [
            "",
            "forged",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(&[bad]).parent, None, "{bad}");
        }
        assert_eq!(of(&[GOOD, GOOD]).parent, None, "one header, or none");
        assert_eq!(of(&[]).header(false).len(), LENGTH);
    }
}
