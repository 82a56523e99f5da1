//! The commands that read the ledger, for this program and for the standalone one: a report, a reconciliation.
//!
//! Where the answer comes from, in this order: the service that `--url` names; the ledger of the configuration;
//! if another process has that ledger open, the service of the same configuration; without any configuration,
//! a service on the default address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use tollgate_settings::units::Time;

use crate::client;
use crate::config::{Config, DEFAULT_LISTEN};
use crate::error::Error;
use crate::ledger::{self, OpenLedger};
use crate::reconcile::{Reconciliation, reconcile_in};
use crate::reports::{Chargeback, Dimension, Format, Period};
use crate::rollup::Rollup;
use crate::store::StoreError;

/// Reads the configuration of the ledger; `None` if there is none.
pub type ReadConfig<'a> = &'a dyn Fn() -> Result<Option<Config>, Error>;

/// Where a command gets its answer from.
#[derive(Debug, Args)]
struct Source {
    /// Ask this running accounting service, such as http://127.0.0.1:8091, instead of opening the ledger.
    #[arg(long)]
    url: Option<String>,
}

/// Options of a report.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Month in UTC, such as 2026-11; the current one when no period is given.
    #[arg(long)]
    month: Option<String>,
    /// First day or moment, instead of a month.
    #[arg(long)]
    from: Option<String>,
    /// First day or moment after the period; now when absent.
    #[arg(long)]
    to: Option<String>,
    /// Dimensions, comma separated, such as cost_center,model.
    #[arg(long, default_value = "cost_center,model")]
    by: String,
    /// table, csv or json.
    #[arg(long, default_value = "table")]
    format: String,
    #[command(flatten)]
    source: Source,
}

/// Options of a reconciliation.
#[derive(Debug, Args)]
pub struct ReconcileOptions {
    /// Month in UTC, such as 2026-11; the current and the previous one when none is given.
    #[arg(long)]
    month: Option<String>,
    /// Longest time that one attempt may take, instead of the configured one.
    #[arg(long)]
    grace: Option<String>,
    /// table, csv or json.
    #[arg(long, default_value = "table")]
    format: String,
    #[command(flatten)]
    source: Source,
}

/// A chargeback report as text.
///
/// # Errors
/// When an option cannot be used, or neither a ledger nor a service gives the answer.
pub async fn report(options: &ReportOptions, config: ReadConfig<'_>) -> Result<String, Error> {
    // Checked here as well as by a remote service, so that a mistake has the same words in both cases.
    let format = Format::from_str(&options.format)?;
    let by = Dimension::list(&options.by)?;
    let (month, from, to) = (options.month.as_deref(), options.from.as_deref(), options.to.as_deref());
    let period = Period::from_options(month, from, to, jiff::Timestamp::now())?;
    let path = format!(
        "/v1/reports/chargeback?from={}&to={}&by={}&format={}",
        client::escape(&period.from.to_string()),
        client::escape(&period.to.to_string()),
        client::escape(&options.by),
        client::escape(&options.format)
    );
    match options.source.ask(&path, config).await? {
        Access::Remote { text, .. } => Ok(text),
        Access::Ledger { ledger, .. } => {
            let report = Chargeback::make(&ledger.store, period, by).await;
            ledger.close().await;
            Ok(report?.render(format))
        }
    }
}

/// A reconciliation as text, and whether the ledger reconciles.
///
/// # Errors
/// As [`report`].
pub async fn reconciliation(
    options: &ReconcileOptions,
    config: ReadConfig<'_>,
) -> Result<(String, bool), Error> {
    let format = Format::from_str(&options.format)?;
    let grace = options.grace.as_deref().map(Time::from_str).transpose();
    let grace = grace.map_err(|error| Error::Usage(format!("--grace: {error}")))?;
    let period = options.month.as_deref().map(Period::month).transpose()?;
    let given = [("grace", &options.grace), ("month", &options.month)].into_iter();
    let pairs: Vec<String> = given
        .filter_map(|(name, value)| Some(format!("{name}={}", client::escape(value.as_deref()?))))
        .collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    let found: Reconciliation = match options.source.ask(&format!("/v1/reconcile{query}"), config).await? {
        Access::Remote { url, text } => {
            serde_json::from_str(&text).map_err(|error| Error::Remote { url, message: error.to_string() })?
        }
        Access::Ledger { ledger, config } => {
            let grace = grace.unwrap_or(config.reconcile_grace).0;
            let found = reconcile_directly(&ledger, grace, period).await;
            ledger.close().await;
            found?
        }
    };
    Ok((found.render(format), found.is_clean()))
}

async fn reconcile_directly(
    ledger: &OpenLedger,
    grace: Duration,
    period: Option<Period>,
) -> Result<Reconciliation, StoreError> {
    if ledger.embedded.is_some() {
        // Nobody else has it open. A server's rollup is left to the services that use it.
        Rollup::new(ledger.store.clone()).refresh().await?;
    }
    reconcile_in(&ledger.store, jiff::Timestamp::now(), grace, period).await
}

/// A service that answered, or the ledger itself.
enum Access {
    Remote { url: String, text: String },
    Ledger { ledger: OpenLedger, config: Box<Config> },
}

impl Source {
    async fn ask(&self, path: &str, config: ReadConfig<'_>) -> Result<Access, Error> {
        if let Some(url) = &self.url {
            return remote(url, path).await;
        }
        let Some(config) = config()? else {
            let url = service_url(DEFAULT_LISTEN).unwrap_or_default();
            return remote(&url, path).await.map_err(|error| Error::NoConfig(Box::new(error)));
        };
        match ledger::open(&config.store).await {
            Ok(ledger) => Ok(Access::Ledger { ledger, config: Box::new(config) }),
            Err(Error::Store(locked @ StoreError::Locked { .. })) => {
                let Some(url) = service_url(config.listen) else { return Err(locked.into()) };
                let asked = remote(&url, path).await;
                asked.map_err(|remote| Error::InUse { locked, remote: Box::new(remote) })
            }
            Err(error) => Err(error),
        }
    }
}

async fn remote(url: &str, path: &str) -> Result<Access, Error> {
    Ok(Access::Remote { url: url.to_owned(), text: client::get(url, path).await? })
}

/// Where a service that listens there is reached from this machine; `None` for a port that only it knows.
fn service_url(mut listen: SocketAddr) -> Option<String> {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    (listen.port() != 0).then(|| format!("http://{listen}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_every_address_is_asked_on_loopback() {
        let url = |listen: &str| service_url(listen.parse().unwrap());
        assert_eq!(url("0.0.0.0:8091").unwrap(), "http://127.0.0.1:8091");
        assert_eq!(url("[::]:8091").unwrap(), "http://[::1]:8091");
        assert_eq!(url("10.0.0.1:8091").unwrap(), "http://10.0.0.1:8091");
        assert_eq!(url("127.0.0.1:0"), None);
    }

    #[test]
    fn without_a_configuration_the_default_address_is_asked() {
        assert_eq!(service_url(DEFAULT_LISTEN).unwrap(), "http://127.0.0.1:8091");
    }
}
