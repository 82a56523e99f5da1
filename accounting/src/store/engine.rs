//! The port to a ClickHouse engine: three verbs, so that every statement of the ledger is written once and
//! runs unchanged on a server ([`super::clickhouse`]) and in this process ([`super::embedded`]).

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::Bytes;

/// What a call to the engine will answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A ClickHouse engine with one database selected.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Runs a statement that gives no rows.
    fn execute<'a>(&'a self, sql: &'a str) -> Answer<'a, ()>;

    /// Runs a query and gives its result in `format` (a ClickHouse format name, such as `JSONEachRow`).
    fn select<'a>(&'a self, sql: &'a str, format: &'a str) -> Answer<'a, Vec<u8>>;

    /// Inserts rows as one block. An error does not mean that nothing was stored: the caller repeats the
    /// same block until it is known to be in.
    fn insert<'a>(&'a self, block: &'a Block) -> Answer<'a, ()>;
}

/// Rows of one table, encoded once and repeated as they are.
#[derive(Debug, Clone)]
pub struct Block {
    /// The table.
    pub table: &'static str,
    /// The columns given, comma separated, in the order of the data.
    pub columns: String,
    /// Number of rows.
    pub rows: usize,
    /// The rows as `RowBinaryWithNamesAndTypes`.
    pub data: Bytes,
    /// `insert_deduplication_token`: the engine drops a block whose token it has seen lately. It saves
    /// work on repeats; nothing relies on it, because rows of one event replace each other.
    pub token: Option<String>,
}

/// The format of [`Block::data`]: it names its columns and types, so the engine checks them.
pub const BLOCK_FORMAT: &str = "RowBinaryWithNamesAndTypes";

/// Why the ledger's engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No answer came: the statement may or may not have been carried out.
    #[error("the ledger store cannot be reached: {0}")]
    Unreachable(String),
    /// The engine refused the statement.
    #[error("the ledger store refused (code {code}): {message}")]
    Refused {
        /// ClickHouse's error code; 0 if it gave none.
        code: u32,
        /// The engine's message.
        message: String,
    },
    /// There are no certificate authorities to trust a server by.
    #[error("certificate authorities of the ledger store: {0}")]
    Authorities(String),
    /// The engine's library is not installed.
    #[error("the embedded engine is not at {}; run deploy/setup/chdb, or name it as store.embedded.library", path.display())]
    NoLibrary {
        /// Where the library should be.
        path: PathBuf,
    },
    /// The engine's library cannot be used.
    #[error("the embedded engine {} cannot be loaded: {reason}", path.display())]
    BadLibrary {
        /// The file.
        path: PathBuf,
        /// The loader's message.
        reason: String,
    },
    /// Another process has the embedded ledger open.
    #[error(
        "the ledger {} is in use by another process; ask the running accounting service with --url instead",
        path.display()
    )]
    Locked {
        /// Folder of the ledger.
        path: PathBuf,
    },
    /// The embedded ledger cannot be opened.
    #[error("the ledger {} cannot be opened: {reason}", path.display())]
    Open {
        /// Folder of the ledger.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The engine's answer does not have the form that was asked for.
    #[error("the ledger store gave an answer that cannot be read: {0}")]
    Answer(String),
}

impl StoreError {
    /// From the engine's own message, which starts with `Code: 60. DB::Exception: …`.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        let message = message.into();
        let code = exception_code(&message).unwrap_or(0);
        Self::Refused { code, message: message.trim_end().to_owned() }
    }

    /// ClickHouse's error code; `None` if it gave none.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } if *code != 0 => Some(*code),
            _ => None,
        }
    }
}

/// The code in a ClickHouse exception text.
fn exception_code(message: &str) -> Option<u32> {
    let digits = message.split_once("Code: ")?.1;
    digits[..digits.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_exception_text() {
        let error = StoreError::refused("Code: 60. DB::Exception: Unknown table");
        assert_eq!(error.code(), Some(60));
        assert_eq!(StoreError::refused("something else").code(), None);
        assert_eq!(exception_code("Code: 99999999999. x"), None);
    }
}
