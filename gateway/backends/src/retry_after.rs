//! When a backend wants to be asked again, in every form that providers use.
//!
//! `Retry-After` in seconds or as an HTTP date (RFC 9110 §10.2.3), `retry-after-ms` (Azure OpenAI), and the
//! resets of rate limits as durations (`6m0s`, `20ms`: OpenAI) or as moments (RFC 3339: Anthropic). What
//! cannot be read counts as absent; nothing here trusts a length or a number.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;

/// Longest wait that is believed; circuits cap it further.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Rate limits that a provider reported beside an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Requests left in its window.
    pub remaining_requests: Option<u64>,
    /// Tokens left in its window.
    pub remaining_tokens: Option<u64>,
    /// Until its request window is full again.
    pub reset_requests: Option<Duration>,
    /// Until its token window is full again.
    pub reset_tokens: Option<Duration>,
}

const REMAINING_REQUESTS: [&str; 2] =
    ["x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"];
const REMAINING_TOKENS: [&str; 2] = ["x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"];
const RESET_REQUESTS: [&str; 2] = ["x-ratelimit-reset-requests", "anthropic-ratelimit-requests-reset"];
const RESET_TOKENS: [&str; 2] = ["x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-reset"];

/// The wait that the headers of a refusal ask for: the most precise form that is there. Resets count only
/// for windows that are used up. `now_ms` is wall time, ms since the Unix epoch.
#[must_use]
pub fn from_headers(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    text("retry-after-ms")
        .and_then(|value| parse_number(value, Duration::from_millis(1)))
        .or_else(|| text("retry-after").and_then(|value| parse_retry_after(value, now_ms)))
        .or_else(|| RateHeaders::from_headers(headers, now_ms).exhausted())
}

impl RateHeaders {
    /// Reads what is there.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap, now_ms: i64) -> Self {
        let text = |names: [&str; 2]| {
            names.into_iter().find_map(|name| headers.get(name)).and_then(|value| value.to_str().ok())
        };
        let count = |names| text(names).and_then(|value| value.trim().parse().ok());
        let reset = |names| text(names).and_then(|value| parse_reset(value, now_ms));
        Self {
            remaining_requests: count(REMAINING_REQUESTS),
            remaining_tokens: count(REMAINING_TOKENS),
            reset_requests: reset(RESET_REQUESTS),
            reset_tokens: reset(RESET_TOKENS),
        }
    }

    /// Whether no header was there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The longest reset of a window that is used up; of any window if none says what remains.
    fn exhausted(&self) -> Option<Duration> {
        let windows =
            [(self.remaining_requests, self.reset_requests), (self.remaining_tokens, self.reset_tokens)];
        let silent = windows.iter().all(|(remaining, _)| remaining.is_none());
        windows
            .iter()
            .filter(|(remaining, _)| silent || *remaining == Some(0))
            .filter_map(|(_, reset)| *reset)
            .max()
    }
}

/// `Retry-After`: seconds, or an HTTP date. A date in the past is no wait at all.
#[must_use]
pub fn parse_retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    parse_number(value, Duration::from_secs(1)).or_else(|| {
        let at = httpdate::parse_http_date(value.trim()).ok()?;
        Some(until(at.duration_since(UNIX_EPOCH).ok()?, now_ms))
    })
}

/// The reset of a rate limit: a duration (`6m0s`, `20ms`, `1.5s`, or bare seconds) or an RFC 3339 moment.
#[must_use]
pub fn parse_reset(value: &str, now_ms: i64) -> Option<Duration> {
    parse_number(value, Duration::from_secs(1)).or_else(|| parse_duration(value)).or_else(|| {
        let at: jiff::Timestamp = value.trim().parse().ok()?;
        let at_ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
        Some(until(Duration::from_millis(at_ms), now_ms))
    })
}

