//! Verdicts of cases, as a table for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::plan;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Failed(String),
}

/// One case of one client.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) client: &'static str,
    pub(super) ingress: String,
    pub(super) backend: String,
    pub(super) case: String,
    pub(super) verdict: Verdict,
}

impl Run {
    /// Reads a line of a script; `None` if it is not a result.
    pub(super) fn read(client: &'static str, line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (ingress, backend, case, verdict) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let verdict = match verdict.strip_prefix("FAILED ") {
            Some(what) => Verdict::Failed(what.to_owned()),
            None if verdict == "ok" => Verdict::Passed,
            None => return None,
        };
        let [ingress, backend, case] = [ingress, backend, case].map(str::to_owned);
        Some(Self { client, ingress, backend, case, verdict })
    }
}

/// Passed of run cases, a row for each client and ingress; then what makes no sense, and why.
pub(super) fn report(runs: &[Run], backends: &[&str]) -> String {
    let mut out = format!("{:<17}{:<19}", "client", "ingress");
    for backend in backends {
        let _ = write!(out, "{backend:>14}");
    }
    out.push('\n');
    let rows: BTreeSet<(&str, &str)> = runs.iter().map(|run| (run.client, &*run.ingress)).collect();
    for (client, ingress) in rows {
        let _ = write!(out, "{client:<17}{ingress:<19}");
        for backend in backends {
            let here = runs
                .iter()
                .filter(|run| run.client == client && run.ingress == ingress && run.backend == *backend);
            let (passed, all) = here.fold((0, 0), |(passed, all), run| {
                (passed + usize::from(run.verdict == Verdict::Passed), all + 1)
            });
            let cell = if all == 0 { "n/a".to_owned() } else { format!("{passed}/{all}") };
            let _ = write!(out, "{cell:>14}");
        }
        out.push('\n');
    }
    let passed = runs.iter().filter(|run| run.verdict == Verdict::Passed).count();
    let cases = cases(runs).len() * backends.len();
    let _ = writeln!(
        out,
        "{passed} of {} cases passed; {} are not meaningful:",
        runs.len(),
        cases.saturating_sub(runs.len())
    );
    for (ingress, case, backends, why) in plan::NOT_MEANINGFUL {
        let _ = writeln!(out, "  {ingress}/{case} on {}: {why}", backends.join(", "));
    }
    out
}

/// Every case that a client has on an ingress.
fn cases(runs: &[Run]) -> BTreeSet<(&str, &str, &str)> {
    runs.iter().map(|run| (run.client, &*run.ingress, &*run.case)).collect()
}

/// Cases that failed, and cases that neither ran nor are known to make no sense.
pub(super) fn wrong(runs: &[Run]) -> Vec<String> {
    let mut wrong: Vec<String> = runs
        .iter()
        .filter_map(|run| match &run.verdict {
            Verdict::Failed(what) => {
                Some(format!("{} {}/{} on {}: {what}", run.client, run.ingress, run.case, run.backend))
            }
            Verdict::Passed => None,
        })
        .collect();
    for (client, ingress, case) in cases(runs) {
        for plan::Backend { name, .. } in plan::BACKENDS {
            let ran = runs.iter().any(|run| {
                run.client == client && run.ingress == ingress && run.case == case && run.backend == name
            });
            if ran == plan::reason(ingress, name, case).is_some() {
                wrong.push(format!("{client} {ingress}/{case} on {name}: must either run or make no sense"));
            }
        }
    }
    wrong
}
