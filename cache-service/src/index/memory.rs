//! What the embedded index holds in memory: who lives where, what expires when. No I/O.
//!
//! Invariant: `homes`, `expiry` and `age` name exactly the entries that are in `partitions`.

use std::collections::BTreeSet;
use std::sync::Arc;

use ahash::AHashMap as HashMap;
use tollgate_eventlog::segment::files::FileHandle;
use tollgate_schemas::cache::{CacheInvalidate, CachePartition};
use tollgate_schemas::ids::EventId;

use super::partition::{Extent, Partition, Slot};
use super::quantize::{Quantized, inverse_length, quantize};
use super::written::{Head, Written};
use super::{Capacity, Query};
use crate::guard::Fingerprint;

#[derive(Debug)]
pub(super) struct Memory {
    partitions: HashMap<Arc<CachePartition>, Partition>,
    homes: HashMap<EventId, Arc<CachePartition>>,
    expiry: BTreeSet<(i64, EventId)>,
    age: BTreeSet<(i64, EventId)>,
    live_bytes: u64,
    dimensions: usize,
    capacity: Capacity,
    /// Where the answers are.
    pub(super) file: Arc<dyn FileHandle>,
}

/// An entry that answers a question; its answer is still to be read.
#[derive(Debug)]
pub(super) struct Match {
    pub(super) id: EventId,
    pub(super) similarity: f32,
    pub(super) stored_at_ms: i64,
    pub(super) response: Extent,
    pub(super) file: Arc<dyn FileHandle>,
}

