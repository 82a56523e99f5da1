//! How many requests run at a time: a counter that costs one atomic while there is room, a short fair queue
//! when there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::queue::{FairQueue, Joined, QueueKey, Ticket};

/// Bounds of an admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionRules {
    /// Requests that run at a time.
    pub max_running: usize,
    /// Requests that wait at a time.
    pub max_waiting: usize,
    /// Longest wait.
    pub max_wait: Duration,
}

/// A request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// Too many wait already.
    #[error("the queue is full")]
    QueueFull,
    /// No slot was freed within `max_wait`.
    #[error("nobody left in time")]
    Late,
}

/// Lets requests in.
#[derive(Debug)]
pub struct Admission {
    max_running: AtomicUsize,
    max_waiting: AtomicUsize,
    max_wait_us: AtomicU64,
    running: AtomicUsize,
    /// Number of requests in the queue; kept beside it so that no lock is taken while it is empty.
    waiting: AtomicUsize,
    queue: Mutex<FairQueue<oneshot::Sender<Permit>>>,
    refused: AtomicU64,
}

/// The right to run; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    /// Whether this permit still counts.
    held: bool,
}

impl Admission {
    /// An admission with these bounds and nothing running.
    #[must_use]
    pub fn new(rules: AdmissionRules) -> Arc<Self> {
        Arc::new(Self {
            max_running: AtomicUsize::new(rules.max_running),
            max_waiting: AtomicUsize::new(rules.max_waiting),
            max_wait_us: AtomicU64::new(micros(rules.max_wait)),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(FairQueue::new(rules.max_waiting)),
            refused: AtomicU64::new(0),
        })
    }

    /// Changes the bounds. Those who run or wait stay, also beyond a lower bound: then nobody is let in before
    /// enough of them have left. Whoever waits already keeps the longest wait of before.
    pub fn set_rules(self: &Arc<Self>, rules: AdmissionRules) {
        // Stored before the lock is taken: a request that joins later sees the new bound, one that joined before is
        // served below.
        self.max_running.store(rules.max_running, Ordering::Release);
        self.max_waiting.store(rules.max_waiting, Ordering::Relaxed);
        self.max_wait_us.store(micros(rules.max_wait), Ordering::Relaxed);
        self.queue.lock().set_most(rules.max_waiting);
        self.serve_next();
    }

    /// Lets a request in if there is room now and nobody waits.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        if self.waiting.load(Ordering::Acquire) > 0 {
            return None;
        }
        self.take()
    }

    /// Lets a request in, at once or after a short wait.
    ///
    /// # Errors
    /// When too many wait, or for too long.
    pub async fn enter(self: &Arc<Self>, place: &QueueKey) -> Result<Permit, Overloaded> {
        if let Some(permit) = self.try_enter() {
            return Ok(permit);
        }
        let outcome = self.wait(place).await;
        if outcome.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    async fn wait(self: &Arc<Self>, place: &QueueKey) -> Result<Permit, Overloaded> {
        let (sender, receiver) = oneshot::channel();
        let ticket = {
            let mut queue = self.queue.lock();
            // A request may have ended before the lock was taken.
            if queue.is_empty()
                && let Some(permit) = self.take()
            {
                return Ok(permit);
            }
            let joined = queue.join(place, sender);
            self.waiting.store(queue.len(), Ordering::Release);
            match joined {
                // Dropping its sender wakes the request that had to go.
                Joined::Waiting(ticket) | Joined::InsteadOf(ticket, _) => ticket,
                Joined::Full(_) => return Err(Overloaded::QueueFull),
            }
        };
        let leaving = Leaving { admission: self, place, ticket, left: false };
        // The last running request may have ended after `running` was read and before this one joined.
        self.serve_next();
        let outcome = match tokio::time::timeout(self.rules().max_wait, receiver).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Overloaded::QueueFull),
            Err(_) => return Err(Overloaded::Late),
        };
        leaving.has_left();
        outcome
    }

    /// Takes a place if there is one.
    fn take(self: &Arc<Self>) -> Option<Permit> {
        let max_running = self.max_running.load(Ordering::Acquire);
        let more = |running: usize| (running < max_running).then_some(running + 1);
        self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Permit { admission: Arc::clone(self), held: true })
    }

    /// Gives free slots to waiting requests. Those that have been cancelled are skipped.
    fn serve_next(self: &Arc<Self>) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut queue = self.queue.lock();
        while !queue.is_empty() {
            let Some(mut permit) = self.take() else { break };
            loop {
                let Some(waiter) = queue.pop() else {
                    permit.forget();
                    break;
                };
                match waiter.send(permit) {
                    Ok(()) => break,
                    Err(unused) => permit = unused,
                }
            }
        }
        self.waiting.store(queue.len(), Ordering::Release);
    }

    /// Requests that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Requests that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Requests that were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The bounds.
    #[must_use]
    pub fn rules(&self) -> AdmissionRules {
        AdmissionRules {
            max_running: self.max_running.load(Ordering::Relaxed),
            max_waiting: self.max_waiting.load(Ordering::Relaxed),
            max_wait: Duration::from_micros(self.max_wait_us.load(Ordering::Relaxed)),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Removes a waiting request from the queue when it gives up, because its time is over or its client has gone.
struct Leaving<'a> {
    admission: &'a Admission,
    place: &'a QueueKey,
    ticket: Ticket,
    left: bool,
}

impl Leaving<'_> {
    /// The request is no longer in the queue.
    fn has_left(mut self) {
        self.left = true;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.left {
            let mut queue = self.admission.queue.lock();
            queue.leave(self.place, self.ticket);
            self.admission.waiting.store(queue.len(), Ordering::Release);
        }
    }
}

