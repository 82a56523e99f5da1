//! All tokens as a trie, to find the longest one that a text starts with.
//!
//! Siblings are stored contiguously, followed by the first one's subtree, so that the long tail of a word is in one
//! cache line. A node is one 64-bit word: its token, which bytes may follow, where its children are.

/// No token; tokens are below it.
pub(crate) const NONE: u32 = (1 << TOKEN_BITS) - 1;

const TOKEN_BITS: u32 = 18;
/// Above a node's token stand these bits: which bytes may follow it, by their number modulo 16.
const FOLLOWING_BITS: u32 = 16;
/// Then the number of its children less one, if it has any, and the place of the first.
const CHILDREN_SHIFT: u32 = TOKEN_BITS + FOLLOWING_BITS;
const FIRST_SHIFT: u32 = CHILDREN_SHIFT + 8;

/// Steps that are likely to wait for memory.
const STEEP: u64 = 6;

pub(crate) struct Trie {
    nodes: Vec<u64>,
    /// The byte that leads to each node.
    bytes: Vec<u8>,
    /// The token of each single byte.
    singles: Vec<u32>,
    /// What each two bytes lead to, with the longest token on the way.
    starts: Vec<u64>,
}

impl Trie {
    /// Of a vocabulary by rank; ranks are below [`NONE`], and there are fewer than 2²² prefixes.
    pub(crate) fn new(vocabulary: &[Vec<u8>]) -> Self {
        let mut sorted: Vec<(&[u8], u32)> = vocabulary.iter().map(Vec::as_slice).zip(0..).collect();
        sorted.sort_unstable();
        let mut trie = Self { nodes: Vec::new(), bytes: Vec::new(), singles: Vec::new(), starts: Vec::new() };
        let root = trie.grow(&sorted, 0);
        trie.nodes.shrink_to_fit();
        trie.bytes.shrink_to_fit();
        let single = |byte| trie.child(root, byte).map_or(NONE, token);
        trie.singles = (0..=u8::MAX).map(single).collect();
        trie.starts = (0..=u16::MAX)
            .map(|bytes| {
                let [first, second] = bytes.to_be_bytes();
                let single = trie.singles[usize::from(first)];
                let node = trie.child(root, first).and_then(|node| trie.child(node, second));
                node.map_or(u64::from(single), |node| {
                    if token(node) == NONE { node & !u64::from(NONE) | u64::from(single) } else { node }
                })
            })
            .collect();
        trie
    }

    /// Adds the nodes below the one that all of `sorted` share the first `depth` bytes with; returns that one.
    fn grow(&mut self, sorted: &[(&[u8], u32)], depth: usize) -> u64 {
        let (own, longer) = match sorted {
            [(bytes, rank), longer @ ..] if bytes.len() == depth => (*rank, longer),
            _ => (NONE, sorted),
        };
        let first = self.nodes.len();
        let groups = || longer.chunk_by(|(a, _), (b, _)| a[depth] == b[depth]);
        for group in groups() {
            self.bytes.push(group[0].0[depth]);
            self.nodes.push(0);
        }
        let mut node = u64::from(own) | (first as u64) << FIRST_SHIFT;
        for (place, group) in (first..).zip(groups()) {
            node |= following(group[0].0[depth]);
            self.nodes[place] = self.grow(group, depth + 1);
        }
        let children = (groups().count() as u64).saturating_sub(1);
        node | children << CHILDREN_SHIFT
    }

    /// The longest token that `text` starts with, or [`NONE`], and the work that took: a look-up for each of the
    /// first steps, less for those into the depth, which find their nodes side by side.
    #[inline]
    pub(crate) fn longest(&self, text: &[u8]) -> (u32, u64) {
        let (first, second, rest) = match text {
            [] => return (NONE, 0),
            [only] => return (self.singles[usize::from(*only)], 1),
            [first, second, rest @ ..] => (*first, *second, rest),
        };
        let mut node = self.starts[usize::from(first) << 8 | usize::from(second)];
        let (mut found, mut steps) = (token(node), 1_u64);
        for byte in rest {
            steps += 1;
            let Some(child) = self.child(node, *byte) else { break };
            node = child;
            if token(node) != NONE {
                found = token(node);
            }
        }
        (found, steps.min(STEEP) + steps.saturating_sub(STEEP) / 4)
    }

    #[inline]
    fn child(&self, node: u64, byte: u8) -> Option<u64> {
        if node & following(byte) == 0 {
            return None;
        }
        let first = (node >> FIRST_SHIFT) as usize;
        let children = (node >> CHILDREN_SHIFT & 0xff) as usize;
        let siblings = &self.bytes[first..=first + children];
        let place = if children < 8 {
            siblings.iter().position(|sibling| *sibling == byte)
        } else {
            memchr::memchr(byte, siblings)
        };
        place.map(|place| self.nodes[first + place])
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        (self.nodes.len() + self.starts.len()) * size_of::<u64>()
            + self.bytes.len()
            + self.singles.len() * size_of::<u32>()
    }
}

#[inline]
fn token(node: u64) -> u32 {
    (node & u64::from(NONE)) as u32
}

/// The bit that says that `byte` may follow a node.
#[inline]
fn following(byte: u8) -> u64 {
    1 << (TOKEN_BITS + u32::from(byte) % FOLLOWING_BITS)
}
