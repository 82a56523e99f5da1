//! Answers used again: asked before any backend is called, filled after an answer is complete.
//!
//! The cache may never cost a request: a lookup has a deadline, and whatever goes wrong is a miss. Only
//! whole, plain answers are stored, and what is stored goes through the event log like everything else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tollgate_base::time::now_ms;
use tollgate_config::CacheConfig;
use tollgate_identity::Caller;
use tollgate_ledger::ContentMessage;
use tollgate_runtime::snapshot::{CacheSettings, Model};
use tollgate_schemas::cache::{CacheHit, CacheStore, HitKind, LookupResponse, STORE_TYPE};
use tollgate_schemas::cache_key::{CacheKey, KeyLimits, cache_key_from_slice};
use tollgate_schemas::ids::RequestId;
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::UsageEvent;

use crate::gateway::{Gateway, Worker};

/// What the cache did for a request; the value of `x-tollgate-cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The same question was answered before.
    HitExact,
    /// A question that means the same was answered before.
    HitSemantic,
    /// Nothing was found.
    Miss,
    /// The cache was not asked.
    Bypass,
}

impl CacheStatus {
    /// Header and metric value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HitExact => "hit-exact",
            Self::HitSemantic => "hit-semantic",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

impl fmt::Display for CacheStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Outcome of asking.
pub enum LookupOutcome {
    /// The model has no cache, or the request is not one that is cached.
    Bypass,
    /// Not found; the answer may be stored under this plan.
    Miss(Box<StorePlan>),
    /// Found.
    Hit(CacheStatus, Box<CacheHit>),
}

/// How the answer to a request would be stored.
pub struct StorePlan {
    key: CacheKey,
    ttl: Duration,
    semantic: bool,
    max_answer: usize,
}

/// Asks the cache for an answer.
pub async fn look(
    worker: &Worker,
    request_id: RequestId,
    settings: Option<&CacheSettings>,
    caller: &Caller,
    model: &Model,
    body: &Bytes,
    bypass: bool,
) -> LookupOutcome {
    let (Some(config), Some(settings)) = (&model.cache, settings) else {
        return LookupOutcome::Bypass;
    };
    if bypass {
        return LookupOutcome::Bypass;
    }
    let (scope, ttl, min_similarity) = match config {
        CacheConfig::Exact(exact) => (exact.scope, exact.ttl.0, None),
        CacheConfig::Semantic(semantic) => (semantic.scope, semantic.ttl.0, Some(semantic.min_similarity)),
    };
    let scope = caller.cache_scope(scope);
    let tenant = &caller.payer.tenant;
    let key = match cache_key_from_slice(body, tenant, &scope, &model.alias, &KeyLimits::default()) {
        Ok(key) => key,
        Err(reason) => {
            tracing::debug!(%request_id, reason = %reason, "not cacheable");
            return LookupOutcome::Bypass;
        }
    };
    let request = key.clone().into_lookup(min_similarity);
    let plan = StorePlan { key, ttl, semantic: min_similarity.is_some(), max_answer: settings.max_answer };
    let lookup = Box::pin(worker.cache.lookup(&settings.endpoint, request, settings.deadline));
    match tokio::time::timeout(settings.deadline, lookup).await {
        Ok(Ok(LookupResponse { hit: Some(hit) })) => {
            let status = match hit.kind {
                HitKind::Exact => CacheStatus::HitExact,
                HitKind::Semantic => CacheStatus::HitSemantic,
            };
            LookupOutcome::Hit(status, Box::new(hit))
        }
        Ok(Ok(LookupResponse { hit: None })) => LookupOutcome::Miss(Box::new(plan)),
        Ok(Err(error)) => {
            tracing::debug!(%request_id, error = %error, "cache lookup failed");
            worker.gateway.metrics.cache_lookup_failed();
            LookupOutcome::Miss(Box::new(plan))
        }
        Err(_) => {
            worker.gateway.metrics.cache_lookup_failed();
            LookupOutcome::Miss(Box::new(plan))
        }
    }
}

impl StorePlan {
    /// Publishes a complete answer for the cache service to keep.
    pub fn store(self, gateway: &Gateway, usage: &UsageEvent, answer: &Bytes) {
        if answer.len() > self.max_answer {
            return;
        }
        let Ok(response) = serde_json::from_slice::<Box<RawValue>>(answer) else { return };
        let stored_at_ms = now_ms();
        let CacheKey { partition, exact_key, text } = self.key;
        let event = CacheStore {
            event_id: usage.event_id,
            request_id: usage.request_id,
            partition,
            exact_key,
            text,
            response,
            stored_at_ms,
            ttl_s: u32::try_from(self.ttl.as_secs()).unwrap_or(u32::MAX),
            semantic: self.semantic,
        };
        let Ok(payload) = serde_json::to_vec(&event) else { return };
        let message = ContentMessage {
            topic: Topic::Cache,
            key: Bytes::copy_from_slice(usage.payer.tenant.as_bytes()),
            id: usage.event_id.0,
            kind: STORE_TYPE,
            time_ms: stored_at_ms,
            subject: Some(Arc::clone(&usage.payer.subscription)),
            payload: payload.into(),
        };
        if let Err(error) = gateway.ledger.content(message) {
            tracing::debug!(error = %error, "cache event shed");
        }
    }
}
