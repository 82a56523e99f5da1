//! Syncs the spool in groups and keeps it in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::super::options::FsyncPolicy;
use super::super::spool::Spool;

/// How often segments and cursor are looked after.
const MAINTAIN_EVERY: Duration = Duration::from_millis(100);

/// Group commit, rotation, deletion of published segments, recovery from a full disk.
pub(super) struct SpoolActor {
    spool: Arc<Spool>,
    fsync: FsyncPolicy,
}

impl SpoolActor {
    pub(super) fn new(spool: Arc<Spool>, fsync: FsyncPolicy) -> Self {
        Self { spool, fsync }
    }
}

impl Actor for SpoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let FsyncPolicy::Group { every } = self.fsync {
            ctx.run_interval(every.max(Duration::from_millis(1)), |actor, _| {
                // A failure is counted and logged where it happens; maintenance goes on from there.
                let _ = actor.spool.sync();
            });
        }
        ctx.run_interval(MAINTAIN_EVERY, |actor, _| actor.spool.maintain(Instant::now()));
    }
}

/// Makes everything durable and stops.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Finish;

impl Handler<Finish> for SpoolActor {
    type Result = ();

    fn handle(&mut self, _: Finish, ctx: &mut Self::Context) {
        let now = Instant::now();
        self.spool.maintain(now);
        if self.fsync != FsyncPolicy::None {
            let _ = self.spool.sync();
        }
        if let Err(error) = self.spool.persist_progress(now, true) {
            tracing::warn!(%error, "the cursor could not be made durable; some events are published twice");
        }
        ctx.stop();
    }
}

#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Crash;

#[cfg(test)]
impl Handler<Crash> for SpoolActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("injected");
    }
}
