//! Logs to standard error, and traces over OTLP where an endpoint is configured.
//!
//! The exporter runs on a runtime of its own: the gateway's workers are single-threaded, and a blocked or
//! missing collector must not reach them. Spans that cannot be delivered are dropped, never awaited.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Runtime;
use tollgate_config::TelemetryConfig;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// How long the last spans may take to leave at the end.
const FLUSH_DEADLINE: Duration = Duration::from_secs(3);

/// What is logged and traced.
#[derive(Debug, Clone)]
pub struct TelemetryOptions {
    /// Filter in the form of `tracing`; `RUST_LOG` overrides it.
    pub filter: String,
    /// Logs as JSON lines.
    pub json: bool,
    /// OTLP/gRPC endpoint; no traces without it.
    pub otlp_endpoint: Option<String>,
    /// Name of the service in traces.
    pub service_name: &'static str,
    /// Share of new traces that are recorded, 0 to 1; a caller's decision is followed.
    pub sample_ratio: f64,
}

impl TelemetryOptions {
    /// From the configuration file.
    #[must_use]
    pub fn from_config(config: &TelemetryConfig, service_name: &'static str) -> Self {
        Self {
            filter: config.log.clone(),
            json: config.json,
            otlp_endpoint: config.otlp_endpoint.clone(),
            service_name,
            sample_ratio: config.sample_ratio,
        }
    }
}

/// Keeps the exporter alive; flushes it when dropped.
#[derive(Default)]
pub struct Guard {
    exporter: Option<(SdkTracerProvider, Runtime)>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some((provider, runtime)) = self.exporter.take() else { return };
        if let Err(error) = provider.shutdown_with_timeout(FLUSH_DEADLINE) {
            tracing::warn!(error = %error, "the last spans were not delivered");
        }
        runtime.shutdown_background();
    }
}

/// Starts logging and tracing for the process. A second call in one process changes nothing.
#[must_use]
pub fn init(options: TelemetryOptions) -> Guard {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&options.filter))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let log = if options.json {
        fmt::layer().json().with_writer(std::io::stderr).boxed()
    } else {
        fmt::layer().with_writer(std::io::stderr).with_ansi(false).boxed()
    };
    let exporter = options.otlp_endpoint.as_deref().and_then(|endpoint| match exporter(endpoint, &options) {
        Ok(exporter) => Some(exporter),
        Err(reason) => {
            report(&format!("telemetry.otlp_endpoint {endpoint}: {reason}; no traces are sent"));
            None
        }
    });
    let spans = exporter.as_ref().map(|(provider, _)| {
        let tracer = provider.tracer(options.service_name);
        tracing_opentelemetry::layer().with_tracer(tracer)
    });
    let registry = tracing_subscriber::registry().with(log.with_filter(filter)).with(spans);
    if registry.try_init().is_err() {
        return Guard::default();
    }
    if exporter.is_some() {
        super::spans::enable(options.sample_ratio);
    }
    Guard { exporter }
}

fn exporter(endpoint: &str, options: &TelemetryOptions) -> Result<(SdkTracerProvider, Runtime), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("otlp")
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let entered = runtime.enter();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(FLUSH_DEADLINE)
        .build()
        .map_err(|error| error.to_string())?;
    let ratio = Sampler::TraceIdRatioBased(options.sample_ratio.clamp(0.0, 1.0));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_resource(Resource::builder().with_service_name(options.service_name).build())
        .build();
    drop(entered);
    Ok((provider, runtime))
}

#[expect(clippy::print_stderr, reason = "the log does not exist yet")]
fn report(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
#[path = "tracing_tests.rs"]
mod tests;
