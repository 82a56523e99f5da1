//! From a text to its meaning: the port, its two implementations, and what stands before them.
//!
//! Invariants:
//! * a vector describes the *whole* text; what a model cannot see whole is refused as
//!   [`EmbedError::Unsuitable`], never embedded in part;
//! * at most a configured number of texts is embedded at a time on behalf of lookups, each on a blocking
//!   thread; a lookup that gives up does not wait any longer, and its vector is remembered all the same.

mod memo;
pub mod minilm;
pub mod openai;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::memo::Memo;
use crate::metrics::Metrics;

/// A model that embeds texts.
pub trait Embedder: Send + Sync + fmt::Debug {
    /// Names the model; vectors are compared only with vectors of the same name.
    fn name(&self) -> &str;

    /// Components of a vector.
    fn dimensions(&self) -> usize;

    /// The unit vector of a text. Blocks; never called from an asynchronous thread.
    ///
    /// # Errors
    /// See [`EmbedError`].
    fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError>;
}

/// Why a text has no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The model cannot judge this text; another try gives the same answer.
    #[error("the text cannot be compared by meaning: {0}")]
    Unsuitable(&'static str),
    /// The model did not do it this time.
    #[error("the text could not be embedded: {0}")]
    Failed(String),
}

/// An embedder with a memory and a bounded number of seats. A cheap handle.
#[derive(Debug, Clone)]
pub struct Embeddings {
    model: Arc<dyn Embedder>,
    memo: Arc<Mutex<Memo>>,
    seats: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    runtime: Handle,
    max_text_bytes: usize,
}

impl Embeddings {
    /// Lets `model` embed at most `seats` texts of lookups at a time, on blocking threads of `runtime`, and
    /// remembers the last `remembered` vectors.
    #[must_use]
    pub fn new(
        model: Arc<dyn Embedder>,
        metrics: Arc<Metrics>,
        runtime: Handle,
        bounds: EmbeddingBounds,
    ) -> Self {
        let memo = Arc::new(Mutex::new(Memo::new(bounds.remembered)));
        let seats = Arc::new(Semaphore::new(bounds.seats.max(1)));
        Self { model, memo, seats, metrics, runtime, max_text_bytes: bounds.max_text_bytes }
    }

    /// Name of the model.
    #[must_use]
    pub fn name(&self) -> &str {
        self.model.name()
    }

    /// The unit vector of a text, for lookups.
    ///
    /// # Errors
    /// As the model says.
    pub async fn embed(&self, text: &str) -> Result<Arc<[f32]>, EmbedError> {
        if let Some(known) = self.recall(text)? {
            return Ok(known);
        }
        let seat = Arc::clone(&self.seats).acquire_owned().await;
        let seat = seat.map_err(|_| EmbedError::Failed("shutting down".to_owned()))?;
        let (this, text) = (self.clone(), text.to_owned());
        let work = self.runtime.spawn_blocking(move || {
            let _seat = seat;
            this.embed_blocking(&text)
        });
        work.await.map_err(|error| EmbedError::Failed(error.to_string()))?
    }

    /// The unit vector of a text, for a thread that may block.
    ///
    /// # Errors
    /// As the model says.
    pub fn embed_blocking(&self, text: &str) -> Result<Arc<[f32]>, EmbedError> {
        if let Some(known) = self.recall(text)? {
            return Ok(known);
        }
        let started = Instant::now();
        let vector: Arc<[f32]> = self.model.embed(text)?.into();
        self.metrics.embed_seconds.observe(started.elapsed().as_secs_f64());
        self.memo.lock().insert(text, Arc::clone(&vector));
        Ok(vector)
    }

    fn recall(&self, text: &str) -> Result<Option<Arc<[f32]>>, EmbedError> {
        if text.len() > self.max_text_bytes {
            return Err(EmbedError::Unsuitable("it is too long"));
        }
        Ok(self.memo.lock().get(text))
    }
}

/// Bounds of [`Embeddings`].
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingBounds {
    /// Texts of lookups that are embedded at a time.
    pub seats: usize,
    /// Vectors kept in memory.
    pub remembered: usize,
    /// Longest text, bytes.
    pub max_text_bytes: usize,
}

/// Scales to length 1; `None` for a vector without direction or with components that are not numbers.
fn normalized(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !length.is_normal() {
        return None;
    }
    vector.iter_mut().for_each(|x| *x /= length);
    Some(vector)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting(AtomicUsize);

    impl Embedder for Counting {
        fn name(&self) -> &str {
            "counting"
        }
        fn dimensions(&self) -> usize {
            2
        }
        fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            if text == "bad" { Err(EmbedError::Failed("no".to_owned())) } else { Ok(vec![1.0, 0.0]) }
        }
    }

    fn embeddings(model: &Arc<Counting>) -> Embeddings {
        let bounds = EmbeddingBounds { seats: 1, remembered: 8, max_text_bytes: 10 };
        let model = Arc::clone(model) as Arc<dyn Embedder>;
        Embeddings::new(model, Arc::default(), Handle::current(), bounds)
    }

    #[tokio::test]
    async fn a_text_is_embedded_once() {
        let model = Arc::new(Counting::default());
        let embeddings = embeddings(&model);
        for _ in 0..3 {
            assert_eq!(&*embeddings.embed("text").await.unwrap(), [1.0, 0.0]);
        }
        assert_eq!(model.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let model = Arc::new(Counting::default());
        let embeddings = embeddings(&model);
        for _ in 0..2 {
            assert!(embeddings.embed("bad").await.is_err());
        }
        assert_eq!(model.0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_text_over_the_bound_never_reaches_the_model() {
        let model = Arc::new(Counting::default());
        let long = embeddings(&model).embed("eleven bytes").await;
        assert!(matches!(long, Err(EmbedError::Unsuitable(_))));
        assert_eq!(model.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn vectors_are_scaled_to_length_one_or_refused() {
        assert_eq!(normalized(vec![3.0, 4.0]), Some(vec![0.6, 0.8]));
        assert_eq!(normalized(vec![0.0, 0.0]), None);
        assert_eq!(normalized(vec![f32::NAN, 1.0]), None);
        assert_eq!(normalized(vec![f32::INFINITY, 1.0]), None);
    }
}
