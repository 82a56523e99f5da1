//! What an image costs, by the rule that its model's provider publishes.

/// How closely the model is to look, as OpenAI's formats put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// One small view.
    Low,
    /// In full.
    High,
    /// As the model likes; counted as [`Detail::High`], which is not exact.
    #[default]
    Auto,
}

impl Detail {
    /// Of the request's word; an unknown one is [`Detail::Auto`].
    #[must_use]
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("low") => Self::Low,
            Some("high") => Self::High,
            _ => Self::Auto,
        }
    }
}

/// Width and height, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Taken for images whose size cannot be seen: remote ones, and formats without a known header.
pub(crate) const ASSUMED_SIZE: Size = Size { width: 1_024, height: 1_024 };

/// A rule for images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageRule {
    /// OpenAI: fitted into 2,048 pixels square, then to a shorter side of 768; `tile` for each 512 pixels
    /// square, and `base`. Low detail is `base`.
    Tiles {
        /// Once.
        base: u64,
        /// For each tile.
        tile: u64,
    },
    /// OpenAI's smaller models: patches of 32 pixels square, scaled down to no more than 1,536 of them, each
    /// `permille` thousandths of a token.
    Patches {
        /// Tokens per 1,000 patches.
        permille: u64,
    },
    /// Anthropic: pixels by 750, after fitting into 1,568 pixels square and about 1.15 megapixels.
    Area,
    /// Gemini: 258 up to 384 pixels square; else 258 for each square crop, whose side is the image's
    /// shorter one by 1.5, from 256 to 768. Larger images are fitted into 3,072 pixels square.
    Crops,
    /// Llama 3.2: 1,601 for each of up to four squares of 560 pixels.
    Squares,
    /// Mistral: one for each 16 pixels square after fitting into 1,024, one for each row's end.
    Pixtral,
}

impl ImageRule {
    /// Tokens of an image.
    #[must_use]
    pub(crate) fn tokens(self, size: Size, detail: Detail) -> u64 {
        let size = Size { width: size.width.max(1), height: size.height.max(1) };
        let tokens = match self {
            Self::Tiles { base, .. } if detail == Detail::Low => base,
            Self::Tiles { base, tile } => base + tile * tiles(size),
            Self::Patches { permille } => (patches(size) * permille).div_ceil(1_000),
            Self::Area => area(size),
            Self::Crops => crops(size) * 258,
            Self::Squares => across(size, 560).min(4) * 1_601,
            Self::Pixtral => {
                let fitted = size.fitted(1_024);
                across(fitted, 16) + u64::from(fitted.height).div_ceil(16)
            }
        };
        tokens.min(self.most())
    }

    /// The most that any image can cost.
    #[must_use]
    pub(crate) fn most(self) -> u64 {
        match self {
            Self::Tiles { base, tile } => base + tile * 8,
            Self::Patches { permille } => (1_536 * permille).div_ceil(1_000),
            Self::Area => 1_600,
            Self::Crops => 36 * 258,
            Self::Squares => 4 * 1_601,
            Self::Pixtral => 64 * 64 + 64,
        }
    }

    /// Whether providers are seen to bill exactly this for a size and a detail that are known.
    #[must_use]
    pub(crate) fn is_exact(self) -> bool {
        matches!(self, Self::Tiles { .. })
    }
}

impl Size {
    /// Scaled down, never up, until both sides are at most `side`.
    fn fitted(self, side: u32) -> Self {
        self.scaled(f64::from(side) / f64::from(self.width.max(self.height)))
    }

    fn scaled(self, factor: f64) -> Self {
        if factor >= 1.0 {
            return self;
        }
        let side = |pixels: u32| ((f64::from(pixels) * factor) as u32).max(1);
        Self { width: side(self.width), height: side(self.height) }
    }

    fn shorter(self) -> u32 {
        self.width.min(self.height)
    }
}

