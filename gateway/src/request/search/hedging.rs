//! Calls whose books stay beside them: one that is joined by a second one to another target when it is slow, and one
//! that may go on without its client.

use std::sync::Arc;

use futures_util::FutureExt;
use tollgate_runtime::resiliency::Hedging;

use super::candidate::Callee;
use super::open_call::{OpenCall, Unseen};
use super::race::{Lane, race};
use super::verdict::is_final;
use super::{Reply, Search};
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use tollgate_limits::Reservation;

impl<'a> Search<'a> {
    /// A call that may go on without its client.
    pub(super) async fn drained(&mut self, target: Callee<'a>, attempt: Attempt) -> Option<Reply<'a>> {
        let (attempt, answered) = self.call(&target, attempt, true).await;
        self.judged(target, attempt, answered).await
    }

    /// The same with the books beside it; `drained` where it may go on without its client.
    fn call(&self, callee: &Callee<'_>, attempt: Attempt, drained: bool) -> OpenCall {
        let drained = drained && callee.several.is_none();
        let works_on = self.request.view.background;
        // Work that has begun goes on without its client: its answer says what it is called.
        let pending = works_on.then_some(&self.worker.gateway.pending.drains);
        let drains = self.request.model.resiliency.drains.as_ref().or(pending).filter(|_| drained);
        let server = &self.request.context.snapshot.server;
        let unseen = || Unseen {
            backend: Arc::clone(&callee.target.backend),
            crossing: callee.crossing,
            request_id: self.request.context.id,
            max_answer: self.request.max_answer(),
            max_event: server.max_event.as_usize(),
            works_on,
        };
        let unseen = drains.map(|drains| (drains.clone(), unseen()));
        let call = self.post(callee, attempt.sent()).boxed_local();
        OpenCall::new(attempt, call, unseen)
    }

    /// A call that is joined by a second one to another target when it is slow.
    pub(super) async fn hedged(
        &mut self,
        hedging: &Hedging,
        target: Callee<'a>,
        attempt: Attempt,
    ) -> Option<Reply<'a>> {
        hedging.budget.request();
        let first = self.call(&target, attempt, true);
        let Some(patience) = hedging.patience(&target.target.deployment) else {
            let (attempt, answered) = first.await;
            return self.judged(target, attempt, answered).await;
        };
        let mut other = None;
        let second = || self.second_call(hedging, &mut other);
        let raced = race(first, patience, second, |(_, answered)| is_final(answered)).await;
        let (Some(second), Some(other)) = (raced.second, other) else {
            return self.won(target, raced.first).await;
        };
        // The one that lost is closed first: its reservation goes on to the other.
        let first_won = matches!(&raced.first, Lane::Ended((_, answered)) if is_final(answered));
        if first_won {
            self.lost(other, second).await;
            self.won(target, raced.first).await
        } else {
            let refused = self.lost(target, raced.first).await;
            let reply = self.won(other, second).await;
            // Where the other one failed, a refusal says more.
            reply.or(refused)
        }
    }

    /// A hedge to the next target that admits it, if there may be one.
    fn second_call(&mut self, hedging: &Hedging, other: &mut Option<Callee<'a>>) -> Option<OpenCall> {
        if !hedging.budget.take() {
            return None;
        }
        let opened = self.next_candidate().and_then(|candidate| {
            // A ledger that refuses now has taken the first call: that one goes on alone.
            let (target, attempt) = self.open(candidate, Reservation::default()).ok()?;
            let call = self.call(&target, attempt, false);
            *other = Some(target);
            Some(call)
        });
        if opened.is_none() {
            hedging.budget.give_back();
        }
        opened
    }

    /// Closes the books of the call that did not win; gives a refusal that it ended with.
    async fn lost(&mut self, target: Callee<'a>, lane: Lane<OpenCall>) -> Option<Reply<'a>> {
        match lane {
            // It failed, or refused the request, before the other one decided.
            Lane::Ended((attempt, answered)) => self.judged(target, attempt, answered).await,
            Lane::Pending(call) => {
                if let Some(mut attempt) = call.give_up() {
                    let sent = attempt.sent().is_sent();
                    self.reserved = attempt.end_for_next(Ending::hedge_lost(sent));
                }
                None
            }
        }
    }

    /// Goes on with the call that won, or failed last.
    async fn won(&mut self, target: Callee<'a>, lane: Lane<OpenCall>) -> Option<Reply<'a>> {
        let Lane::Ended((mut attempt, answered)) = lane else { return None };
        let carried = std::mem::take(&mut self.reserved);
        if !carried.is_empty() {
            attempt.take_over(carried);
        }
        self.judged(target, attempt, answered).await
    }
}
