//! The row of an answer whose model went on, when it has ended. Pure.
//!
//! | end | outcome | code | version |
//! |---|---|---|---|
//! | completed, or cut off at a bound | ok | – | ended |
//! | failed | upstream_error | backend_error | ended |
//! | cancelled | client_abort | – | ended |
//! | nobody knew at the deadline | as before | background_deadline | given up |
//! | its provider does not know it any more | as before | background_lost | given up |
//!
//! A client that had gone before stays gone.

use tollgate_crossing::ClientFormat;
use tollgate_formats::openai_responses::work::Stage;
use tollgate_schemas::usage::{Outcome, UsageEvent, VERSION_ENDED, VERSION_GIVEN_UP};

use crate::books::measure::{Basis, Produced, measure};
use crate::pending::table::GivenUp;

/// How an answer ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// By what its provider says.
    Said(Stage, Produced<'a>),
    GivenUp(GivenUp),
}

impl End<'_> {
    /// Its name in metrics and logs.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Said(Stage::Completed, _) => "completed",
            Self::Said(Stage::Incomplete, _) => "incomplete",
            Self::Said(Stage::Failed, _) => "failed",
            Self::Said(Stage::Cancelled, _) => "cancelled",
            Self::Said(Stage::Running, _) => "running",
            Self::GivenUp(GivenUp::Deadline) => "deadline",
            Self::GivenUp(GivenUp::Lost) => "lost",
        }
    }
}

/// The later version of a row, and whether its provider's report was not believed.
pub(super) fn ended(before: &UsageEvent, end: &End<'_>, now_ms: i64) -> (UsageEvent, bool) {
    let mut event = UsageEvent { error_code: None, ..before.clone() };
    event.ended_at_ms = now_ms.max(event.event_time_ms);
    event.timing.latency_ms = u32::try_from(event.ended_at_ms - event.event_time_ms).unwrap_or(u32::MAX);
    let (stage, produced) = match end {
        End::Said(stage, produced) => (*stage, *produced),
        End::GivenUp(why) => {
            event.version = VERSION_GIVEN_UP;
            event.error_code = Some(code(*why).into());
            return (event, false);
        }
    };
    // The prompt is not kept so long; what was counted of it stands for it.
    let basis = Basis::counted(ClientFormat::Responses, before.input_tokens());
    let measured = measure(&basis, &before.call.model, produced);
    event.version = VERSION_ENDED;
    event.lines = measured.lines;
    event.usage_source = measured.source;
    match stage {
        Stage::Failed => {
            event.outcome = Outcome::UpstreamError;
            event.error_code = Some("backend_error".into());
        }
        Stage::Cancelled => event.outcome = Outcome::ClientAbort,
        // A process that died in between has recovered it; now it is known how it ended.
        _ if before.outcome == Outcome::Recovered => event.outcome = Outcome::Ok,
        _ => {}
    }
    (event, measured.disbelieved.is_some())
}

const fn code(why: GivenUp) -> &'static str {
    match why {
        GivenUp::Deadline => "background_deadline",
        GivenUp::Lost => "background_lost",
    }
}

#[cfg(test)]
mod tests {
    use tollgate_formats::Usage;
    use tollgate_schemas::tokens::{TokenClass, UsageLine};
    use tollgate_schemas::usage::UsageSource;

    use super::*;
    use crate::pending::testing::event;

    fn said(stage: Stage, usage: Option<Usage>, text: &str) -> UsageEvent {
        let before = UsageEvent { error_code: Some("background_pending".into()), ..event("checkout") };
        let produced = Produced { usage, complete: true, text, prompt_sent: true, ..Produced::default() };
        let (after, disbelieved) = ended(&before, &End::Said(stage, produced), before.event_time_ms + 9_000);
        assert!(!disbelieved);
        let same = (after.event_id, &after.ledger, after.event_time_ms, &after.payer);
        assert_eq!(same, (before.event_id, &before.ledger, before.event_time_ms, &before.payer));
        assert_eq!((after.version, after.timing.latency_ms), (VERSION_ENDED, 9_000));
        after
    }

    fn lines(event: &UsageEvent) -> Vec<(TokenClass, u64)> {
        event.lines.iter().map(|line| (line.class, line.qty)).collect()
    }

    #[test]
    fn every_end_has_its_row() {
        for (stage, outcome, code) in [
            (Stage::Completed, Outcome::Ok, None),
            (Stage::Incomplete, Outcome::Ok, None),
            (Stage::Failed, Outcome::UpstreamError, Some("backend_error")),
            (Stage::Cancelled, Outcome::ClientAbort, None),
        ] {
            let usage = Usage { input: 10, output: 40, reasoning: 5, ..Usage::reported() };
            let row = said(stage, Some(usage), "");
            assert_eq!((row.outcome, row.error_code.as_deref()), (outcome, code), "{stage:?}");
            let expected =
                [(TokenClass::Input, 10), (TokenClass::Output, 40), (TokenClass::OutputReasoning, 5)];
            assert_eq!(
                (lines(&row).as_slice(), row.usage_source),
                (&expected[..], UsageSource::ProviderFinal)
            );
        }
    }

    #[test]
    fn an_end_without_usage_is_counted_and_keeps_the_prompt() {
        let row = said(Stage::Cancelled, None, "Hello there");
        assert_eq!(lines(&row), [(TokenClass::Input, 12), (TokenClass::Output, 2)]);
        assert_eq!(row.usage_source, UsageSource::Estimated);
    }

    #[test]
    fn an_answer_that_is_given_up_keeps_what_is_known_and_says_why() {
        let before = event("checkout");
        for (why, code) in [(GivenUp::Deadline, "background_deadline"), (GivenUp::Lost, "background_lost")] {
            let (row, _) = ended(&before, &End::GivenUp(why), before.event_time_ms + 1);
            assert_eq!((row.version, row.error_code.as_deref()), (VERSION_GIVEN_UP, Some(code)));
            assert_eq!((&row.lines, row.outcome), (&before.lines, Outcome::Ok));
        }
        const { assert!(VERSION_ENDED > VERSION_GIVEN_UP, "what a provider says wins") };
    }

    #[test]
    fn a_report_that_no_call_can_have_used_is_not_believed() {
        let before = event("checkout");
        let usage = Some(Usage { input: 1, output: u64::MAX / 2, ..Usage::reported() });
        let produced =
            Produced { usage, complete: true, text: "Hello", prompt_sent: true, ..Produced::default() };
        let (row, disbelieved) = ended(&before, &End::Said(Stage::Completed, produced), 0);
        assert!(disbelieved);
        assert_eq!(row.lines[0], UsageLine { class: TokenClass::Input, qty: 12 });
    }

    #[test]
    fn a_client_that_had_gone_stays_gone_and_a_dead_process_is_made_good() {
        let produced = Produced { complete: true, prompt_sent: true, ..Produced::default() };
        for (before, after) in
            [(Outcome::ClientAbort, Outcome::ClientAbort), (Outcome::Recovered, Outcome::Ok)]
        {
            let row = UsageEvent { outcome: before, ..event("checkout") };
            assert_eq!(ended(&row, &End::Said(Stage::Completed, produced), 0).0.outcome, after);
        }
    }
}
