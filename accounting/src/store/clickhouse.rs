//! A ClickHouse server, through the `clickhouse` crate.
//!
//! The crate neither retries nor limits time by itself: every call here ends within the configured timeout,
//! and an insert that timed out is reported as unknown, never as done.

use std::path::PathBuf;
use std::time::Duration;
use tollgate_base::errors::chain;

use clickhouse::Client;
use clickhouse::error::Error as ClientError;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::engine::{Answer, BLOCK_FORMAT, Block, Engine, StoreError};
use super::tls;

/// Size of the pieces in which a block is sent (and compressed).
const CHUNK: usize = 512 * 1024;

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// `http://host:8123` or `https://host:8443`.
    pub url: String,
    /// PEM file of the certificate authorities of an `https` server; `None` for the system's.
    pub ca: Option<PathBuf>,
    /// Database of the ledger; made when it does not exist.
    pub database: String,
    /// User; `None` for the server's default user.
    pub user: Option<String>,
    /// Longest time that one statement may take.
    pub timeout: Duration,
}

/// A connection pool to a server, with the ledger's database selected.
#[derive(Clone)]
pub struct ServerEngine {
    client: Client,
    timeout: Duration,
}

impl std::fmt::Debug for ServerEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerEngine").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl ServerEngine {
    /// Connects, and makes the database when it does not exist.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, or there are no certificate authorities for `https`.
    pub async fn open(options: &ServerOptions, password: Option<&SecretString>) -> Result<Self, StoreError> {
        let is_tls = options.url.starts_with("https://");
        let client = if is_tls { tls::client(options.ca.as_deref())? } else { Client::default() };
        let mut client = client.with_url(&options.url);
        if let Some(user) = &options.user {
            client = client.with_user(user);
        }
        if let Some(password) = password {
            client = client.with_password(password.expose_secret());
        }
        let mut engine = Self { client, timeout: options.timeout };
        let name = options.database.replace('`', "");
        engine.execute(&format!("CREATE DATABASE IF NOT EXISTS `{name}`")).await?;
        engine.client = engine.client.with_database(name);
        tracing::info!(url = options.url, database = options.database, "ledger server reached");
        Ok(engine)
    }

    async fn within<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, StoreError> {
        match timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(translate),
            Err(_) => Err(StoreError::Unreachable(format!("no answer within {:?}", self.timeout))),
        }
    }
}

impl Engine for ServerEngine {
    fn execute<'a>(&'a self, sql: &'a str) -> Answer<'a, ()> {
        Box::pin(self.within(self.client.query_raw(sql).execute()))
    }

    fn select<'a>(&'a self, sql: &'a str, format: &'a str) -> Answer<'a, Vec<u8>> {
        Box::pin(self.within(async move {
            let mut cursor = self.client.query_raw(sql).fetch_bytes(format)?;
            Ok(cursor.collect().await?.to_vec())
        }))
    }

    fn insert<'a>(&'a self, block: &'a Block) -> Answer<'a, ()> {
        let sql = format!("INSERT INTO {} ({}) FORMAT {BLOCK_FORMAT}", block.table, block.columns);
        let mut insert = self
            .client
            .insert_formatted_with(sql)
            .with_timeouts(Some(self.timeout), Some(self.timeout))
            .with_setting("async_insert", "0");
        if let Some(token) = &block.token {
            insert = insert.with_setting("insert_deduplication_token", token);
        }
        Box::pin(self.within(async move {
            let mut data = block.data.clone();
            while !data.is_empty() {
                insert.send(data.split_to(CHUNK.min(data.len()))).await?;
            }
            insert.end().await
        }))
    }
}

fn translate(error: ClientError) -> StoreError {
    match error {
        ClientError::BadResponse(message) => StoreError::refused(message),
        ClientError::Network(_) | ClientError::TimedOut => StoreError::Unreachable(chain(&error)),
        other => StoreError::Answer(chain(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = ServerOptions {
            url: format!("http://{free}"),
            ca: None,
            database: "tollgate".to_owned(),
            user: None,
            timeout: Duration::from_secs(5),
        };
        let error = ServerEngine::open(&options, None).await.unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    }

    #[test]
    fn the_servers_error_code_is_kept() {
        let error = translate(ClientError::BadResponse("Code: 241. DB::Exception: memory".to_owned()));
        assert_eq!(error.code(), Some(241));
    }
}
