//! What the backend remembers: counters, faults, prompts seen and, where asked for, requests.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use parking_lot::Mutex;
use serde::Serialize;

use crate::sim::Options;
use crate::sim::body::Step;
use crate::sim::faults::{FaultBook, Faults};
use crate::sim::tokens::Usage;

/// Requests kept for `/sim/requests`.
const KEPT: usize = 256;
/// Rendered answers that are kept.
const KEPT_ANSWERS: usize = 64;
/// Beginnings of prompts kept for the prompt cache.
const KEPT_PROMPTS: usize = 10_000;

/// Shared by all connections.
#[derive(Debug)]
pub struct State {
    /// As started.
    pub options: Options,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stats: Stats,
    faults: FaultBook,
    prompts: HashSet<u64>,
    seen: VecDeque<Seen>,
    rendered: HashMap<AnswerKey, VecDeque<Step>>,
}

/// What an answer of fixed length depends on besides the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AnswerKey {
    pub(super) model: &'static str,
    pub(super) stream: bool,
    pub(super) wants_usage: bool,
    pub(super) usage: Usage,
}

/// Counters since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests that were read, all of them.
    pub requests: u64,
    /// Requests refused for their key.
    pub unauthorized: u64,
    /// By model.
    pub models: BTreeMap<String, ModelStats>,
}

/// Counters of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ModelStats {
    /// Requests for it.
    pub requests: u64,
    /// Of these, streams.
    pub streams: u64,
    /// Requests hit by a status fault.
    pub refused: u64,
    /// Answers sent to their end.
    pub completed: u64,
    /// Answers whose caller went away, or that a fault cut.
    pub aborted: u64,
    /// Prompt tokens reported.
    pub prompt_tokens: u64,
    /// Completion tokens reported.
    pub completion_tokens: u64,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// Its headers in order.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl State {
    pub(super) fn new(options: Options) -> Self {
        Self { options, inner: Mutex::default() }
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.lock().stats.clone()
    }

    /// Counters of one model since the start.
    #[must_use]
    pub fn model_stats(&self, model: &str) -> ModelStats {
        self.inner.lock().stats.models.get(model).cloned().unwrap_or_default()
    }

    /// Replaces the faults of the models that are named.
    pub fn set_faults(&self, faults: BTreeMap<String, Faults>) {
        self.inner.lock().faults.set(faults);
    }

    /// Replaces the faults of one model.
    pub fn set_fault(&self, model: &str, faults: Faults) {
        self.set_faults(BTreeMap::from([(model.to_owned(), faults)]));
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.inner.lock().faults.clear();
    }

    /// The faults that are on, as JSON.
    #[must_use]
    pub fn faults_json(&self) -> serde_json::Value {
        serde_json::json!(self.inner.lock().faults.current())
    }

    /// The last requests, oldest first; empty unless they are recorded.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.lock().seen.iter().cloned().collect()
    }

    pub(super) fn count_request(&self) {
        self.inner.lock().stats.requests += 1;
    }

    pub(super) fn count_unauthorized(&self) {
        self.inner.lock().stats.unauthorized += 1;
    }

    pub(super) fn remember(&self, seen: Seen) {
        let mut inner = self.inner.lock();
        if inner.seen.len() == KEPT {
            inner.seen.pop_front();
        }
        inner.seen.push_back(seen);
    }

    /// Counts a request for a model and says what goes wrong with it.
    pub(super) fn begin(&self, model: &str, stream: bool) -> Faults {
        let mut inner = self.inner.lock();
        let faults = inner.faults.next(model, rand::random::<f64>());
        let stats = stats_of(&mut inner, model);
        stats.requests += 1;
        stats.streams += u64::from(stream);
        stats.refused += u64::from(faults.status.is_some());
        faults
    }

    pub(super) fn end(&self, model: &str, completed: bool) {
        let mut inner = self.inner.lock();
        let stats = stats_of(&mut inner, model);
        if completed {
            stats.completed += 1;
        } else {
            stats.aborted += 1;
        }
    }

    pub(super) fn count_tokens(&self, model: &str, prompt: u64, completion: u64) {
        let mut inner = self.inner.lock();
        let stats = stats_of(&mut inner, model);
        stats.prompt_tokens += prompt;
        stats.completion_tokens += completion;
    }

    /// The answer as it was rendered before, or as `render` does it now. The same bytes, id included.
    pub(super) fn rendered(&self, key: AnswerKey, render: impl FnOnce() -> VecDeque<Step>) -> VecDeque<Step> {
        let mut inner = self.inner.lock();
        if inner.rendered.len() >= KEPT_ANSWERS {
            inner.rendered.clear();
        }
        inner.rendered.entry(key).or_insert_with(render).clone()
    }

    /// Whether a prompt with this beginning was seen before; from now on it was.
    pub(super) fn knows_prompt(&self, hash: u64) -> bool {
        let mut inner = self.inner.lock();
        if inner.prompts.len() >= KEPT_PROMPTS {
            inner.prompts.clear();
        }
        !inner.prompts.insert(hash)
    }
}

fn stats_of<'a>(inner: &'a mut Inner, model: &str) -> &'a mut ModelStats {
    // Two look-ups, so that a known model costs no allocation.
    if !inner.stats.models.contains_key(model) {
        inner.stats.models.insert(model.to_owned(), ModelStats::default());
    }
    inner.stats.models.entry(model.to_owned()).or_default()
}
