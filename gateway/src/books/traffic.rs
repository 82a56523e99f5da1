//! What goes to and fro in a call that is passed through, for the case that nobody says what it used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_backends::upload::Progress;
use tollgate_schemas::tokens::{TokenClass, UsageLine};

/// Bytes of one call's bodies, counted as they pass.
#[derive(Debug)]
pub struct Traffic {
    request: Request,
    answer: AtomicU64,
}

#[derive(Debug)]
enum Request {
    Whole(u64),
    Upload(Arc<Progress>),
}

impl Traffic {
    /// Of a call with a body of so many bytes.
    #[must_use]
    pub fn of_body(bytes: usize) -> Self {
        Self { request: Request::Whole(bytes as u64), answer: AtomicU64::new(0) }
    }

    /// Of a call whose body is still coming.
    #[must_use]
    pub fn of_upload(progress: Arc<Progress>) -> Self {
        Self { request: Request::Upload(progress), answer: AtomicU64::new(0) }
    }

    /// So many more bytes of the answer.
    pub fn answered(&self, bytes: usize) {
        self.answer.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of the request that the backend took.
    #[must_use]
    pub fn sent(&self) -> u64 {
        match &self.request {
            Request::Whole(bytes) => *bytes,
            Request::Upload(progress) => progress.bytes(),
        }
    }

    /// Bytes of the answer so far.
    #[must_use]
    pub fn came(&self) -> u64 {
        self.answer.load(Ordering::Relaxed)
    }

    /// As lines of a usage event: the request, and the bytes where there are some.
    #[must_use]
    pub fn lines(&self) -> Vec<UsageLine> {
        let (sent, answered) = (self.sent(), self.came());
        [(TokenClass::Request, 1), (TokenClass::RequestBytes, sent), (TokenClass::AnswerBytes, answered)]
            .into_iter()
            .filter(|(_, qty)| *qty > 0)
            .map(|(class, qty)| UsageLine { class, qty })
            .collect()
    }
}
