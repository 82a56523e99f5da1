//! A byte-pair encoding, made for counting: what are the tokens of one piece, in linear time.
//!
//! A sequence of tokens is the encoding of its bytes exactly if each two neighbours stay apart when only the
//! two are encoded. So tokens are laid from the left, longest first, each checked against the one before; a
//! dead end is taken back, and no position is tried twice. (The method is that of the `bpe` crate. Here the
//! tables are smaller, recurring answers and the tokens of long runs of one byte are cached, and the work is counted, so
//! that a caller can stop it.)

use crate::LoadError;
use crate::pairs::Pairs;
use crate::trie::{NONE, Trie};

/// Work of a step of [`Merges::stay_apart`], in look-ups in the trie: it seldom finds its words in the cache.
const APART_WORK: u64 = 2;
/// Slots of the cache of [`Merges::longest_apart`].
const ANSWERS: usize = 1 << 14;

/// The tables of one encoding. A token's number is its rank: lower ones merge first.
pub(crate) struct Merges {
    trie: Trie,
    tokens: Vec<Token>,
    pairs: Pairs,
    /// Length of the longest token.
    longest: usize,
}

/// What is known of a token, in one word so that all of them stay in the processor's cache.
#[derive(Clone, Copy)]
struct Token(u64);

impl Token {
    fn new(left: u32, right: u32, prefix: u32, len: u8) -> Self {
        Self(u64::from(left) | u64::from(right) << 18 | u64::from(prefix) << 36 | u64::from(len) << 54)
    }

    /// The first of the two tokens that merge into this one; itself for a single byte.
    #[inline]
    fn left(self) -> u32 {
        (self.0 & u64::from(NONE)) as u32
    }

    /// The second of them; itself for a single byte.
    #[inline]
    fn right(self) -> u32 {
        (self.0 >> 18 & u64::from(NONE)) as u32
    }

    /// The longest other token that this one starts with, or [`NONE`].
    #[inline]
    fn prefix(self) -> u32 {
        (self.0 >> 36 & u64::from(NONE)) as u32
    }

    /// Bytes.
    #[inline]
    fn len(self) -> usize {
        (self.0 >> 54) as usize
    }
}

/// Buffers that are used again for each piece, and the work done with them.
pub(crate) struct Scratch {
    tokens: Vec<u32>,
    dead: Vec<u64>,
    answers: Vec<u64>,
    run: Run,
    /// The longest token in a run of one byte, by the byte.
    of_runs: [u32; 256],
    /// Look-ups in the tables so far.
    pub(crate) work: u64,
}

/// A stretch of one and the same byte.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
}

/// How far the encoding of a piece came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) tokens: usize,
    pub(crate) bytes: usize,
}

impl Scratch {
    /// Empty buffers, for use with one encoding.
    pub(crate) fn new() -> Self {
        Self {
            tokens: Vec::new(),
            dead: Vec::new(),
            answers: vec![u64::MAX; ANSWERS],
            run: Run::default(),
            of_runs: [NONE; 256],
            work: 0,
        }
    }
}

impl Merges {
    /// Builds the tables from a vocabulary in the order of ranks.
    pub(crate) fn new(vocabulary: &[Vec<u8>]) -> Result<Self, LoadError> {
        if vocabulary.len() >= NONE as usize
            || vocabulary.iter().any(|bytes| !(1..=255).contains(&bytes.len()))
        {
            return Err(LoadError::Vocabulary);
        }
        let trie = Trie::new(vocabulary);
        let token = |(rank, bytes): (u32, &Vec<u8>)| {
            let prefix = trie.longest(&bytes[..bytes.len() - 1]).0;
            Token::new(rank, rank, prefix, bytes.len() as u8)
        };
        let tokens = (0..).zip(vocabulary).map(token).collect();
        let longest = vocabulary.iter().map(Vec::len).max().unwrap_or(0);
        let mut merges = Self { trie, tokens, pairs: Pairs::with_capacity(vocabulary.len()), longest };
        for (rank, bytes) in (0..).zip(vocabulary) {
            merges.enter(rank, bytes)?;
        }
        Ok(merges)
    }

    /// Counts the tokens of a piece until `scratch.work` exceeds `limit`.
    pub(crate) fn count(&self, piece: &[u8], scratch: &mut Scratch, limit: u64) -> Progress {
        scratch.run = Run::default();
        let mut next = self.longest_at(piece, 0, scratch);
        if next != NONE && self.len(next) == piece.len() {
            return Progress { tokens: 1, bytes: piece.len() };
        }
        scratch.tokens.clear();
        scratch.dead.clear();
        scratch.dead.resize(piece.len() / 64 + 1, 0);
        let mut at = 0;
        while next != NONE && scratch.work <= limit {
            let last = scratch.tokens.last().copied().unwrap_or(NONE);
            match self.fitting(scratch, last, next, at) {
                Some(token) => {
                    scratch.tokens.push(token);
                    at += self.len(token);
                    next = self.longest_at(piece, at, scratch);
                }
                None => {
                    // Nothing can follow: this position is dead, and the token before it must be shorter.
                    scratch.dead[at / 64] |= 1 << (at % 64);
                    scratch.tokens.pop();
                    at -= if last == NONE { 0 } else { self.len(last) };
                    next = last;
                }
            }
        }
        Progress { tokens: scratch.tokens.len(), bytes: at }
    }

