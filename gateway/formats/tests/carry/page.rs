//! The page: an introduction, and one table for each client's format.

use std::fmt::Write;

use super::formats::{BACKENDS, CLIENTS, Client};

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
- With `drop` no request is refused for something that a backend has no place for, unless nothing of the
  conversation would be left.

| In the tables | Meaning |
|---|---|
| carried | The backend gets it, in its own words. |
| changed | The backend gets it, and what could not be kept of it is named in the header. |
| left out | The backend does not get it; named in the header, whatever the policy. |
| refused | The request is refused; with `drop`, left out and named in the header. |
| – | The body is the same with it and without, and nothing is named: it says what happens anyway, stands in the address of the call, or has no place there (marks for a cache, thoughts of another model, that a result is an error, titles). |

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
}
