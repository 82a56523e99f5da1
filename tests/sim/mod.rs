//! A model backend that invents its answers: in the OpenAI format on a lean path for load, and as the
//! [`providers`] do on theirs.
//!
//! It shares the machine with what is measured, so it is lean: one thread, no framework, answers rendered once
//! where the options fix them. Everything it says is a function of the request, so that tests can compute
//! what a report must show. Faults are switched on while it runs: [`faults`] of answers, down to their bytes
//! ([`raw`]), and of the [`port`] itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub mod answer;
pub mod body;
pub mod faults;
pub mod models;
pub mod port;
pub mod providers;
pub mod raw;
mod render;
pub mod request;
mod routes;
mod socket;
pub mod state;
pub mod tokens;
pub mod traffic;
mod wire;

pub use port::Port;
pub use state::{Seen, State};
pub use tokens::TokenMode;

use self::faults::Faults;

/// What the backend does without being asked by a request.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The API key that callers must present; none accepts everybody.
    pub key: Option<String>,
    /// How tokens are counted.
    pub tokens: TokenMode,
    /// Length of every answer, bytes; none lets the request decide.
    pub answer_bytes: Option<usize>,
    /// Content chunks of every stream; none gives one a word.
    pub chunks: Option<usize>,
    /// Pause before each content chunk of a stream.
    pub chunk_delay: Duration,
    /// Whether chunks carry the time they were sent, for measuring their way.
    pub stamp: bool,
    /// Whether requests are kept for `/sim/requests`.
    pub record: bool,
    /// Seed of whatever is random: which requests a fault with a probability hits.
    pub seed: u64,
    /// What goes wrong from the start, by model.
    pub faults: BTreeMap<String, Faults>,
    /// What the port does at the start.
    pub port: Port,
    /// A second address that answers whatever the port does.
    pub control: Option<SocketAddr>,
}

/// A running backend; it stops when this is dropped.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
    control: Option<JoinHandle<()>>,
}

impl Sim {
    /// Listens on `addr` (port 0 picks one) and serves on the current runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(addr: SocketAddr, options: Options) -> Result<Self> {
        let listener = bind(addr).await?;
        let addr = listener.local_addr()?;
        let control = match options.control {
            Some(control) => Some(bind(control).await?),
            None => None,
        };
        let state = Arc::new(State::new(options));
        let control = control.map(|listener| tokio::spawn(port::serve_control(listener, Arc::clone(&state))));
        let accepting = tokio::spawn(port::serve(addr, listener, Arc::clone(&state)));
        Ok(Self { addr, state, accepting, control })
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

    /// Counters and faults.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Serves until the process ends.
    pub async fn run(mut self) {
        let _ = (&mut self.accepting).await;
    }

    /// Stops accepting and cuts every open connection; done when nothing of it runs any more.
    pub async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Some(control) = &self.control {
            control.abort();
        }
    }
}

async fn bind(addr: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))
}
