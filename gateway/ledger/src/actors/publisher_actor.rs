//! Runs the publisher step by step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;
use tollgate_eventlog::EventLog;

use super::super::publish::{Publisher, Step};
use super::super::spool::Spool;

/// Longest wait for reports in one step; messages to the actor wait as long.
const WAIT: Duration = Duration::from_millis(10);

/// Pause when there is nothing to publish.
const IDLE: Duration = Duration::from_millis(20);

/// Pause between steps. An actor that notifies itself without one never lets its thread's other tasks run,
/// so it could not be stopped from outside. Long enough for a busy spool to be read in large pieces.
const STEP_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct PublisherActor {
    publisher: Publisher,
    drain: Option<Drain>,
}

impl PublisherActor {
    pub(super) fn new(spool: Arc<Spool>, log: Arc<dyn EventLog>, gateway_id: Arc<str>) -> Self {
        Self { publisher: Publisher::new(spool, log, gateway_id), drain: None }
    }

    fn answer_drain(&mut self, ctx: &mut Context<Self>) -> bool {
        let now = Instant::now();
        let Some(drain) = &self.drain else { return false };
        let drained = self.publisher.is_drained();
        if !drained && now < drain.deadline {
            return false;
        }
        self.publisher.report(now, true);
        if let Some(drain) = self.drain.take() {
            // The owner may have stopped waiting.
            let _ = drain.drained.send(drained);
        }
        ctx.stop();
        true
    }
}

impl Actor for PublisherActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.notify(Next);
    }
}

/// Do the next step. The actor sends it to itself, so other messages come in between.
#[derive(Message)]
#[rtype(result = "()")]
struct Next;

impl Handler<Next> for PublisherActor {
    type Result = ();

    fn handle(&mut self, _: Next, ctx: &mut Self::Context) {
        let step = self.publisher.step(Instant::now(), WAIT);
        if self.answer_drain(ctx) {
            return;
        }
        let pause = match step {
            Step::Busy => STEP_PAUSE,
            Step::Idle => IDLE,
        };
        ctx.notify_later(Next, pause);
    }
}

/// Publish what is in the spool until the deadline, then stop.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Drain {
    pub(super) deadline: Instant,
    /// Told whether everything was published.
    pub(super) drained: oneshot::Sender<bool>,
}

impl Handler<Drain> for PublisherActor {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Self::Context) {
        self.drain = Some(drain);
    }
}

#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Crash;

#[cfg(test)]
impl Handler<Crash> for PublisherActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("injected");
    }
}
