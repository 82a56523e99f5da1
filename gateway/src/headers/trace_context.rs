//! W3C Trace Context, `traceparent` only (<https://www.w3.org/TR/trace-context/>, level 1).

use std::fmt::Write;

use rand::Rng;

/// The trace that a request belongs to: the caller's where it sends a valid one, else a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The whole trace; never 0.
    pub trace_id: u128,
    /// The caller's span; `None` for a trace that begins here.
    pub parent: Option<u64>,
    /// The gateway's own span; never 0.
    pub span_id: u64,
    /// Whether the caller records the trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads the caller's header; what is malformed is as if it were not there.
    #[must_use]
    pub fn from_header(header: Option<&str>) -> Self {
        let mut random = rand::rng();
        let span_id = random.random_range(1..=u64::MAX);
        match header.and_then(parse) {
            Some((trace_id, parent, sampled)) => Self { trace_id, parent: Some(parent), span_id, sampled },
            None => {
                Self { trace_id: random.random_range(1..=u128::MAX), parent: None, span_id, sampled: false }
            }
        }
    }

    /// The header for a call made on behalf of this request.
    #[must_use]
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(55);
        let flags = u8::from(self.sampled);
        // Writing to a `String` cannot fail.
        let _ = write!(text, "00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id);
        text
    }
}

/// Trace id, parent span id and the sampled flag of a version 00 header; later versions are read by the
/// same rules, as the specification asks (§4).
fn parse(header: &str) -> Option<(u128, u64, bool)> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let version = hex_field(version, 2)?;
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    let trace_id = hex_field(trace, 32)?;
    let span_id = u64::try_from(hex_field(span, 16)?).ok()?;
    let sampled = hex_field(flags, 2)? & 1 == 1;
    (trace_id != 0 && span_id != 0).then_some((trace_id, span_id, sampled))
}

/// A field of exactly `digits` lower-case hexadecimal digits.
fn hex_field(text: &str, digits: usize) -> Option<u128> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == digits && text.bytes().all(lower_hex))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_is_continued_with_a_span_of_our_own() {
        let context = TraceContext::from_header(Some(VALID));
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert!(context.sampled && context.header().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert_ne!(context.header(), VALID);
    }

    #[test]
    fn what_is_malformed_begins_a_new_trace() {
        for header in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        ] {
            assert_eq!(TraceContext::from_header(Some(header)).parent, None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn hostile_headers_never_panic(header in ".{0,80}") {
            let _ = TraceContext::from_header(Some(&header));
        }
    }
}
