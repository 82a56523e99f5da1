//! The command line: serve, report, reconcile, check.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tollgate_settings::units::Time;

use crate::client;
use crate::config::Config;
use crate::error::Error;
use crate::reconcile::{Reconciliation, reconcile};
use crate::reports::{Chargeback, Dimension, Format, Period};
use crate::rollup::Rollup;
use crate::service::{self, OpenLedger};
use crate::store::StoreError;

/// Turns usage events into chargeback reports.
#[derive(Debug, Parser)]
#[command(name = "tollgate-accounting", version)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, global = true, env = "TOLLGATE_ACCOUNTING_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Consume events and answer reports until SIGTERM (the default).
    Serve,
    /// Print a chargeback report.
    Report(ReportOptions),
    /// Compare the ledger with what the gateways said; exit 1 when it does not reconcile.
    Reconcile(ReconcileOptions),
    /// Read the configuration and the price book and say what is wrong with them.
    Check,
}

/// Where a command gets its answer from.
#[derive(Debug, Args)]
struct Source {
    /// Ask this running accounting service instead of opening the ledger (needed while a service has the
    /// embedded ledger open), such as http://127.0.0.1:8091.
    #[arg(long)]
    url: Option<String>,
}

/// Options of a report.
#[derive(Debug, Args)]
struct ReportOptions {
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
struct ReconcileOptions {
    /// Longest time that one attempt may take, instead of the configured one.
    #[arg(long)]
    grace: Option<String>,
    #[command(flatten)]
    source: Source,
}

/// Runs the command and gives the exit code.
///
/// # Errors
/// When it could not be carried out.
pub async fn run(cli: Cli, open_log: OpenLog) -> Result<u8, Error> {
    let config = cli.config.as_deref();
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(load(config)?, open_log).await.map(|()| 0),
        Command::Report(options) => {
            print(&report(config, &options).await?)?;
            Ok(0)
        }
        Command::Reconcile(options) => {
            let found = reconciliation(config, &options).await?;
            print(&describe(&found))?;
            Ok(u8::from(!found.is_clean()))
        }
        Command::Check => {
            let config = load(config)?;
            let book = service::load_price_book(&config.price_book)?;
            print(&format!("the configuration is fine; {} prices in {}\n", book.len(), book.currency()))?;
            Ok(0)
        }
    }
}

/// Opens the event log of a configuration.
pub type OpenLog = fn(&Config) -> Result<Arc<dyn tollgate_eventlog::EventLog>, tollgate_eventlog::LogError>;

fn load(path: Option<&Path>) -> Result<Config, Error> {
    let path = path.ok_or_else(|| Error::Usage("name the configuration file with --config".to_owned()))?;
    Ok(Config::load(path)?)
}

async fn serve(config: Config, open_log: OpenLog) -> Result<(), Error> {
    // Watched from the beginning: a stop during the start is a stop too.
    let stop = tokio::spawn(stop_signal());
    let log = open_log(&config)?;
    let handle = service::start(config, log).await?;
    let _ = stop.await;
    tracing::info!("stopping");
    handle.shutdown().await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        _ => {
            tracing::error!("signals cannot be received; end the process to stop it");
            std::future::pending().await
        }
    }
}

async fn report(config: Option<&Path>, options: &ReportOptions) -> Result<String, Error> {
    // Checked here as well as by a remote service, so that a mistake has the same words in both cases.
    let format = Format::from_str(&options.format)?;
    let by = Dimension::list(&options.by)?;
    let (month, from, to) = (options.month.as_deref(), options.from.as_deref(), options.to.as_deref());
    let period = Period::from_options(month, from, to, jiff::Timestamp::now())?;
    if let Some(url) = &options.source.url {
        let path = format!(
            "/v1/reports/chargeback?from={}&to={}&by={}&format={}",
            client::escape(&period.from.to_string()),
            client::escape(&period.to.to_string()),
            client::escape(&options.by),
            client::escape(&options.format)
        );
        return client::get(url, &path).await;
    }
    let ledger = service::open_ledger(&load(config)?.store).await?;
    let report = Chargeback::make(&ledger.store, period, by).await;
    ledger.close().await;
    Ok(report?.render(format))
}

async fn reconciliation(config: Option<&Path>, options: &ReconcileOptions) -> Result<Reconciliation, Error> {
    let grace = options.grace.as_deref().map(Time::from_str).transpose();
    let grace = grace.map_err(|error| Error::Usage(format!("--grace: {error}")))?;
    if let Some(url) = &options.source.url {
        let query = options
            .grace
            .as_deref()
            .map_or_else(String::new, |grace| format!("?grace={}", client::escape(grace)));
        let text = client::get(url, &format!("/v1/reconcile{query}")).await?;
        return serde_json::from_str(&text)
            .map_err(|error| Error::Remote { url: url.clone(), message: error.to_string() });
    }
    let config = load(config)?;
    let ledger = service::open_ledger(&config.store).await?;
    let found = reconcile_directly(&ledger, grace.unwrap_or(config.reconcile_grace).0).await;
    ledger.close().await;
    Ok(found?)
}

async fn reconcile_directly(ledger: &OpenLedger, grace: Duration) -> Result<Reconciliation, StoreError> {
    if ledger.embedded.is_some() {
        // Nobody else has it open. A server's rollup is left to the services that use it.
        Rollup::new(ledger.store.clone()).refresh().await?;
    }
    reconcile(&ledger.store, jiff::Timestamp::now(), grace).await
}

fn describe(found: &Reconciliation) -> String {
    let mut text = format!(
        "since {}\nevents={} missing={} pending={} split={} duplicates={} recovered={} unpriced={} \
         dead_letters={} rollup_difference={} rollup_stale_days={}\n",
        found.since,
        found.events,
        found.missing,
        found.pending,
        found.split,
        found.duplicates,
        found.recovered,
        found.unpriced,
        found.dead_letters,
        found.rollup_difference,
        found.rollup_stale_days
    );
    for day in &found.rollup_wrong_days {
        text.push_str(&format!("the rollup of {day} is not what the events say\n"));
    }
    for boot in &found.boots {
        text.push_str(&format!(
            "gateway {} boot {}: missing={} pending={}\n",
            boot.gateway_id, boot.boot_id, boot.missing, boot.pending
        ));
    }
    for class in &found.unpriced_classes {
        text.push_str(&format!(
            "no price: provider={} model={} class={} events={}\n",
            class.provider, class.model, class.class, class.events
        ));
    }
    text.push_str(if found.is_clean() {
        "the ledger reconciles\n"
    } else {
        "the ledger does NOT reconcile\n"
    });
    text
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader of a pipe may have had enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Internal(error.to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_the_default() {
        let cli = Cli::parse_from(["tollgate-accounting", "--config", "x.yaml"]);
        assert!(cli.command.is_none());
        let cli =
            Cli::parse_from(["tollgate-accounting", "report", "--month", "2026-11", "--config", "x.yaml"]);
        assert!(matches!(cli.command, Some(Command::Report(_))));
        assert_eq!(cli.config, Some("x.yaml".into()));
    }

    #[tokio::test]
    async fn a_command_without_a_configuration_says_so() {
        let cli = Cli { config: None, command: Some(Command::Check) };
        let error = run(cli, |_| panic!("not needed")).await.unwrap_err();
        assert!(error.to_string().contains("--config"), "{error}");
    }
}
