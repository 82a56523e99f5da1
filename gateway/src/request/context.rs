//! Facts about one request, written when it arrives; all that changes is how often backends were called for it.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use tollgate_crossing::ClientFormat;
use tollgate_runtime::snapshot::Snapshot;
use tollgate_schemas::ids::RequestId;
use tracing::Span;

use crate::headers::trace_context::TraceContext;

/// What is known of a request before its body is read.
#[derive(Debug)]
pub struct RequestContext {
    /// Its id: in every event, error, log line and the `x-request-id` header.
    pub id: RequestId,
    /// When its head was read.
    pub received: Instant,
    /// The caller's trace, or a new one.
    pub trace: TraceContext,
    /// Its span; disabled if there is no exporter.
    pub span: Span,
    /// The API format it speaks.
    pub format: ClientFormat,
    /// The configuration it runs under, to its end.
    pub snapshot: Arc<Snapshot>,
    /// Calls to backends that were made for it so far.
    pub attempts: Cell<u8>,
}
