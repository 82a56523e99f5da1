//! Streams that stay open while little comes through them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::request::Target;
use super::response::ResponseReader;
use super::stats::Times;

/// One in so many chunks is timed.
const TIMED: u64 = 8;

/// Open streams.
#[derive(Debug)]
pub struct Held {
    shared: Arc<Shared>,
    streams: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    open: AtomicU64,
    broken: AtomicU64,
    chunks: AtomicU64,
    timing: AtomicBool,
    transits_us: Mutex<Vec<u32>>,
}

impl Held {
    /// Opens `count` streams, `per_second` of them each second.
    pub async fn open(target: &Target, count: usize, per_second: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let mut streams = JoinSet::new();
        for number in 0..count {
            streams.spawn(hold(target.clone(), Arc::clone(&shared)));
            if number % (per_second / 100).max(1) == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Self { shared, streams }
    }

    /// Streams that had a first byte and are not broken.
    #[must_use]
    pub fn alive(&self) -> u64 {
        self.shared.open.load(Ordering::Relaxed) - self.shared.broken.load(Ordering::Relaxed)
    }

    /// Chunks that came so far.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.shared.chunks.load(Ordering::Relaxed)
    }

    /// Forgets the times so far and takes new ones.
    pub fn start_timing(&self) {
        self.shared.transits_us.lock().clear();
        self.shared.timing.store(true, Ordering::Relaxed);
    }

    /// How long chunks were on their way since [`Held::start_timing`].
    #[must_use]
    pub fn transits(&self) -> Times {
        Times::new(self.shared.transits_us.lock().clone())
    }

    /// Closes all streams, from this side.
    pub async fn close(mut self) {
        self.streams.shutdown().await;
    }
}

async fn hold(target: Target, shared: Arc<Shared>) {
    if read(&target, &shared).await.is_err() {
        shared.broken.fetch_add(1, Ordering::Relaxed);
    }
}

async fn read(target: &Target, shared: &Shared) -> io::Result<()> {
    let mut stream = TcpStream::connect(target.addr).await.inspect_err(|_| {
        shared.open.fetch_add(1, Ordering::Relaxed);
    })?;
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    target.write(&mut request);
    stream.write_all(&request).await?;
    let mut buffer = vec![0; 4 << 10];
    let mut reader = ResponseReader::default();
    let mut opened = false;
    loop {
        let read = stream.read(&mut buffer).await?;
        if !std::mem::replace(&mut opened, true) {
            shared.open.fetch_add(1, Ordering::Relaxed);
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let done = reader.feed(&buffer[..read], &mut |data| note(data, shared)).map_err(io::Error::other)?;
        if done {
            let good = reader.good(true);
            return if good { Ok(()) } else { Err(io::Error::other("not a good answer")) };
        }
    }
}

fn note(data: &[u8], shared: &Shared) {
    let count = shared.chunks.fetch_add(1, Ordering::Relaxed);
    if !count.is_multiple_of(TIMED) || !shared.timing.load(Ordering::Relaxed) {
        return;
    }
    if let Some(sent) = sent_us(data) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        shared.transits_us.lock().push(u32::try_from(now.saturating_sub(sent)).unwrap_or(u32::MAX));
    }
}

/// The time that the simulated backend wrote into a chunk.
fn sent_us(data: &[u8]) -> Option<u128> {
    const NAME: &[u8] = b"\"sim_sent_us\":";
    let at = memchr::memmem::rfind(data, NAME)? + NAME.len();
    let digits = data.get(at..at + 16)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