fn across(size: Size, side: u32) -> u64 {
    u64::from(size.width.div_ceil(side)) * u64::from(size.height.div_ceil(side))
}

fn tiles(size: Size) -> u64 {
    let size = size.fitted(2_048);
    across(size.scaled(768.0 / f64::from(size.shorter())), 512)
}

fn patches(size: Size) -> u64 {
    const MOST: f64 = 1_536.0;
    let plain = across(size, 32);
    if plain <= 1_536 {
        return plain;
    }
    let (width, height) = (f64::from(size.width) / 32.0, f64::from(size.height) / 32.0);
    let factor = (MOST / (width * height)).sqrt();
    // Shrunk once more, so that one side is a whole number of patches.
    let whole = |patches: f64| patches.floor().max(1.0) / patches;
    let factor = factor * whole(width * factor).min(whole(height * factor)).min(1.0);
    let side = |patches: f64| (patches * factor - 1e-9).ceil().max(1.0) as u64;
    (side(width) * side(height)).min(1_536)
}

fn area(size: Size) -> u64 {
    const MEGAPIXELS: f64 = 1_568.0 * 750.0;
    let size = size.fitted(1_568);
    let pixels = f64::from(size.width) * f64::from(size.height);
    let size = size.scaled((MEGAPIXELS / pixels).sqrt());
    (u64::from(size.width) * u64::from(size.height)).div_ceil(750)
}

fn crops(size: Size) -> u64 {
    if size.width <= 384 && size.height <= 384 {
        return 1;
    }
    let size = size.fitted(3_072);
    across(size, (size.shorter() * 2 / 3).clamp(256, 768))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GPT_4O: ImageRule = ImageRule::Tiles { base: 85, tile: 170 };

    #[track_caller]
    fn check(rule: ImageRule, width: u32, height: u32, tokens: u64) {
        assert_eq!(rule.tokens(Size { width, height }, Detail::High), tokens, "{rule:?} {width}x{height}");
    }

    #[test]
    fn tiles_are_counted_as_in_the_published_examples() {
        check(GPT_4O, 1_024, 1_024, 765);
        check(GPT_4O, 2_048, 4_096, 1_105);
        check(GPT_4O, 128, 64, 255);
        assert_eq!(GPT_4O.tokens(Size { width: 4_096, height: 8_192 }, Detail::Low), 85);
        check(ImageRule::Tiles { base: 2_833, tile: 5_667 }, 128, 64, 8_500);
    }

    #[test]
    fn patches_are_counted_as_in_the_published_examples() {
        let one = ImageRule::Patches { permille: 1_000 };
        check(one, 1_024, 1_024, 1_024);
        check(one, 1_800, 2_400, 1_452);
        check(ImageRule::Patches { permille: 1_620 }, 1_800, 2_400, 2_353);
    }

    #[test]
    fn the_other_rules_give_their_published_examples() {
        check(ImageRule::Area, 200, 200, 54);
        check(ImageRule::Area, 1_000, 1_000, 1_334);
        check(ImageRule::Crops, 384, 384, 258);
        check(ImageRule::Crops, 960, 540, 6 * 258);
        check(ImageRule::Squares, 800, 400, 2 * 1_601);
    }

    #[test]
    fn no_size_costs_more_than_the_most() {
        let sides = [0, 1, 31, 33, 512, 768, 1_568, 2_049, 65_535, u32::MAX];
        for rule in [
            GPT_4O,
            ImageRule::Patches { permille: 2_460 },
            ImageRule::Area,
            ImageRule::Crops,
            ImageRule::Squares,
            ImageRule::Pixtral,
        ] {
            for (width, height) in sides.iter().flat_map(|width| sides.map(|height| (*width, height))) {
                let tokens = rule.tokens(Size { width, height }, Detail::Auto);
                assert!((1..=rule.most()).contains(&tokens), "{rule:?} {width}x{height}: {tokens}");
            }
        }
    }
}