impl Memory {
    pub(super) fn new(dimensions: usize, capacity: Capacity, file: Arc<dyn FileHandle>) -> Self {
        Self {
            partitions: HashMap::new(),
            homes: HashMap::new(),
            expiry: BTreeSet::new(),
            age: BTreeSet::new(),
            live_bytes: 0,
            dimensions,
            capacity,
            file,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.homes.len()
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.homes.contains_key(&id)
    }

    /// Bytes of the journal that are still needed.
    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Takes an entry in; its id must be new.
    pub(super) fn admit(&mut self, entry: Written) {
        let Written { head, values, response, record_bytes } = entry;
        let id = head.event_id;
        let guard = head.guard.and_then(|hex| u128::from_str_radix(&hex, 16).ok()).map(Fingerprint);
        let meaning = guard.filter(|_| values.len() == self.dimensions).map(|guard| {
            let inverse_length = inverse_length(&values);
            (Quantized { values, inverse_length }, guard)
        });
        let home = match self.partitions.get_key_value(&head.partition) {
            Some((home, _)) => Arc::clone(home),
            None => Arc::new(head.partition),
        };
        let (stored_at_ms, expires_at_ms) = (head.stored_at_ms, head.expires_at_ms);
        let slot = Slot { exact_key: head.exact_key, stored_at_ms, expires_at_ms, response, record_bytes };
        self.partitions.entry(Arc::clone(&home)).or_default().insert(id, slot, meaning);
        self.homes.insert(id, home);
        self.expiry.insert((expires_at_ms, id));
        self.age.insert((stored_at_ms, id));
        self.live_bytes += record_bytes;
    }

    /// Lets entries go; ids that are not there are ignored.
    pub(super) fn dismiss(&mut self, ids: &[EventId]) {
        for id in ids {
            let Some(home) = self.homes.remove(id) else { continue };
            let Some(partition) = self.partitions.get_mut(&home) else { continue };
            let Some(slot) = partition.remove(*id, self.dimensions) else { continue };
            if partition.len() == 0 {
                self.partitions.remove(&home);
            }
            self.expiry.remove(&(slot.expires_at_ms, *id));
            self.age.remove(&(slot.stored_at_ms, *id));
            self.live_bytes = self.live_bytes.saturating_sub(slot.record_bytes);
        }
    }

    /// The entry that answers the same question in the same place.
    pub(super) fn twin(&self, partition: &CachePartition, exact_key: &str) -> Option<(EventId, i64)> {
        let (id, slot) = self.partitions.get(partition)?.by_exact_key(exact_key)?;
        Some((id, slot.stored_at_ms))
    }

    /// The entries that leave for a new one in `partition`, besides its twin.
    pub(super) fn crowded_out(&self, partition: &CachePartition, twin: Option<EventId>) -> Option<EventId> {
        let entries = self.partitions.get(partition);
        let replaced = usize::from(twin.is_some());
        if entries.is_some_and(|entries| entries.len() - replaced >= self.capacity.per_partition) {
            return entries.and_then(Partition::oldest).filter(|id| Some(*id) != twin);
        }
        let full = self.len() - replaced >= self.capacity.total;
        full.then(|| self.age.iter().map(|(_, id)| *id).find(|id| Some(*id) != twin)).flatten()
    }

    /// What an invalidation names.
    pub(super) fn matching(&self, filter: &CacheInvalidate) -> Vec<EventId> {
        let named =
            |wanted: &Option<Arc<str>>, part: &Arc<str>| wanted.as_ref().is_none_or(|wanted| wanted == part);
        self.partitions
            .iter()
            .filter(|(home, _)| home.tenant == filter.tenant)
            .filter(|(home, _)| named(&filter.scope, &home.scope) && named(&filter.model, &home.model))
            .flat_map(|(_, partition)| partition.ids())
            .filter(|(_, slot)| filter.stored_before_ms.is_none_or(|before| slot.stored_at_ms < before))
            .map(|(id, _)| id)
            .collect()
    }

    /// What has expired, and the oldest above the capacity.
    pub(super) fn sweepings(&self, now_ms: i64) -> Vec<EventId> {
        let mut ids: BTreeSet<EventId> =
            self.expiry.iter().take_while(|(at, _)| *at <= now_ms).map(|(_, id)| *id).collect();
        let excess = self.len().saturating_sub(self.capacity.total);
        ids.extend(self.age.iter().take(excess).map(|(_, id)| *id));
        ids.into_iter().collect()
    }

    pub(super) fn exact(&self, partition: &CachePartition, exact_key: &str, now_ms: i64) -> Option<Match> {
        let (id, slot) = self.partitions.get(partition)?.by_exact_key(exact_key)?;
        (slot.expires_at_ms > now_ms).then(|| self.found(id, slot, 1.0))
    }

    pub(super) fn search(&self, query: &Query) -> Option<Match> {
        let partition = self.partitions.get(&query.partition)?;
        if query.meaning.vector.len() != self.dimensions {
            return None;
        }
        let vector = quantize(&query.meaning.vector);
        let (id, similarity) =
            partition.nearest(&vector, query.meaning.guard, query.min_similarity, query.now_ms)?;
        Some(self.found(id, partition.get(id)?, similarity.clamp(-1.0, 1.0)))
    }

    /// Vectors that a search in `partition` compares.
    pub(super) fn rows(&self, partition: &CachePartition) -> usize {
        self.partitions.get(partition).map_or(0, Partition::rows)
    }

    /// Every entry as the journal wants it.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Head, Vec<i8>, Extent)> {
        self.partitions.iter().flat_map(move |(home, partition)| {
            partition.ids().map(move |(id, slot)| {
                let (values, guard) = match partition.meaning(id, self.dimensions) {
                    Some((vector, guard)) => (vector.values, Some(guard.to_string())),
                    None => (Vec::new(), None),
                };
                let head = Head {
                    event_id: id,
                    partition: (**home).clone(),
                    exact_key: Arc::clone(&slot.exact_key),
                    stored_at_ms: slot.stored_at_ms,
                    expires_at_ms: slot.expires_at_ms,
                    guard,
                };
                (head, values, slot.response)
            })
        })
    }

    /// The answers have moved to another file.
    pub(super) fn relocate(&mut self, file: Arc<dyn FileHandle>, moved: Vec<(EventId, Extent, u64)>) {
        self.file = file;
        self.live_bytes = 0;
        for (id, response, record_bytes) in moved {
            let home = self.homes.get(&id).and_then(|home| self.partitions.get_mut(home));
            if let Some(slot) = home.and_then(|partition| partition.get_mut(id)) {
                (slot.response, slot.record_bytes) = (response, record_bytes);
                self.live_bytes += record_bytes;
            }
        }
    }

    fn found(&self, id: EventId, slot: &Slot, similarity: f32) -> Match {
        let file = Arc::clone(&self.file);
        Match { id, similarity, stored_at_ms: slot.stored_at_ms, response: slot.response, file }
    }
}
