//! Responses that the Responses API keeps.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use serde_json::Value;

use super::super::ask::Turn;

/// Responses that are kept.
const KEPT: usize = 256;

/// The store of one backend.
#[derive(Debug, Default)]
pub(in crate::sim) struct Store {
    kept: Mutex<VecDeque<Kept>>,
    /// How often work in the background is looked at before it has ended.
    looks: AtomicU32,
}

/// A response and what led to it.
#[derive(Debug, Clone)]
pub(in super::super) struct Kept {
    /// Its id.
    pub(in super::super) id: String,
    /// The response.
    pub(in super::super) response: Value,
    /// The conversation up to its end.
    pub(in super::super) turns: Vec<Turn>,
    /// The items of its input.
    pub(in super::super) input: Value,
}

impl Store {
    /// Keeps a response; the oldest goes where there are many.
    pub(in super::super) fn put(&self, kept: Kept) {
        let mut all = self.kept.lock();
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back(kept);
    }

    /// The response of that id.
    pub(in super::super) fn get(&self, id: &str) -> Option<Kept> {
        self.kept.lock().iter().find(|kept| kept.id == id).cloned()
    }

    /// Forgets a response; says whether it was there.
    pub(in super::super) fn delete(&self, id: &str) -> bool {
        let mut all = self.kept.lock();
        let before = all.len();
        all.retain(|kept| kept.id != id);
        all.len() < before
    }

    /// Work in the background ends when it has been looked at so often; with the largest count it never does.
    pub(in crate::sim) fn work_for(&self, looks: u32) {
        self.looks.store(looks, Ordering::Relaxed);
    }

    /// Looks at work; says whether it has ended.
    pub(in super::super) fn look(&self) -> bool {
        let fewer = |looks: u32| if looks == u32::MAX { Some(looks) } else { looks.checked_sub(1) };
        self.looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err()
    }

    /// Sets the status of a response.
    pub(in super::super) fn set_status(&self, id: &str, status: &str) {
        if let Some(kept) = self.kept.lock().iter_mut().find(|kept| kept.id == id) {
            kept.response["status"] = status.into();
        }
    }
}
