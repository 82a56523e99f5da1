//! Spans of calls: one for each request, and inside it one for each call of a backend, with the attributes of
//! OpenTelemetry's conventions for generative AI. Nothing is made while no exporter is configured.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tollgate_schemas::tokens::{input_tokens, output_tokens};
use tollgate_schemas::usage::{Outcome, UsageEvent};
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::headers::trace_context::TraceContext;

/// Whether spans have somewhere to go.
static ENABLED: AtomicBool = AtomicBool::new(false);
/// Share of new traces that are recorded, in 2⁻³².
static RATIO: AtomicU64 = AtomicU64::new(0);

/// Spans are made from now on; this share of the traces that begin here is recorded.
pub fn enable(sample_ratio: f64) {
    let share = (sample_ratio.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u64 + 1;
    RATIO.store(share, Ordering::Relaxed);
    ENABLED.store(true, Ordering::Relaxed);
}

/// The span of a request, which `trace` goes on with: a caller's decision to record is followed, and calls to backends
/// name this span as their parent.
#[must_use]
pub fn request(trace: &mut TraceContext, method: &str) -> Span {
    if !ENABLED.load(Ordering::Relaxed) {
        return Span::none();
    }
    if trace.parent.is_none() {
        trace.sampled = u64::from(trace.trace_id as u32) < RATIO.load(Ordering::Relaxed);
    }
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        http.request.method = method,
        http.response.status_code = field::Empty,
        error.r#type = field::Empty,
    );
    let parent = trace.parent.unwrap_or(trace.span_id);
    let flags = if trace.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let caller = SpanContext::new(
        TraceId::from(trace.trace_id),
        SpanId::from(parent),
        flags,
        true,
        TraceState::default(),
    );
    if span.set_parent(Context::new().with_remote_span_context(caller)).is_ok() {
        let own = span.context().span().span_context().span_id();
        trace.span_id = u64::from_be_bytes(own.to_bytes()).max(1);
    }
    span
}

/// Notes how a request ended.
pub fn request_ended(span: &Span, status: u16, code: Option<&'static str>) {
    if !span.is_none() {
        span.record("http.response.status_code", status);
        if let Some(code) = code {
            span.record("error.type", code);
        }
    }
}

/// The span of one call of a backend, inside the one that is current.
#[must_use]
pub fn attempt(event: &UsageEvent) -> Span {
    if !ENABLED.load(Ordering::Relaxed) {
        return Span::none();
    }
    let call = &event.call;
    tracing::info_span!(
        "attempt",
        otel.kind = "client",
        gen_ai.operation.name = call.operation.as_str(),
        gen_ai.provider.name = &*call.provider,
        gen_ai.request.model = &*call.model,
        tollgate.backend = &*call.backend,
        tollgate.model = &*call.model_requested,
        tollgate.attempt = event.attempt,
        tollgate.event_id = %event.event_id,
        gen_ai.usage.input_tokens = field::Empty,
        gen_ai.usage.output_tokens = field::Empty,
        http.response.status_code = field::Empty,
        error.r#type = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// Notes how a call of a backend ended.
pub fn attempt_ended(span: &Span, event: &UsageEvent) {
    if span.is_none() {
        return;
    }
    span.record("gen_ai.usage.input_tokens", input_tokens(&event.lines));
    span.record("gen_ai.usage.output_tokens", output_tokens(&event.lines));
    span.record("http.response.status_code", event.http_status);
    if let Some(code) = &event.error_code {
        span.record("error.type", &**code);
    }
    if event.outcome != Outcome::Ok {
        span.record("otel.status_code", "ERROR");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::Value;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps the spans that it is given.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
            self.0.lock().unwrap().extend(batch);
            std::future::ready(Ok(()))
        }
    }

    /// Spans that `work` made.
    fn made(work: impl FnOnce()) -> Vec<SpanData> {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let spans = kept.0.lock().unwrap();
        spans.clone()
    }

    #[test]
    fn a_request_goes_on_with_its_callers_trace_and_tells_how_it_ended() {
        enable(1.0);
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut trace = TraceContext::from_header(Some(header));
        let spans = made(|| {
            let span = request(&mut trace, "POST");
            request_ended(&span, 429, Some("rate_limit_exceeded"));
        });
        let span = &spans[0];
        assert_eq!(span.span_context.trace_id(), TraceId::from(trace.trace_id));
        assert_eq!(span.parent_span_id, SpanId::from(0xb7ad_6b71_6920_3331));
        assert_eq!(
            span.span_context.span_id(),
            SpanId::from(trace.span_id),
            "backends name it as their parent"
        );
        let error = span.attributes.iter().find(|pair| pair.key.as_str() == "error.type").unwrap();
        assert_eq!(error.value, Value::from("rate_limit_exceeded"));
    }

    #[test]
    fn a_trace_that_its_caller_does_not_record_is_not_recorded() {
        enable(1.0);
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let mut trace = TraceContext::from_header(Some(header));
        assert!(made(|| drop(request(&mut trace, "POST"))).is_empty());
    }
}
