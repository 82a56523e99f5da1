//! An actix server on a thread of its own, whatever runtime the caller has.
//!
//! Invariant: after [`ServerThread::stop`] the thread has ended, so nothing that its handlers held is alive:
//! the embedded engine must be closed before the process ends.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::{Server, ServerHandle};

/// A running server; dropping it stops it without waiting.
#[derive(Debug)]
pub(crate) struct ServerThread {
    addr: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl ServerThread {
    /// Runs the server that `make` makes, and returns when it accepts connections on `addr`.
    pub(crate) fn start(
        name: &str,
        addr: SocketAddr,
        make: impl FnOnce() -> io::Result<Server> + Send + 'static,
    ) -> io::Result<Self> {
        let (report, started) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(run(make, &report));
        })?;
        let handle = started.recv().map_err(|_| io::Error::other("the server thread ended"))??;
        Ok(Self { addr, handle, thread: Some(thread) })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers what has been asked, then ends the thread.
    pub(crate) async fn stop(mut self) {
        self.handle.stop(true).await;
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the HTTP server did not end in good order");
            }
        }
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        // Sends the command at once; the returned future only waits for it.
        drop(self.handle.stop(false));
    }
}

async fn run(make: impl FnOnce() -> io::Result<Server>, report: &mpsc::Sender<io::Result<ServerHandle>>) {
    match make() {
        Ok(server) => {
            let _ = report.send(Ok(server.handle()));
            if let Err(error) = server.await {
                tracing::error!(%error, "the HTTP server ended");
            }
        }
        Err(error) => drop(report.send(Err(error))),
    }
}
