//! The port of the backend: open, closed, or deaf; and the connections on it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::sim::raw::Script;
use crate::sim::state::{Connected, State, UnderWay};
use crate::sim::{routes, socket};

/// Pause before another try where a socket cannot be had.
const AGAIN: Duration = Duration::from_millis(10);

/// What the port does. A change cuts every connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    /// Answers.
    #[default]
    Open,
    /// Does not exist: connections are refused.
    Closed,
    /// Accepts connections and never reads from them.
    Deaf,
}

/// An answer that is written past the HTTP server.
#[derive(Debug)]
pub(super) struct Takeover {
    pub(super) script: Script,
    /// The model that is to blame.
    pub(super) model: &'static str,
    /// Whether the script is a good answer.
    pub(super) good: bool,
    pub(super) under_way: UnderWay,
}

/// Serves `addr` for ever, as the state's port says.
pub(super) async fn serve(addr: SocketAddr, listener: TcpListener, state: Arc<State>) {
    let mut port = state.port();
    let mut listener = Some(listener);
    loop {
        let wanted = *port.borrow_and_update();
        if wanted == Port::Closed {
            listener = None;
            if port.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listening = match listener.take() {
            Some(listening) => listening,
            None => listen_again(addr).await,
        };
        tokio::select! {
            _ = port.changed() => {}
            () = accept(&listening, &state, wanted) => {}
        }
        listener = Some(listening);
    }
}

/// Serves a second address, whatever the port does; its connections are not counted.
pub(super) async fn serve_control(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        if let Some(stream) = next(&listener, &mut connections).await {
            spawn(&mut connections, stream, &state, None);
        }
    }
}

async fn listen_again(addr: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(addr).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Accepts for ever. Connections live in a set that dies with this future.
async fn accept(listener: &TcpListener, state: &Arc<State>, port: Port) {
    let mut connections = JoinSet::new();
    loop {
        let Some(stream) = next(listener, &mut connections).await else { continue };
        let connected = state.count_connection();
        if port == Port::Deaf {
            connections.spawn(async move {
                socket::hold(stream).await;
                drop(connected);
            });
        } else {
            spawn(&mut connections, stream, state, Some(connected));
        }
    }
}

/// The next connection; none when it is worth asking again.
async fn next(listener: &TcpListener, connections: &mut JoinSet<()>) -> Option<TcpStream> {
    let accepted = tokio::select! {
        accepted = listener.accept() => accepted,
        Some(_) = connections.join_next() => return None,
    };
    let Ok((stream, _)) = accepted else {
        // Out of descriptors, most likely: those of closing connections come back in a moment.
        tokio::time::sleep(AGAIN).await;
        return None;
    };
    let _ = stream.set_nodelay(true);
    Some(stream)
}

/// Serves a connection in a task of its own.
fn spawn(connections: &mut JoinSet<()>, stream: TcpStream, state: &Arc<State>, connected: Option<Connected>) {
    let state = Arc::clone(state);
    let (cut, cutter) = oneshot::channel::<AbortHandle>();
    let handle = connections.spawn(async move {
        if let Ok(this) = cutter.await {
            converse(stream, &state, this).await;
        }
        drop(connected);
    });
    let _ = cut.send(handle);
}

/// Answers requests until the connection ends, or is taken over for an answer that no HTTP server would give.
async fn converse(stream: TcpStream, state: &Arc<State>, this: AbortHandle) {
    let (takeovers, mut taken_over) = mpsc::channel::<Takeover>(1);
    let service = service_fn(|request| {
        let (state, this, takeovers) = (Arc::clone(state), this.clone(), takeovers.clone());
        async move { routes::serve(request, &state, this, &takeovers).await }
    });
    let mut http =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let takeover = tokio::select! {
        // An error here is a client that went away, which is its right.
        _ = &mut http => None,
        takeover = taken_over.recv() => takeover,
    };
    let Some(Takeover { script, model, good, under_way }) = takeover else { return };
    let left = socket::play(http.into_parts().io.into_inner(), &script).await;
    state.end(model, good && !left);
    drop(under_way);
}
