//! What an ended call means: an answer, a refusal of the request itself, or a failure that another target may
//! make up for.

use std::time::Duration;

use http::Response;
use tollgate_backends::AnswerBody;
use tollgate_backends::call::{CallResult, collect};
use tollgate_backends::{AttemptClass, FailureKind, outcome, retry_after};
use tollgate_base::time::now_ms;
use tollgate_crossing::Crossing;
use tollgate_formats::Usage;
use tollgate_formats::meaning::BackendError;
use tollgate_runtime::snapshot::Target;
use tollgate_schemas::ids::RequestId;

use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::measure::Produced;
use crate::request::failure::{NoAnswer, Unanswered, call_failure, ended_with, redirected};

/// Largest error answer of a backend that is read, bytes.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How long an error answer may take to arrive.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// What came of one call.
pub(super) enum CallVerdict {
    /// The backend does what was asked.
    Answer(Box<Attempt>, Response<AnswerBody>),
    Nothing(NoAnswer),
}

/// Whether a call ended with something that another target would not change, as far as its head tells.
pub(super) fn is_final(answered: &CallResult) -> bool {
    let Ok(response) = answered else { return false };
    let status = response.status();
    status.is_success() || !(status.is_redirection() || outcome::may_be_retryable(status.as_u16()))
}

/// Judges a call that ended and closes its books, except those of an answer. `spent` is what calls before it have
/// used.
pub(super) async fn judge(
    target: &Target,
    crossing: Crossing,
    request_id: RequestId,
    mut attempt: Attempt,
    answered: CallResult,
    spent: Option<Usage>,
) -> CallVerdict {
    let produced = Produced { usage: spent, ..Produced::default() };
    match answered {
        Err(error) => {
            let (kind, failure) = call_failure(&target.backend, error);
            // Without an answer nothing is billed: the provider reports no use either.
            let ending = Ending::failed(kind, 0, failure.class().code, produced);
            CallVerdict::Nothing(Unanswered::close(&mut attempt, ending, failure).into())
        }
        Ok(response) if response.status().is_success() => CallVerdict::Answer(Box::new(attempt), response),
        Ok(response) => {
            let refused = refused(target, crossing, request_id, attempt, response, produced);
            CallVerdict::Nothing(Box::pin(refused).await)
        }
    }
}

/// The backend answered with an error: either it failed, or it refuses this very request.
async fn refused(
    target: &Target,
    crossing: Crossing,
    request_id: RequestId,
    mut attempt: Attempt,
    response: Response<AnswerBody>,
    produced: Produced<'_>,
) -> NoAnswer {
    let status = response.status();
    attempt.note_rates(response.headers());
    if status.is_redirection() {
        let failure = redirected(&target.backend);
        let kind = FailureKind::Status(status.as_u16());
        let failed = Ending::failed(kind, 0, failure.class().code, produced);
        let ending = Ending { class: AttemptClass::Neutral, ..failed };
        return Unanswered::close(&mut attempt, ending, failure).into();
    }
    let wait = retry_after::from_headers(response.headers(), now_ms());
    let (head, body) = response.into_parts();
    let body = collect(body, MAX_ERROR_BODY, ERROR_BODY_WAIT).await.unwrap_or_default();
    let said = crossing.error(&head, &body);
    let refusal = |said: &BackendError| crossing.refusal(said, body, request_id);
    ended_with(&mut attempt, crossing.client, said, wait, produced, refusal)
}
