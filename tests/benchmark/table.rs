//! What a person sees.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is this program's answer")]

use crate::bounds;
use crate::figures::{Figures, Latency, Report};

/// Cores that others may use before the figures are no good.
const QUIET_CORES: f64 = 0.15;

/// Says what is being done.
pub(crate) fn progress(what: &str) {
    eprintln!("bench: {what}");
}

/// The figures.
pub(crate) fn print(report: &Report) {
    println!(
        "CPU in µs a request (w4: a chunk); latency in µs, p50/p99 (w3: to the first chunk, w4: a chunk's way)"
    );
    println!(
        "{:<4} {:>9} {:>9} {:>6} {:>12} {:>12} {:>12} {:>10} {:>10} {:>10} {:>8} {:>9} {:>5}",
        "",
        "CPU nginx",
        "gateway",
        "ratio",
        "direct",
        "nginx adds",
        "gw adds",
        "direct /s",
        "nginx /s",
        "gateway /s",
        "RSS MiB",
        "requests",
        "lost"
    );
    report.workloads.iter().for_each(|(name, figures)| line(name, figures));
    if let Some(held) = report.find("w4") {
        println!(
            "w4: memory a held stream: nginx {:.1} KiB, gateway {:.1} KiB",
            held.nginx.rss_per_stream_bytes as f64 / 1024.0,
            held.gateway.rss_per_stream_bytes as f64 / 1024.0
        );
    }
    println!("usage events went to: {}", report.kafka);
    if report.foreign() > QUIET_CORES {
        println!(
            "NOT QUIET: others used up to {:.2} cores in the windows; measure again without them",
            report.foreign()
        );
    }
}

fn line(name: &str, figures: &Figures) {
    let pair = |latency: Latency| format!("{}/{}", latency.p50_us, latency.p99_us);
    let direct = figures.direct.latency;
    println!(
        "{:<4} {:>9.1} {:>9.1} {:>6.2} {:>12} {:>12} {:>12} {:>10.0} {:>10.0} {:>10.0} {:>8.1} {:>9} {:>5}",
        name,
        figures.nginx.cpu_us,
        figures.gateway.cpu_us,
        figures.ratio(),
        pair(direct),
        pair(figures.nginx.latency.above(direct)),
        pair(figures.gateway.latency.above(direct)),
        figures.direct.per_second,
        figures.nginx.per_second,
        figures.gateway.per_second,
        figures.gateway.rss_bytes as f64 / f64::from(1 << 20),
        figures.requests,
        figures.lost_events,
    );
}

/// The bounds.
pub(crate) fn print_bounds(report: &Report) {
    for bound in bounds::all(report) {
        let verdict = if bound.kept() { "kept" } else { "BROKEN" };
        match bound.value {
            Some(value) => {
                println!("{:<32} {:>8.2}, at most {:>6.2}: {verdict}", bound.what, value, bound.most)
            }
            None => println!("{:<32} not measured", bound.what),
        }
    }
}
