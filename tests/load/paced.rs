//! Fixed rate: requests leave at their moment, whether or not earlier ones are answered.
//!
//! One thread a connection, blocking sockets and the kernel's timer: an async runtime's timers are too coarse for
//! a thousand requests a second. A request that had to wait for the connection is timed from its moment.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::request::Target;
use super::response::ResponseReader;
use super::stats::{Times, micros};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What to send.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests a second, over all connections.
    pub rate: u32,
    /// Connections.
    pub connections: u32,
    /// For how long.
    pub duration: Duration,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Paced {
    /// From the request's moment to the first byte of the answer's body.
    pub first: Times,
    /// From the request's moment to the end of the answer.
    pub whole: Times,
    /// Exchanges that failed.
    pub bad: u64,
}

/// Sends `target` at that pace; blocks until the last answer.
#[must_use]
pub fn run(target: &Target, pace: Pace) -> Paced {
    let start = Instant::now() + Duration::from_millis(50);
    let workers = (0..pace.connections).map(|number| {
        let target = target.clone();
        std::thread::spawn(move || worker(&target, pace, number, start))
    });
    let workers = workers.collect::<Vec<_>>();
    let (mut first, mut whole, mut bad) = (Vec::new(), Vec::new(), 0);
    for worker in workers {
        let Ok(part) = worker.join() else {
            bad += 1;
            continue;
        };
        first.extend(part.first_us);
        whole.extend(part.whole_us);
        bad += part.bad;
    }
    Paced { first: Times::new(first), whole: Times::new(whole), bad }
}

#[derive(Default)]
struct Part {
    first_us: Vec<u32>,
    whole_us: Vec<u32>,
    bad: u64,
}

fn worker(target: &Target, pace: Pace, number: u32, start: Instant) -> Part {
    let mut part = Part::default();
    let mut connection = None;
    let step = Duration::from_secs(1) / pace.rate.max(1);
    for slot in (number..).step_by(pace.connections as usize) {
        let moment = start + step * slot;
        if moment >= start + pace.duration {
            break;
        }
        let late = Instant::now() >= moment;
        if !late {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        }
        // Waking up late is this machine's doing, a connection that is still busy the server's.
        let from = if late { moment } else { Instant::now() };
        match exchange(&mut connection, target) {
            Ok((first, end)) => {
                part.first_us.push(micros(first.saturating_duration_since(from)));
                part.whole_us.push(micros(end.saturating_duration_since(from)));
            }
            Err(_) => {
                connection = None;
                part.bad += 1;
            }
        }
    }
    part
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    reader: ResponseReader,
}

/// Moments of the body's first byte and of the answer's end.
fn exchange(slot: &mut Option<Connection>, target: &Target) -> io::Result<(Instant, Instant)> {
    let connection = match slot {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(target.addr)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LIMIT))?;
            let (request, buffer) = (Vec::new(), vec![0; 16 << 10]);
            slot.insert(Connection { stream, request, buffer, reader: ResponseReader::default() })
        }
    };
    target.write(&mut connection.request);
    connection.stream.write_all(&connection.request)?;
    connection.reader.reset();
    let mut first = None;
    loop {
        let read = connection.stream.read(&mut connection.buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let fed = connection.reader.feed(&connection.buffer[..read], &mut |_| {
            first.get_or_insert_with(Instant::now);
        });
        if fed.map_err(io::Error::other)? {
            let end = Instant::now();
            let good = connection.reader.good(target.stream);
            return if good {
                Ok((first.unwrap_or(end), end))
            } else {
                Err(io::Error::other("not a good answer"))
            };
        }
    }
}
