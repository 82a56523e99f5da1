//! `tollgate-gateway`: the gateway as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tollgate_gateway::{Config, TelemetryOptions, check, init_telemetry, start};
use tollgate_settings::EXIT_CONFIG;
use tollgate_settings::load::read_checked;

/// Requests allocate and free many small pieces on one thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(version, about = "Tollgate AI gateway")]
struct Flags {
    /// The configuration file.
    #[arg(long, env = "TOLLGATE_CONFIG", default_value = "gateway.yaml")]
    config: PathBuf,
    /// Only check the configuration, then exit.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    // Before anything is opened, so that mistakes are told with the file that has them.
    let config: Config = match read_checked(&flags.config, check) {
        Ok(config) => config,
        Err(error) => return refuse(&error.to_string()),
    };
    if flags.check {
        return ExitCode::SUCCESS;
    }
    let telemetry = init_telemetry(TelemetryOptions::from_config(&config.telemetry, "tollgate-gateway"));
    let code = actix_web::rt::System::new().block_on(run(config));
    drop(telemetry);
    code
}

async fn run(config: Config) -> ExitCode {
    let started = tollgate_eventlog::open(&config.events)
        .map_err(tollgate_gateway::StartError::from)
        .and_then(|log| start(&config, log));
    let handle = match started {
        Ok(handle) => handle,
        Err(error) => return refuse(&error.to_string()),
    };
    say(&format!("listening addr={} admin={}", handle.addr(), handle.admin_addr()));
    stop_signal().await;
    handle.shutdown().await;
    ExitCode::SUCCESS
}

/// Waits for SIGTERM or SIGINT.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; stop the process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

fn refuse(message: &str) -> ExitCode {
    say(&format!("tollgate-gateway: {message}"));
    ExitCode::from(EXIT_CONFIG)
}

#[expect(clippy::print_stderr, reason = "for the person who starts the process, before and beside the log")]
fn say(line: &str) {
    eprintln!("{line}");
}
