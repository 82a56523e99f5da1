//! Accounting under test.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::http::Client;
use super::service::Service;
use super::{install, ports};

/// A running accounting service on the ledger engine in its own process.
#[derive(Debug)]
pub struct Accounting {
    service: Service,
    listen: SocketAddr,
}

impl Accounting {
    /// Whether the ledger engine is installed.
    #[must_use]
    pub fn engine_available() -> bool {
        let found = install::home().join("lib/libchdb.so").is_file();
        install::available("the ledger engine", found, "run deploy/setup/chdb")
    }

    /// Starts it with its files in `folder`, on the events that `events` says, with the prices of `price_book`.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub async fn start(folder: &Path, events: Value, price_book: &Path) -> Result<Self> {
        let listen = ports::free()?;
        let folder = folder.join("accounting");
        let config = json!({
            "listen": listen.to_string(),
            "events": events,
            "group": format!("accounting-{listen}"),
            "store": { "embedded": { "path": folder.join("store") } },
            "price_book": price_book,
        });
        let service = Service::start("tollgate-accounting", &folder, &config, listen, &[]).await?;
        Ok(Self { service, listen })
    }

    /// A client of its HTTP interface.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.listen)
    }

    /// The service's process and files.
    pub fn service(&mut self) -> &mut Service {
        &mut self.service
    }

    /// The chargeback report of a month, as JSON.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn chargeback(&self, month: &str, by: &str) -> Result<Value> {
        let path = format!("/v1/reports/chargeback?month={month}&by={by}&format=json");
        let reply = self.client().get(&path).await?;
        ensure!(reply.status.is_success(), "the report failed with {}: {}", reply.status, reply.text());
        Ok(reply.json())
    }
}
