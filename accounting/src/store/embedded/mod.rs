//! The ClickHouse engine inside this process: `libchdb.so`, loaded when the ledger is opened.
//!
//! Invariants: one process, and one folder in it, has the ledger open (a lock file says so before the
//! engine is asked); every call blocks, so it runs on a blocking thread with a connection of a bounded pool;
//! the engine keeps within the configured memory and answers with an error beyond it.

mod ffi;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::engine::{Answer, BLOCK_FORMAT, Block, Engine, StoreError};
use ffi::{Api, Connection};

/// Longest wait for other handles of an engine that is being closed.
pub const CLOSE_WAIT: Duration = Duration::from_secs(10);

/// How to open the embedded engine.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Folder of the ledger; made when it does not exist.
    pub path: PathBuf,
    /// Path of `libchdb.so`.
    pub library: PathBuf,
    /// Database that statements without a database name mean; made when it does not exist.
    pub database: String,
    /// Most memory that the engine may take, MiB.
    pub max_memory_mib: u32,
    /// Statements that run at the same time; more wait.
    pub connections: usize,
}

/// The engine of this process, with one database selected; a cheap handle. Dropping the last copy closes
/// the ledger and frees its folder.
#[derive(Debug, Clone)]
pub struct EmbeddedEngine {
    pool: Arc<Pool>,
    database: Arc<str>,
}

/// Connections that begin with the same statements.
#[derive(Debug)]
pub(crate) struct Pool {
    // Dropped before the core: connections close before the folder is unlocked.
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    core: Arc<Core>,
}

/// What all pools of a process share.
#[derive(Debug)]
struct Core {
    api: Arc<Api>,
    arguments: Vec<String>,
    path: PathBuf,
    _lock: File,
    // Dropped last: whoever waits in `close` sees everything else gone.
    closed: watch::Sender<()>,
}

impl EmbeddedEngine {
    /// Opens the ledger's folder. Blocks for up to a second.
    ///
    /// # Errors
    /// When the library is missing or the folder is in use or cannot be opened.
    pub fn open(options: &EmbeddedOptions) -> Result<Self, StoreError> {
        let lock = lock(&options.path)?;
        let api = load(&options.library)?;
        tracing::info!(
            path = %options.path.display(),
            engine = api.version(),
            max_memory_mib = options.max_memory_mib,
            "opening the embedded ledger"
        );
        let arguments = vec![
            format!("--path={}", options.path.join("engine").display()),
            format!("--max_server_memory_usage={}", u64::from(options.max_memory_mib) << 20),
            "--mark_cache_size=33554432".to_owned(),
            "--background_pool_size=2".to_owned(),
        ];
        let connections = options.connections.max(1);
        let (closed, _) = watch::channel(());
        let core = Core { api, arguments, path: options.path.clone(), _lock: lock, closed };
        let name = options.database.replace('`', "");
        let first = [format!("CREATE DATABASE IF NOT EXISTS `{name}`"), format!("USE `{name}`")];
        Ok(Self { pool: Pool::open(Arc::new(core), connections, &first)?, database: name.into() })
    }

    /// Gives this handle back and waits until the last one is gone and the engine is closed, at most
    /// [`CLOSE_WAIT`]. To be called before the process ends: threads that still close connections while
    /// the library's own exit handlers run would crash.
    pub async fn close(self) {
        let mut closed = self.pool.core.closed.subscribe();
        drop(self);
        let gone = async { while closed.changed().await.is_ok() {} };
        if timeout(CLOSE_WAIT, gone).await.is_err() {
            tracing::warn!("the embedded ledger is still in use and was not closed");
        }
    }

    /// The database that statements without a database name mean.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Another pool on the same engine, with these statements run on each of its connections first.
    pub(crate) fn pool(&self, connections: usize, first: &[String]) -> Result<Arc<Pool>, StoreError> {
        Pool::open(Arc::clone(&self.pool.core), connections, first)
    }
}

impl Pool {
    fn open(core: Arc<Core>, connections: usize, first: &[String]) -> Result<Arc<Self>, StoreError> {
        let mut idle = Vec::with_capacity(connections);
        for _ in 0..connections {
            let mut connection = Connection::open(&core.api, &core.arguments).ok_or_else(|| {
                let reason = "the engine refused the folder; its own message is on standard error".to_owned();
                StoreError::Open { path: core.path.clone(), reason }
            })?;
            for statement in first {
                connection.query(statement, "TSV").map_err(StoreError::refused)?;
            }
            idle.push(connection);
        }
        Ok(Arc::new(Self { idle: Mutex::new(idle), permits: Semaphore::new(connections), core }))
    }

