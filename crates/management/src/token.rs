//! Who may ask: a random token, made anew at each start, in a file that only
//! the user who runs the sync can read. Never logged, never compared but in
//! constant time.

use crate::error::ServeError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
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
        let Some(found) = if_there(fs::symlink_metadata(&path))? else { return Ok(None) };
        // Opening a pipe would wait for whoever writes into it.
        if !found.is_file() {
            return Err(none_of_ours("it is no file"));
        }
        // Its process may have ended since.
        let Some(file) = if_there(fs::File::open(&path))? else { return Ok(None) };
        Self::from_file(file).map(Some)
    }

    /// Reads no more than such a file may have.
    fn from_file(file: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(none_of_ours("it is too large"));
        }
        Self::parse(&bytes)
    }

    /// What the file says, if a process of this machine can have written it.
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        // In words of our own: those of the parser may repeat the token.
        let unlike = |why: serde_json::Error| {
            none_of_ours(&format!(
                "it is not what a sync writes, at line {} column {}",
                why.line(),
                why.column()
            ))
        };
        let access: Self = serde_json::from_slice(bytes).map_err(unlike)?;
        let address =
            access.url.strip_prefix("http://").and_then(|address| address.parse::<SocketAddr>().ok());
        let address = address.ok_or_else(|| none_of_ours("its url is none that a sync listens at"))?;
        // What is asked, and the token with it, stays on this machine.
        if !is_here(address) {
            return Err(none_of_ours("its url is at another machine"));
        }
        Ok(access)
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

/// Nothing where there is no such file.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(why) if why.kind() == ErrorKind::NotFound => Ok(None),
        Err(why) => Err(why),
    }
}

fn none_of_ours(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// Whether this machine has the address: only then can something of it listen there.
fn is_here(address: SocketAddr) -> bool {
    // `::ffff:0.0.0.0` is what `0.0.0.0` is.
    let ip = address.ip().to_canonical();
    ip.is_loopback() || !ip.is_unspecified() && !ip.is_multicast() && TcpListener::bind((ip, 0)).is_ok()
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
    use hms_sync_hostile::Reader;

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
    fn where_the_file_cannot_be_put_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(ACCESS_FILE)).unwrap();
        let access = Access::new("http://127.0.0.1:1".into()).unwrap();
        assert!(matches!(access.write(dir.path()), Err(ServeError::File { .. })));
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [ACCESS_FILE]);
    }

    #[cfg(unix)]
    #[test]
    fn the_token_is_not_written_where_a_link_leads() {
        let dir = tempfile::tempdir().unwrap();
        let access = Access::new("http://127.0.0.1:1".into()).unwrap();
        let theirs = dir.path().join("theirs");
        fs::write(&theirs, "theirs").unwrap();
        let link = dir.path().join(format!("{ACCESS_FILE}.{}", access.instance));
        std::os::unix::fs::symlink(&theirs, link).unwrap();
        assert!(access.write(dir.path()).is_err());
        std::os::unix::fs::symlink(&theirs, dir.path().join(ACCESS_FILE)).unwrap();
        let _file = access.write(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(theirs).unwrap(), "theirs");
        assert_eq!(Access::read(dir.path()).unwrap().unwrap(), access);
    }

    #[test]
    fn only_the_token_admits() {
        let access = Access::new("http://127.0.0.1:1".into()).unwrap();
        assert!(access.admits(access.token.as_bytes()));
        assert!(!access.admits(b""));
        assert!(!access.admits(&access.token.as_bytes()[..63]));
        assert!(!format!("{access:?}").contains(&access.token));
    }

    /// Whoever can write the data folder can put anything there. No more of it is read than such a
    /// file has, and what is taken leads to this machine.
    #[test]
    fn hostile_access_files() {
        let urls = ["127.0.0.1:7070", "[::1]:1", "127.255.255.254:65535"];
        let sound = urls.map(|url| serde_json::to_vec_pretty(&Access::new(format!("http://{url}")).unwrap()));
        let words = [
            "\"url\"",
            "\"token\":",
            "http://",
            "@",
            "/",
            "?",
            "#",
            "[::1]",
            "[",
            "localhost",
            "{",
            "[[",
            "192.0.2.1:7070",
            "[2001:db8::1]:1",
            "0.0.0.0:1",
            "224.0.0.1:1",
        ];
        Reader::new("access files").sound(sound.map(Result::unwrap)).words(words).bytes(|bytes| {
            let mut rest = bytes;
            let read = Access::from_file(&mut rest);
            let taken = (bytes.len() - rest.len()) as u64;
            assert!(taken <= FILE_MAX + 1, "{taken} bytes are read");
            match read {
                Ok(access) => {
                    assert!(bytes.len() as u64 <= FILE_MAX, "it is taken, and too large");
                    let address: SocketAddr = access.url.strip_prefix("http://").unwrap().parse().unwrap();
                    // The machine's own other addresses come up in no case.
                    assert!(address.ip().to_canonical().is_loopback(), "the token would go to {address}");
                    true
                }
                Err(why) => {
                    let words = why.to_string();
                    assert!(words.len() < 100, "{words}");
                    false
                }
            }
        });
    }

    #[test]
    fn a_file_that_is_larger_than_any_of_ours_is_not_taken() {
        let mut file = serde_json::to_vec(&Access::new("http://127.0.0.1:1".into()).unwrap()).unwrap();
        file.resize(usize::try_from(FILE_MAX).unwrap(), b' ');
        assert!(Access::from_file(file.as_slice()).is_ok());
        file.push(b' ');
        assert_eq!(Access::from_file(file.as_slice()).unwrap_err().to_string(), "it is too large");
    }

    #[test]
    fn nothing_is_asked_of_another_machine() {
        let parse = |url: &str| {
            let file = serde_json::json!({ "url": url, "token": "hush", "pid": 7, "instance": "i" });
            Access::parse(&serde_json::to_vec(&file).unwrap())
        };
        for url in ["http://127.0.0.1:7070", "http://[::1]:7070", "http://[::ffff:127.0.0.1]:7070"] {
            assert_eq!(parse(url).unwrap().url, url);
        }
        for url in [
            "http://192.0.2.1:80",
            "http://[2001:db8::1]:80",
            "http://224.0.0.1:80",
            "http://0.0.0.0:80",
            "http://[::]:80",
            "http://[::ffff:0.0.0.0]:80",
            "http://[::ffff:192.0.2.1]:80",
            "http://[::ffff:224.0.0.1]:80",
            "http://169.254.169.254:80",
            "http://127.0.0.1:80@192.0.2.1",
            "http://127.0.0.1:80/x?",
            "http://name.example:80",
            "https://127.0.0.1:80",
            "file:///etc/passwd",
            "",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
        let wrong = br#"{"url":"http://127.0.0.1:7070","token":"t","pid":"hush","instance":"i"}"#;
        assert!(!Access::parse(wrong).unwrap_err().to_string().contains("hush"), "it may be the token");
    }
}
