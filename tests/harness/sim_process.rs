//! The simulated backend as a process of its own, that can be killed and started again at the same address.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::gateway::{BACKEND_KEY, BACKEND_KEY_ENV};
use super::http::Client;
use super::install::binary;
use super::process::Process;
use super::{ports, wait};
use crate::sim::faults::Faults;
use crate::sim::traffic::Traffic;

/// A running backend.
#[derive(Debug)]
pub struct SimProcess {
    addr: SocketAddr,
    options: Vec<String>,
    process: Process,
}

impl SimProcess {
    /// Starts it on a free port with the test's backend key and more options of `tollgate-sim`.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub async fn start(options: &[&str]) -> Result<Self> {
        let addr = ports::free()?;
        let options = options.iter().map(|&option| option.to_owned()).collect::<Vec<_>>();
        let mut sim = Self { addr, process: launch(addr, &options)?, options };
        sim.listens().await?;
        Ok(sim)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The `url` of a backend in a gateway configuration.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same address, without faults and with all counters at zero.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.kill();
        self.process = launch(self.addr, &self.options)?;
        self.listens().await
    }

    /// Replaces the faults of a model; the default ends them.
    ///
    /// # Errors
    /// When the backend cannot be asked.
    pub async fn set_fault(&self, model: &str, faults: &Faults) -> Result<()> {
        let body = serde_json::json!({ model: faults }).to_string();
        self.ask(Method::PUT, "/sim/faults", &body).await.map(drop)
    }

    /// Watches anew how many requests come at once until one is answered well.
    ///
    /// # Errors
    /// When the backend cannot be asked.
    pub async fn watch_again(&self) -> Result<()> {
        self.ask(Method::POST, "/sim/watch", "").await.map(drop)
    }

    /// Connections and requests under way; the connection that asks is one of them.
    ///
    /// # Errors
    /// When the backend cannot be asked.
    pub async fn traffic(&self) -> Result<Traffic> {
        let stats = self.ask(Method::GET, "/sim/stats", "").await?;
        serde_json::from_value(stats["traffic"].clone()).context("the backend's counters cannot be read")
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Value> {
        let reply = Client::new(self.addr).send(method, path, Bytes::from(body.to_owned())).await?;
        ensure!(reply.status.is_success(), "{path} of the backend: {}", reply.text());
        Ok(reply.json())
    }

    async fn listens(&mut self) -> Result<()> {
        let log = self.process.log().clone();
        self.process.ready(wait::START, || std::future::ready(log.find("listening addr=").is_some())).await
    }
}

fn launch(addr: SocketAddr, options: &[String]) -> Result<Process> {
    let mut command = Command::new(binary("tollgate-sim")?);
    command.args(["--listen", &addr.to_string(), "--key-env", BACKEND_KEY_ENV]).args(options);
    command.env(BACKEND_KEY_ENV, BACKEND_KEY);
    Process::start("tollgate-sim", &mut command)
}
