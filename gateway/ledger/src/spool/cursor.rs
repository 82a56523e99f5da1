//! How far publishing has come, and its file.
//!
//! ```text
//! version u8 (1) | cursor: segment u64, offset u64 | count u64 | count × (intent u64, segment u64, offset u64)
//! ```

use std::collections::BTreeMap;

use super::super::lsn::Lsn;

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

    /// What [`Progress::encode`] wrote; none for anything else.
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

    /// Whether segment `id` holds nothing that is still needed.
    pub(crate) fn is_done_with(&self, id: u64) -> bool {
        id < self.cursor.segment && !self.open.values().any(|at| at.segment == id)
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
        let done: Vec<u64> = (1..=5).filter(|id| progress.is_done_with(*id)).collect();
        assert_eq!(done, [1, 3]);
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
