//! Faults by model, switched on and off while the backend runs.
//!
//! `PUT` (or `POST`) `/sim/faults` with `{"sim-small": {"status": {"code": 429}, "first": 3}}` replaces the faults
//! of the models that are named; `{"sim-small": {}}` ends them. `DELETE` ends all, `GET` shows what is on.
//!
//! A model may be asked for under a name of one's own, `sim-small:anything`: it has faults of its own then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sim::raw::RawFault;

/// What goes wrong with one model. Everything absent is in good order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Refuses instead of answering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusFault>,
    /// Breaks the rules of HTTP, of the API format or of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawFault>,
    /// Waits before the first byte, ms.
    pub latency_ms: u64,
    /// Stops sending after that many chunks of a stream, and keeps the connection open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall_after_chunks: Option<usize>,
    /// Cuts the connection after that many chunks of a stream, or after the head of a plain answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_after_chunks: Option<usize>,
    /// Ends a stream in good order before its usage and `[DONE]`.
    pub close_without_usage: bool,
    /// Sends an answer that is no JSON.
    pub malformed_json: bool,
    /// Sends a line in the middle of a stream that is no event.
    pub malformed_sse: bool,
    /// Makes the answer's text that long, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oversized_bytes: Option<usize>,
    /// Sends an answer in pieces of 16 bytes with that pause between them, ms.
    pub drip_ms: u64,
    /// Leaves the usage out.
    pub no_usage: bool,
    /// Only one of so many requests is hit, 0 to 1; all of them when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Only the first so many requests are hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// A refusal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatusFault {
    /// HTTP status.
    pub code: u16,
    /// `Retry-After`, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// `Retry-After` as the date that is so many seconds away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_date_s: Option<u32>,
    /// More headers: `retry-after-ms`, `x-ratelimit-reset-requests`, `location`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A body in place of the error in JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

impl StatusFault {
    /// A refusal with that status and nothing else.
    #[must_use]
    pub fn code(code: u16) -> Self {
        Self { code, ..Self::default() }
    }
}

/// The faults that are on, by model.
#[derive(Debug, Default)]
pub struct FaultBook {
    by_model: BTreeMap<String, Active>,
}

#[derive(Debug)]
struct Active {
    faults: Faults,
    hits: u64,
}

impl FaultBook {
    /// Replaces the faults of the models that are named.
    pub fn set(&mut self, faults: BTreeMap<String, Faults>) {
        for (model, faults) in faults {
            if faults == Faults::default() {
                self.by_model.remove(&model);
            } else {
                self.by_model.insert(model, Active { faults, hits: 0 });
            }
        }
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.by_model.clear();
    }

    /// What is on.
    #[must_use]
    pub fn current(&self) -> BTreeMap<&str, &Faults> {
        self.by_model.iter().map(|(model, active)| (model.as_str(), &active.faults)).collect()
    }

    /// The faults that hit the next request to `model`. `dice` is a number from 0 (included) to 1.
    pub fn next(&mut self, model: &str, dice: f64) -> Faults {
        let Some(active) = self.by_model.get_mut(model) else { return Faults::default() };
        let spent = active.faults.first.is_some_and(|first| active.hits >= first);
        let spared = active.faults.probability.is_some_and(|probability| dice >= probability);
        if spent || spared {
            return Faults::default();
        }
        active.hits += 1;
        active.faults.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(faults: Faults) -> FaultBook {
        let mut book = FaultBook::default();
        book.set(BTreeMap::from([("m".to_owned(), faults)]));
        book
    }

    #[test]
    fn only_the_first_requests_are_hit() {
        let mut book = book(Faults { no_usage: true, first: Some(2), ..Faults::default() });
        let hits = (0..4).map(|_| book.next("m", 0.5).no_usage).collect::<Vec<_>>();
        assert_eq!(hits, [true, true, false, false]);
    }

    #[test]
    fn the_dice_decide_by_probability() {
        let mut book = book(Faults { no_usage: true, probability: Some(0.25), ..Faults::default() });
        assert!(book.next("m", 0.2).no_usage);
        assert!(!book.next("m", 0.25).no_usage);
    }

    #[test]
    fn other_models_are_spared_and_an_empty_entry_ends_a_fault() {
        let mut book = book(Faults { latency_ms: 5, ..Faults::default() });
        assert_eq!(book.next("other", 0.0), Faults::default());
        book.set(BTreeMap::from([("m".to_owned(), Faults::default())]));
        assert!(book.current().is_empty());
    }
}
