//! The command line of `tollgate`.
//!
//! Exit codes: 0 done, 1 something failed at run time, 2 the configuration or the command line is wrong.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tollgate_accounting::commands::{self, ReadConfig, ReconcileOptions, ReportOptions};
use tollgate_accounting::service::load_price_book;
use tollgate_gateway::{TelemetryOptions, init_telemetry};
use tollgate_settings::EXIT_CONFIG;

use crate::config::{self, Config};
use crate::host;
use crate::key::Key;

/// Exit code of a failure at run time.
const EXIT_FAILED: u8 = 1;

/// An enterprise AI gateway in one process.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run gateway, accounting and cache service until SIGTERM or SIGINT
    Serve(ConfigFile),
    /// Say everything that is wrong with a configuration, without starting anything
    Check(ConfigFile),
    /// Print a chargeback report, from the ledger or from the running process that has it open
    Report(Asked<ReportOptions>),
    /// Compare the ledger with what the gateway said, as `report` does; exit 1 when it does not reconcile
    Reconcile(Asked<ReconcileOptions>),
    /// Make and check gateway keys
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(long, env = "TOLLGATE_CONFIG", default_value = "tollgate.yaml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Asked<T: Args> {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    options: T,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key: give it to its owner, put the entry into the configuration
    New(NewKey),
    /// Print the configuration entry of a key that is read from standard input
    Hash(KeyId),
}

#[derive(Debug, Args)]
struct NewKey {
    #[command(flatten)]
    id: KeyId,
    /// Print the key alone, for scripts
    #[arg(long)]
    bare: bool,
}

#[derive(Debug, Args)]
struct KeyId {
    /// Public name of the key in events and reports
    #[arg(long)]
    id: Option<String>,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(file) => serve(&file.config),
        Command::Check(file) => check(&file.config),
        Command::Report(asked) => ask(&asked.file.config, async |config| {
            Ok((commands::report(&asked.options, config).await?, true))
        }),
        Command::Reconcile(asked) => {
            ask(&asked.file.config, async |config| commands::reconciliation(&asked.options, config).await)
        }
        Command::Key(command) => key(&command),
    }
}

fn serve(path: &Path) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(error) => return fail(EXIT_CONFIG, &error.to_string()),
    };
    let telemetry = init_telemetry(TelemetryOptions::from_config(&config.gateway.telemetry, "tollgate"));
    let code = actix_web::rt::System::new().block_on(run(config));
    drop(telemetry);
    code
}

async fn run(config: Config) -> ExitCode {
    // Before anything starts: a signal that comes early must not be missed.
    let stop = match StopSignal::watch() {
        Ok(stop) => stop,
        Err(error) => return fail(EXIT_FAILED, &format!("signals cannot be watched: {error}")),
    };
    let host = match host::start(config).await {
        Ok(host) => host,
        Err(error) => return fail(EXIT_FAILED, &error.to_string()),
    };
    let at = host.addresses();
    tracing::info!(gateway = %at.gateway, admin = %at.admin, accounting = %at.accounting, "all services are up");
    stop.wait().await;
    tracing::info!("stopping");
    host.shutdown().await;
    ExitCode::SUCCESS
}

/// Prints what the ledger answers, and whether it is as it should be.
fn ask(
    path: &Path,
    command: impl AsyncFnOnce(ReadConfig<'_>) -> Result<(String, bool), tollgate_accounting::Error>,
) -> ExitCode {
    let read = || Ok(Some(config::load_accounting(path)?));
    match actix_web::rt::System::new().block_on(command(&read)) {
        Ok((text, is_fine)) => {
            print(&text);
            if is_fine { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
        }
        Err(error) => fail(if error.is_config() { EXIT_CONFIG } else { EXIT_FAILED }, &error.to_string()),
    }
}

/// SIGTERM or SIGINT.
struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignal {
    fn watch() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn check(path: &Path) -> ExitCode {
    let config = match config::load(path) {
        Ok(config) => config,
        Err(error) => return fail(EXIT_CONFIG, &error.to_string()),
    };
    // The first price book is made from a text that a test checks; there may be no file yet.
    if config.first_prices.is_none()
        && let Err(error) = load_price_book(&config.accounting.price_book)
    {
        return fail(EXIT_CONFIG, &error.to_string());
    }
    let gateway = &config.gateway;
    say(&format!(
        "{}: fine: {} backends, {} models, {} products, {} subscriptions",
        path.display(),
        gateway.backends.len(),
        gateway.models.len(),
        gateway.products.len(),
        gateway.subscriptions.len()
    ));
    if let Err(missing) = host::check_engines(&config) {
        say(&format!("note: {missing}"));
    }
    ExitCode::SUCCESS
}

fn key(command: &KeyCommand) -> ExitCode {
    match command {
        KeyCommand::New(NewKey { id, bare }) => {
            let key = Key::generate();
            if *bare {
                say(key.expose());
            } else {
                say(&format!("key:   {}", key.expose()));
                say(&format!("entry: {}", entry(&key, id)));
            }
            ExitCode::SUCCESS
        }
        KeyCommand::Hash(id) => {
            let mut line = String::new();
            if let Err(error) = std::io::stdin().read_line(&mut line) {
                return fail(EXIT_CONFIG, &format!("standard input cannot be read: {error}"));
            }
            match Key::parse(line.trim()) {
                Ok(key) => {
                    say(&entry(&key, id));
                    ExitCode::SUCCESS
                }
                Err(error) => fail(EXIT_CONFIG, &error.to_string()),
            }
        }
    }
}

/// The key's entry under `subscriptions.<name>.keys`.
fn entry(key: &Key, id: &KeyId) -> String {
    match &id.id {
        Some(id) => format!("{{ id: {}, sha256: {} }}", serde_json::Value::from(id.as_str()), key.sha256()),
        None => format!("{{ sha256: {} }}", key.sha256()),
    }
}

/// Prints the result of a command. A reader that went away is no reason to fail.
pub(crate) fn say(text: &str) {
    print(&format!("{text}\n"));
}

fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Says why a command failed.
pub(crate) fn fail(code: u8, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tollgate: {text}");
    ExitCode::from(code)
}
