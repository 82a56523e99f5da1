//! Bytes in pieces, as a network would bring them.

/// Up to this size a body is also cut after every byte.
pub const EVERY_BYTE: usize = 4 << 10;

/// Cuts a body at places that `seed` decides: often small pieces, sometimes large ones.
#[must_use]
pub fn cut(body: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut random = Random(seed);
    let most = [1, 3, 17, 257, 4_097][random.below(5)];
    let mut pieces = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(1 + random.below(most)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// The ways in which a body is cut: not at all, as `seed` says, and after every byte unless it is long.
#[must_use]
pub fn ways(body: &[u8], seed: u64) -> Vec<Vec<&[u8]>> {
    let mut ways = vec![vec![body], cut(body, seed)];
    if body.len() <= EVERY_BYTE {
        ways.push(body.chunks(1).collect());
    }
    ways
}

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Debug, Clone, Copy)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.number() % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// One of these; none of nothing.
    pub fn pick<'t, T>(&mut self, all: &'t [T]) -> Option<&'t T> {
        all.get(self.below(all.len()))
    }
}
