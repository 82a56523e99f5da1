//! Whether a request names something that a provider keeps for its account.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use tollgate_formats::{FormatError, handles};

use super::wire::Wire;

/// Letters of a name that are written as escapes: what is looked for may be there in another spelling.
const ESCAPED: &str = "\\u00";

static CHAT: LazyLock<Words> = LazyLock::new(|| Words::new(&["file_id", "\"audio\"", "\"voice\""]));
static MESSAGES: LazyLock<Words> = LazyLock::new(|| Words::new(&["file_id", "\"container", "skill_id"]));
static GEMINI: LazyLock<Words> =
    LazyLock::new(|| Words::new(&["fileUri", "file_uri", "cached", "earchStore", "search_store"]));
static MEDIA: LazyLock<Words> = LazyLock::new(|| Words::new(&["file_id", "\"voice\""]));

/// What a body with a handle holds at least one of. Looked for in one pass, which takes a fraction of the time that
/// reading the body would.
struct Words(Option<AhoCorasick>);

impl Words {
    fn new(words: &[&str]) -> Self {
        // Only patterns of many megabytes are refused; then every body is read.
        Self(AhoCorasick::new(words.iter().chain([&ESCAPED])).ok())
    }

    fn may_be_in(&self, body: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|words| words.is_match(body))
    }
}

impl Wire {
    /// The path of the first handle in a body that is about to be sent; `None` if it has none.
    ///
    /// # Errors
    /// When the body cannot be looked through.
    pub fn kept_handle(self, body: &[u8]) -> Result<Option<String>, FormatError> {
        let read = match self {
            Self::Responses => true,
            Self::Chat => CHAT.may_be_in(body),
            Self::Messages => MESSAGES.may_be_in(body),
            Self::Generate | Self::Embed | Self::BatchEmbed => GEMINI.may_be_in(body),
            Self::Media(_) => MEDIA.may_be_in(body),
            Self::Completions | Self::Embeddings | Self::Converse | Self::Invoke => false,
        };
        if read { handles::find(body) } else { Ok(None) }
    }
}
