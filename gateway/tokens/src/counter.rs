//! Counting large prompts away from the threads that serve connections: a few threads with a bounded queue.
//!
//! What does not fit into the queue is estimated by its size, at once and counted as such; a count that is taken
//! back by its caller is still finished. A panic in a count would cost that count alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::count::{Budget, Count};
use crate::encoding::Encoding;
use crate::estimate;
use crate::openai::{count_chat, count_input};
use crate::tally::count_text_within;

/// Texts up to this size are counted where they are, within [`Budget::inline`].
pub const INLINE_BYTES: usize = 4 << 10;
/// Threads of [`Counter::shared`].
const THREADS: usize = 2;
/// Counts that may wait in [`Counter::shared`]: at worst 16 × 100 ms / 2 threads of work.
const QUEUE: usize = 16;

/// What is to be counted.
#[derive(Debug, Clone)]
pub enum Work {
    /// A text; what is not UTF-8 counts as the replacement character.
    Text(Bytes),
    /// The `messages` of an OpenAI chat request and its `tools`, both JSON.
    Chat {
        /// The array.
        messages: Bytes,
        /// The array, if there is one.
        tools: Option<Bytes>,
    },
    /// The `input` of an embeddings request, JSON.
    Input(Bytes),
}

impl Work {
    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Input(bytes) => bytes.len(),
            Self::Chat { messages, tools } => messages.len() + tools.as_ref().map_or(0, Bytes::len),
        }
    }

    /// Whether there is nothing to count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts on this thread, with as much work as the budget allows.
    #[must_use]
    pub fn count(&self, model: &str, budget: Budget) -> Count {
        let counted = match self {
            Self::Text(text) => Some(count_text_within(model, &String::from_utf8_lossy(text), budget)),
            Self::Input(input) => json(input).map(|input| count_input(model, input, budget)),
            Self::Chat { messages, tools } => json(messages)
                .map(|messages| count_chat(model, messages, tools.as_ref().and_then(json), budget)),
        };
        counted.unwrap_or_else(|| self.estimate())
    }

    /// By size alone.
    #[must_use]
    pub fn estimate(&self) -> Count {
        Count::about(match self {
            Self::Text(text) => estimate::by_size(text.len() as u64),
            Self::Input(input) => estimate::by_json_size(input),
            Self::Chat { messages, tools } => {
                estimate::by_json_size(messages)
                    + tools.as_ref().map_or(0, |tools| estimate::by_json_size(tools))
            }
        })
    }
}

fn json(bytes: &Bytes) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}

/// What a [`Counter`] did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Counted where they were.
    pub inline: u64,
    /// Counted on the counter's threads.
    pub offloaded: u64,
    /// Estimated because the queue was full.
    pub queue_full: u64,
    /// Estimated because the count did not come to its end.
    pub failed: u64,
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads and their queue. They end when the counter is dropped and the queue is empty.
#[derive(Debug)]
pub struct Counter {
    queue: SyncSender<Job>,
    inline: AtomicU64,
    offloaded: AtomicU64,
    queue_full: AtomicU64,
    failed: AtomicU64,
}

impl Counter {
    /// Starts `threads` threads behind a queue of `queue` counts.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn new(threads: usize, queue: usize) -> std::io::Result<Self> {
        let (counter, receiver) = Self::without_threads(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads {
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name(format!("tokens-{number}"))
                .spawn(move || work_off(&receiver))?;
        }
        Ok(counter)
    }

