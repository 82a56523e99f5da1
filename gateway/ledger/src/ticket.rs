//! What an attempt holds between its intent and its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::recorder::Recorder;

/// An attempt that has begun. Dropped without [`Ledger::settle`](crate::Ledger::settle), its intent's own event is
/// published.
#[derive(Debug)]
#[must_use = "an attempt ends with Ledger::settle"]
pub struct IntentTicket {
    recorder: Arc<Recorder>,
    /// `None` if the attempt could not be written down and is served all the same.
    intent: Option<u64>,
    traceparent: Traceparent,
}

/// Trace context of a request, kept without an allocation; one that is too long is left out.
#[derive(Debug, Clone, Copy)]
struct Traceparent {
    bytes: [u8; 55],
    length: u8,
}

impl IntentTicket {
    pub(crate) fn new(recorder: Arc<Recorder>, intent: Option<u64>, traceparent: Option<&str>) -> Self {
        Self { recorder, intent, traceparent: Traceparent::new(traceparent) }
    }

    pub(crate) fn traceparent(&self) -> Option<&str> {
        self.traceparent.as_str()
    }

    /// Ends the ticket without a release: its settlement is about to be written. `None` if it has no intent.
    pub(crate) fn take_intent(&mut self) -> Option<u64> {
        let intent = self.intent.take()?;
        self.recorder.spool.counters.open_intents.fetch_sub(1, Ordering::Relaxed);
        Some(intent)
    }
}

impl Drop for IntentTicket {
    fn drop(&mut self) {
        if let Some(intent) = self.take_intent() {
            self.recorder.release(intent);
        }
    }
}

impl Traceparent {
    fn new(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        let mut bytes = [0; 55];
        match bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text.as_bytes());
                Self { bytes, length: text.len() as u8 }
            }
            None => Self { bytes, length: 0 },
        }
    }

    fn as_str(&self) -> Option<&str> {
        let bytes = self.bytes.get(..usize::from(self.length)).filter(|bytes| !bytes.is_empty())?;
        std::str::from_utf8(bytes).ok()
    }
}
