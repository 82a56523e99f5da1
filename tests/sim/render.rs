//! An answer as bytes: whole, in drips, as the events of a stream, or as a vector.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;

use crate::sim::Options;
use crate::sim::answer;
use crate::sim::body::{STAMP, Step};
use crate::sim::faults::Faults;
use crate::sim::routes::Plan;
use crate::sim::wire::{AnswerMessage, Choice, Chunk, ChunkChoice, Completion, Delta, FINGERPRINT};

/// Numbers of an embedding.
const DIMENSIONS: u64 = 384;
/// Most numbers of one.
const MOST_DIMENSIONS: u64 = 4096;

/// Content chunks of a stream that is made large.
const LARGE_PIECES: usize = 64;

/// The answer as one JSON object, whole or as faults want it.
pub(super) fn plain(plan: &Plan, faults: &Faults) -> VecDeque<Step> {
    let bytes = if faults.malformed_json {
        Bytes::from_static(b"{\"id\":\"chatcmpl-broken\",\"choices\":[{\"index\":0,")
    } else {
        whole(plan, faults)
    };
    if faults.reset_after_chunks.is_some() {
        let (half, rest) = (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..));
        // The rest is never sent, but counts for the length that was announced.
        return VecDeque::from([
            Step::Send(half, Duration::ZERO),
            Step::Reset,
            Step::Send(rest, Duration::ZERO),
        ]);
    }
    if faults.drip_ms > 0 {
        return drip(&bytes, Duration::from_millis(faults.drip_ms));
    }
    VecDeque::from([Step::Send(bytes, Duration::ZERO)])
}

fn whole(plan: &Plan, faults: &Faults) -> Bytes {
    let message = AnswerMessage { role: "assistant", content: &plan.text, refusal: None };
    let completion = Completion {
        id: &id(),
        object: "chat.completion",
        created: now_s(),
        model: plan.model.name,
        choices: [Choice { index: 0, message, logprobs: None, finish_reason: plan.finish_reason }],
        usage: (!faults.no_usage).then_some(plan.usage),
        system_fingerprint: FINGERPRINT,
    };
    Bytes::from(serde_json::to_vec(&completion).unwrap_or_default())
}

/// Bytes in pieces of 16, with a pause before each.
fn drip(bytes: &Bytes, pause: Duration) -> VecDeque<Step> {
    let pieces = (0..bytes.len()).step_by(16).map(|at| bytes.slice(at..bytes.len().min(at + 16)));
    pieces.map(|piece| Step::Send(piece, pause)).collect()
}

/// The answer as the events of a stream.
pub(super) fn stream(plan: &Plan, faults: &Faults, options: &Options) -> VecDeque<Step> {
    let pause = plan.model.chunk_delay + options.chunk_delay + Duration::from_millis(faults.drip_ms);
    let writer = EventWriter { plan, id: id(), created: now_s(), stamp: options.stamp };
    // Words of a megabyte would be a stream of fifty.
    let count = options.chunks.or(faults.oversized_bytes.map(|_| LARGE_PIECES));
    let pieces = answer::pieces(&plan.text, count);
    let mut steps = VecDeque::with_capacity(pieces.len() + 4);
    steps.push_back(Step::Send(
        writer.delta(Delta { role: Some("assistant"), content: Some("") }, None),
        Duration::ZERO,
    ));
    for piece in pieces {
        steps.push_back(Step::Send(writer.delta(Delta { role: None, content: Some(piece) }, None), pause));
    }
    if faults.malformed_sse {
        let broken = Bytes::from_static(b"data: {\"id\":\"chatcmpl-\n\nnot an event\n\n");
        steps.insert(steps.len() / 2, Step::Send(broken, pause));
    }
    let fault_at = |after: usize| (after + 1).min(steps.len());
    if let Some(after) = faults.stall_after_chunks {
        let at = fault_at(after);
        steps.truncate(at);
        steps.push_back(Step::Stall);
        return steps;
    }
    if let Some(after) = faults.reset_after_chunks {
        let at = fault_at(after);
        steps.truncate(at);
        steps.push_back(Step::Reset);
        return steps;
    }
    steps.push_back(Step::Send(writer.delta(Delta::default(), Some(plan.finish_reason)), Duration::ZERO));
    if faults.close_without_usage {
        return steps;
    }
    if plan.wants_usage && !faults.no_usage {
        steps.push_back(Step::Send(writer.usage(), Duration::ZERO));
    }
    steps.push_back(Step::Send(Bytes::from_static(b"data: [DONE]\n\n"), Duration::ZERO));
    steps
}

/// Writes chunks of one answer as server-sent events.
struct EventWriter<'a> {
    plan: &'a Plan,
    id: String,
    created: u64,
    stamp: bool,
}

impl EventWriter<'_> {
    fn delta(&self, delta: Delta<'_>, finish_reason: Option<&'static str>) -> Bytes {
        // Where usage was asked for, every chunk but the last has `"usage": null`.
        let usage = self.plan.wants_usage.then_some(None);
        self.event(&[ChunkChoice { index: 0, delta, logprobs: None, finish_reason }], usage)
    }

    fn usage(&self) -> Bytes {
        self.event(&[], Some(Some(self.plan.usage)))
    }

    fn event(&self, choices: &[ChunkChoice<'_>], usage: Option<Option<crate::sim::tokens::Usage>>) -> Bytes {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: self.plan.model.name,
            system_fingerprint: FINGERPRINT,
            choices,
            usage,
            sim_sent_us: self.stamp.then_some(STAMP),
        };
        event(&chunk)
    }
}

fn event(value: &impl Serialize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(320).writer();
    // Writing to memory cannot fail.
    let _ = std::io::Write::write_all(&mut bytes, b"data: ");
    let _ = serde_json::to_writer(&mut bytes, value);
    let _ = std::io::Write::write_all(&mut bytes, b"\n\n");
    bytes.into_inner().freeze()
}

/// A vector of the usual length.
pub(super) fn vector(text: &str) -> Vec<f32> {
    vector_of(text, DIMENSIONS)
}

/// A unit vector of so many numbers that texts with common words share a direction in.
pub(super) fn vector_of(text: &str, dimensions: u64) -> Vec<f32> {
    let dimensions = dimensions.clamp(1, MOST_DIMENSIONS);
    let mut vector = vec![0f32; usize::try_from(dimensions).unwrap_or_default()];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash = answer::hash(word.as_bytes());
        let at = usize::try_from(hash % dimensions).unwrap_or(0);
        vector[at] += if hash >> 63 == 0 { 1.0 } else { -1.0 };
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}

fn id() -> String {
    format!("chatcmpl-{}", uuid::Uuid::now_v7().simple())
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}
