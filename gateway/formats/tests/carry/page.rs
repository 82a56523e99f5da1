//! The page: an introduction, and one table for each client's format.

use std::fmt::Write;

use super::formats::{BACKENDS, CLIENTS, Client};
use super::probe::Verdict;
use super::silent::{SILENT, unused};

const INTRODUCTION: &str = "\
# What is carried between API formats

Generated from what the gateway does: `UPDATE_SCHEMAS=1 cargo test -p tollgate-formats --test carry` writes it anew.

Clients and backends may speak different API formats; each request is then translated. Where both speak the same
format the bytes pass, with what the gateway does not know; those columns are not shown.

What a backend's format or its model has no place for is treated by what it means:

- What would **change the meaning of the answer** is *refused* with status 400 and its name (the default,
  `on_unmappable: reject`), or, with `on_unmappable: drop`, left out and named in the header
  `x-tollgate-dropped-parameters`.
- What has **no effect on the meaning** (labels, hints for a cache, tuning of the provider's service) is *left out* and
  named in the same header, whatever the policy.
- With `drop` no request is refused for something that a backend has no place for. In the place of a message of which
  nothing would be left stands a text that says what was left out.

| In the tables | Meaning |
|---|---|
| carried | The backend gets it, in its own words. |
| changed | The backend gets it, and what could not be kept of it is named in the header. |
| left out | The backend does not get it; named in the header, whatever the policy. |
| refused | The request is refused; with `drop`, left out and named in the header. |
| – | The body is the same with it and without, and nothing is named; below each table it stands why nothing is lost. |

What a format has no field for is told in words where it changes what a model knows, and always in the same words, so
that a prompt begins as it did a turn ago:

- The result of a tool that failed begins with `Error: ` where the format has no flag for that (OpenAI Chat,
  OpenAI Responses), unless its text begins so by itself.
- Instructions in the midst of a conversation are a text of the user in `<system-reminder>` where the model takes none
  there.
- A tool that takes free text is a function with one text, `input`, where the model takes none; its grammar stands in
  its description.
- Thinking that is left to the model (`adaptive`, a budget of -1) needs no word for one that thinks by itself. One that
  does not is told to think `medium`, an older Claude gets a budget, and where nothing can be told it is named.

What is carried depends on the model too. The tables show these:
";

/// The page, or every fault that was found.
pub(crate) fn page() -> Result<String, Vec<String>> {
    let mut page = format!("{INTRODUCTION}\n| Backend | Model |\n|---|---|\n");
    for backend in &BACKENDS {
        let _ = writeln!(page, "| {} | `{}` |", backend.title, backend.model);
    }
    let mut faults = Vec::new();
    for client in &CLIENTS {
        table(client, &mut page, &mut faults);
    }
    if faults.is_empty() { Ok(page) } else { Err(faults) }
}

/// Requests that are refused or changed as the page says they never are.
pub(crate) fn faults() -> Vec<String> {
    page().err().unwrap_or_default()
}

/// What a client can say that leaves no trace and has no reason for that, or a reason without need.
pub(crate) fn without_reason() -> Vec<String> {
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for client in &CLIENTS {
        for probe in client.probes {
            for backend in BACKENDS.iter().filter(|backend| backend.title != client.own) {
                if probe.verdict(client, backend) != Ok(Verdict::NoEffect) {
                    continue;
                }
                seen.push((client.title, probe.name, backend.title));
                if !SILENT.iter().any(|entry| entry.is_of(client.title, probe.name, backend.title)) {
                    found.push(format!("{}: {} to {} is silent", client.title, probe.name, backend.title));
                }
            }
        }
    }
    found.extend(unused(&seen));
    found
}

/// Why something is shown as `–`.
fn reasons(client: &Client, page: &mut String) {
    page.push_str("\n| Shown as – | Towards | Why |\n|---|---|---|\n");
    for entry in SILENT.iter().filter(|entry| entry.client == client.title) {
        let (things, backends) = (entry.things.join(", "), entry.backends.join(", "));
        let _ = writeln!(page, "| {things} | {backends} | {} |", entry.why);
    }
}

fn table(client: &Client, page: &mut String, faults: &mut Vec<String>) {
    let backends = || BACKENDS.iter().filter(|backend| backend.title != client.own);
    let titles: Vec<_> = backends().map(|backend| backend.title).collect();
    let _ = writeln!(page, "\n## Clients of {}\n\n| A request's | {} |", client.title, titles.join(" | "));
    let _ = writeln!(page, "|---|{}", "---|".repeat(titles.len()));
    for probe in client.probes {
        let _ = write!(page, "| {} |", probe.name);
        for backend in backends() {
            match probe.verdict(client, backend) {
                Ok(verdict) => {
                    let _ = write!(page, " {} |", verdict.word());
                }
                Err(fault) => {
                    page.push_str(" ? |");
                    faults.push(format!("{}: {} to {}: {fault}", client.title, probe.name, backend.title));
                }
            }
        }
        page.push('\n');
    }
    reasons(client, page);
}
