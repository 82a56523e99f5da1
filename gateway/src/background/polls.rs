//! The gateway asks for answers that are worked on in the background, so that their ends are known also where no client
//! comes back for them.
//!
//! One task on the thread that starts it asks, a bounded number at a time and no backend whose circuit is open; another
//! one puts on the disk what is pending. Asking costs nothing, so it is in no ledger.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{StatusCode, Uri};
use tokio::task::JoinHandle;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{BackendClient, CallError, collect_while};
use tollgate_backends::{
    AttemptClass, AttemptOutcome, DeploymentId, FailureKind, InFlight, outcome, retry_after,
};
use tollgate_base::time::now_ms;
use tollgate_crossing::wire::path_segment;
use tollgate_formats::openai_responses::work::Stage;

use crate::gateway::Gateway;
use crate::pending::entry::Entry;
use crate::pending::table::Finding;

/// Answers that are asked for at a time.
const MOST_AT_A_TIME: usize = 8;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long what is pending may wait for the disk: those who come together are synced together.
const SYNC_AFTER: Duration = Duration::from_millis(20);
/// Pause after the disk refused.
const SYNC_PAUSE: Duration = Duration::from_secs(2);

/// The running tasks. Dropped, they stop.
#[derive(Debug)]
pub struct Polls([JoinHandle<()>; 2]);

impl Polls {
    /// Starts to ask for what is pending. Must be called inside an actix system.
    #[must_use]
    pub fn start(gateway: &Arc<Gateway>, caller: BackendClient) -> Self {
        let asking = actix_rt::spawn(ask_on(Arc::clone(gateway), Rc::new(caller)));
        let syncing = actix_rt::spawn(sync_on(Arc::clone(gateway)));
        Self([asking, syncing])
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn ask_on(gateway: Arc<Gateway>, caller: Rc<BackendClient>) {
    let mut asking = FuturesUnordered::new();
    loop {
        while asking.len() < MOST_AT_A_TIME
            && let Some(entry) = gateway.pending.next_to_ask()
        {
            let (gateway, caller) = (Arc::clone(&gateway), Rc::clone(&caller));
            asking.push(async move {
                let finding = ask(&gateway, &caller, &entry).await;
                if let Some(finding) = finding
                    && let Some(why) = gateway.pending.found(entry.id(), finding)
                {
                    super::give_up(&gateway, entry.id(), why);
                }
            });
        }
        let is_full = asking.len() >= MOST_AT_A_TIME;
        // What is due while all places are taken waits for a place.
        let due = gateway.pending.next_due().filter(|_| !is_full).unwrap_or(PATIENCE);
        tokio::select! {
            Some(()) = asking.next() => {}
            () = gateway.pending.changed.notified() => {}
            () = tokio::time::sleep(due.max(SYNC_AFTER)) => {}
        }
    }
}

async fn sync_on(gateway: Arc<Gateway>) {
    loop {
        gateway.pending.unsynced.notified().await;
        tokio::time::sleep(SYNC_AFTER).await;
        loop {
            let blocking = Arc::clone(&gateway);
            let synced = tokio::task::spawn_blocking(move || blocking.pending.sync(&blocking.ledger)).await;
            match synced {
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what is pending cannot be put on the disk");
                    tokio::time::sleep(SYNC_PAUSE).await;
                }
                Ok(Ok(())) | Err(_) => break,
            }
        }
    }
}

/// Asks for an answer and settles it if it has ended; `None` if it has.
pub async fn ask(gateway: &Arc<Gateway>, caller: &BackendClient, entry: &Entry) -> Option<Finding> {
    let snapshot = gateway.snapshot.load_full();
    let place = snapshot.backends.get(entry.backend()).and_then(|backend| {
        let base = backend.responses_url.as_deref()?;
        let uri: Uri = format!("{base}/{}", path_segment(&entry.response)).parse().ok()?;
        Some((Arc::clone(backend), uri))
    });
    // A backend that the configuration does not have any more may come back before the deadline.
    let Some((backend, uri)) = place else { return Some(Finding::Nothing) };
    let id = DeploymentId { backend: Arc::clone(&backend.name), model: Arc::clone(&entry.event.call.model) };
    let admitted = match gateway.backends.get(&id).map(|deployment| deployment.admit()) {
        None => None,
        Some(Ok(in_flight)) => Some(in_flight),
        Some(Err(_)) => return Some(Finding::Nothing),
    };
    let max_answer = snapshot.server.max_answer(false).as_usize();
    let called = Box::pin(call(gateway, caller, &backend, &uri, entry, max_answer));
    let said = tokio::time::timeout(PATIENCE, called).await.unwrap_or(Err(CallError::Stalled));
    let finding = match &said {
        Ok(Said { status: StatusCode::NOT_FOUND, .. }) => Some(Finding::Unknown),
        Ok(Said { status, body, .. }) if status.is_success() => match super::read(gateway, entry, body) {
            Some(Stage::Running) => Some(Finding::Running),
            Some(_) => None,
            None => Some(Finding::Nothing),
        },
        _ => Some(Finding::Nothing),
    };
    if let Some(in_flight) = admitted {
        report(in_flight, &said);
    }
    finding
}

/// What a provider said.
struct Said {
    status: StatusCode,
    body: Bytes,
    retry_after: Option<Duration>,
}

async fn call(
    gateway: &Gateway,
    caller: &BackendClient,
    backend: &Backend,
    uri: &Uri,
    entry: &Entry,
    max_answer: usize,
) -> Result<Said, CallError> {
    let (head, body) = caller.get(backend, uri).await?.into_parts();
    let retry_after = retry_after::from_headers(&head.headers, now_ms());
    let mut held = gateway.memory.hold(&entry.event.payer.subscription);
    let body = collect_while(body, max_answer, backend.idle_timeout, |bytes| held.grow(bytes as u64)).await?;
    Ok(Said { status: head.status, body, retry_after })
}

/// Tells the circuit how its backend does. How long such a call took says nothing about a model's answers, so one that
/// went well only ends a probe.
fn report(mut in_flight: InFlight, said: &Result<Said, CallError>) {
    let (kind, retry_after) = match said {
        Ok(Said { status, retry_after, .. }) if outcome::is_failure(status.as_u16()) => {
            (FailureKind::Status(status.as_u16()), *retry_after)
        }
        Ok(_) => return in_flight.answers(),
        Err(CallError::Credentials(_) | CallError::NoMemory | CallError::TooLarge(_)) => return,
        Err(CallError::Connect(_)) => (FailureKind::Connect, None),
        Err(CallError::FirstByteTimeout) => (FailureKind::Timeout, None),
        Err(CallError::Stalled) => (FailureKind::Stalled, None),
        Err(CallError::Broken(_)) => (FailureKind::Stream, None),
        Err(CallError::UnknownCoding(_) | CallError::Undecodable(_)) => (FailureKind::Protocol, None),
    };
    in_flight.report(AttemptOutcome {
        class: AttemptClass::Failure(kind),
        latency: PATIENCE,
        first_byte: None,
        retry_after,
        tokens: None,
    });
}
