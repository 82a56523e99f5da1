//! The bounds that are published, and whether a run kept them.

use crate::figures::Report;

/// One bound and how it went.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// What is bounded.
    pub(crate) what: &'static str,
    /// The measured value; `None` if the workload did not run.
    pub(crate) value: Option<f64>,
    /// The most it may be.
    pub(crate) most: f64,
}

impl Bound {
    /// Whether it was kept, or not tried.
    pub(crate) fn kept(&self) -> bool {
        self.value.is_none_or(|value| value <= self.most)
    }
}

/// All bounds.
pub(crate) fn all(report: &Report) -> Vec<Bound> {
    let ratio = |name: &str| report.find(name).map(super::figures::Figures::ratio);
    let per_stream = report.find("w4").map(|figures| figures.gateway.rss_per_stream_bytes as f64 / 1024.0);
    vec![
        Bound { what: "w1: CPU a request, times nginx", value: ratio("w1"), most: 3.0 },
        Bound { what: "w3: CPU a stream, times nginx", value: ratio("w3"), most: 1.5 },
        Bound {
            what: "memory idle, MiB",
            value: Some(report.idle_rss_bytes as f64 / f64::from(1 << 20)),
            most: 60.0,
        },
        Bound { what: "w4: memory a held stream, KiB", value: per_stream, most: 64.0 },
        Bound { what: "lost events", value: Some(report.lost_events() as f64), most: 0.0 },
        Bound { what: "failed exchanges", value: Some(report.errors() as f64), most: 0.0 },
    ]
}

/// How many were broken.
pub(crate) fn broken(report: &Report) -> usize {
    all(report).iter().filter(|bound| !bound.kept()).count()
}
