//! What a gateway holds on to: sockets of its process, requests and attempts in its metrics.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::gateway::Gateway;

/// What a gateway holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Open sockets of the process.
    pub sockets: u64,
    /// Attempts that the ledger has as begun and not ended.
    pub open_intents: u64,
    /// Attempts that the deployments have as under way.
    pub in_flight: u64,
}

/// What `gateway` holds now; the question itself takes no socket that counts.
///
/// # Errors
/// When the process or its metrics cannot be read.
pub async fn held(gateway: &Gateway) -> Result<Held> {
    let metrics = gateway.admin().get("/metrics").await?.text();
    Ok(Held {
        sockets: sockets(gateway.pid())?,
        open_intents: sum(&metrics, "tollgate_spool_open_intents"),
        in_flight: sum(&metrics, "tollgate_deployment_in_flight"),
    })
}

/// Sum of a metric over all its labels; 0 where it is missing.
#[must_use]
pub fn sum(metrics: &str, name: &str) -> u64 {
    let samples = metrics.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    });
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// Open sockets of a process.
fn sockets(pid: u32) -> Result<u64> {
    let folder = Path::new("/proc").join(pid.to_string()).join("fd");
    let files = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    // A descriptor may be closed between the listing and this.
    let targets = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    Ok(targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_metric_are_added_and_those_of_longer_names_are_not() {
        let metrics =
            "# HELP tollgate_x no\ntollgate_x{a=\"1\"} 2\ntollgate_x{a=\"b c\"} 3\ntollgate_x_total 7\n";
        assert_eq!((sum(metrics, "tollgate_x"), sum(metrics, "tollgate_y")), (5, 0));
        assert_eq!(sum("tollgate_z 4\n", "tollgate_z"), 4);
    }
}
