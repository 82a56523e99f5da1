//! The vectors of the last texts, by hash: a question that is asked again costs no embedding.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap as HashMap;
use sha2::{Digest, Sha256};

type Key = [u8; 32];

/// A map that forgets what was not used for longest. Texts are kept as SHA-256 only.
#[derive(Debug)]
pub(super) struct Memo {
    vectors: HashMap<Key, (Arc<[f32]>, u64)>,
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    capacity: usize,
}

impl Memo {
    /// Room for `capacity` vectors; 0 remembers nothing.
    #[must_use]
    pub(super) fn new(capacity: usize) -> Self {
        Self { vectors: HashMap::new(), by_use: BTreeMap::new(), uses: 0, capacity }
    }

    /// The vector of a text, which is now the last used.
    pub(super) fn get(&mut self, text: &str) -> Option<Arc<[f32]>> {
        let key = key(text);
        let (vector, used) = self.vectors.get_mut(&key)?;
        self.uses += 1;
        self.by_use.remove(used);
        self.by_use.insert(self.uses, key);
        *used = self.uses;
        Some(Arc::clone(vector))
    }

    /// Remembers the vector of a text.
    pub(super) fn insert(&mut self, text: &str, vector: Arc<[f32]>) {
        let key = key(text);
        self.uses += 1;
        if let Some((_, used)) = self.vectors.insert(key, (vector, self.uses)) {
            self.by_use.remove(&used);
        }
        self.by_use.insert(self.uses, key);
        while self.vectors.len() > self.capacity {
            let Some((_, key)) = self.by_use.pop_first() else { break };
            self.vectors.remove(&key);
        }
    }
}

fn key(text: &str) -> Key {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(x: f32) -> Arc<[f32]> {
        vec![x].into()
    }

    #[test]
    fn the_vector_not_used_for_longest_leaves() {
        let mut memo = Memo::new(2);
        memo.insert("a", vector(1.0));
        memo.insert("b", vector(2.0));
        assert!(memo.get("a").is_some());
        memo.insert("c", vector(3.0));
        assert_eq!(memo.get("b"), None);
        assert_eq!(memo.get("a"), Some(vector(1.0)));
        assert_eq!(memo.get("c"), Some(vector(3.0)));
    }

    #[test]
    fn a_vector_given_again_takes_one_place() {
        let mut memo = Memo::new(2);
        memo.insert("a", vector(1.0));
        memo.insert("a", vector(2.0));
        memo.insert("b", vector(3.0));
        assert_eq!(memo.get("a"), Some(vector(2.0)));
        assert_eq!((memo.vectors.len(), memo.by_use.len()), (2, 2));
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let mut memo = Memo::new(0);
        memo.insert("a", vector(1.0));
        assert_eq!(memo.get("a"), None);
    }
}
