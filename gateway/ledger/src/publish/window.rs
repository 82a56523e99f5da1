//! Records between the cursor and the reading end. Pure: decides how far the cursor may move.
//!
//! Invariants: slots stand in the order of the spool; the cursor moves over a contiguous prefix of finished
//! slots only; a slot is finished once; a slot that is not finished is either with the producer or waits to be
//! handed to it, so that none can be forgotten.

use std::collections::{BTreeMap, VecDeque};

use super::super::lsn::Lsn;
use super::super::record::Kind;
use super::super::spool::Span;

/// A record between the cursor and the reading end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where the record stands; for a release, where its intent stands.
    pub(crate) source: Lsn,
    /// Where the next record starts.
    pub(crate) end: Lsn,
    /// What passing it means for the open intents.
    pub(crate) effect: Effect,
    /// When it was written, ms since the Unix epoch, if it publishes something.
    pub(crate) publishes: Option<i64>,
    /// Whether it is content, which must not hold up usage.
    pub(crate) is_content: bool,
    /// Bytes that it keeps in flight.
    pub(crate) bytes: usize,
}

impl Slot {
    /// A record that publishes nothing.
    pub(crate) fn silent(span: Span, effect: Effect) -> Self {
        Self { source: span.start, end: span.end, effect, publishes: None, is_content: false, bytes: 0 }
    }

    /// A record that publishes an event, which stands at `source`.
    pub(crate) fn new(
        span: Span,
        source: Lsn,
        kind: Kind,
        intent: u64,
        written_ms: i64,
        bytes: usize,
    ) -> Self {
        let effect = match kind {
            Kind::Settle | Kind::Release => Effect::Close(intent),
            Kind::Intent | Kind::Event | Kind::Content => Effect::None,
        };
        let is_content = kind == Kind::Content;
        Self { source, end: span.end, effect, publishes: Some(written_ms), is_content, bytes }
    }
}

/// What passing a record means for the open intents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Open(u64, Lsn),
    Close(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Window {
    slots: VecDeque<(Slot, State)>,
    first_token: u64,
    /// Slots that wait to be handed to the producer.
    to_send: usize,
    /// Slots that the producer has.
    sent: usize,
    bytes: usize,
}

/// What has become of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits to be handed to the producer, for the first time or again.
    ToSend,
    /// The producer has it and will report.
    Sent,
    /// It holds the cursor no longer.
    Finished,
}

/// How far the cursor moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Advance {
    /// `None` if it did not move.
    pub(crate) cursor: Option<Lsn>,
    /// Published records that it passed.
    pub(crate) published: u64,
}

impl Window {
    /// Appends a record and returns its token. One that publishes nothing is finished at once.
    pub(crate) fn push(&mut self, slot: Slot) -> u64 {
        let state = if slot.publishes.is_some() { State::ToSend } else { State::Finished };
        self.to_send += usize::from(state == State::ToSend);
        self.bytes += slot.bytes;
        self.slots.push_back((slot, state));
        self.first_token + (self.slots.len() - 1) as u64
    }

    /// Notes that the producer has taken a record over.
    pub(crate) fn mark_sent(&mut self, token: u64) {
        self.change(token, State::Sent);
    }

    /// Notes that a record must be sent again.
    pub(crate) fn mark_to_send(&mut self, token: u64) {
        self.change(token, State::ToSend);
    }

    /// Marks a record as finished; false when it was already, or is not known.
    pub(crate) fn finish(&mut self, token: u64) -> bool {
        let bytes = self.get(token).map_or(0, |slot| slot.bytes);
        let finishes = self.change(token, State::Finished);
        self.bytes -= bytes;
        finishes
    }

    /// Changes the state of an unfinished record; false if no unfinished record has that token.
    fn change(&mut self, token: u64, to: State) -> bool {
        let Some((_, state)) = self.index(token).and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        let from = std::mem::replace(state, if *state == State::Finished { State::Finished } else { to });
        match from {
            State::Finished => return false,
            State::ToSend => self.to_send -= 1,
            State::Sent => self.sent -= 1,
        }
        match to {
            State::Finished => {}
            State::ToSend => self.to_send += 1,
            State::Sent => self.sent += 1,
        }
        true
    }

    /// The record of an unfinished token.
    pub(crate) fn get(&self, token: u64) -> Option<Slot> {
        self.find(token, |state| state != State::Finished)
    }

    /// The record of a token that waits to be sent.
    pub(crate) fn get_to_send(&self, token: u64) -> Option<Slot> {
        self.find(token, |state| state == State::ToSend)
    }

    fn find(&self, token: u64, wanted: impl Fn(State) -> bool) -> Option<Slot> {
        self.slots.get(self.index(token)?).filter(|(_, state)| wanted(*state)).map(|(slot, _)| *slot)
    }

    /// Moves the cursor over the finished prefix and keeps the books of open intents as of the cursor.
    pub(crate) fn advance(&mut self, open: &mut BTreeMap<u64, Lsn>) -> Advance {
        let mut advance = Advance::default();
        while let Some((slot, _)) = self.slots.pop_front_if(|(_, state)| *state == State::Finished) {
            self.first_token += 1;
            advance.cursor = Some(slot.end);
            advance.published += u64::from(slot.publishes.is_some());
            match slot.effect {
                Effect::None => {}
                Effect::Open(intent, at) => {
                    open.insert(intent, at);
                }
                Effect::Close(intent) => {
                    open.remove(&intent);
                }
            }
        }
        advance
    }