    /// The counter of the process; its threads start at the first use.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Counter> = LazyLock::new(|| {
            Counter::new(THREADS, QUEUE).unwrap_or_else(|error| {
                tracing::error!(%error, "large prompts are estimated: the threads to count them cannot be started");
                Counter::without_threads(0).0
            })
        });
        &SHARED
    }

    /// Counts for `model`: small work at once, larger on the counter's threads, so that the caller's thread is
    /// never kept for longer than [`Budget::inline`] takes.
    pub async fn count(&self, model: &str, work: Work) -> Count {
        if work.len() <= INLINE_BYTES {
            self.inline.fetch_add(1, Relaxed);
            return work.count(model, Budget::inline());
        }
        let (estimate, model) = (work.estimate(), model.to_owned());
        self.run(estimate, move || work.count(&model, Budget::worker())).await
    }

    /// Runs any count on the counter's threads, say one over pieces of another API format. `estimate` is what
    /// comes of it if the queue is full or the count panics.
    pub async fn run(&self, estimate: Count, count: impl FnOnce() -> Count + Send + 'static) -> Count {
        let (sender, receiver) = oneshot::channel();
        let job = move || {
            // The receiver is gone if the caller is; then nobody wants to know.
            let _ = sender.send(count());
        };
        if self.queue.try_send(Box::new(job)).is_err() {
            self.queue_full.fetch_add(1, Relaxed);
            return estimate;
        }
        let (counted, outcome) = match receiver.await {
            Ok(count) => (count, &self.offloaded),
            Err(_) => (estimate, &self.failed),
        };
        outcome.fetch_add(1, Relaxed);
        counted
    }

    /// Loads an encoding's tables on the counter's threads, so that no request waits for them.
    pub fn preload(&self, encoding: Encoding) {
        let load = move || {
            if let Err(error) = encoding.load() {
                tracing::error!(%error, ?encoding, "prompts are estimated");
            }
        };
        if self.queue.try_send(Box::new(load)).is_err() {
            tracing::debug!(?encoding, "not loaded yet: the queue is full");
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            inline: self.inline.load(Relaxed),
            offloaded: self.offloaded.load(Relaxed),
            queue_full: self.queue_full.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }

    fn without_threads(queue: usize) -> (Self, Receiver<Job>) {
        let (sender, receiver) = sync_channel(queue);
        let counter = Self {
            queue: sender,
            inline: AtomicU64::new(0),
            offloaded: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        (counter, receiver)
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("counting a prompt panicked; it is estimated");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_work_is_counted_exactly_on_other_threads() {
        let counter = Counter::new(1, 4).unwrap();
        let text = "word ".repeat(2_000);
        let count = counter.count("gpt-4o", Work::Text(text.into())).await;
        assert_eq!(count, Count::exactly(2_001));
        assert_eq!(counter.stats(), Stats { offloaded: 1, ..Stats::default() });
    }

    #[tokio::test]
    async fn small_work_is_counted_at_once() {
        let counter = Counter::new(1, 1).unwrap();
        let chat = Work::Chat { messages: r#"[{"role":"user","content":"Say hi"}]"#.into(), tools: None };
        assert_eq!(counter.count("gpt-4o", chat).await, Count::exactly(9));
        assert_eq!(counter.count("gpt-4o", Work::Input("[1,2,3]".into())).await, Count::exactly(3));
        assert_eq!(counter.stats().inline, 2);
    }

    #[tokio::test]
    async fn what_finds_the_queue_full_is_estimated() {
        let counter = Counter::new(0, 1).unwrap();
        drop(counter.queue.try_send(Box::new(|| ())));
        let count = counter.count("gpt-4o", Work::Text(" ".repeat(8_000).into())).await;
        assert_eq!(count, Count::about(2_000));
        assert_eq!(counter.stats().queue_full, 1);
    }

    #[tokio::test]
    async fn a_panic_costs_one_estimate_and_no_thread() {
        let counter = Counter::new(1, 4).unwrap();
        let count = counter.run(Count::about(7), || panic!("as a test")).await;
        assert_eq!(count, Count::about(7));
        assert_eq!(counter.run(Count::about(7), || Count::exactly(1)).await, Count::exactly(1));
        assert_eq!(counter.stats(), Stats { offloaded: 1, failed: 1, ..Stats::default() });
    }

    #[tokio::test]
    async fn json_that_is_none_is_estimated() {
        let counter = Counter::new(1, 1).unwrap();
        assert_eq!(counter.count("gpt-4o", Work::Input("not json".into())).await, Count::about(2));
    }
}
