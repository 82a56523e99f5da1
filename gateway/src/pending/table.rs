//! Which answers are still worked on, and when their providers are asked next. Pure: time is given, in ms since the Unix
//! epoch.
//!
//! ```text
//!  held ──▶ waiting ──▶ asked ──▶ taken: its end is being written down
//!   │          ▲          │         │ the ledger refuses
//!   │          └──────────┴─────────┘
//!   └─▶ gone, when a stream brings its own end
//! ```
//! An entry is taken once, by whoever sees its end first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tollgate_schemas::ids::EventId;

use super::entry::Entry;

/// The first pause before a provider is asked, and the longest, ms. Each is twice the one before.
const FIRST_PAUSE_MS: i64 = 2_000;
const LAST_PAUSE_MS: i64 = 60_000;
/// Pause after the ledger refused an end, ms.
const LEDGER_PAUSE_MS: i64 = 10_000;
/// How often a provider may say that it does not know an answer before it is believed.
const MOST_MISSES: u32 = 3;
/// One subscription has at most this part of all entries.
const SHARE: usize = 4;

/// Answers that are still worked on.
#[derive(Debug)]
pub struct Table {
    entries: HashMap<EventId, Slot, ahash::RandomState>,
    /// By backend and the provider's id.
    ids: HashMap<(Arc<str>, Arc<str>), EventId, ahash::RandomState>,
    due: BTreeSet<(i64, EventId)>,
    per_subscription: HashMap<Arc<str>, usize, ahash::RandomState>,
    max: usize,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    state: State,
    pause_ms: i64,
    misses: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its stream is still relayed.
    Held,
    Waiting {
        due_ms: i64,
    },
    Asked,
}

/// What a provider was found to say of an answer that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It is worked on.
    Running,
    /// There is no such answer.
    Unknown,
    /// Nothing: the provider could not be asked.
    Nothing,
}

/// Why an answer is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// Its time is over.
    Deadline,
    /// Its provider does not know it any more.
    Lost,
}

impl Table {
    /// An empty one for at most `max` entries.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            entries: HashMap::default(),
            ids: HashMap::default(),
            due: BTreeSet::new(),
            per_subscription: HashMap::default(),
            max,
        }
    }

    /// Whether another answer of a subscription may be begun. What has begun is added in any case.
    #[must_use]
    pub fn has_room(&self, subscription: &str) -> bool {
        let own = self.per_subscription.get(subscription).copied().unwrap_or(0);
        self.entries.len() < self.max && own < (self.max / SHARE).max(1)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an answer whose stream is still relayed: nobody asks for it until [`Table::begin`].
    pub fn hold(&mut self, entry: Arc<Entry>) {
        self.insert(entry, State::Held);
    }

    /// Adds an answer, or lets go one that was held: its provider is asked from now on.
    pub fn begin(&mut self, entry: Arc<Entry>, now_ms: i64) {
        self.insert(entry, State::Waiting { due_ms: now_ms + FIRST_PAUSE_MS });
    }

    /// Puts back an answer whose end could not be written down.
    pub fn put_back(&mut self, entry: Arc<Entry>, now_ms: i64) {
        self.insert(entry, State::Waiting { due_ms: now_ms + LEDGER_PAUSE_MS });
    }

    fn insert(&mut self, entry: Arc<Entry>, state: State) {
        let id = entry.id();
        self.take(id);
        self.ids.insert((Arc::clone(entry.backend()), Arc::clone(&entry.response)), id);
        *self.per_subscription.entry(Arc::clone(entry.subscription())).or_default() += 1;
        if let State::Waiting { due_ms } = state {
            self.due.insert((due_ms, id));
        }
        self.entries.insert(id, Slot { entry, state, pause_ms: FIRST_PAUSE_MS, misses: 0 });
    }

    /// The answer that a backend calls by this id, unless its stream is still relayed.
    #[must_use]
    pub fn find(&self, backend: &Arc<str>, response: &Arc<str>) -> Option<Arc<Entry>> {
        let slot = self.slot(backend, response).filter(|slot| slot.state != State::Held)?;
        Some(Arc::clone(&slot.entry))
    }

    /// Whether the stream of the answer that a backend calls by this id is still relayed.
    #[must_use]
    pub fn is_held(&self, backend: &Arc<str>, response: &Arc<str>) -> bool {
        self.slot(backend, response).is_some_and(|slot| slot.state == State::Held)
    }

    fn slot(&self, backend: &Arc<str>, response: &Arc<str>) -> Option<&Slot> {
        self.entries.get(self.ids.get(&(Arc::clone(backend), Arc::clone(response)))?)
    }

    /// Takes an answer out; `None` if somebody else did.
    pub fn take(&mut self, id: EventId) -> Option<Arc<Entry>> {
        let Slot { entry, state, .. } = self.entries.remove(&id)?;
        if let State::Waiting { due_ms } = state {
            self.due.remove(&(due_ms, id));
        }
        self.ids.remove(&(Arc::clone(entry.backend()), Arc::clone(&entry.response)));
        if let Some(own) = self.per_subscription.get_mut(entry.subscription()) {
            *own -= 1;
            if *own == 0 {
                self.per_subscription.remove(entry.subscription());
            }
        }
        Some(entry)
    }

    /// The next answer to ask for, if one is due.
    pub fn next_to_ask(&mut self, now_ms: i64) -> Option<Arc<Entry>> {
        let (_, id) = *self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms)?;
        self.due.pop_first();
        let slot = self.entries.get_mut(&id)?;
        slot.state = State::Asked;
        Some(Arc::clone(&slot.entry))
    }

    /// When the next answer is due.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Notes what was found of an answer that was asked for; says why it is given up, if it is.
    pub fn found(&mut self, id: EventId, finding: Finding, now_ms: i64) -> Option<GivenUp> {
        let slot = self.entries.get_mut(&id).filter(|slot| slot.state == State::Asked)?;
        slot.misses = if finding == Finding::Unknown { slot.misses + 1 } else { 0 };
        let given_up = if slot.misses >= MOST_MISSES {
            Some(GivenUp::Lost)
        } else {
            (now_ms >= slot.entry.deadline_ms).then_some(GivenUp::Deadline)
        };
        slot.pause_ms = (slot.pause_ms * 2).min(LAST_PAUSE_MS);
        // Its last chance is not later than its deadline.
        let due_ms = (now_ms + slot.pause_ms).min(slot.entry.deadline_ms.max(now_ms + FIRST_PAUSE_MS));
        slot.state = State::Waiting { due_ms };
        self.due.insert((due_ms, id));
        given_up
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
