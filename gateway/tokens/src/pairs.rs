//! Which two tokens merge into which: filled once and read all the time. Open addressing over single 64-bit
//! words, so that a look-up is one multiplication and, nearly always, one cache line.

use crate::trie::NONE;

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const TOKEN_BITS: u32 = 18;

/// Merges: (token, token) → token. Nearly all questions are about pairs that do not merge; most of those end
/// in a filter that stays in the processor's cache.
pub(crate) struct Pairs {
    words: Vec<u64>,
    shift: u32,
    filter: Vec<u64>,
}

/// The filter has 2²¹ bits: ten for each merge of the largest encoding.
const FILTER_SHIFT: u32 = 64 - 21;
const EMPTY: u64 = u64::MAX;

impl Pairs {
    /// Room for `pairs` merges.
    pub(crate) fn with_capacity(pairs: usize) -> Self {
        let slots = (pairs * 2).next_power_of_two().max(1 << 10);
        Self { words: vec![EMPTY; slots], shift: 64 - slots.trailing_zeros(), filter: vec![0; 1 << 15] }
    }

    #[inline]
    pub(crate) fn get(&self, left: u32, right: u32) -> Option<u32> {
        let key = u64::from(left) << TOKEN_BITS | u64::from(right);
        let hash = key.wrapping_mul(FACTOR);
        let bit = hash >> FILTER_SHIFT;
        if self.filter[(bit / 64) as usize] >> (bit % 64) & 1 == 0 {
            return None;
        }
        let mask = self.words.len() - 1;
        let mut slot = (hash >> self.shift) as usize;
        loop {
            let word = self.words[slot & mask];
            if word >> TOKEN_BITS == key {
                return Some((word & u64::from(NONE)) as u32);
            }
            if word == EMPTY {
                return None;
            }
            slot += 1;
        }
    }

    /// Enters a merge; more than there is room for are not entered.
    pub(crate) fn insert(&mut self, left: u32, right: u32, merged: u32) {
        let key = u64::from(left) << TOKEN_BITS | u64::from(right);
        let hash = key.wrapping_mul(FACTOR);
        let mask = self.words.len() - 1;
        let free = (0..self.words.len())
            .map(|step| ((hash >> self.shift) as usize + step) & mask)
            .find(|slot| self.words[*slot] == EMPTY);
        if let Some(slot) = free {
            self.words[slot] = key << TOKEN_BITS | u64::from(merged);
            let bit = hash >> FILTER_SHIFT;
            self.filter[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        (self.words.len() + self.filter.len()) * size_of::<u64>()
    }
}
