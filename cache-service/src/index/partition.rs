//! One partition of the embedded index: its entries and the rows that are scanned.

use std::io;
use std::sync::Arc;

use ahash::AHashMap as HashMap;
use tollgate_eventlog::segment::files::FileHandle;
use tollgate_schemas::ids::EventId;

use super::quantize::{Quantized, dot};
use crate::guard::Fingerprint;

/// Where an entry's answer stands in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

impl Extent {
    /// The bytes, out of the journal that they are in.
    pub(super) fn read(self, file: &dyn FileHandle) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.bytes as usize];
        let mut got = 0;
        while got < bytes.len() {
            match file.read_at(&mut bytes[got..], self.offset + got as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => got += more,
            }
        }
        Ok(bytes)
    }
}

/// An entry without its answer.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) exact_key: Arc<str>,
    pub(super) stored_at_ms: i64,
    pub(super) expires_at_ms: i64,
    pub(super) response: Extent,
    /// Length of the entry's journal record, bytes.
    pub(super) record_bytes: u64,
}

/// Entries that can be found from one place.
///
/// Invariants: row `i` of `rows` has its values at `i × dimensions` of `values`; `exact` and `rows` name
/// only ids that are in `slots`.
#[derive(Debug, Default)]
pub(super) struct Partition {
    slots: HashMap<EventId, Slot>,
    exact: HashMap<Arc<str>, EventId>,
    rows: Vec<Row>,
    values: Vec<i8>,
}

#[derive(Debug)]
struct Row {
    id: EventId,
    guard: Fingerprint,
    inverse_length: f32,
    expires_at_ms: i64,
}

impl Partition {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, id: EventId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EventId) -> Option<&mut Slot> {
        self.slots.get_mut(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (EventId, &Slot)> {
        self.slots.iter().map(|(id, slot)| (*id, slot))
    }

    pub(super) fn by_exact_key(&self, exact_key: &str) -> Option<(EventId, &Slot)> {
        let id = *self.exact.get(exact_key)?;
        self.slots.get(&id).map(|slot| (id, slot))
    }

    /// The entry that leaves when there are too many.
    pub(super) fn oldest(&self) -> Option<EventId> {
        self.slots.iter().min_by_key(|(id, slot)| (slot.stored_at_ms, **id)).map(|(id, _)| *id)
    }

    /// Adds an entry that is not there yet.
    pub(super) fn insert(&mut self, id: EventId, slot: Slot, meaning: Option<(Quantized, Fingerprint)>) {
        if let Some((vector, guard)) = meaning {
            let (inverse_length, expires_at_ms) = (vector.inverse_length, slot.expires_at_ms);
            self.rows.push(Row { id, guard, inverse_length, expires_at_ms });
            self.values.extend_from_slice(&vector.values);
        }
        self.exact.insert(Arc::clone(&slot.exact_key), id);
        self.slots.insert(id, slot);
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, id: EventId, dimensions: usize) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        if self.exact.get(&slot.exact_key) == Some(&id) {
            self.exact.remove(&slot.exact_key);
        }
        if let Some(row) = self.rows.iter().position(|row| row.id == id) {
            // The last row takes the free place, in both lists.
            self.rows.swap_remove(row);
            let last = self.values.len() - dimensions;
            self.values.copy_within(last.., row * dimensions);
            self.values.truncate(last);
        }
        Some(slot)
    }

    /// The most similar row that obeys all conditions, and its cosine similarity. Rows that belong to
    /// another guard or have expired are passed over before anything is computed.
    pub(super) fn nearest(
        &self,
        vector: &Quantized,
        guard: Fingerprint,
        min_similarity: f32,
        now_ms: i64,
    ) -> Option<(EventId, f32)> {
        let dimensions = vector.values.len().max(1);
        let mut best: Option<(EventId, f32)> = None;
        for (row, values) in self.rows.iter().zip(self.values.chunks_exact(dimensions)) {
            if row.guard != guard || row.expires_at_ms <= now_ms {
                continue;
            }
            let product = dot(values, &vector.values) as f32;
            let similarity = product * row.inverse_length * vector.inverse_length;
            if similarity >= min_similarity && best.is_none_or(|(_, most)| similarity > most) {
                best = Some((row.id, similarity));
            }
        }
        best
    }

    /// The row of an entry, as it was given.
    pub(super) fn meaning(&self, id: EventId, dimensions: usize) -> Option<(Quantized, Fingerprint)> {
        let row = self.rows.iter().position(|row| row.id == id)?;
        let values = self.values.get(row * dimensions..(row + 1) * dimensions)?.to_vec();
        Some((Quantized { values, inverse_length: self.rows[row].inverse_length }, self.rows[row].guard))
    }

    /// Rows to scan.
    pub(super) fn rows(&self) -> usize {
        self.rows.len()
    }
}
