//! Opens and closes the ledger of a configuration, on a server or in this process.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tollgate_settings::SecretTemplate;

use crate::config::{EmbeddedStoreConfig, StoreConfig};
use crate::error::Error;
use crate::store::LedgerStore;
use crate::store::clickhouse::{ServerEngine, ServerOptions};
use crate::store::embedded::{EmbeddedEngine, EmbeddedOptions};

/// Statements that the embedded engine runs at the same time.
const EMBEDDED_CONNECTIONS: usize = 4;

/// A ledger that this process has open.
#[derive(Debug)]
pub(crate) struct OpenLedger {
    /// The ledger, with its schema up to date.
    pub(crate) store: LedgerStore,
    /// The engine, if it runs in this process.
    pub(crate) embedded: Option<EmbeddedEngine>,
}

impl OpenLedger {
    /// Closes the ledger; no other handle may be left. The embedded engine must be closed before the process
    /// ends: its threads would crash in the library's exit handlers.
    pub(crate) async fn close(self) {
        drop(self.store);
        if let Some(engine) = self.embedded {
            engine.close().await;
        }
    }
}

/// Opens the ledger and brings its schema up to date.
///
/// # Errors
/// When the store cannot be reached or opened, or a secret is missing.
pub(crate) async fn open(config: &StoreConfig) -> Result<OpenLedger, Error> {
    let ledger = match config {
        StoreConfig::Clickhouse(server) => {
            let password = server.password.as_ref().map(SecretTemplate::resolve).transpose()?;
            let options = ServerOptions {
                url: server.url.clone(),
                ca: server.ca.clone(),
                database: server.database.clone(),
                user: server.user.clone(),
                timeout: server.timeout.0,
            };
            let engine = ServerEngine::open(&options, password.as_ref()).await?;
            OpenLedger { store: LedgerStore::new(Arc::new(engine)), embedded: None }
        }
        StoreConfig::Embedded(embedded) => {
            let engine = open_embedded(embedded).await?;
            OpenLedger { store: LedgerStore::new(Arc::new(engine.clone())), embedded: Some(engine) }
        }
    };
    ledger.store.migrate().await?;
    Ok(ledger)
}

async fn open_embedded(config: &EmbeddedStoreConfig) -> Result<EmbeddedEngine, Error> {
    let options = EmbeddedOptions {
        path: config.path.clone(),
        library: config.library.clone(),
        database: config.database.clone(),
        max_memory_mib: config.max_memory_mib,
        connections: EMBEDDED_CONNECTIONS,
    };
    let opened = spawn_blocking(move || EmbeddedEngine::open(&options)).await;
    Ok(opened.map_err(|error| Error::Internal(error.to_string()))??)
}
