//! Starts the actors, replaces dead ones, stops them in order.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tollgate_eventlog::{EventLog, Topic};

use super::super::ledger::Ledger;
use super::super::status::{Counters, count};
use super::publisher_actor::{Drain, PublisherActor};
use super::spool_actor::{Finish, SpoolActor};

/// How often the owner looks whether the actors live.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long shutdown waits beyond its deadline for an actor to answer.
const GRACE: Duration = Duration::from_secs(1);

/// Pauses between attempts to create missing topics.
const FIRST_TOPICS_PAUSE: Duration = Duration::from_secs(1);
const LAST_TOPICS_PAUSE: Duration = Duration::from_secs(30);

/// The running actors. Dropping it stops them at once; what is not published stays in the spool.
#[derive(Debug)]
pub struct UsageHandle {
    ledger: Ledger,
    commands: mpsc::UnboundedSender<OwnerCommand>,
    owner: Option<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
}

/// How a shutdown went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Whether everything in the spool was published.
    pub drained: bool,
    /// Records that stay in the spool for the next start.
    pub left_records: u64,
}

enum OwnerCommand {
    Shutdown {
        deadline: Instant,
        done: std::sync::mpsc::Sender<bool>,
    },
    #[cfg(test)]
    CrashBoth,
}

/// Starts syncing and publishing the ledger. The event log need not be reachable.
#[must_use]
pub fn start(ledger: Ledger, log: Arc<dyn EventLog>) -> UsageHandle {
    let (commands, received) = mpsc::unbounded_channel();
    let stopping = Arc::new(AtomicBool::new(false));
    create_topics(Arc::clone(&log), Arc::clone(&stopping));
    let parts = Parts { ledger: ledger.clone(), log };
    let owner = std::thread::Builder::new().name("ledger-owner".to_owned()).spawn(move || {
        System::new().block_on(own(parts, received));
    });
    if let Err(error) = &owner {
        tracing::error!(%error, "the ledger's thread cannot be started; events stay in the spool");
    }
    UsageHandle { ledger, commands, owner: owner.ok(), stopping }
}

impl UsageHandle {
    /// Closes the ledger, publishes what is in the spool until `deadline` is over, and stops. Blocks the
    /// calling thread for a little longer than that at most; what is not published stays in the spool.
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        if let Err(error) = self.ledger.close() {
            tracing::error!(%error, "the end of the boot could not be written down");
        }
        let (done, answer) = std::sync::mpsc::channel();
        let command = OwnerCommand::Shutdown { deadline: Instant::now() + deadline, done };
        let sent = self.commands.send(command).is_ok();
        let drained = sent && answer.recv_timeout(deadline + 3 * GRACE).unwrap_or(false);
        self.stop();
        let report = ShutdownReport { drained, left_records: self.ledger.status().backlog_records };
        tracing::info!(drained, left_records = report.left_records, "ledger stopped");
        report
    }

    fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // The owner ends when nobody can send commands any more.
        let (gone, _) = mpsc::unbounded_channel();
        self.commands = gone;
        if let Some(owner) = self.owner.take() {
            let _ = owner.join();
        }
    }

    #[cfg(test)]
    pub(super) fn crash_actors(&self) {
        let _ = self.commands.send(OwnerCommand::CrashBoth);
    }
}

impl Drop for UsageHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Parts {
    ledger: Ledger,
    log: Arc<dyn EventLog>,
}

/// The actors; `None` while one could not be started.
struct Actors {
    parts: Parts,
    spool: Option<Running<SpoolActor>>,
    publisher: Option<Running<PublisherActor>>,
}

struct Running<A: Actor> {
    actor: Addr<A>,
    thread: Arbiter,
}

async fn own(parts: Parts, mut commands: mpsc::UnboundedReceiver<OwnerCommand>) {
    let mut actors = Actors { parts, spool: None, publisher: None };
    actors.replace_dead();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = look.tick() => actors.replace_dead(),
            command = commands.recv() => match command {
                Some(OwnerCommand::Shutdown { deadline, done }) => {
                    let drained = actors.drain(deadline).await;
                    // The handle may have stopped waiting.
                    let _ = done.send(drained);
                    break;
                }
                #[cfg(test)]
                Some(OwnerCommand::CrashBoth) => actors.crash(),
                None => break,
            },
        }
    }
    actors.stop();
}

