//! What the backend remembers: counters, faults, prompts seen and, where asked for, requests.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;
use tokio::sync::watch;

use crate::sim::Options;
use crate::sim::body::Step;
use crate::sim::faults::{FaultBook, Faults};
use crate::sim::port::Port;
use crate::sim::providers::{PromptCache, Store};
use crate::sim::tokens::Usage;
use crate::sim::traffic::Traffic;

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
    /// Responses that the Responses API keeps.
    pub(super) responses: Store,
    pub(super) prompt_cache: PromptCache,
    port: watch::Sender<Port>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    stats: Stats,
    dice: StdRng,
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
    /// Connections and requests under way.
    pub traffic: Traffic,
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
        let mut faults = FaultBook::default();
        faults.set(options.faults.clone());
        let inner = Inner {
            stats: Stats::default(),
            dice: StdRng::seed_from_u64(options.seed),
            faults,
            prompts: HashSet::new(),
            seen: VecDeque::new(),
            rendered: HashMap::new(),
        };
        let port = watch::Sender::new(options.port);
        Self {
            port,
            responses: Store::default(),
            prompt_cache: PromptCache::default(),
            inner: Mutex::new(inner),
            options,
        }
    }

    /// Opens the port, closes it, or makes it deaf; cuts every connection.
    pub fn set_port(&self, port: Port) {
        self.port.send_replace(port);
    }

    pub(super) fn port(&self) -> watch::Receiver<Port> {
        self.port.subscribe()
    }

    /// Responses in the background end when they have been asked for so often; with the largest count they never do.
    pub fn work_for(&self, looks: u32) {
        self.responses.work_for(looks);
    }

    /// Watches anew how many requests come at once until one is answered well.
    pub fn watch_again(&self) {
        self.inner.lock().stats.traffic.watch_again();
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

    /// The same, and forgets them.
    #[must_use]
    pub fn take_seen(&self) -> Vec<Seen> {
        self.inner.lock().seen.drain(..).collect()
    }

    /// Counts a request, which is under way until the guard is dropped.
    pub(super) fn count_request(self: &Arc<Self>) -> UnderWay {
        let mut inner = self.inner.lock();
        inner.stats.requests += 1;
        inner.stats.traffic.begin();
        UnderWay(Arc::clone(self))
    }

    /// Counts a connection, which is open until the guard is dropped.
    pub(super) fn count_connection(self: &Arc<Self>) -> Connected {
        self.inner.lock().stats.traffic.connected();
        Connected(Arc::clone(self))
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

    /// Counts a request for a model, asked for as `name`, and says what goes wrong with it.
    pub(super) fn begin(&self, model: &str, name: &str, stream: bool) -> Faults {
        let mut inner = self.inner.lock();
        let dice = inner.dice.random::<f64>();
        let faults = inner.faults.next(name, dice);
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
            inner.stats.traffic.answered_well();
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

/// A request under way.
#[derive(Debug)]
pub(super) struct UnderWay(Arc<State>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.inner.lock().stats.traffic.end();
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connected(Arc<State>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.inner.lock().stats.traffic.disconnected();
    }
}

fn stats_of<'a>(inner: &'a mut Inner, model: &str) -> &'a mut ModelStats {
    // Two look-ups, so that a known model costs no allocation.
    if !inner.stats.models.contains_key(model) {
        inner.stats.models.insert(model.to_owned(), ModelStats::default());
    }
    inner.stats.models.entry(model.to_owned()).or_default()
}
