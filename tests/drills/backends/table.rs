//! The phases as a table.

#![expect(clippy::print_stdout, reason = "the figures of each phase are this program's answer")]

use tollgate_tests::load::timeline::Period;

use super::phase::Phase;

/// Prints one line a phase.
pub(super) fn print(phases: &[Phase]) {
    println!(
        "{:<8} {:<9} {:>8} {:>8} {:>8} {:>8} {:>7} {:>13} {:>8}",
        "fault", "time", "requests", "p50 ms", "p99 ms", "max ms", "refused", "error events", "cut"
    );
    for phase in phases {
        line(phase, "before", &phase.before);
        line(phase, "reaction", &phase.reaction);
        line(phase, "after", &phase.after);
        let [before, after] = &phase.witnessed;
        line(phase, "past it 1", before);
        line(phase, "past it 2", after);
        println!(
            "{:<8} p99 after the fault: {} % of that before, {} % without the machine's part; circuit open: {}; until it \
             answered well: {} requests, {} at once; in use again after {} ms",
            phase.fault.to_string(),
            phase.raw_percent(),
            phase.percent(),
            if phase.opened { "yes" } else { "no" },
            phase.watch.requests,
            phase.watch.most_at_once,
            phase.recovered.as_millis(),
        );
    }
}

fn line(phase: &Phase, time: &str, period: &Period) {
    let ms = |percent| f64::from(period.times.percentile_us(percent)) / 1_000.0;
    println!(
        "{:<8} {:<9} {:>8} {:>8.1} {:>8.1} {:>8.1} {:>7} {:>13} {:>8}",
        phase.fault.to_string(),
        time,
        period.requests,
        ms(50.0),
        ms(99.0),
        ms(100.0),
        period.refused,
        period.error_events,
        period.cut
    );
}