    /// Forgets everything: the producer is gone, and reading starts again at the cursor. Tokens are not used
    /// again, so that late reports of the old producer finish nothing.
    pub(crate) fn clear(&mut self) {
        let first_token = self.first_token + self.slots.len() as u64;
        *self = Self { first_token, ..Self::default() };
    }

    /// When the oldest unpublished record was written, ms since the Unix epoch.
    pub(crate) fn oldest_ms(&self) -> Option<i64> {
        self.slots.iter().find(|(_, state)| *state != State::Finished).and_then(|(slot, _)| slot.publishes)
    }

    /// Records that are not finished.
    pub(crate) fn unfinished(&self) -> usize {
        self.to_send + self.sent
    }

    /// Records that wait to be handed to the producer.
    pub(crate) fn to_send(&self) -> usize {
        self.to_send
    }

    /// Records that the producer has.
    pub(crate) fn sent(&self) -> usize {
        self.sent
    }

    /// Slots, finished or not.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of records that are not finished.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn index(&self, token: u64) -> Option<usize> {
        usize::try_from(token.checked_sub(self.first_token)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(offset: u64) -> Lsn {
        Lsn { segment: 1, offset }
    }

    fn slot(number: u64, publishes: bool) -> Slot {
        Slot {
            source: at(number),
            end: at(number + 1),
            effect: Effect::None,
            publishes: publishes.then_some(number as i64),
            is_content: false,
            bytes: usize::from(publishes),
        }
    }

    #[test]
    fn the_cursor_waits_for_the_oldest_record() {
        let mut window = Window::default();
        let tokens: Vec<u64> = (0..3).map(|number| window.push(slot(number, true))).collect();
        assert!(window.finish(tokens[1]));
        assert_eq!(window.advance(&mut BTreeMap::new()), Advance::default());
        assert_eq!(window.oldest_ms(), Some(0));
        assert!(window.finish(tokens[0]) && !window.finish(tokens[0]));
        let advance = window.advance(&mut BTreeMap::new());
        assert_eq!(advance, Advance { cursor: Some(at(2)), published: 2 });
        assert_eq!((window.unfinished(), window.oldest_ms()), (1, Some(2)));
    }

    #[test]
    fn records_that_publish_nothing_do_not_hold_the_cursor() {
        let mut window = Window::default();
        window.push(slot(0, false));
        window.push(slot(1, false));
        assert_eq!(window.advance(&mut BTreeMap::new()), Advance { cursor: Some(at(2)), published: 0 });
    }

    #[test]
    fn open_intents_are_those_as_of_the_cursor() {
        let mut window = Window::default();
        let mut open = BTreeMap::new();
        window.push(Slot { effect: Effect::Open(7, at(0)), ..slot(0, false) });
        let settle = window.push(Slot { effect: Effect::Close(7), ..slot(1, true) });
        window.advance(&mut open);
        assert_eq!(open, BTreeMap::from([(7, at(0))]));
        window.finish(settle);
        window.advance(&mut open);
        assert!(open.is_empty());
    }

    #[test]
    fn a_record_is_with_the_producer_or_waits_for_it_until_it_is_finished() {
        let mut window = Window::default();
        let token = window.push(slot(0, true));
        assert_eq!((window.to_send(), window.sent()), (1, 0));
        window.mark_sent(token);
        assert!(window.get_to_send(token).is_none());
        assert_eq!((window.to_send(), window.sent()), (0, 1));
        window.mark_to_send(token);
        assert!(window.get_to_send(token).is_some());
        window.finish(token);
        window.mark_to_send(token);
        assert_eq!((window.to_send(), window.sent(), window.unfinished()), (0, 0, 0));
    }

    #[test]
    fn late_reports_of_a_dead_producer_finish_nothing() {
        let mut window = Window::default();
        let old = window.push(slot(0, true));
        window.clear();
        let new = window.push(slot(0, true));
        assert!(!window.finish(old) && window.get(old).is_none());
        assert!(window.finish(new));
    }

    proptest! {
        #[test]
        fn in_any_order_of_reports_the_cursor_passes_each_record_once(
            publishes in proptest::collection::vec(any::<bool>(), 1..40),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut window = Window::default();
            let tokens: Vec<u64> =
                publishes.iter().enumerate().map(|(n, p)| window.push(slot(n as u64, *p))).collect();
            let mut finished: Vec<bool> = publishes.iter().map(|p| !p).collect();
            let (mut cursor, mut published) = (0, 0);
            for index in order {
                let which = index.index(tokens.len());
                prop_assert_eq!(window.finish(tokens[which]), !finished[which]);
                finished[which] = true;
                let advance = window.advance(&mut BTreeMap::new());
                published += advance.published;
                cursor = advance.cursor.map_or(cursor, |at| at.offset);
                let prefix = finished.iter().take_while(|f| **f).count();
                prop_assert!(cursor == prefix as u64 || advance.cursor.is_none());
                let expected = publishes[..cursor as usize].iter().filter(|p| **p).count();
                prop_assert_eq!(published, expected as u64);
            }
        }
    }
}
