//! A ledger of its own for each test.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tollgate_accounting::config::default_library;
use tollgate_accounting::store::{Engine, LedgerStore};
use tollgate_accounting::store::embedded::{EmbeddedEngine, EmbeddedOptions};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// An open embedded ledger; fields are dropped in this order.
pub(crate) struct Ledger {
    pub(crate) store: LedgerStore,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) embedded: EmbeddedEngine,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// None, with the reason printed, where the engine is not installed and need not be.
pub(crate) async fn ledger() -> Option<Ledger> {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let library = default_library();
    if !library.is_file() {
        assert!(std::env::var_os("TOLLGATE_REQUIRE_ENGINES").is_none(), "{} is missing", library.display());
        eprintln!("skipped: {} is not installed (deploy/setup/chdb)", library.display());
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        path: folder.path().join("ledger"),
        library,
        database: "tollgate".to_owned(),
        max_memory_mib: 1024,
        connections: 3,
    };
    let embedded = EmbeddedEngine::open(&options).unwrap();
    let engine: Arc<dyn Engine> = Arc::new(embedded.clone());
    Some(Ledger { store: LedgerStore::new(Arc::clone(&engine)), engine, embedded, folder, _turn: turn })
}
