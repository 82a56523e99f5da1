//! CPU time and memory of a process and its children, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Ticks of `/proc/PID/stat` in a second: fixed by the kernel's interface on every machine that runs this.
const TICKS_PER_SECOND: u64 = 100;

/// What a process tree used so far, and holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time of all threads.
    pub(crate) cpu: Duration,
    /// Resident memory, bytes.
    pub(crate) rss_bytes: u64,
}

/// Usage of `pid` and everything that it started and that still runs.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let mut total = Usage::default();
    for pid in tree(pid)? {
        // A child may end between the listing and this.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields = fields(&stat);
        let ticks = number(&fields, 11) + number(&fields, 12);
        total.cpu += Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
        total.rss_bytes += rss_bytes(pid);
    }
    Ok(total)
}

/// CPU time that was used on all cores since the machine started, by anybody.
pub(crate) fn machine_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).collect::<Vec<_>>();
    // user, nice and system; irq and softirq after idle and iowait.
    let ticks: u64 = [0, 1, 2, 5, 6].iter().map(|at| number(&fields, *at)).sum();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn tree(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent = number(&fields(&stat), 1);
        parents.push((pid, u32::try_from(parent).unwrap_or(0)));
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(found)
}

/// The fields after the program's name, which may itself have spaces: 0 is the state, 1 the parent.
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default()
}

fn number(fields: &[&str], at: usize) -> u64 {
    fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn rss_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_does_not_shift_the_fields() {
        let fields = fields("12 (a (b) c) S 7 12 12 0 -1 0 0 0 0 0 31 32");
        assert_eq!(number(&fields, 1), 7);
        assert_eq!((number(&fields, 11), number(&fields, 12)), (31, 32));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(usage(std::process::id()).unwrap().rss_bytes > 1 << 20);
    }
}
