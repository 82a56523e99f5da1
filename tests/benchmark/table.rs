//! What a person sees.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is this program's answer")]

use crate::bounds;
use crate::figures::Report;

/// Says what is being done.
pub(crate) fn progress(what: &str) {
    eprintln!("bench: {what}");
}

/// The figures.
pub(crate) fn print(report: &Report) {
    println!(
        "CPU in µs a request (w4: a chunk); added latency in µs to the direct way (w3: first chunk, w4: a chunk's way)"
    );
    println!(
        "{:<4} {:>9} {:>9} {:>6} {:>15} {:>15} {:>15} {:>11} {:>11} {:>8} {:>10} {:>5}",
        "",
        "nginx",
        "gateway",
        "ratio",
        "direct p50/p99",
        "nginx +",
        "gateway +",
        "nginx /s",
        "gateway /s",
        "RSS MiB",
        "requests",
        "lost"
    );
    for (name, figures) in &report.workloads {
        let pair = |latency: crate::figures::Latency| format!("{}/{}", latency.p50_us, latency.p99_us);
        println!(
            "{:<4} {:>9.1} {:>9.1} {:>6.2} {:>15} {:>15} {:>15} {:>11.0} {:>11.0} {:>8.1} {:>10} {:>5}",
            name,
            figures.nginx.cpu_us,
            figures.gateway.cpu_us,
            figures.ratio(),
            pair(figures.direct),
            pair(figures.nginx.latency.above(figures.direct)),
            pair(figures.gateway.latency.above(figures.direct)),
            figures.nginx.per_second,
            figures.gateway.per_second,
            figures.gateway.rss_bytes as f64 / f64::from(1 << 20),
            figures.requests,
            figures.lost_events,
        );
    }
    if let Some(held) = report.find("w4") {
        println!(
            "w4: memory a held stream: nginx {:.1} KiB, gateway {:.1} KiB",
            held.nginx.rss_per_stream_bytes as f64 / 1024.0,
            held.gateway.rss_per_stream_bytes as f64 / 1024.0
        );
    }
    println!("usage events went to: {}", report.kafka);
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
