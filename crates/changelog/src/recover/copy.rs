//! A copy of a damaged folder, opened: sled writes into what it opens, and on damaged
//! files it may also stand still.

use super::{Held, Way};
use crate::error::LogError;
use crate::folder::{self, io};
use crate::log::{Log, Options};
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long opening and verifying a copy may take at least.
const PATIENCE: Duration = Duration::from_mins(1);
/// And how many bytes of it in another second.
const BYTES_PER_SECOND: u64 = 1 << 20;

/// What came of opening a copy.
pub(super) enum Opened {
    /// It is sound.
    Sound(Held),
    /// It is not: how far it says that it goes, and why.
    Damaged { head: u64, why: String },
}

/// Copies the folder and opens the copy, which is a closed log afterwards if it is sound.
pub(super) fn open(dir: &Path, copy: &Path, way: Way, bytes: u64) -> Result<Opened, LogError> {
    fs::create_dir_all(copy.join("blobs")).map_err(io("make the folder", copy))?;
    for entry in fs::read_dir(dir).map_err(io("read the folder", dir))? {
        let entry = entry.map_err(io("read the folder", dir))?;
        let name = entry.file_name();
        let snapshot = name.to_string_lossy().starts_with("snap.");
        let without = snapshot && way == Way::OpenedWithoutSnapshots;
        if without || name == "lock" || !is_of_log(&name.to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        fs::copy(&path, copy.join(&name)).map_err(io("copy", &path))?;
    }
    let patience = PATIENCE + Duration::from_secs(bytes / BYTES_PER_SECOND);
    let (told, wait) = mpsc::channel();
    let copy = copy.to_owned();
    let open = move || {
        // Whoever waited may have given up.
        let _gone = told.send(try_open(&copy));
    };
    thread::Builder::new()
        .name("hms-sync recovery".into())
        .spawn(open)
        .map_err(io("start a thread for", Path::new("a recovery")))?;
    Ok(wait.recv_timeout(patience).unwrap_or_else(|_| Opened::Damaged {
        head: 0,
        why: format!("opening it did not end within {} seconds", patience.as_secs()),
    }))
}

/// Whether a name in a log's folder is the storage's or the folder's own.
fn is_of_log(name: &str) -> bool {
    folder::is_storage(name) || ["lock", "format", "format.new"].contains(&name)
}

/// Copies what lies in the folder beside the storage: keys, checkpoints, and what else
/// is kept there. Not what belongs to a running process, nor copies of events.
pub(super) fn beside(dir: &Path, made: &Path) -> Result<(), LogError> {
    copy_all(dir, made, |name| !is_of_log(name) && !["blobs", "copies", "management.json"].contains(&name))
}

fn copy_all(from: &Path, to: &Path, which: fn(&str) -> bool) -> Result<(), LogError> {
    for entry in fs::read_dir(from).map_err(io("read the folder", from))? {
        let entry = entry.map_err(io("read the folder", from))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io("read", &entry.path()))?);
        let target = to.join(entry.file_name());
        if !which(&entry.file_name().to_string_lossy()) {
            continue;
        }
        if kind.is_dir() {
            fs::create_dir_all(&target).map_err(io("make the folder", &target))?;
            copy_all(&path, &target, |_| true)?;
            folder::sync(&target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(io("copy", &path))?;
            folder::sync(&target)?;
        }
    }
    folder::sync(to)
}

fn try_open(copy: &Path) -> Opened {
    let log = match Log::open(copy, Options::default()) {
        Ok(log) => log,
        Err(LogError::Corrupt { why, .. }) => return Opened::Damaged { head: 0, why },
        Err(why) => return Opened::Damaged { head: 0, why: why.in_one_line() },
    };
    let found = Held::of(&log);
    match log.close() {
        Err(why) if matches!(found, Opened::Sound(_)) => Opened::Damaged { head: 0, why: why.in_one_line() },
        _ => found,
    }
}
