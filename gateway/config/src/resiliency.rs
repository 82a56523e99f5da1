//! How an alias chooses among its targets, and what it does when one is slow or fails.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_settings::units::{Bytes, Time, UnitError};

use super::seconds;

/// How one of the targets of a priority group is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By chance, in proportion to the weights.
    #[default]
    Weighted,
    /// One after the other; weights play no part.
    RoundRobin,
    /// The one with the fewest calls under way for its weight; by chance among equals.
    LeastBusy,
    /// Of two that are drawn by weight, the one with the shorter expected wait: its recent time to the first
    /// byte times the calls under way.
    Latency,
}

/// How one of the targets of an alias is chosen.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Which target of a priority group is the best one.
    pub strategy: Strategy,
    /// Whether targets of the gateway's own `region` come first within their priority.
    pub prefer_region: bool,
    /// Keeps a session on one target of its priority group; the strategy decides for requests without one.
    pub affinity: Option<AffinityConfig>,
}

/// Where the name of a session is found: exactly one of the four.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct AffinityConfig {
    /// In this cookie. A client without it gets one with the answer.
    pub cookie: Option<Arc<str>>,
    /// In this header.
    pub header: Option<Arc<str>>,
    /// In this place of the JSON body, as a JSON pointer: `/metadata/session_id`.
    pub body: Option<Arc<str>>,
    /// In the value of this CEL expression.
    pub expression: Option<Arc<str>>,
    /// How long a client keeps the cookie; as long as it runs when absent.
    pub ttl: Option<Time>,
}

/// How far a request goes to find a target that answers.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct FailoverConfig {
    /// Most calls for one request, 1 to 20, retries included; 1 switches failover off. A hedge is not counted.
    pub max_attempts: u8,
    /// How long after its arrival a request may begin another attempt; no attempt waits for its first byte
    /// beyond that.
    pub deadline: Time,
}

impl Default for FailoverConfig {
    fn default() -> Self {
        Self { max_attempts: 5, deadline: seconds(300) }
    }
}

/// Further calls of a target that could not serve a request (429, 5xx, no connection) before anything of an answer
/// came. Each is an attempt of its own and is never hedged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Most further calls of one target, 0 to 10, before the next target is tried.
    pub count: u8,
    /// Wait before the first of them; twice as long before each one after it. Up to half of a wait is left to chance.
    pub backoff: Time,
    /// Longest wait. A target that asks for a longer one by `Retry-After` is not called again; a shorter one is kept.
    pub max_backoff: Time,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { count: 1, backoff: Time(Duration::from_millis(250)), max_backoff: seconds(5) }
    }
}

/// Timeouts of an alias; each replaces that of the backend.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutOverrides {
    /// TCP and TLS handshake.
    pub connect: Option<Time>,
    /// From the request's last byte to the first byte of the answer.
    pub first_byte: Option<Time>,
    /// Longest silence within an answer.
    pub idle: Option<Time>,
    /// The whole call.
    pub total: Option<Time>,
}

/// What becomes of an answer whose client has gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OnDisconnectConfig {
    /// The call to the backend is broken off; what it produced is counted by the gateway.
    #[default]
    Cancel,
    /// The answer is read to its end and thrown away, so that the provider's own usage is known.
    Drain(DrainConfig),
}

/// Bounds on reading answers whose client has gone. Beyond them the call is broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DrainConfig {
    /// Longest that one answer is read.
    pub max: Time,
    /// Most that is read of one answer.
    pub max_bytes: Bytes,
    /// Most answers of the alias that are read at the same time.
    pub max_concurrent: u32,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { max: seconds(30), max_bytes: Bytes(8 << 20), max_concurrent: 100 }
    }
}

/// A second call to another target when the first is slow to answer.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HedgeConfig {
    /// How long the first call may wait for its answer: a time, or `p95` for the time within which 95 of 100
    /// answers of that target began during the last minute. Without enough answers nothing is hedged.
    pub after: HedgeAfter,
    /// Most hedges per 100 requests of the alias, 1 to 100.
    pub max_percent: u8,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self { after: HedgeAfter::P95, max_percent: 5 }
    }
}

/// When a call counts as slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum HedgeAfter {
    /// Slower than 95 of 100 recent answers of its target.
    P95,
    /// Slower than this.
    Fixed(Time),
}

impl FromStr for HedgeAfter {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text == "p95" { Ok(Self::P95) } else { text.parse().map(Self::Fixed) }
    }
}

impl TryFrom<String> for HedgeAfter {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P95 => f.write_str("p95"),
            Self::Fixed(time) => write!(f, "{}ms", time.0.as_millis()),
        }
    }
}

impl From<HedgeAfter> for String {
    fn from(after: HedgeAfter) -> Self {
        after.to_string()
    }
}