/// A sequence of numbers with units: `1h2m3s`, `6m0s`, `20ms`, `0.5s`.
fn parse_duration(value: &str) -> Option<Duration> {
    let mut rest = value.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic() && c != 'µ').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(letters);
        let unit = match unit {
            "d" => Duration::from_secs(24 * 3600),
            "h" => Duration::from_secs(3600),
            "m" => Duration::from_secs(60),
            "s" => Duration::from_secs(1),
            "ms" => Duration::from_millis(1),
            "us" | "µs" => Duration::from_micros(1),
            "ns" => Duration::from_nanos(1),
            _ => return None,
        };
        total = total.saturating_add(parse_number(number, unit)?);
        rest = next;
    }
    (!value.trim().is_empty()).then(|| total.min(MAX_WAIT))
}

/// A non-negative decimal number of `unit`s.
fn parse_number(value: &str, unit: Duration) -> Option<Duration> {
    let value = value.trim();
    if !value.starts_with(|c: char| c.is_ascii_digit())
        || !value.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    {
        return None;
    }
    let number: f64 = value.parse().ok()?;
    // Too large for a duration is long, not unreadable.
    Some(Duration::try_from_secs_f64(number * unit.as_secs_f64()).unwrap_or(MAX_WAIT).min(MAX_WAIT))
}

fn until(at: Duration, now_ms: i64) -> Duration {
    let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
    at.saturating_sub(now).min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW_MS: i64 = 784_111_777_000;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_in_any_of_its_three_forms() {
        for (value, expected_ms) in [
            ("120", 120_000),
            (" 0 ", 0),
            ("1.5", 1_500),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60_000),
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60_000),
            ("Sun Nov  6 08:50:37 1994", 60_000),
            ("Sun, 06 Nov 1994 08:40:00 GMT", 0),
            ("99999999999999999999999", 86_400_000),
        ] {
            assert_eq!(parse_retry_after(value, NOW_MS), Some(Duration::from_millis(expected_ms)), "{value}");
        }
        for unreadable in ["", "-5", "soon", "1e3", "+1", "0x10", "."] {
            assert_eq!(parse_retry_after(unreadable, NOW_MS), None, "{unreadable}");
        }
    }

    #[test]
    fn resets_are_durations_or_moments() {
        for (value, expected_ms) in [
            ("6m0s", 360_000),
            ("20ms", 20),
            ("1h2m3s", 3_723_000),
            ("1.5s", 1_500),
            ("7", 7_000),
            ("1994-11-06T08:49:40Z", 3_000),
        ] {
            assert_eq!(parse_reset(value, NOW_MS), Some(Duration::from_millis(expected_ms)), "{value}");
        }
        for unreadable in ["", "6x", "m", "6m s", "never"] {
            assert_eq!(parse_reset(unreadable, NOW_MS), None, "{unreadable}");
        }
    }

    #[test]
    fn the_most_precise_form_wins() {
        let all =
            headers(&[("retry-after-ms", "1500"), ("retry-after", "2"), ("x-ratelimit-reset-tokens", "9s")]);
        assert_eq!(from_headers(&all, NOW_MS), Some(Duration::from_millis(1500)));
        assert_eq!(from_headers(&headers(&[]), NOW_MS), None);
    }

    #[test]
    fn the_reset_of_the_window_that_is_used_up_counts() {
        let used_up = headers(&[
            ("x-ratelimit-remaining-requests", "12"),
            ("x-ratelimit-reset-requests", "1h"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "8s"),
        ]);
        assert_eq!(from_headers(&used_up, NOW_MS), Some(Duration::from_secs(8)));
    }

    proptest! {
        #[test]
        fn hostile_values_never_panic_and_never_wait_longer_than_a_day(value in ".{0,40}", now in any::<i64>()) {
            for wait in [parse_retry_after(&value, now), parse_reset(&value, now)].into_iter().flatten() {
                prop_assert!(wait <= MAX_WAIT);
            }
        }

        #[test]
        fn what_a_provider_writes_is_read_back(h in 0_u64..20, m in 0_u64..60, s in 0_u64..60, ms in 0_u64..1000) {
            let expected = Duration::from_millis(((h * 60 + m) * 60 + s) * 1000 + ms);
            prop_assert_eq!(parse_reset(&format!("{h}h{m}m{s}s{ms}ms"), 0), Some(expected));
        }
    }
}
