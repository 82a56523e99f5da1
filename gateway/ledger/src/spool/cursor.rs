//! How far publishing has come, as it is stored.
//!
//! ```text
//! version u8 (1) | cursor: segment u64, offset u64 | count u64 | count × (intent u64, segment u64, offset u64)
//! ```

use std::collections::BTreeMap;

use super::super::lsn::Lsn;

/// Encoded bytes without the open intents, and for each of these.
const FIXED_BYTES: usize = 25;
const INTENT_BYTES: usize = 24;

/// How far publishing has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Everything before is published, apart from the open intents.
    pub(crate) cursor: Lsn,
    /// Intents before the cursor of which nothing more stands before the cursor. Their segments are kept.
    pub(crate) open: BTreeMap<u64, Lsn>,
    /// Records that the event log has taken since the spool was opened. Not in the file.
    pub(crate) published: u64,
    /// When the oldest record that is on its way was written, ms since the Unix epoch. Not in the file.
    pub(crate) oldest_ms: Option<i64>,
}

impl Progress {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![1];
        let mut put = |number: u64| out.extend_from_slice(&number.to_le_bytes());
        put(self.cursor.segment);
        put(self.cursor.offset);
        put(self.open.len() as u64);
        for (intent, at) in &self.open {
            put(*intent);
            put(at.segment);
            put(at.offset);
        }
        out
    }

    /// What [`Progress::encode`] wrote; `None` if the bytes are anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (1, rest) = bytes.split_first()? else { return None };
        let (words, []) = rest.as_chunks::<8>() else { return None };
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let cursor = Lsn { segment: words.next()?, offset: words.next()? };
        let count = words.next()?;
        let mut open = BTreeMap::new();
        while let Some(intent) = words.next() {
            open.insert(intent, Lsn { segment: words.next()?, offset: words.next()? });
        }
        (open.len() as u64 == count).then_some(Self { cursor, open, published: 0, oldest_ms: None })
    }

    /// As much of this as can be encoded in `room` bytes, the oldest open intents first. The cursor steps back
    /// to the first one that does not fit: what lies between is published twice, and nothing is forgotten.
    pub(super) fn bounded(&self, room: usize) -> Self {
        let open = room.saturating_sub(FIXED_BYTES) / INTENT_BYTES;
        if self.open.len() <= open {
            return self.clone();
        }
        let mut oldest: Vec<(Lsn, u64)> = self.open.iter().map(|(intent, at)| (*at, *intent)).collect();
        oldest.sort_unstable();
        let cursor = oldest.get(open).map_or(self.cursor, |(at, _)| self.cursor.min(*at));
        oldest.truncate(open);
        let open = oldest.into_iter().map(|(at, intent)| (intent, at)).collect();
        Self { cursor, open, ..self.clone() }
    }

    /// Whether segment `id`, which ends at `end` and is finished, holds nothing that is still needed.
    pub(crate) fn is_done_with(&self, id: u64, end: u64) -> bool {
        let is_behind = id < self.cursor.segment || id == self.cursor.segment && end <= self.cursor.offset;
        is_behind && !self.open.values().any(|at| at.segment == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_segment_is_kept_for_its_open_intent() {
        let open = BTreeMap::from([(7, Lsn { segment: 2, offset: 16 })]);
        let progress = Progress { cursor: Lsn { segment: 4, offset: 16 }, open, ..Progress::default() };
        let done: Vec<u64> = (1..=5).filter(|id| progress.is_done_with(*id, 100)).collect();
        assert_eq!(done, [1, 3]);
        assert!(progress.is_done_with(4, 16));
    }

    #[test]
    fn intents_that_do_not_fit_hold_the_cursor_back() {
        let at = |offset| Lsn { segment: 1, offset };
        let open = BTreeMap::from([(1, at(50)), (2, at(20)), (3, at(30))]);
        let progress = Progress { cursor: at(90), open, ..Progress::default() };
        assert_eq!(progress.bounded(progress.encode().len()), progress);
        let bounded = progress.bounded(FIXED_BYTES + INTENT_BYTES);
        assert_eq!(bounded.encode().len(), FIXED_BYTES + INTENT_BYTES);
        assert_eq!((bounded.cursor, bounded.open), (at(30), BTreeMap::from([(2, at(20))])));
    }

    proptest! {
        #[test]
        fn progress_comes_back_as_it_was(
            segment: u64, offset: u64,
            open in proptest::collection::btree_map(any::<u64>(), (any::<u64>(), any::<u64>()), 0..20),
        ) {
            let open = open.into_iter().map(|(id, (segment, offset))| (id, Lsn { segment, offset })).collect();
            let progress = Progress { cursor: Lsn { segment, offset }, open, ..Progress::default() };
            prop_assert_eq!(Progress::decode(&progress.encode()), Some(progress));
        }

        #[test]
        fn other_bytes_are_no_progress_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Progress::decode(&bytes);
        }
    }
}
