//! The command line of `tollgate`.
//!
//! Exit codes: 0 done, 1 something failed at run time, 2 the configuration or the command line is wrong.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::key::Key;

/// An enterprise AI gateway in one process.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make and check gateway keys
    #[command(subcommand)]
    Key(KeyCommand),
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
        Command::Key(command) => key(&command),
    }
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
                return fail(2, &format!("standard input cannot be read: {error}"));
            }
            match Key::parse(line.trim()) {
                Ok(key) => {
                    say(&entry(&key, id));
                    ExitCode::SUCCESS
                }
                Err(error) => fail(2, &error.to_string()),
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
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Says why a command failed.
pub(crate) fn fail(code: u8, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tollgate: {text}");
    ExitCode::from(code)
}
