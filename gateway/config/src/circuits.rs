//! When backends are left alone, how their health is looked after, and what they have committed to.

use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use tollgate_settings::units::{Time, Tokens};

use super::seconds;

/// When a deployment's circuit opens, and for how long. Any of the rules opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CircuitConfig {
    /// Failures in a row that open it; 0 switches the rule off.
    pub consecutive_failures: u32,
    /// Share of failures that opens it; `null` switches the rule off.
    pub ratio: Option<RatioConfig>,
    /// Which failures these two rules count.
    pub count: CountConfig,
    /// Further rules, each with failures of its own.
    pub rules: Vec<RuleConfig>,
    /// How long it stays open when the backend does not say; doubled each time a probe fails.
    pub open_for: Time,
    /// Longest that it stays open without a `Retry-After`.
    pub max_open: Time,
    /// Whether a `Retry-After` of a failed call (or any header of that meaning) opens it for that long.
    pub retry_after: RetryAfterConfig,
    /// Longest `Retry-After` that is obeyed; `max_open` when absent.
    pub max_retry_after: Option<Time>,
    /// A probe that nothing was answered to by then counts as lost, and the next request is the probe. Where
    /// `timeouts.connect` and `timeouts.first_byte` of the backend come to more together, that counts.
    pub probe_timeout: Time,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            ratio: Some(RatioConfig::default()),
            count: CountConfig::default(),
            rules: Vec::new(),
            open_for: seconds(10),
            max_open: seconds(300),
            retry_after: RetryAfterConfig::Obey,
            max_retry_after: None,
            probe_timeout: seconds(60),
        }
    }
}

/// A share of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RatioConfig {
    /// Failures of 100 attempts, 1 to 100.
    pub percent: u8,
    /// Attempts within the window below which the share says nothing.
    pub min_volume: u32,
    /// How far back attempts count.
    pub window: Time,
}

impl Default for RatioConfig {
    fn default() -> Self {
        Self { percent: 50, min_volume: 20, window: seconds(30) }
    }
}

/// One further rule: either `consecutive_failures` or `ratio`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Failures in a row that open the circuit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<u32>,
    /// Share of failures that opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioConfig>,
    /// Which failures it counts.
    #[serde(default)]
    pub count: CountConfig,
}

/// Which failures count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CountConfig {
    /// No connection: name, address, TCP or TLS.
    pub connect: bool,
    /// No answer began in time.
    pub timeout: bool,
    /// Streams that stood still.
    pub stalled: bool,
    /// Broken streams and answers that cannot be understood.
    pub broken: bool,
    /// Statuses, one (`429`) or a range (`500-599`) each. Answers that refuse the request itself (400, 404 …)
    /// never count.
    pub statuses: Vec<StatusRange>,
}

impl Default for CountConfig {
    fn default() -> Self {
        let statuses = [(401, 403), (408, 408), (429, 429), (499, 599)];
        Self {
            connect: true,
            timeout: true,
            stalled: true,
            broken: true,
            statuses: statuses.map(|(from, to)| StatusRange { from, to }).to_vec(),
        }
    }
}

/// Whether backends may say when they want to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RetryAfterConfig {
    /// They may: the circuit opens for that long.
    Obey,
    /// They may not: only the rules open the circuit.
    Ignore,
}

/// Cheap calls that look after a backend's health without costing tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// Time between two probes; each is up to a tenth earlier or later.
    pub every: Time,
    /// What is read with GET, below the backend's `url`; the list of models by default.
    pub path: String,
    /// A probe that takes longer has failed.
    pub timeout: Time,
    /// The status of a healthy backend, one or a range.
    pub expect_status: StatusRange,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            every: seconds(30),
            path: "/models".to_owned(),
            timeout: seconds(5),
            expect_status: StatusRange { from: 200, to: 299 },
        }
    }
}

impl ProbeConfig {
    /// What a probe of the backend with this base URL reads; `None` if that is not a URL.
    #[must_use]
    pub fn uri(&self, base_url: &str) -> Option<http::Uri> {
        format!("{}{}", base_url.trim_end_matches('/'), self.path).parse().ok()
    }
}

