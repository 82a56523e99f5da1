//! The figures of one run.

use serde_json::{Map, Value, json};
use tollgate_tests::harness::kafka::Kind;
use tollgate_tests::load::stats::Times;

use crate::rig::Rig;

/// Times of one way to the backend.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Latency {
    /// Median, µs.
    pub(crate) p50_us: i64,
    /// 99th percentile, µs.
    pub(crate) p99_us: i64,
}

impl Latency {
    /// From times.
    pub(crate) fn of(times: &Times) -> Self {
        Self { p50_us: times.percentile_us(50.0).into(), p99_us: times.percentile_us(99.0).into() }
    }

    /// What this way adds to the direct one: percentile minus percentile.
    pub(crate) fn above(self, direct: Self) -> Self {
        Self { p50_us: self.p50_us - direct.p50_us, p99_us: self.p99_us - direct.p99_us }
    }
}

/// What one proxy cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// CPU time a request (a chunk for held streams), µs, all threads.
    pub(crate) cpu_us: f64,
    /// Requests (chunks) a second in the window.
    pub(crate) per_second: f64,
    /// Share of its core that was busy in the window.
    pub(crate) busy: f64,
    /// Cores that others used in the window: above a tenth or so they disturb.
    pub(crate) foreign: f64,
    /// Resident memory at the end of the window, bytes.
    pub(crate) rss_bytes: u64,
    /// Growth of resident memory a held stream, bytes; 0 for other workloads.
    pub(crate) rss_per_stream_bytes: u64,
    /// At the fixed rate, or on the way of chunks.
    pub(crate) latency: Latency,
}

/// One workload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    /// Without a proxy; what it costs is nothing, how many a second is what the traffic can do.
    pub(crate) direct: Cost,
    /// Through nginx.
    pub(crate) nginx: Cost,
    /// Through the gateway.
    pub(crate) gateway: Cost,
    /// Requests sent through the gateway.
    pub(crate) requests: usize,
    /// Of these, without a usage event in Kafka.
    pub(crate) lost_events: usize,
    /// Exchanges that failed, on all three ways.
    pub(crate) errors: u64,
}

impl Figures {
    /// CPU of the gateway over that of nginx.
    pub(crate) fn ratio(&self) -> f64 {
        self.gateway.cpu_us / self.nginx.cpu_us
    }

    /// Cores that others used, at worst.
    pub(crate) fn foreign(&self) -> f64 {
        self.nginx.foreign.max(self.gateway.foreign)
    }

    fn to_json(self) -> Value {
        let direct = self.direct.latency;
        let (gateway, nginx) = (self.gateway.latency.above(direct), self.nginx.latency.above(direct));
        json!({
            "gateway_cpu_us": rounded(self.gateway.cpu_us),
            "nginx_cpu_us": rounded(self.nginx.cpu_us),
            "cpu_ratio": rounded(self.ratio()),
            "added_p50_us": gateway.p50_us,
            "added_p99_us": gateway.p99_us,
            "nginx_added_p50_us": nginx.p50_us,
            "nginx_added_p99_us": nginx.p99_us,
            "direct_p50_us": direct.p50_us,
            "direct_p99_us": direct.p99_us,
            "rss_bytes": self.gateway.rss_bytes,
            "rss_per_stream_bytes": self.gateway.rss_per_stream_bytes,
            "nginx_rss_per_stream_bytes": self.nginx.rss_per_stream_bytes,
            "gateway_per_second": self.gateway.per_second.round(),
            "nginx_per_second": self.nginx.per_second.round(),
            "direct_per_second": self.direct.per_second.round(),
            "foreign_cores": rounded(self.foreign()),
            "gateway_core_busy": rounded(self.gateway.busy),
            "nginx_core_busy": rounded(self.nginx.busy),
            "requests": self.requests,
            "lost_events": self.lost_events,
            "errors": self.errors,
        })
    }
}

/// All workloads.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    /// In the order they ran.
    pub(crate) workloads: Vec<(&'static str, Figures)>,
    /// Resident memory of the gateway before any request, bytes.
    pub(crate) idle_rss_bytes: u64,
    /// Which Kafka took the events.
    pub(crate) kafka: &'static str,
    /// Events that came more than once; harmless, reports count an event once.
    pub(crate) repeated_events: u64,
}

impl Report {
    pub(crate) fn new(rig: &Rig) -> Self {
        let kafka = match rig.kafka_kind {
            Kind::Apache => "apache",
            Kind::StandIn => "noida-db",
        };
        Self { workloads: Vec::new(), idle_rss_bytes: rig.idle_rss_bytes, kafka, repeated_events: 0 }
    }

    pub(crate) fn add(&mut self, name: &'static str, figures: Figures) {
        self.workloads.push((name, figures));
    }

    /// The figures of that workload, where it ran.
    pub(crate) fn find(&self, name: &str) -> Option<&Figures> {
        self.workloads.iter().find(|(found, _)| *found == name).map(|(_, figures)| figures)
    }

    /// Cores that others used, at worst.
    pub(crate) fn foreign(&self) -> f64 {
        self.workloads.iter().map(|(_, figures)| figures.foreign()).fold(0.0, f64::max)
    }

    /// Requests without a usage event, over all workloads.
    pub(crate) fn lost_events(&self) -> usize {
        self.workloads.iter().map(|(_, figures)| figures.lost_events).sum()
    }

    /// Exchanges that failed, over all workloads.
    pub(crate) fn errors(&self) -> u64 {
        self.workloads.iter().map(|(_, figures)| figures.errors).sum()
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut workloads = Map::new();
        for (name, figures) in &self.workloads {
            workloads.insert((*name).to_owned(), figures.to_json());
        }
        json!({
            "workloads": workloads,
            "idle_rss_bytes": self.idle_rss_bytes,
            "lost_events": self.lost_events(),
            "repeated_events": self.repeated_events,
            "kafka": self.kafka,
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
