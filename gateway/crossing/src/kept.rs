//! Whether a request names something that a provider keeps for its account.

use memchr::memmem;
use tollgate_formats::{FormatError, handles};

use super::wire::Wire;

/// Letters of a name that are written as escapes: what is looked for may be there in another spelling.
const ESCAPED: &str = "\\u00";

impl Wire {
    /// The path of the first handle in a body that is about to be sent; `None` if it has none.
    ///
    /// # Errors
    /// When the body cannot be looked through.
    pub fn kept_handle(self, body: &[u8]) -> Result<Option<String>, FormatError> {
        // Most bodies hold none of the words, which is found out much faster than by reading them.
        let words: &[&str] = match self {
            Self::Responses => &[""],
            Self::Chat => &["file_id", "\"audio\"", "\"voice\"", ESCAPED],
            Self::Messages => &["file_id", "\"container", "skill_id", ESCAPED],
            Self::Generate | Self::Embed | Self::BatchEmbed => {
                &["fileUri", "file_uri", "cached", "earchStore", "search_store", ESCAPED]
            }
            Self::Media(_) => &["file_id", "\"voice\"", ESCAPED],
            Self::Completions | Self::Embeddings | Self::Converse | Self::Invoke => &[],
        };
        match words.iter().any(|word| memmem::find(body, word.as_bytes()).is_some()) {
            true => handles::find(body),
            false => Ok(None),
        }
    }
}