/// Throughput that is paid for whether it is used or not. Such a backend is filled first; what does not fit
/// goes to other targets, and a 429 from it opens no circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CapacityConfig {
    /// Tokens per minute: prompt and completion together.
    pub tokens_per_minute: Tokens,
    /// How much may be used at once after a quiet time, as the time in which it is committed. A request of
    /// more tokens than that never fits.
    #[serde(default = "minute")]
    pub burst: Time,
    /// Longest that a 429 keeps requests away, whatever its `Retry-After` says: staying away for longer would
    /// waste what is paid for.
    #[serde(default = "second")]
    pub max_busy: Time,
}

const fn minute() -> Time {
    Time(Duration::from_secs(60))
}

const fn second() -> Time {
    Time(Duration::from_secs(1))
}

/// One model at a backend, where it differs from the backend's other models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DeploymentConfig {
    /// Its circuit; the backend's when absent.
    pub circuit: Option<CircuitConfig>,
    /// Its own committed throughput; absent, it shares the backend's.
    pub capacity: Option<CapacityConfig>,
}

/// What replicas of the gateway tell each other through the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ReplicasConfig {
    /// Whether a circuit that opens here opens at the other replicas too, and theirs here. An operator's word
    /// then holds everywhere, and over restarts. Without the event log each replica finds out by itself.
    pub share_circuits: bool,
}

impl Default for ReplicasConfig {
    fn default() -> Self {
        Self { share_circuits: true }
    }
}

/// An HTTP status or a range of them: `429` or `500-599`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusRange {
    /// First status.
    pub from: u16,
    /// Last status.
    pub to: u16,
}

/// A text that is not a status or a range of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status such as 429 or a range such as 500-599")]
pub struct StatusRangeError(String);

impl StatusRange {
    /// Whether the status is one of them.
    #[must_use]
    pub const fn contains(self, status: u16) -> bool {
        self.from <= status && status <= self.to
    }

    /// As a range.
    #[must_use]
    pub const fn range(self) -> RangeInclusive<u16> {
        self.from..=self.to
    }
}

impl FromStr for StatusRange {
    type Err = StatusRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let status = |text: &str| {
            let status: NonZeroU16 = text.trim().parse().ok()?;
            (100..=599).contains(&status.get()).then_some(status.get())
        };
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        match (status(from), status(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => Err(StatusRangeError(text.to_owned())),
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { self.from.fmt(f) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for StatusRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusRange".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An HTTP status or a range of them: `429` or `500-599`.",
            "type": ["integer", "string"],
            "minimum": 100,
            "maximum": 599,
            "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"
        })
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Statuses;
        impl Visitor<'_> for Statuses {
            type Value = StatusRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as 429 or a range such as 500-599")
            }

            fn visit_u64<E: Error>(self, status: u64) -> Result<StatusRange, E> {
                self.visit_str(&status.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<StatusRange, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Statuses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_settings::load::parse_yaml;

    fn circuit(text: &str) -> CircuitConfig {
        parse_yaml("t.yaml".as_ref(), text).unwrap()
    }

    #[test]
    fn statuses_are_numbers_or_ranges() {
        let read = circuit("count: { statuses: [429, '500-599', 408] }");
        let texts: Vec<String> = read.count.statuses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["429", "500-599", "408"]);
        for wrong in ["99", "600", "5xx", "599-500", "-", ""] {
            assert!(wrong.parse::<StatusRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_left_out_keeps_its_default_and_null_switches_the_ratio_off() {
        assert_eq!(circuit("{}"), CircuitConfig::default());
        let read = circuit("ratio: null\nretry_after: ignore\ncount: { stalled: false }");
        assert_eq!((read.ratio, read.retry_after), (None, RetryAfterConfig::Ignore));
        assert!(!read.count.stalled && read.count.connect && read.consecutive_failures == 5);
    }

    #[test]
    fn a_circuit_is_read_back_as_it_is_written() {
        let read = circuit("rules: [ { ratio: { percent: 10, window: 5m }, count: { statuses: [429] } } ]");
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<CircuitConfig>(&text).unwrap(), read);
    }
}