impl Permit {
    /// Gives the slot back without serving the queue, which is locked and empty.
    fn forget(mut self) {
        self.held = false;
        self.admission.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.held {
            self.admission.running.fetch_sub(1, Ordering::AcqRel);
            self.admission.serve_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max_running: usize, max_waiting: usize, max_wait_ms: u64) -> Arc<Admission> {
        Admission::new(AdmissionRules {
            max_running,
            max_waiting,
            max_wait: Duration::from_millis(max_wait_ms),
        })
    }

    fn place(tier: u8) -> QueueKey {
        QueueKey { tier, subscription: "s".into() }
    }

    #[tokio::test]
    async fn whoever_leaves_lets_the_next_one_in() {
        let admission = admission(1, 10, 10_000);
        let first = admission.enter(&place(1)).await.unwrap();
        let waiting = Arc::clone(&admission);
        let second = tokio::spawn(async move { waiting.enter(&place(1)).await });
        while admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(admission.try_enter().is_none());
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert_eq!((admission.running(), admission.waiting()), (1, 0));
        drop(second);
        assert_eq!(admission.running(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_bound_and_a_full_queue_refuses_at_once() {
        let admission = admission(1, 1, 50);
        let _first = admission.enter(&place(1)).await.unwrap();
        let waiting = Arc::clone(&admission);
        let late = tokio::spawn(async move { waiting.enter(&place(1)).await });
        while admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(admission.enter(&place(1)).await.unwrap_err(), Overloaded::QueueFull);
        assert_eq!(late.await.unwrap().unwrap_err(), Overloaded::Late);
        assert_eq!((admission.refused(), admission.waiting()), (2, 0));
    }

    #[tokio::test]
    async fn a_place_given_to_somebody_who_went_away_is_not_lost() {
        let admission = admission(1, 10, 10_000);
        let first = admission.enter(&place(1)).await.unwrap();
        let waiting = Arc::clone(&admission);
        let gone = tokio::spawn(async move { waiting.enter(&place(1)).await });
        while admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(admission.waiting(), 0);
        drop(first);
        assert_eq!(admission.running(), 0);
        assert!(admission.enter(&place(1)).await.is_ok());
    }

    fn rules(max_running: usize, max_waiting: usize) -> AdmissionRules {
        AdmissionRules { max_running, max_waiting, max_wait: Duration::from_secs(10) }
    }

    #[tokio::test]
    async fn a_higher_bound_lets_those_in_who_wait() {
        let admission = admission(1, 10, 10_000);
        let _first = admission.enter(&place(1)).await.unwrap();
        let waiting = Arc::clone(&admission);
        let second = tokio::spawn(async move { waiting.enter(&place(1)).await });
        while admission.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        admission.set_rules(rules(2, 10));
        let _second = second.await.unwrap().unwrap();
        assert_eq!((admission.running(), admission.waiting()), (2, 0));
        assert_eq!(admission.rules(), rules(2, 10));
    }

    #[tokio::test]
    async fn under_a_lower_bound_nobody_comes_in_before_enough_have_left() {
        let admission = admission(3, 10, 10_000);
        let mut running: Vec<Permit> = (0..3).map(|_| admission.try_enter().unwrap()).collect();
        admission.set_rules(rules(2, 0));
        assert_eq!(admission.running(), 3);
        drop(running.pop());
        assert!(admission.try_enter().is_none());
        assert_eq!(admission.enter(&place(1)).await.unwrap_err(), Overloaded::QueueFull);
        drop(running.pop());
        assert!(admission.try_enter().is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn under_many_threads_the_bound_holds_and_everybody_is_served() {
        let admission = admission(3, 1_000, 60_000);
        let most = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..400_u16)
            .map(|number| {
                let (admission, most) = (Arc::clone(&admission), Arc::clone(&most));
                tokio::spawn(async move {
                    let permit = admission.enter(&place((number % 3) as u8)).await.unwrap();
                    most.fetch_max(admission.running(), Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    drop(permit);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(most.load(Ordering::Relaxed) <= 3);
        assert_eq!((admission.running(), admission.waiting()), (0, 0));
    }
}
