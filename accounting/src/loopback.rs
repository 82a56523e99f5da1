//! The embedded engine behind ClickHouse's HTTP protocol, on loopback: for tests, and for tools that want
//! to query the embedded ledger by SQL (`store.embedded.http_listen`).
//!
//! Invariants: it listens on loopback addresses only; with [`Access::ReadOnly`] the engine itself refuses
//! writes, DDL, settings and access to files.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::{App, HttpServer};
use tollgate_clickhouse_loopback::{Connection, ConnectionPool, Done, Exception, Work, endpoints};

use crate::error::Error;
use crate::server_thread::ServerThread;
use crate::store::StoreError;
use crate::store::embedded::{EmbeddedEngine, Pool, Statements};

/// Statements at the same time.
const CONNECTIONS: usize = 4;

/// What clients may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Queries only.
    ReadOnly,
    /// Everything, as the only user of the ledger: for tests.
    ReadWrite,
}

/// A running server; dropping it stops it without waiting.
#[derive(Debug)]
pub struct Loopback {
    server: ServerThread,
}

impl Loopback {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// What a ClickHouse client is configured with.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Answers what has been asked, then closes.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// Serves an engine on a loopback address (port 0 takes a free one).
///
/// # Errors
/// When the address is not a loopback address or not free, or the engine gives no connections.
pub fn serve(engine: &EmbeddedEngine, address: SocketAddr, access: Access) -> Result<Loopback, Error> {
    let failed = |error: std::io::Error| Error::Listen { address, error };
    if !address.ip().is_loopback() {
        return Err(failed(std::io::Error::other("only loopback addresses are served")));
    }
    let mut first = vec![format!("USE `{}`", engine.database())];
    if access == Access::ReadOnly {
        first.push("SET readonly = 1".to_owned());
    }
    let connections = EmbeddedPool(engine.pool(CONNECTIONS, &first)?);
    let endpoints = endpoints(Arc::new(connections), engine.database());
    let listener = TcpListener::bind(address).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let server = ServerThread::start("ledger-http", addr, move || {
        let server = HttpServer::new(move || App::new().configure(endpoints.clone()));
        Ok(server.workers(1).shutdown_timeout(5).disable_signals().listen(listener)?.run())
    })
    .map_err(failed)?;
    tracing::info!(%addr, ?access, "the embedded ledger answers SQL clients");
    Ok(Loopback { server })
}

/// Connections of the embedded engine, as the protocol uses them.
struct EmbeddedPool(Arc<Pool>);

impl ConnectionPool for EmbeddedPool {
    fn run(&self, work: Work) -> Done<'_> {
        Box::pin(async {
            let done = self.0.run(|connection| work(&mut Session(connection))).await;
            done.map_err(|error| match error {
                StoreError::Refused { ref message, .. } => {
                    Exception { code: error.code(), message: message.clone() }
                }
                other => Exception { code: None, message: other.to_string() },
            })
        })
    }
}

struct Session<'a>(&'a mut dyn Statements);

impl Connection for Session<'_> {
    fn query(&mut self, sql: &str, format: &str, parameters: &[(String, String)]) -> Result<Vec<u8>, String> {
        self.0.query(sql, format, parameters)
    }

    fn insert(&mut self, sql: &str, format: &str, data: &[u8]) -> Result<(), String> {
        self.0.insert(sql, format, data)
    }
}