impl<A: Actor<Context = Context<A>>> Running<A> {
    /// Starts the actor if there is none or it died, on its old thread if that lives.
    ///
    /// # Errors
    /// When no thread can be made now, for lack of memory or descriptors.
    fn keep(
        running: &mut Option<Self>,
        counters: &Counters,
        start: impl FnOnce(&ArbiterHandle) -> Addr<A>,
    ) -> io::Result<()> {
        let thread = match running.take() {
            Some(alive) if alive.actor.connected() => {
                *running = Some(alive);
                return Ok(());
            }
            Some(dead) => {
                count(&counters.actor_restarts);
                tracing::error!(actor = std::any::type_name::<A>(), "an actor of the ledger died");
                Some(dead.thread).filter(|thread| thread.handle().alive())
            }
            None => None,
        };
        let thread = match thread {
            Some(thread) => thread,
            None => Arbiter::try_new()?,
        };
        *running = Some(Self { actor: start(&thread.handle()), thread });
        Ok(())
    }
}

impl Actors {
    /// Starts what does not run. What cannot be started now is tried again at the next look: the spool keeps
    /// everything until then.
    fn replace_dead(&mut self) {
        let Self { parts, spool, publisher } = self;
        let counters = &parts.ledger.spool().counters;
        let started = Running::keep(spool, counters, |thread| start_spool(parts, thread))
            .and_then(|()| Running::keep(publisher, counters, |thread| start_publisher(parts, thread)));
        if let Err(error) = started {
            tracing::error!(%error, "an actor of the ledger cannot be started now; events stay in the spool");
        }
    }

    /// Publishes until the deadline, then makes the spool durable; true when everything was published.
    async fn drain(&mut self, deadline: Instant) -> bool {
        self.replace_dead();
        let (Some(publisher), Some(spool)) = (&self.publisher, &self.spool) else { return false };
        let (drained, answer) = oneshot::channel();
        publisher.actor.do_send(Drain { deadline, drained });
        let limit = deadline + GRACE;
        let drained = matches!(tokio::time::timeout_at(limit.into(), answer).await, Ok(Ok(true)));
        let finish = tokio::time::timeout(GRACE, spool.actor.send(Finish)).await;
        if !matches!(finish, Ok(Ok(()))) {
            tracing::warn!("the spool actor did not finish in time");
        }
        drained
    }

    fn stop(self) {
        let threads =
            [self.publisher.map(|running| running.thread), self.spool.map(|running| running.thread)];
        for thread in threads.into_iter().flatten() {
            thread.stop();
            let _ = thread.join();
        }
    }

    #[cfg(test)]
    fn crash(&self) {
        if let (Some(spool), Some(publisher)) = (&self.spool, &self.publisher) {
            spool.actor.do_send(super::spool_actor::Crash);
            publisher.actor.do_send(super::publisher_actor::Crash);
        }
    }
}

fn start_spool(parts: &Parts, thread: &ArbiterHandle) -> Addr<SpoolActor> {
    let (spool, fsync) = (Arc::clone(parts.ledger.spool()), parts.ledger.fsync());
    SpoolActor::start_in_arbiter(thread, move |_| SpoolActor::new(spool, fsync))
}

fn start_publisher(parts: &Parts, thread: &ArbiterHandle) -> Addr<PublisherActor> {
    let (spool, log) = (Arc::clone(parts.ledger.spool()), Arc::clone(&parts.log));
    let gateway_id = Arc::clone(parts.ledger.gateway_id());
    PublisherActor::start_in_arbiter(thread, move |_| PublisherActor::new(spool, log, gateway_id))
}

/// Creates missing topics beside everything else: the log may take long to answer, or be away.
fn create_topics(log: Arc<dyn EventLog>, stopping: Arc<AtomicBool>) {
    let spawned = std::thread::Builder::new().name("ledger-topics".to_owned()).spawn(move || {
        let mut pause = FIRST_TOPICS_PAUSE;
        while let Err(error) = log.ensure_topics(&Topic::ALL.map(Topic::spec)) {
            if pause == FIRST_TOPICS_PAUSE {
                tracing::warn!(%error, "topics cannot be created yet");
            }
            let until = Instant::now() + pause;
            pause = (pause * 2).min(LAST_TOPICS_PAUSE);
            while Instant::now() < until {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::park_timeout(LOOK_EVERY);
            }
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "topics are not created");
    }
}
