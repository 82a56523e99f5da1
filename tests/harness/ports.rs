//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// Below the ports that the kernel gives to outgoing connections, so that nothing takes one between this
/// answer and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address on which nothing listens, and which is not given twice by this process.
///
/// # Errors
/// When every port is taken.
pub fn free() -> Result<SocketAddr> {
    // Test programs that run side by side start at different places.
    let start = u16::try_from(std::process::id().wrapping_mul(131) % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_ok() {
            return Ok(addr);
        }
    }
    bail!("no free port from {FIRST} to {}", FIRST + COUNT - 1)
}
