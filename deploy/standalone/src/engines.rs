//! Where the engines and models are that `deploy/setup` installs, and what to do when one is missing.

use std::path::{Path, PathBuf};

/// The folder of engines and models: `$TOLLGATE_HOME`, else `~/.local/share/tollgate`.
#[must_use]
pub fn home() -> PathBuf {
    if let Some(home) = std::env::var_os("TOLLGATE_HOME").filter(|home| !home.is_empty()) {
        return home.into();
    }
    let user = std::env::var_os("HOME").unwrap_or_else(|| "/".into());
    Path::new(&user).join(".local/share/tollgate")
}

/// A file that the process needs and does not find.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is missing: {} is not a file; run {setup} to install it, or change {setting}", path.display())]
pub struct Missing {
    what: &'static str,
    path: PathBuf,
    setup: &'static str,
    setting: &'static str,
}

/// One file to look for.
#[derive(Debug, Clone, Copy)]
pub struct Needed<'a> {
    /// What it is, for people.
    pub what: &'static str,
    /// Where it should be.
    pub path: &'a Path,
    /// The script that installs it.
    pub setup: &'static str,
    /// The setting that says where it is.
    pub setting: &'static str,
}

impl Needed<'_> {
    /// Looks for it.
    ///
    /// # Errors
    /// When it is not there, with what to do about it.
    pub fn check(self) -> Result<(), Missing> {
        let Self { what, path, setup, setting } = self;
        if path.is_file() { Ok(()) } else { Err(Missing { what, path: path.to_owned(), setup, setting }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_with_the_script_that_brings_it() {
        let needed = Needed {
            what: "the ledger engine",
            path: Path::new("/no/such/libchdb.so"),
            setup: "deploy/setup/chdb",
            setting: "accounting.store.embedded.library",
        };
        let text = needed.check().unwrap_err().to_string();
        assert!(text.contains("/no/such/libchdb.so") && text.contains("deploy/setup/chdb"), "{text}");
    }
}
