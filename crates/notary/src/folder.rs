//! The folder `audit` beside the log: the key, the last checkpoint, and all of them.
//!
//! | `key` | the key that signs now |
//! | `key.next` | one that will, once the log has an event about it |
//! | `checkpoint` | the last one, a signed note |
//! | `checkpoints` | all of this origin, each followed by an empty line |
//! | `checkpoints-ID` | those of an origin that ended, ID its last key |
//!
//! What never happens here: showing a checkpoint that a power cut could take back, or
//! writing over one that is on record.

use crate::error::NotaryError;
use hms_sync_proof::{KeyId, limits};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// In the folder of the log; made if it is not there.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, NotaryError> {
        let path = data_dir.join("audit");
        match fs::create_dir(&path) {
            Ok(()) => sync(data_dir)?,
            Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
            Err(why) => return Err(NotaryError::io("make the folder", &path)(why)),
        }
        Ok(Self(path))
    }

    /// The same, to be read alone: nothing is made.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("audit"))
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key")
    }

    pub(crate) fn next_key(&self) -> PathBuf {
        self.0.join("key.next")
    }

    fn last(&self) -> PathBuf {
        self.0.join("checkpoint")
    }

    fn all(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The names of files are durable.
    pub(crate) fn sync(&self) -> Result<(), NotaryError> {
        sync(&self.0)
    }

    /// The last checkpoint: of the file of its own, and of the last on record, which is
    /// written before it.
    pub(crate) fn last_notes(&self) -> Result<Vec<Vec<u8>>, NotaryError> {
        let mut notes: Vec<_> = read_some(&self.last())?.into_iter().collect();
        let mut newest = None;
        self.each(|note| newest = Some(note.to_vec()))?;
        notes.extend(newest);
        Ok(notes)
    }

    /// When the last checkpoint was written.
    pub(crate) fn last_at(&self) -> Option<std::time::SystemTime> {
        fs::metadata(self.last()).and_then(|found| found.modified()).ok()
    }

    /// Shows every checkpoint on record, older first. One that was cut short is left out.
    pub(crate) fn each(&self, mut take: impl FnMut(&[u8])) -> Result<(), NotaryError> {
        let path = self.all();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(()),
            Err(why) => return Err(NotaryError::io("open", &path)(why)),
        };
        let (mut input, mut note, mut empty) = (BufReader::new(file), Vec::new(), 0);
        loop {
            let begin = note.len();
            let room = (limits::NOTE_BYTES_MAX as u64 + 2).saturating_sub(begin as u64);
            let line = input.by_ref().take(room).read_until(b'\n', &mut note);
            if line.map_err(NotaryError::io("read", &path))? == 0 {
                return Ok(());
            }
            if note.get(begin..) != Some(b"\n") {
                continue;
            }
            // The first empty line of a note stands before its signatures.
            empty += 1;
            if empty == 2 {
                note.pop();
                take(&note);
                note.clear();
                empty = 0;
            }
        }
    }

    /// Puts a checkpoint on record, and in the place of the last one. Durable when it returns.
    /// `length` is that of the record, once it is known.
    pub(crate) fn write(&self, note: &str, length: &mut Option<u64>) -> Result<(), NotaryError> {
        let path = self.all();
        let mut all = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(NotaryError::io("open", &path))?;
        if length.take().is_none() {
            self.cut(&all, &path)?;
        }
        all.write_all(format!("{note}\n").as_bytes()).map_err(NotaryError::io("write", &path))?;
        all.sync_all().map_err(NotaryError::io("sync", &path))?;
        *length = all.metadata().ok().map(|found| found.len());
        let (fresh, last) = (self.0.join("checkpoint.new"), self.last());
        let mut file = File::create(&fresh).map_err(NotaryError::io("make", &fresh))?;
        file.write_all(note.as_bytes()).map_err(NotaryError::io("write", &fresh))?;
        file.sync_all().map_err(NotaryError::io("sync", &fresh))?;
        fs::rename(&fresh, &last).map_err(NotaryError::io("rename", &fresh))?;
        self.sync()
    }

    /// Cuts off a note that was cut short: no checkpoint that anybody was shown.
    fn cut(&self, all: &File, path: &Path) -> Result<(), NotaryError> {
        let mut whole = 0u64;
        self.each(|note| whole = whole.saturating_add(note.len() as u64 + 1))?;
        let length = all.metadata().map_err(NotaryError::io("look at", path))?.len();
        if length.saturating_sub(whole) > limits::NOTE_BYTES_MAX as u64 {
            let why = std::io::Error::new(ErrorKind::InvalidData, "what is in it are not checkpoints");
            return Err(NotaryError::io("go on with", path)(why));
        }
        all.set_len(whole).map_err(NotaryError::io("cut", path))
    }

    /// Lays the checkpoints of an origin that ended aside. Again after a crash, it ends the same.
    pub(crate) fn lay_aside(&self, key: KeyId) -> Result<(), NotaryError> {
        let (all, last) = (self.all(), self.last());
        let aside = self.0.join(format!("checkpoints-{key}"));
        if all.exists() && !aside.exists() {
            fs::rename(&all, &aside).map_err(NotaryError::io("rename", &all))?;
        }
        remove(&last)?;
        self.sync()
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), NotaryError> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != ErrorKind::NotFound => Err(NotaryError::io("remove", path)(why)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read_some(path: &Path) -> Result<Option<Vec<u8>>, NotaryError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(NotaryError::io("open", path)(why)),
    };
    let mut bytes = Vec::new();
    let limit = limits::NOTE_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(NotaryError::io("read", path))?;
    Ok(Some(bytes))
}

fn sync(path: &Path) -> Result<(), NotaryError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(NotaryError::io("sync", path))
}