    /// Runs `work` with a connection on a blocking thread, when one is free.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut dyn Statements) -> Result<T, String> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::Unreachable("the embedded engine is closed".to_owned());
        let pool = Arc::clone(self);
        // The permit goes with the work: a caller that is cancelled does not stop the thread, so the next
        // one must not look for a connection before this one is back.
        let outcome = spawn_blocking({
            let permit = pool.permits.acquire().await.map_err(|_| gone())?;
            permit.forget();
            move || {
                let mut connection = pool.idle.lock().pop();
                let outcome = connection.as_mut().map(|connection| work(connection));
                pool.idle.lock().extend(connection);
                pool.permits.add_permits(1);
                outcome
            }
        });
        match outcome.await {
            Ok(outcome) => outcome.ok_or_else(gone)?.map_err(StoreError::refused),
            Err(error) => Err(StoreError::Unreachable(format!("the statement did not finish: {error}"))),
        }
    }
}

/// The statements of a connection.
pub(crate) trait Statements {
    /// Runs a statement with values for its `{name:Type}` and gives its result in `format`.
    fn query(&mut self, sql: &str, format: &str, parameters: &[(String, String)]) -> Result<Vec<u8>, String>;
    /// Runs `INSERT INTO table (columns)` with rows in `format`.
    fn insert(&mut self, sql: &str, format: &str, data: &[u8]) -> Result<(), String>;
}

impl Statements for Connection {
    fn query(&mut self, sql: &str, format: &str, parameters: &[(String, String)]) -> Result<Vec<u8>, String> {
        match parameters {
            [] => Self::query(self, sql, format),
            some => self.query_with(sql, format, some),
        }
    }

    fn insert(&mut self, sql: &str, format: &str, data: &[u8]) -> Result<(), String> {
        Self::insert(self, sql, format, data)
    }
}

impl Engine for EmbeddedEngine {
    fn execute<'a>(&'a self, sql: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.select(sql, "TSV").await.map(drop) })
    }

    fn select<'a>(&'a self, sql: &'a str, format: &'a str) -> Answer<'a, Vec<u8>> {
        let (sql, format) = (sql.to_owned(), format.to_owned());
        Box::pin(self.pool.run(move |connection| connection.query(&sql, &format, &[])))
    }

    fn insert<'a>(&'a self, block: &'a Block) -> Answer<'a, ()> {
        let sql = insert_statement(block);
        let data = block.data.clone();
        Box::pin(self.pool.run(move |connection| connection.insert(&sql, BLOCK_FORMAT, &data)))
    }
}

fn insert_statement(block: &Block) -> String {
    let settings = block.token.as_deref().map_or_else(String::new, |token| {
        format!(" SETTINGS insert_deduplication_token = '{}'", token.replace(['\'', '\\'], ""))
    });
    format!("INSERT INTO {} ({}){settings}", block.table, block.columns)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let open = |reason: std::io::Error| StoreError::Open { path: path.into(), reason: reason.to_string() };
    std::fs::create_dir_all(path).map_err(open)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(path.join("lock")).map_err(open)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(open(error)),
    }
}

fn load(path: &Path) -> Result<Arc<Api>, StoreError> {
    if !path.is_file() {
        return Err(StoreError::NoLibrary { path: path.into() });
    }
    Api::load(path).map_err(|error| StoreError::BadLibrary { path: path.into(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(path: &Path, library: &Path) -> EmbeddedOptions {
        EmbeddedOptions {
            path: path.into(),
            library: library.into(),
            database: "tollgate".to_owned(),
            max_memory_mib: 512,
            connections: 1,
        }
    }

    #[test]
    fn a_missing_library_names_the_set_up_script() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            EmbeddedEngine::open(&options(folder.path(), Path::new("/nowhere/libchdb.so"))).unwrap_err();
        assert!(error.to_string().contains("deploy/setup/chdb"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_library_is_refused_with_the_loaders_words() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libchdb.so");
        std::fs::write(&library, "not a library").unwrap();
        let error = EmbeddedEngine::open(&options(folder.path(), &library)).unwrap_err();
        assert!(matches!(error, StoreError::BadLibrary { .. }), "{error}");
    }

    #[test]
    fn a_folder_in_use_says_to_ask_the_running_service() {
        let folder = tempfile::tempdir().unwrap();
        let _held = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err();
        assert!(error.to_string().contains("--url"), "{error}");
    }
}
