//! The public encodings: their vocabulary, their pre-tokeniser, and counting with both.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tiktoken_rs::CoreBPE;

use crate::LoadError;
use crate::classes::Classes;
use crate::merges::{Merges, Scratch};
use crate::split::{Pattern, piece_end};

/// A public byte-pair encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GPT-4o and everything after it.
    O200k,
    /// GPT-3.5, GPT-4 and the embeddings models of their time.
    Cl100k,
    /// Codex and the last of the instruct models.
    P50k,
    /// GPT-2 and GPT-3.
    R50k,
}

/// Result of counting a text, perhaps in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Tokens of what was counted.
    pub(crate) tokens: u64,
    /// Bytes that were counted; less than the text has if the work ran out.
    pub(crate) bytes: usize,
}

struct Tables {
    classes: &'static Classes,
    pattern: Pattern,
    merges: Merges,
}

/// Which encodings' tables are loaded.
static LOADED: [AtomicBool; Encoding::ALL.len()] = [const { AtomicBool::new(false) }; Encoding::ALL.len()];

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 4] = [Self::O200k, Self::Cl100k, Self::P50k, Self::R50k];

    /// Loads the tables unless they are loaded: some hundred milliseconds of work, once in a process.
    ///
    /// # Errors
    /// The vocabulary that this program was built with is not what it should be.
    pub fn load(self) -> Result<(), LoadError> {
        self.tables().map(|_| ())
    }

    /// Whether its tables are loaded, so that a count need not wait for them.
    #[must_use]
    pub fn is_loaded(self) -> bool {
        LOADED[self as usize].load(Ordering::Relaxed)
    }

    /// Bytes of memory that the loaded tables take; 0 if they cannot be loaded.
    #[must_use]
    pub fn memory_bytes(self) -> usize {
        self.tables().map_or(0, |tables| tables.merges.memory_bytes() + tables.classes.memory_bytes())
    }

    /// Counts a text until the work is spent; takes what was spent off it.
    pub(crate) fn count(self, text: &str, work: &mut u64) -> Result<Counted, LoadError> {
        thread_local! {
            static SCRATCH: RefCell<Option<(Encoding, Scratch)>> = const { RefCell::new(None) };
        }
        let tables = self.tables()?;
        Ok(SCRATCH.with_borrow_mut(|kept| {
            if kept.as_ref().is_none_or(|(encoding, _)| *encoding != self) {
                *kept = Some((self, Scratch::new()));
            }
            match kept {
                Some((_, scratch)) => tables.count(text, scratch, work),
                None => Counted { tokens: 0, bytes: 0 },
            }
        }))
    }

    fn tables(self) -> Result<&'static Tables, LoadError> {
        static O200K: LazyLock<Result<Tables, LoadError>> = LazyLock::new(|| Tables::load(Encoding::O200k));
        static CL100K: LazyLock<Result<Tables, LoadError>> = LazyLock::new(|| Tables::load(Encoding::Cl100k));
        static P50K: LazyLock<Result<Tables, LoadError>> = LazyLock::new(|| Tables::load(Encoding::P50k));
        static R50K: LazyLock<Result<Tables, LoadError>> = LazyLock::new(|| Tables::load(Encoding::R50k));
        let tables = match self {
            Self::O200k => &O200K,
            Self::Cl100k => &CL100K,
            Self::P50k => &P50K,
            Self::R50k => &R50K,
        };
        let tables = tables.as_ref().map_err(Clone::clone);
        if !self.is_loaded() {
            LOADED[self as usize].store(true, Ordering::Relaxed);
        }
        tables
    }

    fn pattern(self) -> Pattern {
        match self {
            Self::O200k => Pattern::O200k,
            Self::Cl100k => Pattern::Cl100k,
            Self::P50k | Self::R50k => Pattern::R50k,
        }
    }

    /// All tokens but the special ones, by rank. The rank of `<|endoftext|>` divides those of `p50k_base`.
    fn vocabulary(self) -> Result<Vec<Vec<u8>>, LoadError> {
        let (core, ranks, more): (_, u32, _) = match self {
            Self::O200k => (tiktoken_rs::o200k_base(), 199_998, 0..0),
            Self::Cl100k => (tiktoken_rs::cl100k_base(), 100_256, 0..0),
            Self::P50k => (tiktoken_rs::p50k_base(), 50_256, 50_257..50_281),
            Self::R50k => (tiktoken_rs::r50k_base(), 50_256, 0..0),
        };
        let core: CoreBPE = core.map_err(|_| LoadError::Vocabulary)?;
        (0..ranks)
            .chain(more)
            .map(|rank| core.decode_bytes(&[rank]).map_err(|_| LoadError::Vocabulary))
            .collect()
    }
}

impl Tables {
    fn load(encoding: Encoding) -> Result<Self, LoadError> {
        static CLASSES: LazyLock<Result<Classes, LoadError>> = LazyLock::new(Classes::load);
        Ok(Self {
            classes: CLASSES.as_ref().map_err(Clone::clone)?,
            pattern: encoding.pattern(),
            merges: Merges::new(&encoding.vocabulary()?)?,
        })
    }

    fn count(&self, text: &str, scratch: &mut Scratch, work: &mut u64) -> Counted {
        scratch.work = 0;
        // Not even to look at: a text of one piece is scanned to its end before anything is counted.
        let text = head(text, usize::try_from(work.saturating_mul(2)).unwrap_or(usize::MAX));
        let mut counted = Counted { tokens: 0, bytes: 0 };
        while counted.bytes < text.len() && scratch.work <= *work {
            let end = piece_end(self.pattern, self.classes, text, counted.bytes);
            let piece = &text.as_bytes()[counted.bytes..end];
            scratch.work += 2 + piece.len() as u64 / 4;
            let progress = self.merges.count(piece, scratch, *work);
            counted.tokens += progress.tokens as u64;
            counted.bytes += progress.bytes;
            if progress.bytes < piece.len() {
                break;
            }
        }
        *work = work.saturating_sub(scratch.work);
        counted
    }
}

/// At most so many bytes of a text, cut at a character.
fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
#[path = "encoding_tests.rs"]
mod tests;
