//! Answers as steps of sending them, with the faults that are on.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::sim::body::Step;
use crate::sim::faults::Faults;

/// A whole answer.
pub(super) fn whole(value: &Value, faults: &Faults) -> VecDeque<Step> {
    let bytes = Bytes::from(value.to_string());
    if faults.malformed_json {
        return VecDeque::from([Step::Send(bytes.slice(..bytes.len() / 2), Duration::ZERO)]);
    }
    if faults.reset_after_chunks.is_none() {
        return VecDeque::from([Step::Send(bytes, Duration::ZERO)]);
    }
    let (half, rest) = (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..));
    // The rest is never sent, but counts for the length that was announced.
    VecDeque::from([Step::Send(half, Duration::ZERO), Step::Reset, Step::Send(rest, Duration::ZERO)])
}

/// A stream of these events.
pub(super) fn steps(events: Vec<Bytes>, faults: &Faults, pause: Duration) -> VecDeque<Step> {
    let pause = pause + Duration::from_millis(faults.drip_ms);
    let mut steps: VecDeque<Step> = events.into_iter().map(|event| Step::Send(event, pause)).collect();
    if let Some(after) = faults.stall_after_chunks {
        steps.truncate(after);
        steps.push_back(Step::Stall);
    } else if let Some(after) = faults.reset_after_chunks {
        steps.truncate(after);
        steps.push_back(Step::Reset);
    }
    steps
}
