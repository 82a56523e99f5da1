//! The command line: serve, report, reconcile, check.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::commands::{self, ReconcileOptions, ReportOptions};
use crate::config::Config;
use crate::error::Error;
use crate::service;

/// Where a configuration is looked for that is not named: beside the caller, and where packages put it.
const USUAL_FILES: [&str; 2] = ["accounting.yaml", "/etc/tollgate/accounting.yaml"];

/// Turns usage events into chargeback reports.
#[derive(Debug, Parser)]
#[command(name = "tollgate-accounting", version)]
pub struct Cli {
    /// Configuration file; accounting.yaml, else /etc/tollgate/accounting.yaml, when it is not named.
    #[arg(long, global = true, env = "TOLLGATE_ACCOUNTING_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Consume events and answer reports until SIGTERM (the default).
    Serve,
    /// Print a chargeback report; without a configuration the service on 127.0.0.1:8091 is asked.
    Report(ReportOptions),
    /// Compare the ledger with what the gateways said; exit 1 when it does not reconcile. Asks as `report` does.
    Reconcile(ReconcileOptions),
    /// Read the configuration and the price book and say what is wrong with them.
    Check,
}

/// Runs the command and gives the exit code.
///
/// # Errors
/// When it could not be carried out.
pub async fn run(cli: Cli, open_log: OpenLog) -> Result<u8, Error> {
    let named = cli.config.as_deref();
    let found = || find(named).map(|path| Config::load(&path)).transpose().map_err(Error::from);
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(load(named)?, open_log).await.map(|()| 0),
        Command::Report(options) => {
            print(&commands::report(&options, &found).await?)?;
            Ok(0)
        }
        Command::Reconcile(options) => {
            let (text, is_clean) = commands::reconciliation(&options, &found).await?;
            print(&text)?;
            Ok(u8::from(!is_clean))
        }
        Command::Check => {
            let config = load(named)?;
            let book = service::load_price_book(&config.price_book)?;
            print(&format!("the configuration is fine; {} prices in {}\n", book.entries(), book.currency()))?;
            Ok(0)
        }
    }
}

/// Opens the event log of a configuration.
pub type OpenLog = fn(&Config) -> Result<Arc<dyn tollgate_eventlog::EventLog>, tollgate_eventlog::LogError>;

/// The file that is named, else the first usual one that is there.
fn find(named: Option<&Path>) -> Option<PathBuf> {
    let usual = || USUAL_FILES.iter().map(PathBuf::from).find(|path| path.is_file());
    named.map(Path::to_owned).or_else(usual)
}

fn load(named: Option<&Path>) -> Result<Config, Error> {
    let path = find(named).ok_or_else(|| {
        let files = USUAL_FILES.join(" nor ");
        Error::Usage(format!("name the configuration file with --config: there is neither {files}"))
    })?;
    Ok(Config::load(&path)?)
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
