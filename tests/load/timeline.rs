//! A closed loop at a rate, with a record of every exchange: when it began, how long it took, how it ended.
//!
//! Each connection sends its next request when its turn comes and its last answer is there: a slow answer makes
//! its connection miss turns, which are not made up for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::paced::Pace;
use super::request::Target;
use super::response::ResponseReader;
use super::stats::{Times, micros};

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A whole, successful answer.
    Good,
    /// An error before the first byte of an answer: this status.
    Refused(u16),
    /// A stream that began and ended with an error event.
    ErrorEvent,
    /// An answer that broke off, or none.
    Cut,
}

/// One exchange.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it began.
    pub began: Instant,
    /// To the end of the answer, µs.
    pub took_us: u32,
    /// How it ended.
    pub end: End,
}

/// A running load.
#[derive(Debug)]
pub struct Timeline {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    connections: JoinSet<()>,
}

/// What happened between two moments.
#[derive(Debug, Clone, Default)]
pub struct Period {
    /// Times of good answers.
    pub times: Times,
    /// Requests.
    pub requests: u64,
    /// Of these, errors before the first byte of an answer.
    pub refused: u64,
    /// Of these, streams that ended with an error event.
    pub error_events: u64,
    /// Of these, answers that broke off without a word.
    pub cut: u64,
}

impl Timeline {
    /// Sends `targets` in turn at that pace until it is stopped; the pace's duration plays no part.
    #[must_use]
    pub fn start(targets: &[Target], pace: Pace) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        let every = Duration::from_secs(1) * pace.connections / pace.rate.max(1);
        for number in 0..pace.connections {
            let first = every * number / pace.connections.max(1);
            let worker = Worker {
                targets: targets.to_vec(),
                turn: number as usize,
                samples: Arc::clone(&samples),
                stop: Arc::clone(&stop),
            };
            connections.spawn(worker.run(first, every));
        }
        Self { samples, stop, connections }
    }

    /// What began in the `length` from `from` on, as far as it has ended.
    #[must_use]
    pub fn period(&self, from: Instant, length: Duration) -> Period {
        let samples = self.samples.lock();
        let within = samples.iter().filter(|sample| sample.began >= from && sample.began < from + length);
        Period::of(within)
    }

    /// Lets every connection finish its exchange; everything that happened.
    pub async fn stop(mut self) -> Period {
        self.stop.store(true, Ordering::Relaxed);
        while self.connections.join_next().await.is_some() {}
        Period::of(self.samples.lock().iter())
    }
}

impl Period {
    fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let (mut period, mut good) = (Self::default(), Vec::new());
        for sample in samples {
            period.requests += 1;
            match sample.end {
                End::Good => good.push(sample.took_us),
                End::Refused(_) => period.refused += 1,
                End::ErrorEvent => period.error_events += 1,
                End::Cut => period.cut += 1,
            }
        }
        period.times = Times::new(good);
        period
    }
}

struct Worker {
    targets: Vec<Target>,
    turn: usize,
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    async fn run(mut self, first: Duration, every: Duration) {
        let mut turns = tokio::time::interval_at(tokio::time::Instant::now() + first, every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut connection = None;
        while !self.stop.load(Ordering::Relaxed) {
            turns.tick().await;
            let Some(target) = self.targets.get(self.turn % self.targets.len().max(1)) else { return };
            self.turn += 1;
            let began = Instant::now();
            let end = exchange(&mut connection, target).await.unwrap_or(End::Cut);
            if end != End::Good {
                connection = None;
            }
            self.samples.lock().push(Sample { began, took_us: micros(began.elapsed()), end });
        }
    }
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    reader: ResponseReader,
}

async fn exchange(slot: &mut Option<Connection>, target: &Target) -> io::Result<End> {
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
    let mut error_event = false;
    loop {
        let read = connection.stream.read(&mut connection.buffer).await?;
        if read == 0 {
            return Ok(End::Cut);
        }
        let fed = connection.reader.feed(&connection.buffer[..read], &mut |data| {
            // The gateway writes an error event at once.
            error_event |= memchr::memmem::find(data, b"data: {\"error\":").is_some();
        });
        if fed.map_err(io::Error::other)? {
            return Ok(match connection.reader.status() {
                200 if connection.reader.good(target.stream) => End::Good,
                200 if error_event => End::ErrorEvent,
                200 => End::Cut,
                status => End::Refused(status),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_counts_each_end_once_and_times_good_answers_alone() {
        let sample = |took_us, end| Sample { began: Instant::now(), took_us, end };
        let samples = [
            sample(10, End::Good),
            sample(30, End::Good),
            sample(1_000, End::Refused(503)),
            sample(1_000, End::ErrorEvent),
            sample(1_000, End::Cut),
        ];
        let period = Period::of(samples.iter());
        assert_eq!((period.requests, period.refused, period.error_events, period.cut), (5, 1, 1, 1));
        assert_eq!(period.times.percentile_us(99.0), 30);
    }
}
