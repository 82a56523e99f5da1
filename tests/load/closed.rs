//! Closed loop: every connection sends its next request as soon as it has its answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::request::Target;
use super::response::ResponseReader;

/// Counters of a running load; read them at any time.
#[derive(Debug, Default)]
pub struct Counters {
    /// Whole, successful answers.
    pub good: AtomicU64,
    /// Everything else.
    pub bad: AtomicU64,
}

impl Counters {
    /// Whole, successful answers so far.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// Failed exchanges so far.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.bad.load(Ordering::Relaxed)
    }
}

/// A running load.
#[derive(Debug)]
pub struct ClosedLoop {
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    connections: JoinSet<()>,
}

impl ClosedLoop {
    /// Starts `connections` connections to `target` on the current runtime.
    #[must_use]
    pub fn start(target: &Target, connections: usize) -> Self {
        let counters = Arc::new(Counters::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut set = JoinSet::new();
        for _ in 0..connections {
            set.spawn(busy(target.clone(), Arc::clone(&counters), Arc::clone(&stop)));
        }
        Self { counters, stop, connections: set }
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Lets every connection finish its exchange; done when all have.
    pub async fn stop(mut self) -> Arc<Counters> {
        self.stop.store(true, Ordering::Relaxed);
        while self.connections.join_next().await.is_some() {}
        self.counters
    }
}

async fn busy(target: Target, counters: Arc<Counters>, stop: Arc<AtomicBool>) {
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        match exchange(&mut connection, &target).await {
            Ok(true) => counters.good.fetch_add(1, Ordering::Relaxed),
            Ok(false) | Err(_) => {
                connection = None;
                // Where nothing listens, this is no race to the bottom.
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                counters.bad.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// A connection and its buffers.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    reader: ResponseReader,
}

async fn exchange(slot: &mut Option<Connection>, target: &Target) -> io::Result<bool> {
    let connection = match slot {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(target.addr).await?;
            stream.set_nodelay(true)?;
            let (request, buffer) = (Vec::new(), vec![0; 16 << 10]);
            slot.insert(Connection { stream, request, buffer, reader: ResponseReader::default() })
        }
    };
    target.write(&mut connection.request);
    connection.stream.write_all(&connection.request).await?;
    connection.reader.reset();
    loop {
        let read = connection.stream.read(&mut connection.buffer).await?;
        if read == 0 {
            return Ok(false);
        }
        let fed = connection.reader.feed(&connection.buffer[..read], &mut |_| {});
        if fed.map_err(io::Error::other)? {
            return Ok(connection.reader.good(target.stream));
        }
    }
}
