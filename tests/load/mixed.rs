//! Mixed chat requests, plain and streamed, with a notebook of what their clients saw.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::gateway::{chat, chat_stream};
use crate::harness::http::Client;
use crate::harness::keys;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tollgate_schemas::ids::RequestId;

/// What clients saw.
#[derive(Debug, Default)]
pub struct Notebook {
    /// Requests begun.
    begun: AtomicU64,
    /// Requests that ended, one way or the other.
    ended: AtomicU64,
    /// Requests that got no whole answer.
    failed: AtomicU64,
    /// Ids of requests whose client has the whole answer.
    complete: Mutex<Vec<RequestId>>,
    /// The first failure, for people.
    first_failure: Mutex<Option<String>>,
}

impl Notebook {
    /// Requests begun so far.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Requests that ended so far, one way or the other.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Requests that got no whole answer so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Requests whose client has the whole answer.
    #[must_use]
    pub fn complete(&self) -> Vec<RequestId> {
        self.complete.lock().clone()
    }

    /// The first failure.
    #[must_use]
    pub fn first_failure(&self) -> Option<String> {
        self.first_failure.lock().clone()
    }
}

/// Running traffic.
#[derive(Debug)]
pub struct Traffic {
    notebook: Arc<Notebook>,
    stop: Arc<AtomicBool>,
    senders: JoinSet<()>,
}

impl Traffic {
    /// Keeps `connections` requests under way, each `pause` after the last, with the keys of `subscribers` in
    /// turn. The gateway needs the aliases `chat` and `large`.
    #[must_use]
    pub fn start(addr: SocketAddr, subscribers: &[&str], connections: u32, pause: Duration) -> Self {
        let notebook = Arc::new(Notebook::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for number in 0..connections {
            let name = subscribers[number as usize % subscribers.len().max(1)];
            let client = Client::new(addr).bearer(&keys::text(name));
            senders.spawn(send(client, number, pause, Arc::clone(&notebook), Arc::clone(&stop)));
        }
        Self { notebook, stop, senders }
    }

    /// What clients saw so far.
    #[must_use]
    pub fn notebook(&self) -> &Notebook {
        &self.notebook
    }

    /// Lets the requests under way end.
    pub async fn stop(mut self) -> Arc<Notebook> {
        self.stop.store(true, Ordering::Relaxed);
        while self.senders.join_next().await.is_some() {}
        self.notebook
    }
}

async fn send(client: Client, number: u32, pause: Duration, notebook: Arc<Notebook>, stop: Arc<AtomicBool>) {
    let mut turn = u64::from(number);
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        notebook.begun.fetch_add(1, Ordering::Relaxed);
        let seen = exchange(&client, turn).await;
        notebook.ended.fetch_add(1, Ordering::Relaxed);
        match seen {
            Ok(id) => notebook.complete.lock().push(id),
            Err(reason) => {
                notebook.failed.fetch_add(1, Ordering::Relaxed);
                notebook.first_failure.lock().get_or_insert(format!("{reason:#}"));
            }
        }
        // A gateway that is being restarted refuses at once: no need to ask a thousand times.
        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
    }
}

/// Plain and streamed, fast and slow, short and long in turn. Gives the request id of a whole answer.
async fn exchange(client: &Client, turn: u64) -> anyhow::Result<RequestId> {
    let model = if turn.is_multiple_of(5) { "large" } else { "chat" };
    let text = "How do we keep the books straight? ".repeat(1 + (turn % 7) as usize * 4);
    let text = format!("{turn}: {text}");
    let id = if turn.is_multiple_of(2) {
        let reply = client.post("/v1/chat/completions", &chat(model, &text)).await?;
        anyhow::ensure!(reply.status == 200, "{}: {}", reply.status, reply.text());
        anyhow::ensure!(
            reply.json()["choices"][0]["message"]["content"].is_string(),
            "no answer: {}",
            reply.text()
        );
        reply.header("x-request-id").to_owned()
    } else {
        let mut stream = client.stream("/v1/chat/completions", &chat_stream(model, &text)).await?;
        anyhow::ensure!(stream.status == 200, "{}", stream.status);
        let events = tokio::time::timeout(Duration::from_secs(60), stream.rest()).await??;
        anyhow::ensure!(events.last().is_some_and(|event| event == "[DONE]"), "the stream ended early");
        stream.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
    };
    Ok(RequestId(id.parse().map_err(|_| anyhow::anyhow!("x-request-id is no UUID: {id:?}"))?))
}
