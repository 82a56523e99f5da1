//! The last word on each circuit until the log has it. Pure.
//!
//! Only the last state of a circuit matters, so a newer one takes the place of one that still waits. One that
//! comes back undelivered waits again, unless there is a newer one by then. So the outbox holds at most one
//! state per deployment, however long the log is away.

use std::collections::HashMap;

use indexmap::IndexMap;
use tollgate_schemas::backend_state::BackendState;

use super::event::is_over;

/// Most states under way to the log.
const MAX_UNDER_WAY: usize = 64;
/// Most states that wait; there are that many deployments only by mistake.
const MAX_WAITING: usize = 10_000;

type Key = (std::sync::Arc<str>, std::sync::Arc<str>);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: IndexMap<Key, BackendState>,
    under_way: HashMap<u64, BackendState>,
    next_token: u64,
}

impl Outbox {
    /// Puts a newer state in; false when there is no room.
    pub(super) fn put(&mut self, state: BackendState) -> bool {
        let key = key(&state);
        let room = self.waiting.len() < MAX_WAITING || self.waiting.contains_key(&key);
        if room {
            self.waiting.insert(key, state);
        }
        room
    }

    /// The next state to send and its token. States of which nobody needs to hear any more are left out, and
    /// so is one whose circuit has an older state under way: the log keeps the order of what it is given.
    pub(super) fn next(&mut self, now_ms: i64) -> Option<(u64, BackendState)> {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return None;
        }
        self.waiting.retain(|_, state| !is_over(state, now_ms));
        let free = |waiting: &Key| !self.under_way.values().any(|state| key(state) == *waiting);
        let place = self.waiting.keys().position(free)?;
        let (_, state) = self.waiting.shift_remove_index(place)?;
        self.next_token += 1;
        self.under_way.insert(self.next_token, state.clone());
        Some((self.next_token, state))
    }

    /// The log has it, or will never take it.
    pub(super) fn done(&mut self, token: u64) {
        self.under_way.remove(&token);
    }

    /// It may not be in the log.
    pub(super) fn again(&mut self, token: u64) {
        if let Some(state) = self.under_way.remove(&token) {
            self.waiting.entry(key(&state)).or_insert(state);
        }
    }

    /// Nothing under way will be reported.
    pub(super) fn all_again(&mut self) {
        let tokens: Vec<u64> = self.under_way.keys().copied().collect();
        tokens.into_iter().for_each(|token| self.again(token));
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }
}

fn key(state: &BackendState) -> Key {
    (state.backend.clone(), state.model.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_schemas::backend_state::StateKind;
    use tollgate_schemas::ids::BootId;

    fn open(model: &str, until_ms: i64) -> BackendState {
        BackendState {
            gateway_id: "gw".into(),
            boot_id: BootId::at_ms(0),
            backend: "b".into(),
            model: model.into(),
            state: StateKind::Open,
            until_ms: Some(until_ms),
            cause: None,
            failure: None,
            by_operator: false,
            at_ms: 0,
        }
    }

    fn next(outbox: &mut Outbox) -> Option<(u64, String, i64)> {
        outbox.next(0).map(|(token, state)| (token, state.model.to_string(), state.until_ms.unwrap()))
    }

    #[test]
    fn a_newer_state_takes_the_place_of_one_that_waits() {
        let mut outbox = Outbox::default();
        for state in [open("m", 5), open("n", 6), open("m", 9)] {
            assert!(outbox.put(state));
        }
        assert_eq!(next(&mut outbox), Some((1, "m".to_owned(), 9)));
        assert_eq!(next(&mut outbox), Some((2, "n".to_owned(), 6)));
        assert_eq!(next(&mut outbox), None);
    }

    #[test]
    fn what_comes_back_waits_again_unless_something_newer_does() {
        let mut outbox = Outbox::default();
        outbox.put(open("m", 5));
        outbox.put(open("n", 6));
        let (first, second) = (next(&mut outbox).unwrap().0, next(&mut outbox).unwrap().0);
        outbox.put(open("m", 7));
        assert_eq!(next(&mut outbox), None, "the older state is still under way");
        outbox.again(first);
        outbox.again(second);
        assert_eq!(next(&mut outbox), Some((3, "m".to_owned(), 7)));
        outbox.all_again();
        outbox.done(99);
        assert_eq!(next(&mut outbox).map(|(_, model, _)| model), Some("n".to_owned()));
    }

    #[test]
    fn what_is_over_is_not_sent() {
        let mut outbox = Outbox::default();
        outbox.put(open("m", 5));
        assert!(outbox.next(5).is_none() && outbox.is_empty());
    }

    #[test]
    fn it_holds_one_state_per_deployment_and_is_bounded() {
        let mut outbox = Outbox::default();
        for number in 0..MAX_WAITING {
            assert!(outbox.put(open(&number.to_string(), 5)));
        }
        assert!(!outbox.put(open("one more", 5)) && outbox.put(open("7", 9)));
    }
}
