//! The folder of a log before its storage is opened: one process at a time
//! (`lock`), a format we know (`format`), and names that survive a power cut.
//!
//! Nothing is written into a folder that is in use, newer, or something else.
//!
//! A folder is being made until `format` stands in it, which comes last; before, it
//! is `format.new`. What a crash leaves of one being made holds nothing that was
//! acknowledged, and is cleared away: sled does not open a `conf` that was cut short.

use crate::error::LogError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The newest format that this hms-sync reads, and the one it writes: with a journal beside
/// sled. A log of format 1 has none, and becomes one of ours when it is opened.
const FORMAT: u32 = 2;
const FIRST_LINE: &str = "hms-sync change log";

/// The two files of the journal.
pub(crate) const JOURNAL: [&str; 2] = ["journal.0", "journal.1"];

/// What [`Held::made`] renames to `format`.
const FORMAT_NEW: &str = "format.new";

/// Holds the folder for this process until dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
    /// Whether the folder is being made, or becomes one of our format.
    fresh: bool,
}

impl Held {
    /// The storage stands and its names are durable: now the folder is a log's.
    pub(crate) fn made(&mut self, dir: &Path) -> Result<(), LogError> {
        if self.fresh {
            let new = dir.join(FORMAT_NEW);
            fs::rename(&new, dir.join("format")).map_err(io("rename", &new))?;
            sync(dir)?;
            self.fresh = false;
        }
        Ok(())
    }
}

/// Makes the folder if need be, takes its lock, checks or writes its format.
pub(crate) fn hold(dir: &Path) -> Result<Held, LogError> {
    fs::create_dir_all(dir).map_err(io("make the folder", dir))?;
    let path = dir.join("lock");
    let lock =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io("open", &path))?;
    lock_within_moments(&lock, dir, &path)?;
    let fresh = check_format(dir)?;
    clear_half_snapshots(dir)?;
    Ok(Held { _lock: lock, fresh })
}

/// Holds a folder that will only be read, damaged as it may be: nobody else has it open,
/// and it is not of a newer format.
pub(crate) fn hold_for_reading(dir: &Path) -> Result<Option<File>, LogError> {
    if let Err(why @ LogError::NewerFormat { .. }) = format_of(dir) {
        return Err(why);
    }
    let path = dir.join("lock");
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(io("open", &path)(why)),
    };
    lock_within_moments(&lock, dir, &path)?;
    Ok(Some(lock))
}

/// How often and after which pause a lock is tried for.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Takes a lock. A child that this process is just starting has a copy of every open file
/// until it becomes another program, so a lock that was let go can stand for a moment more.
fn lock_within_moments(lock: &File, dir: &Path, path: &Path) -> Result<(), LogError> {
    for attempt in 1..=TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(why)) => return Err(io("lock", path)(why)),
        }
    }
    Err(LogError::InUse { place: dir.display().to_string() })
}

/// Whether sled has written a snapshot here.
pub(crate) fn has_snapshots(dir: &Path) -> Result<bool, LogError> {
    let names = fs::read_dir(dir).map_err(io("read the folder", dir))?;
    Ok(names.flatten().any(|name| name.file_name().to_string_lossy().starts_with("snap.")))
}

/// Removes snapshots that a crash cut short, which sled would take for damaged ones.
fn clear_half_snapshots(dir: &Path) -> Result<(), LogError> {
    remove_all(dir, |name| name.starts_with("snap.") && name.ends_with(".generating"))
}

fn remove_all(dir: &Path, which: fn(&str) -> bool) -> Result<(), LogError> {
    for name in fs::read_dir(dir).map_err(io("read the folder", dir))? {
        let name = name.map_err(io("read the folder", dir))?.file_name();
        if name.to_str().is_some_and(which) {
            remove(&dir.join(name))?;
        }
    }
    Ok(())
}

/// Removes a file, if it is there.
fn remove(path: &Path) -> Result<(), LogError> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => Err(io("remove", path)(why)),
        _ => Ok(()),
    }
}

/// Whether the folder is being made; its format is one we know otherwise.
fn check_format(dir: &Path) -> Result<bool, LogError> {
    match format_of(dir)? {
        Some(FORMAT) => return Ok(false),
        Some(_) => return write_format(dir).map(|()| true),
        None => {}
    }
    if is_being_made(dir) {
        clear(dir)?;
    } else if dir.join("db").exists() || dir.join("conf").exists() {
        return Err(not_a_log(dir, "it has a database and no format file"));
    }
    write_format(dir).map(|()| true)
}

fn not_a_log(dir: &Path, why: &str) -> LogError {
    LogError::NotALog { path: dir.to_owned(), why: why.to_owned() }
}

/// The folder's format, if it has one: one that we know.
fn format_of(dir: &Path) -> Result<Option<u32>, LogError> {
    let path = dir.join("format");
    let not_a_log = |why: &str| not_a_log(dir, why);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(why) if why.kind() == ErrorKind::InvalidData => {
            return Err(not_a_log("its format file is not text"));
        }
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
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
        Some(found @ 1..=FORMAT) => Ok(Some(found)),
        _ => Err(not_a_log("its format file names no format")),
    }
}

fn format_text(format: u32) -> String {
    format!("{FIRST_LINE}\nformat {format}\n")
}

/// Whether a log was being made here: its format was written, and not given its name.
fn is_being_made(dir: &Path) -> bool {
    fs::read(dir.join(FORMAT_NEW)).is_ok_and(|found| (1..=FORMAT).any(|n| found == format_text(n).as_bytes()))
}

/// Removes what there is of a log that was being made.
fn clear(dir: &Path) -> Result<(), LogError> {
    remove_all(dir, is_storage)
}

/// Whether a name in a log's folder is sled's or the journal's.
pub(crate) fn is_storage(name: &str) -> bool {
    name == "conf" || name == "db" || JOURNAL.contains(&name) || name.starts_with("snap.")
}

/// Durable before there is a database, so that one without it is somebody else's.
fn write_format(dir: &Path) -> Result<(), LogError> {
    let new = dir.join(FORMAT_NEW);
    let mut file = File::create(&new).map_err(io("make", &new))?;
    file.write_all(format_text(FORMAT).as_bytes()).map_err(io("write", &new))?;
    file.sync_all().map_err(io("sync", &new))?;
    sync(dir)
}

/// Makes the names durable: the files of the storage, the folder, its parent.
pub(crate) fn sync_names(dir: &Path) -> Result<(), LogError> {
    for name in ["conf", "db", "blobs"].into_iter().chain(JOURNAL) {
        sync(&dir.join(name))?;
    }
    sync(dir)?;
    sync_parent(dir)
}

/// Makes the name of a folder durable.
pub(crate) fn sync_parent(dir: &Path) -> Result<(), LogError> {
    let dir = dir.canonicalize().map_err(io("find", dir))?;
    dir.parent().map_or(Ok(()), sync)
}

/// Makes a file, or the names in a folder, durable.
pub(crate) fn sync(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io("sync", path))
}

/// Words around what the system said.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> LogError {
    move |why| LogError::Io { doing, path: path.to_owned(), source: Arc::new(why) }
}
