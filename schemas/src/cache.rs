//! The semantic cache: what the gateway asks, what the cache service answers, and the events that fill it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::{EventId, RequestId};

/// CloudEvents type of a [`CacheStore`].
pub const STORE_TYPE: &str = "dev.tollgate.cache.stored.v1";
/// CloudEvents type of a [`CacheInvalidate`].
pub const INVALIDATE_TYPE: &str = "dev.tollgate.cache.invalidated.v1";

/// The hard walls of the cache: two requests share entries only when all of this is equal.
///
/// Every part is compared as a whole, in the vector store as a payload filter; nothing of it is mixed
/// into the text that is embedded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CachePartition {
    /// Tenant that owns the entry; always part of the wall, whatever the scope.
    pub tenant: Arc<str>,
    /// Owner within the tenant by the configured scope: `key:…`, `subscription:…`, `team:…` or `tenant`.
    pub scope: Arc<str>,
    /// The alias.
    pub model: Arc<str>,
    /// SHA-256 (hex) over system prompts, earlier messages, tools, response format and parameters.
    pub context_hash: Arc<str>,
}

/// `POST /v1/lookup`: is there an answer for this?
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LookupRequest {
    /// Where to look.
    pub partition: CachePartition,
    /// SHA-256 (hex) of the conversation without what the partition holds already; tried first.
    pub exact_key: Arc<str>,
    /// The text to embed: the last message; empty for exact matches only.
    pub text: String,
    /// Lowest cosine similarity of a hit, 0 to 1; none for exact matches only.
    #[serde(default)]
    pub min_similarity: Option<f32>,
}

/// Answer to a [`LookupRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LookupResponse {
    /// The entry found, none on a miss.
    pub hit: Option<CacheHit>,
}

/// An entry that may be used again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CacheHit {
    /// How it was found.
    pub kind: HitKind,
    /// Cosine similarity; 1 for an exact match.
    pub similarity: f32,
    /// When the answer was stored, ms since the Unix epoch.
    pub stored_at_ms: i64,
    /// The usage event of the answer.
    pub event_id: EventId,
    /// The answer in the OpenAI chat completion form.
    pub response: Box<RawValue>,
}

/// How an entry was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HitKind {
    /// The same conversation.
    Exact,
    /// A conversation that means the same.
    Semantic,
}

/// A finished exchange to remember (topic `llm.cache.v1`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CacheStore {
    /// The usage event of the answer; also the id of the entry.
    pub event_id: EventId,
    /// The request.
    pub request_id: RequestId,
    /// Where it may be found.
    pub partition: CachePartition,
    /// As in [`LookupRequest::exact_key`].
    pub exact_key: Arc<str>,
    /// As in [`LookupRequest::text`].
    pub text: String,
    /// The answer in the OpenAI chat completion form.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub response: Box<RawValue>,
    /// When it was stored, ms since the Unix epoch.
    pub stored_at_ms: i64,
    /// How long it may be used, seconds.
    pub ttl_s: u32,
    /// Whether it may be found by similarity too.
    pub semantic: bool,
}

/// Entries to forget: all that match every part that is named (topic `llm.cache.v1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CacheInvalidate {
    /// Tenant whose entries go.
    pub tenant: Arc<str>,
    /// Only this scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Arc<str>>,
    /// Only this alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// Only entries stored before this moment, ms since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_before_ms: Option<i64>,
}
