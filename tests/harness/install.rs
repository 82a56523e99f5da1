//! Where engines are installed, and what happens when one is missing.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Set by `tests/run`: a missing engine is then a failure and not a skipped test.
const REQUIRE: &str = "TOLLGATE_REQUIRE_ENGINES";

/// `$TOLLGATE_HOME`, by default `~/.local/share/tollgate`.
#[must_use]
pub fn home() -> PathBuf {
    match std::env::var_os("TOLLGATE_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()))
            .join(".local/share/tollgate"),
    }
}

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    // What cargo says now comes first: a program in a target folder that several clones share may have been built in
    // another one of them.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap_or(Path::new("/")).to_owned()
}

/// A program of this workspace, built before.
///
/// # Errors
/// When it is not there.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("TOLLGATE_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => beside_this_program()?,
    };
    let path = folder.join(name);
    anyhow::ensure!(path.is_file(), "{} is missing: cargo build --workspace --bins makes it", path.display());
    Ok(path)
}

fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let folder = program.parent().context("this program has no folder")?;
    // Tests are in `debug/deps`, the other programs in `debug`.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    Ok(folder.to_owned())
}

/// Whether a test that needs an engine runs. A missing engine is said aloud, and fails the test where engines
/// are required.
///
/// # Panics
/// When the engine is missing and required.
#[must_use]
#[expect(clippy::panic, reason = "it reports to the person who runs the tests")]
pub fn available(engine: &str, found: bool, how: &str) -> bool {
    if found {
        return true;
    }
    if std::env::var_os(REQUIRE).is_some_and(|value| value == "1") {
        panic!("{engine} is required and not installed: {how}");
    }
    announce(&format!("SKIPPED: {engine} is not installed: {how}"));
    false
}

/// Says something that must be seen even when the test passes: past the capture of test output.
pub fn announce(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a Kafka can be started.
#[must_use]
pub fn kafka() -> bool {
    let found = home().join("kafka/libs").is_dir() || home().join("kafka/noida").is_file();
    available("Kafka", found, "run tests/setup/kafka")
}
