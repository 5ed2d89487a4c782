//! Who may ask: a random token, made anew at each start, in a file that only
//! the user who runs the sync can read. Never logged, never compared but in
//! constant time.

use crate::error::ServeError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

/// The file's name inside the data folder.
pub const ACCESS_FILE: &str = "management.json";

/// The largest such file that is read, in bytes.
const FILE_MAX: u64 = 16 * 1024;

/// How a command reaches the process that runs the sync.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Where it listens: `http://127.0.0.1:7070`.
    pub url: String,
    /// What it wants to see in `Authorization: Bearer`.
    pub token: String,
    /// Its process id.
    pub pid: u32,
    /// What `/healthz` shows, so that nobody shows the token to another process
    /// that has taken the port since.
    pub instance: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("url", &self.url).field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Access {
    /// A new token for a server at `url`.
    pub(crate) fn new(url: String) -> Result<Self, ServeError> {
        Ok(Self { url, token: random::<32>()?, pid: std::process::id(), instance: random::<8>()? })
    }

    /// Reads the file in a data folder; nothing if there is none.
    ///
    /// # Errors
    /// If it cannot be read or is none of ours.
    pub fn read(data_dir: &Path) -> io::Result<Option<Self>> {
        let path = data_dir.join(ACCESS_FILE);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        serde_json::from_reader(io::Read::take(file, FILE_MAX)).map(Some).map_err(io::Error::from)
    }

    /// Whether `given` is the token. Takes the same time whatever it is.
    pub(crate) fn admits(&self, given: &[u8]) -> bool {
        self.token.as_bytes().ct_eq(given).into()
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<AccessFile, ServeError> {
        let path = data_dir.join(ACCESS_FILE);
        let wrong = |source| ServeError::File { path: path.clone(), source };
        let fresh = data_dir.join(format!("{ACCESS_FILE}.{}", self.instance));
        let text = serde_json::to_vec_pretty(self).map_err(|why| wrong(why.into()))?;
        let written = private_file(&fresh).and_then(|mut file| file.write_all(&text));
        if let Err(source) = written.and_then(|()| fs::rename(&fresh, &path)) {
            // The half-made file is of no use; the first error is the one to tell.
            let _gone = fs::remove_file(&fresh);
            return Err(wrong(source));
        }
        Ok(AccessFile { path, instance: self.instance.clone() })
    }
}

/// The written file, taken away when the server ends.
#[derive(Debug)]
pub(crate) struct AccessFile {
    path: PathBuf,
    instance: String,
}

impl Drop for AccessFile {
    fn drop(&mut self) {
        let ours = self.path.parent().and_then(|dir| Access::read(dir).ok().flatten());
        if ours.is_some_and(|access| access.instance == self.instance)
            && let Err(why) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %why, "the access file could not be removed");
        }
    }
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn random<const N: usize>() -> Result<String, ServeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|why| ServeError::Random { why: why.to_string() })?;
    Ok(bytes.iter().fold(String::with_capacity(N * 2), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a string does not fail.
        let _always = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;

    #[test]
    fn the_file_is_private_and_goes_with_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let first = Access::new("http://127.0.0.1:1".into()).unwrap();
        let second = Access::new("http://127.0.0.1:2".into()).unwrap();
        assert_ne!(first.token, second.token);
        assert_eq!(first.token.len(), 64);
        let file = first.write(dir.path()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(ACCESS_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let newer = second.write(dir.path()).unwrap();
        drop(file);
        assert_eq!(Access::read(dir.path()).unwrap().unwrap(), second);
        drop(newer);
        assert_eq!(Access::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn only_the_token_admits() {
        let access = Access::new("http://127.0.0.1:1".into()).unwrap();
        assert!(access.admits(access.token.as_bytes()));
        assert!(!access.admits(b""));
        assert!(!access.admits(&access.token.as_bytes()[..63]));
        assert!(!format!("{access:?}").contains(&access.token));
    }
}
