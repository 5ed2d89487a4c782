//! A refresh token that replaced the configured one, in a file of its own that nobody
//! else may read. It is on the disk before it is used: whoever gave it takes no other.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The folder beside the change log.
const FOLDER: &str = "tokens";
/// The largest file that is read.
const SIZE_MAX: u64 = 64 << 10;

/// Where a side's token is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    path: PathBuf,
}

/// What stands in the file.
#[derive(Serialize, Deserialize)]
struct Line {
    refresh_token: String,
    /// A number for the configured token that it came from: another one in the config
    /// counts more than what it replaces.
    of: u64,
}

impl Kept {
    pub(crate) fn new(folder: &Path, side: &str) -> Self {
        Self { path: folder.join(FOLDER).join(format!("{side}.json")) }
    }

    /// The file, for people.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The token that replaced the one numbered `of`, if there is one.
    pub(crate) fn read(&self, of: u64) -> io::Result<Option<SecretString>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        let mut text = Vec::new();
        file.take(SIZE_MAX).read_to_end(&mut text)?;
        // Its words would hold what is in the file.
        let line: Line = serde_json::from_slice(&text)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not what we write"))?;
        Ok((line.of == of).then(|| line.refresh_token.into()))
    }

    /// Replaces it; when this returns it is on the disk.
    pub(crate) fn write(&self, token: &SecretString, of: u64) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let line = Line { refresh_token: token.expose_secret().to_owned(), of };
        let text = serde_json::to_vec(&line)?;
        let fresh = self.path.with_extension("new");
        if let Err(why) = fs::remove_file(&fresh)
            && why.kind() != io::ErrorKind::NotFound
        {
            return Err(why);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        File::open(folder)?.sync_all()?;
        folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    }

    /// Keeps other processes out until it is dropped.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let path = self.path.with_extension("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.lock()?;
        Ok(file)
    }
}
