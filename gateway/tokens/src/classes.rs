//! Which class each character is of, as far as pre-tokenisers ask.
//!
//! The classes come from the Unicode tables of `regex-syntax`, which the reference's patterns are compiled
//! with too, so both always agree on what a letter is.

use regex_syntax::hir::{Class, HirKind};

use crate::LoadError;

/// `\p{L}`.
pub(crate) const LETTER: u8 = 1;
/// `\p{N}`.
pub(crate) const NUMBER: u8 = 1 << 1;
/// `\s`.
pub(crate) const SPACE: u8 = 1 << 2;
/// `\p{Lu}` and `\p{Lt}`: opens a word, never continues its tail.
pub(crate) const UPPER: u8 = 1 << 3;
/// `\p{Ll}`: continues a word's tail, never its head.
pub(crate) const LOWER: u8 = 1 << 4;
/// `\p{Lm}`, `\p{Lo}` and `\p{M}`: head or tail of a word.
pub(crate) const EITHER: u8 = 1 << 5;
/// Carriage return and line feed.
pub(crate) const NEWLINE: u8 = 1 << 6;
/// `[^\s\p{L}\p{N}]`, marks included.
pub(crate) const OTHER: u8 = 1 << 7;

const BLOCK: usize = 256;
const BLOCKS: usize = 0x11_0000 / BLOCK;

/// A two-stage table: the block of a character, and the class inside the block.
pub(crate) struct Classes {
    blocks: Vec<u16>,
    classes: Vec<u8>,
}

impl Classes {
    /// Builds the table.
    pub(crate) fn load() -> Result<Self, LoadError> {
        let mut flat = vec![0_u8; 0x11_0000];
        for (pattern, bits) in [
            (r"\p{L}", LETTER),
            (r"\p{N}", NUMBER),
            (r"\s", SPACE),
            (r"[\p{Lu}\p{Lt}]", UPPER),
            (r"\p{Ll}", LOWER),
            (r"[\p{Lm}\p{Lo}\p{M}]", EITHER),
            (r"[\r\n]", NEWLINE),
        ] {
            mark(&mut flat, pattern, bits)?;
        }
        for class in &mut flat {
            if *class & (LETTER | NUMBER | SPACE) == 0 {
                *class |= OTHER;
            }
        }
        Ok(Self::compress(&flat))
    }

    /// The class bits of the character at `at` and its length in bytes; both 0 at the end of the text.
    #[inline]
    pub(crate) fn at(&self, text: &str, at: usize) -> (u8, usize) {
        match text.as_bytes().get(at) {
            None => (0, 0),
            Some(byte) if byte.is_ascii() => (self.class(u32::from(*byte)), 1),
            Some(_) => text[at..].chars().next().map_or((0, 0), |c| (self.class(u32::from(c)), c.len_utf8())),
        }
    }

    /// End of the run of characters that have one of `bits`, from `at` on.
    #[inline]
    pub(crate) fn run(&self, text: &str, mut at: usize, bits: u8) -> usize {
        loop {
            let (class, len) = self.at(text, at);
            if class & bits == 0 {
                return at;
            }
            at += len;
        }
    }

    #[inline]
    fn class(&self, c: u32) -> u8 {
        let block = self.blocks.get(c as usize / BLOCK).copied().unwrap_or(0);
        self.classes.get(usize::from(block) * BLOCK + c as usize % BLOCK).copied().unwrap_or(OTHER)
    }

    fn compress(flat: &[u8]) -> Self {
        let mut table = Self { blocks: Vec::with_capacity(BLOCKS), classes: Vec::new() };
        for block in flat.chunks(BLOCK) {
            let known = table.classes.chunks(BLOCK).position(|known| known == block);
            let index = known.unwrap_or_else(|| {
                table.classes.extend_from_slice(block);
                table.classes.len() / BLOCK - 1
            });
            table.blocks.push(u16::try_from(index).unwrap_or(0));
        }
        table.classes.shrink_to_fit();
        table
    }

    /// Bytes that the table takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<u16>() + self.classes.capacity()
    }
}

fn mark(flat: &mut [u8], pattern: &str, bits: u8) -> Result<(), LoadError> {
    let parsed = regex_syntax::parse(pattern).map_err(|error| LoadError::Classes(error.to_string()))?;
    let HirKind::Class(Class::Unicode(class)) = parsed.kind() else {
        return Err(LoadError::Classes(format!("`{pattern}` is not a class of characters")));
    };
    for range in class.ranges() {
        for class in &mut flat[range.start() as usize..=range.end() as usize] {
            *class |= bits;
        }
    }
    Ok(())
}
