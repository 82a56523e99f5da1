//! Clients that stop reading their answer, and clients that send their body a byte a second, beside good ones.
//!
//! Bounds: within the deadline after they began, places, memory, calls of backends and open records are back; no
//! request of the others fails meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tollgate_tests::harness::gateway::{BACKEND_KEY, Gateway, GatewayConfig, Subscriber, chat_stream};
use tollgate_tests::harness::{keys, leaks};
use tollgate_tests::load::mixed::Traffic;
use tollgate_tests::sim::{Options, Sim};

use crate::figures::{Figures, progress};

/// How long a client may be behind.
const PATIENCE: Duration = Duration::from_secs(5);
/// When all must be back: the patience, and what a busy machine needs to begin and end so many calls.
const DEADLINE: Duration = Duration::from_secs(30);
/// Length of an answer that nobody reads: more than the buffers on its way take.
const ANSWER_BYTES: usize = 2 << 20;
/// Chunks of it: few, so that making them costs little.
const CHUNKS: usize = 64;
/// Requests of good clients at a time, and the pause of each.
const CONNECTIONS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(50);

/// Runs the drill.
pub(crate) async fn run(clients: u32) -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    progress("starting two simulated backends and the gateway");
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let usual = Options { key: Some(BACKEND_KEY.to_owned()), ..Options::default() };
    let long = Options { answer_bytes: Some(ANSWER_BYTES), chunks: Some(CHUNKS), ..usual.clone() };
    let (sim, long_sim) = (Sim::start(local, usual).await?, Sim::start(local, long).await?);
    let stalled =
        Subscriber { name: "stalled", product: "long", tenant: "acme", cost_center: "4712", team: "stalled" };
    let config = GatewayConfig::usual(folder.path(), &sim.url())?
        .backend("long", &long_sim.url())
        .alias("long", "long", "sim-small")
        .product("long", &["long"])
        .subscription(&stalled)
        .set("server.write_timeout", json!("5s"))
        .set("server.body_timeout", json!("5s"));
    let mut gateway = config.start().await?;
    let traffic = Traffic::start(gateway.addr(), &["checkout"], CONNECTIONS, PAUSE);

    progress(format_args!("{clients} clients that stop reading or send a byte a second"));
    let mut tasks = JoinSet::new();
    for number in 0..clients {
        let addr = gateway.addr();
        tasks.spawn(async move {
            // Whatever becomes of it, it is the gateway that is looked at.
            let _ = if number % 2 == 0 { reads_nothing(addr).await } else { trickles(addr).await };
        });
    }
    tokio::time::sleep(PATIENCE).await;
    let (held, back) = given_back(&gateway, began).await?;
    tasks.shutdown().await;
    let notebook = traffic.stop().await;
    gateway.stop().await?;
    if let Some(failure) = notebook.first_failure() {
        progress(format_args!("the first failure: {failure}"));
    }
    Figures::default()
        .put("drill", "stalled-clients")
        .put("clients", clients)
        .put("requests_of_others", notebook.begun())
        .bound("failed", notebook.failed(), 0)
        .put("back_after_ms", back.as_millis())
        .bound("in_flight", held.in_flight, u64::from(CONNECTIONS))
        .bound("open_intents", held.open_intents, u64::from(CONNECTIONS))
        .bound("memory_bytes", held.memory_bytes, 1 << 20)
        .bound("running", held.running, u64::from(CONNECTIONS))
        .put("seconds", began.elapsed().as_secs())
        .finish()
}

/// What the gateway holds; the good clients have a little of it at any time.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    in_flight: u64,
    open_intents: u64,
    memory_bytes: u64,
    running: u64,
}

/// Waits until no more is held than the good clients need, or the deadline is over; then bounds say what is.
async fn given_back(gateway: &Gateway, began: Instant) -> Result<(Held, Duration)> {
    let from = Instant::now();
    loop {
        let metrics = gateway.admin().get("/metrics").await?.text();
        let held = Held {
            in_flight: leaks::sum(&metrics, "tollgate_deployment_in_flight"),
            open_intents: leaks::sum(&metrics, "tollgate_spool_open_intents"),
            memory_bytes: leaks::sum(&metrics, "tollgate_memory_used_bytes"),
            running: leaks::sum(&metrics, "tollgate_requests_running"),
        };
        let good = u64::from(CONNECTIONS);
        let few = held.in_flight <= good && held.open_intents <= good && held.running <= good;
        if (few && held.memory_bytes <= 1 << 20) || from.elapsed() >= DEADLINE {
            return Ok((held, began.elapsed()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn head(length: usize) -> String {
    let key = keys::text("stalled");
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// Asks for a long stream, reads its beginning, and then nothing.
async fn reads_nothing(addr: SocketAddr) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(16 << 10)?;
    let mut connection = socket.connect(addr).await?;
    let body = chat_stream("long", "tell me everything").to_string();
    connection.write_all((head(body.len()) + &body).as_bytes()).await?;
    connection.read_exact(&mut [0; 64]).await?;
    tokio::time::sleep(DEADLINE * 2).await;
    Ok(())
}

/// Announces a body and sends a byte of it a second.
async fn trickles(addr: SocketAddr) -> Result<()> {
    let mut connection = TcpStream::connect(addr).await?;
    connection.write_all(head(1 << 20).as_bytes()).await?;
    loop {
        connection.write_all(b" ").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
