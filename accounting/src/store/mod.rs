//! The ledger store: one set of statements over two engines.
//!
//! [`engine`] is the port; [`clickhouse`] and [`embedded`] implement it. [`LedgerStore`] owns what all
//! callers share: the schema, inserts of encoded rows, and reading rows back as typed values.

pub mod clickhouse;
pub mod embedded;
pub mod engine;
mod migrations;
mod retention;
pub mod rowbinary;
mod tls;

use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use engine::{Block, Engine, StoreError};

/// The ledger: a cheap handle that can be copied.
#[derive(Debug, Clone)]
pub struct LedgerStore {
    engine: Arc<dyn Engine>,
}

impl LedgerStore {
    /// A ledger on this engine.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine }
    }

    /// Brings the schema up to date; does nothing when it is.
    ///
    /// # Errors
    /// When the store refuses or cannot be reached.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrations::migrate(self.engine.as_ref()).await
    }

    /// Has events older than this deleted in the background, for good. The hourly sums stay.
    ///
    /// # Errors
    /// When the store refuses or cannot be reached.
    pub async fn keep_months(&self, months: u32) -> Result<(), StoreError> {
        retention::keep_months(self.engine.as_ref(), months).await
    }

    /// Inserts a block; after an error it may or may not be in.
    ///
    /// # Errors
    /// When the store refuses or cannot be reached.
    pub async fn insert(&self, block: &Block) -> Result<(), StoreError> {
        self.engine.insert(block).await
    }

    /// Runs a statement without rows.
    ///
    /// # Errors
    /// When the store refuses or cannot be reached.
    pub async fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.engine.execute(sql).await
    }

    /// Runs a query and reads each row into a `T` by column name. `Decimal` columns come as text (money
    /// never passes through a float), 64-bit integers as numbers.
    ///
    /// # Errors
    /// When the store refuses, cannot be reached, or the rows have another shape.
    pub async fn rows<T: DeserializeOwned>(&self, sql: &str) -> Result<Vec<T>, StoreError> {
        const EXACT: &str =
            "SETTINGS output_format_json_quote_decimals = 1, output_format_json_quote_64bit_integers = 0";
        let answer = self.engine.select(&format!("{sql}\n{EXACT}"), "JSONEachRow").await?;
        let lines = answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).map_err(|error| StoreError::Answer(error.to_string())))
            .collect()
    }

    /// The first row of a query, if it has one.
    ///
    /// # Errors
    /// As [`LedgerStore::rows`].
    pub async fn row<T: DeserializeOwned>(&self, sql: &str) -> Result<Option<T>, StoreError> {
        Ok(self.rows(sql).await?.into_iter().next())
    }
}