    /// The longest token at a position. Deep inside a run of one byte it is always the same.
    fn longest_at(&self, piece: &[u8], at: usize, scratch: &mut Scratch) -> u32 {
        let Some(byte) = piece.get(at) else { return NONE };
        if !(scratch.run.start..scratch.run.end).contains(&at) {
            let len = piece[at..].iter().take_while(|other| *other == byte).count();
            scratch.run = Run { start: at, end: at + len };
        }
        let deep = scratch.run.end - at >= self.longest;
        let of_run = &mut scratch.of_runs[usize::from(*byte)];
        if deep && *of_run != NONE {
            scratch.work += 1;
            return *of_run;
        }
        let (token, steps) = self.trie.longest(&piece[at..]);
        scratch.work += steps;
        if deep {
            *of_run = token;
        }
        token
    }

    /// The longest of `token` and its prefixes that may stand at `at` behind `last`.
    #[inline]
    fn fitting(&self, scratch: &mut Scratch, last: u32, mut token: u32, at: usize) -> Option<u32> {
        loop {
            token = self.longest_apart(scratch, last, token);
            if token == NONE {
                return None;
            }
            let end = at + self.len(token);
            if scratch.dead[end / 64] >> (end % 64) & 1 == 0 {
                return Some(token);
            }
            token = self.tokens[token as usize].prefix();
        }
    }

    /// The longest of `right` and its prefixes that stays apart from `left`, or [`NONE`]; cached, because
    /// long runs ask the same again and again.
    #[inline]
    fn longest_apart(&self, scratch: &mut Scratch, left: u32, right: u32) -> u32 {
        scratch.work += 1;
        if left == NONE || right == NONE {
            return right;
        }
        let question = u64::from(left) << 18 | u64::from(right);
        let slot = (question.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as usize;
        let known = scratch.answers[slot];
        if known >> 18 == question {
            return (known & u64::from(NONE)) as u32;
        }
        let mut answer = right;
        while answer != NONE && !self.stay_apart(left, answer, &mut scratch.work) {
            answer = self.tokens[answer as usize].prefix();
        }
        scratch.answers[slot] = question << 18 | u64::from(answer);
        answer
    }

    /// Whether the encoding of both texts together is these two tokens: undoes merges from the last to the
    /// first along the border, and looks for a pair across it that would have merged earlier.
    fn stay_apart(&self, mut left: u32, mut right: u32, work: &mut u64) -> bool {
        let mut limit = u32::MAX;
        loop {
            *work += APART_WORK;
            if self.pairs.get(left, right).is_some_and(|merged| merged < limit) {
                return false;
            }
            if left > right {
                limit = left;
                left = self.tokens[left as usize].right();
                if left == limit {
                    limit = right + 1;
                    right = self.tokens[right as usize].left();
                    if right + 1 == limit {
                        return true;
                    }
                }
            } else {
                limit = right + 1;
                right = self.tokens[right as usize].left();
                if right + 1 == limit {
                    limit = left;
                    left = self.tokens[left as usize].right();
                    if left == limit {
                        return true;
                    }
                }
            }
        }
    }

    /// Enters the merge that makes a token: of the pairs that spell it, the one that its bytes become under
    /// the merges of lower rank.
    fn enter(&mut self, rank: u32, bytes: &[u8]) -> Result<(), LoadError> {
        if bytes.len() == 1 {
            return Ok(());
        }
        let mut left = self.tokens[rank as usize].prefix();
        while left != NONE {
            let rest = &bytes[self.len(left)..];
            let right = self.trie.longest(rest).0;
            let whole = right != NONE && self.len(right) == rest.len();
            if whole && left < rank && right < rank && self.stay_apart(left, right, &mut 0) {
                self.pairs.insert(left, right, rank);
                let token = &mut self.tokens[rank as usize];
                *token = Token::new(left, right, token.prefix(), token.len() as u8);
                return Ok(());
            }
            left = self.tokens[left as usize].prefix();
        }
        Err(LoadError::Vocabulary)
    }

    #[inline]
    fn len(&self, token: u32) -> usize {
        self.tokens[token as usize].len()
    }

    /// Bytes that the tables take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.trie.memory_bytes() + self.pairs.memory_bytes() + self.tokens.len() * size_of::<Token>()
    }
}
