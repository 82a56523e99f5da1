//! Adds up a prompt, whatever API format it came in.

use serde_json::value::RawValue;

use crate::count::{Budget, Count};
use crate::estimate;
use crate::family::{Family, Tokenizer, ToolRule};
use crate::image::{ASSUMED_SIZE, Detail, Size};
use crate::image_size;
use crate::tools;

/// One piece of a prompt.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'a> {
    /// The beginning of a message. Its texts and images follow.
    Message {
        /// Who speaks, as the model is told: `user`, `system` …
        role: &'a str,
        /// The speaker's name, if the request gives one.
        name: Option<&'a str>,
    },
    /// Text, wherever it stands.
    Text(&'a str),
    /// An image.
    Image {
        /// How closely the model is to look.
        detail: Detail,
        /// What is known of it.
        source: ImageSource<'a>,
    },
    /// The definition of a tool, as JSON: `{"type":"function","function":{…}}`, or the function alone.
    Tool(&'a str),
    /// Sound, a document, or anything else whose rule is not known.
    Attachment {
        /// Its size, bytes, in base64 or not.
        bytes: usize,
    },
}

/// Where the size of an image comes from.
#[derive(Debug, Clone, Copy)]
pub enum ImageSource<'a> {
    /// It is known.
    Size(Size),
    /// The file.
    Bytes(&'a [u8]),
    /// The file in base64.
    Base64(&'a str),
    /// A `data:` URL; any other counts as an image of 1,024 × 1,024 pixels.
    Url(&'a str),
}

impl ImageSource<'_> {
    /// Width and height, if the source tells them.
    #[must_use]
    pub fn size(self) -> Option<Size> {
        match self {
            Self::Size(size) => Some(size),
            Self::Bytes(bytes) => image_size::of_bytes(bytes),
            Self::Base64(text) => image_size::of_base64(text),
            Self::Url(url) => image_size::of_url(url),
        }
    }
}

/// Bytes of an attachment to a token: 128 kbit/s of sound in base64 at ten tokens a second come to 2,100. A guess.
const ATTACHMENT_BYTES: u64 = 2_000;
/// Added for each call of a tool in a message, besides name and arguments. An estimate.
pub(crate) const PER_CALL: u64 = 3;

/// A running sum over the pieces of one prompt.
#[derive(Debug)]
pub struct Tally {
    family: Family,
    budget: Budget,
    total: Count,
    messages: bool,
    tools: bool,
}

impl Tally {
    /// An empty prompt for a model.
    #[must_use]
    pub fn new(model: &str, budget: Budget) -> Self {
        Self { family: Family::of(model), budget, total: Count::ZERO, messages: false, tools: false }
    }

    /// Adds a piece.
    pub fn add(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Message { role, name } => self.add_message(role, name),
            Piece::Text(text) => self.add_text(text),
            Piece::Image { detail, source } => self.add_image(detail, source.size()),
            Piece::Tool(json) => self.add_tool(json),
            Piece::Attachment { bytes } => {
                self.total += Count::about((bytes as u64).div_ceil(ATTACHMENT_BYTES));
            }
        }
    }

    /// The whole prompt.
    #[must_use]
    pub fn finish(mut self) -> Count {
        if self.messages {
            self.total += Count::exactly(self.family.chat.per_conversation);
        }
        self.total
    }

    /// What a text alone comes to; adds nothing.
    pub(crate) fn count_text(&mut self, text: &str) -> Count {
        let encoding = self.family.encoding();
        let Ok(counted) = encoding.count(text, &mut self.budget.0) else {
            return Count::about(estimate::by_size(text.len() as u64));
        };
        let whole = counted.bytes == text.len();
        let tokens = estimate::extrapolate(counted.tokens, counted.bytes, text.len());
        match self.family.tokenizer {
            Tokenizer::Public(_) => Count { tokens, exact: whole },
            Tokenizer::Estimated(ratio) => Count::about(ratio.apply(tokens, text)),
        }
    }

    pub(crate) fn add_text(&mut self, text: &str) {
        let count = self.count_text(text);
        self.total += count;
    }

    /// Adds a call of a tool that a message reports: the function's name and its arguments.
    pub(crate) fn add_call(&mut self, name: &str, arguments: &str) {
        self.total += Count::about(PER_CALL);
        self.add_text(name);
        self.add_text(arguments);
    }

    /// Adds a token that is given as its number.
    pub(crate) fn add_token(&mut self) {
        self.total += Count::exactly(1);
    }

    /// Adds what is of no known form, as text.
    pub(crate) fn add_unknown(&mut self, json: &RawValue) {
        self.total += Count::about(0);
        self.add_text(json.get());
    }

    fn add_message(&mut self, role: &str, name: Option<&str>) {
        let chat = self.family.chat;
        self.messages = true;
        self.total += Count { tokens: chat.per_message, exact: chat.published };
        self.add_text(role);
        if let Some(name) = name {
            self.add_text(name);
            self.total.tokens = self.total.tokens.saturating_add_signed(chat.per_name);
        }
    }

    fn add_image(&mut self, detail: Detail, size: Option<Size>) {
        let rule = self.family.images;
        let tokens = rule.tokens(size.unwrap_or(ASSUMED_SIZE), detail);
        let known = detail == Detail::Low || (size.is_some() && detail == Detail::High);
        self.total += Count { tokens, exact: known && rule.is_exact() && self.family.is_public() };
    }

    fn add_tool(&mut self, json: &str) {
        let rule = self.family.tools;
        if !self.tools {
            self.tools = true;
            self.total += Count::about(tools::once(rule));
        }
        let tokens = match rule {
            ToolRule::Cookbook { per_function } => {
                tools::cookbook(&mut |text| self.count_text(text).tokens, per_function, json)
            }
            ToolRule::Json { .. } => self.count_text(json).tokens,
        };
        self.total += Count::about(tokens.min(tools::bound(json)));
    }
}

/// Counts a text as `model` would read it, on this thread, within the time that [`Budget::inline`] allows.
#[must_use]
pub fn count_text(model: &str, text: &str) -> Count {
    count_text_within(model, text, Budget::inline())
}

/// Counts a text as `model` would read it, with as much work as the budget allows.
#[must_use]
pub fn count_text_within(model: &str, text: &str, budget: Budget) -> Count {
    Tally::new(model, budget).count_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_prompt<'a>(model: &str, pieces: impl IntoIterator<Item = Piece<'a>>) -> Count {
        let mut tally = Tally::new(model, Budget::inline());
        pieces.into_iter().for_each(|piece| tally.add(piece));
        tally.finish()
    }

    #[test]
    fn pieces_count_as_the_same_prompt_in_a_format() {
        let pieces = [Piece::Message { role: "user", name: None }, Piece::Text("Say hi")];
        assert_eq!(count_prompt("gpt-4o", pieces), Count::exactly(9));
        assert_eq!(count_prompt("gpt-4o", []), Count::ZERO, "no message, no conversation");
        let image = |detail, source| Piece::Image { detail, source };
        let known = ImageSource::Size(Size { width: 1_024, height: 1_024 });
        assert_eq!(count_prompt("gpt-4o", [image(Detail::High, known)]), Count::exactly(765));
        assert_eq!(count_prompt("claude-sonnet-4", [image(Detail::Auto, known)]), Count::about(1_399));
    }

    #[test]
    fn a_text_beyond_the_budget_is_extrapolated() {
        let text = "Some words of prose. ".repeat(50_000);
        let whole = count_text_within("gpt-4o", &text, Budget::worker());
        let part = count_text("gpt-4o", &text);
        assert!(whole.exact && !part.exact);
        assert!(part.tokens.abs_diff(whole.tokens) * 50 < whole.tokens, "{part:?} {whole:?}");
    }
}
