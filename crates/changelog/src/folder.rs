//! The folder of a log before its storage is opened: one process at a time
//! (`lock`), a format we know (`format`), and names that survive a power cut.
//!
//! Nothing is written into a folder that is in use, newer, or something else.

use crate::error::LogError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

/// The newest format that this hms-sync reads, and the one it writes.
const FORMAT: u32 = 1;
const FIRST_LINE: &str = "hms-sync change log";

/// Holds the folder for this process until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Makes the folder if need be, takes its lock, checks or writes its format.
pub(crate) fn hold(dir: &Path) -> Result<Held, LogError> {
    fs::create_dir_all(dir).map_err(io("make the folder", dir))?;
    let path = dir.join("lock");
    let lock =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LogError::InUse { place: dir.display().to_string() }),
        Err(TryLockError::Error(why)) => return Err(io("lock", &path)(why)),
    }
    check_format(dir)?;
    Ok(Held { _lock: lock })
}

fn check_format(dir: &Path) -> Result<(), LogError> {
    let path = dir.join("format");
    let not_a_log = |why: &str| LogError::NotALog { path: dir.to_owned(), why: why.to_owned() };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(why) if why.kind() == ErrorKind::InvalidData => {
            return Err(not_a_log("its format file is not text"));
        }
        Err(why) if why.kind() == ErrorKind::NotFound => {
            if dir.join("db").exists() || dir.join("conf").exists() {
                return Err(not_a_log("it has a database and no format file"));
            }
            return write_format(dir, &path);
        }
        Err(why) => return Err(io("read", &path)(why)),
    };
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(not_a_log("its format file is of another program"));
    }
    let found = lines.next().and_then(|line| line.strip_prefix("format ")?.parse::<u32>().ok());
    match found {
        Some(found) if found > FORMAT => {
            Err(LogError::NewerFormat { path: dir.to_owned(), found, known: FORMAT })
        }
        Some(FORMAT) => Ok(()),
        _ => Err(not_a_log("its format file names no format")),
    }
}

/// Written under another name first, so that no half of it is ever seen.
fn write_format(dir: &Path, path: &Path) -> Result<(), LogError> {
    let fresh = dir.join("format.new");
    let mut file = File::create(&fresh).map_err(io("make", &fresh))?;
    write!(file, "{FIRST_LINE}\nformat {FORMAT}\n").map_err(io("write", &fresh))?;
    file.sync_all().map_err(io("sync", &fresh))?;
    fs::rename(&fresh, path).map_err(io("rename", &fresh))?;
    sync(dir)
}

/// Makes the names durable: the files of the storage, the folder, its parent.
pub(crate) fn sync_names(dir: &Path) -> Result<(), LogError> {
    for name in ["conf", "db", "blobs"] {
        sync(&dir.join(name))?;
    }
    sync(dir)?;
    let dir = dir.canonicalize().map_err(io("find", dir))?;
    dir.parent().map_or(Ok(()), sync)
}

fn sync(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io("sync", path))
}

/// Words around what the system said.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LogError {
    move |why| LogError::Io { doing, path: path.to_owned(), source: Arc::new(why) }
}
