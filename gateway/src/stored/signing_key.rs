//! The secret that binds stored answers to their owners: from the configuration, else made once and kept in the
//! gateway's folder.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use secrecy::ExposeSecret as _;
use tollgate_config::Config;
use tollgate_settings::SecretError;
use zeroize::Zeroizing;

use super::derived_key::DerivationError;

/// Name of the file in `data_dir`.
const FILE: &str = "response-ids.key";
/// Length of a key that is made here, bytes.
const KEY_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The configured secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file cannot be read or made.
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    /// It is of no use.
    #[error(transparent)]
    Derivation(#[from] DerivationError),
}

/// The configured key, else this replica's own.
///
/// # Errors
/// When the secret is missing, or the file cannot be read or made.
pub fn load(config: &Config) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
    if let Some(template) = &config.responses.signing_key {
        return Ok(Zeroizing::new(template.resolve()?.expose_secret().as_bytes().to_vec()));
    }
    let path = config.data_dir.join(FILE);
    own(&path).map_err(|source| SigningKeyError::File { path: path.display().to_string(), source })
}

fn own(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(key) if key.len() == KEY_BYTES => return Ok(Zeroizing::new(key)),
        Ok(_) => return Err(io::Error::other("not a key; remove the file to get a new one")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let key: Zeroizing<Vec<u8>> = Zeroizing::new(rand::random::<[u8; KEY_BYTES]>().to_vec());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join(FILE);
        let first = own(&path).unwrap();
        assert_eq!(*first, *own(&path).unwrap());
        assert_eq!(first.len(), KEY_BYTES);
        std::fs::write(&path, b"short").unwrap();
        assert!(own(&path).is_err());
    }
}
