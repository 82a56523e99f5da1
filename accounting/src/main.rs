//! `tollgate-accounting`: flags, logging and exit codes; everything else is in the library.
//!
//! Exit codes: 0 done, 1 something failed or does not reconcile, 2 the configuration or the command line is
//! wrong.

use std::process::ExitCode;

use clap::Parser;
use tollgate_accounting::cli::{self, Cli};
use tollgate_settings::EXIT_CONFIG;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,clickhouse=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match cli::run(Cli::parse(), |config| tollgate_eventlog::open(&config.events)).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say(&format!("tollgate-accounting: {error}"));
            if error.is_config() { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

#[expect(clippy::print_stderr, reason = "for the person who starts the program, beside the log")]
fn say(line: &str) {
    eprintln!("{line}");
}
