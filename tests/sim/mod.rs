//! A model backend in the OpenAI format that invents its answers.
//!
//! It shares the machine with what is measured, so it is lean: one thread, no framework, answers rendered once
//! where the options fix them. Everything it says is a function of the request, so that tests can compute
//! what a report must show. Faults are switched on while it runs, see [`faults`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

pub mod answer;
pub mod body;
pub mod faults;
pub mod models;
mod render;
pub mod request;
mod routes;
pub mod state;
pub mod tokens;
mod wire;

pub use state::{Seen, State};
pub use tokens::TokenMode;

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
}

/// A running backend; it stops when this is dropped.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl Sim {
    /// Listens on `addr` (port 0 picks one) and serves on the current runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(addr: SocketAddr, options: Options) -> Result<Self> {
        let listener = TcpListener::bind(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::new(options));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { addr, state, accepting })
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
    }
}

/// Accepts for ever. Connections live in a set that dies with this task.
async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: those of closing connections come back in a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        let (cut, cutter) = tokio::sync::oneshot::channel::<AbortHandle>();
        let handle = connections.spawn(async move {
            let Ok(this) = cutter.await else { return };
            let service = service_fn(move |request| {
                let (state, this) = (Arc::clone(&state), this.clone());
                async move { routes::serve(request, &state, this).await }
            });
            // An error here is a client that went away, which is its right.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        let _ = cut.send(handle);
    }
}
