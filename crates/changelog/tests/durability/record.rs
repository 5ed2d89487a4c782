//! The record of what a child did to its files, as the recorder writes it.

use std::path::Path;

/// One change of a file or a folder; paths are below the folder that is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Write {
        path: String,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        path: String,
        length: u64,
    },
    Sync {
        path: String,
    },
    /// `sync_file_range`: it makes nothing durable.
    Range,
    Create {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    MakeFolder {
        path: String,
    },
    /// A line that the child said.
    Told(String),
}

/// A change, and with which error it failed, 0 if it did not.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) error: u32,
    pub(crate) change: Change,
}

impl Entry {
    /// Whether it counts for `RECORDER_FAIL`.
    pub(crate) fn counts(&self) -> bool {
        !matches!(self.change, Change::Told(_))
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn text(&mut self, count: usize) -> String {
        String::from_utf8(self.take(count).to_vec()).unwrap()
    }
}

/// Reads a record of changes below `under`.
pub(crate) fn read(bytes: &[u8], under: &Path) -> Vec<Entry> {
    let mut reader = Reader(bytes);
    let mut entries = Vec::new();
    let below = |path: String| {
        let rest =
            path.strip_prefix(under.to_str().unwrap()).map(|rest| rest.trim_start_matches('/').to_owned());
        rest.unwrap_or(path)
    };
    while !reader.0.is_empty() {
        let (op, error) = (reader.u32(), reader.u32());
        let offset = u64::from_le_bytes(reader.take(8).try_into().unwrap());
        let (path, length) = (reader.u32() as usize, reader.u32() as usize);
        let path = below(reader.text(path));
        let bytes = reader.take(length).to_vec();
        let text = || String::from_utf8(bytes.clone()).unwrap();
        let change = match op {
            1 => Change::Write { path, offset, bytes },
            2 => Change::Truncate { path, length: offset },
            3 => Change::Sync { path },
            4 => Change::Range,
            5 => Change::Create { path },
            6 => Change::Rename { from: path, to: below(text()) },
            7 => Change::Unlink { path },
            8 => Change::MakeFolder { path },
            9 => Change::Told(text().trim_end().to_owned()),
            other => panic!("the record has an entry of kind {other}"),
        };
        entries.push(Entry { error, change });
    }
    entries
}

/// The lines that the child said.
pub(crate) fn told(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .filter_map(|entry| if let Change::Told(line) = &entry.change { Some(line.as_str()) } else { None })
        .collect()
}

/// The last event that was acknowledged in these entries.
pub(crate) fn acknowledged(entries: &[Entry]) -> u64 {
    let numbers = told(entries).into_iter().filter_map(|line| line.strip_prefix("ack ")?.parse().ok());
    numbers.max().unwrap_or(0)
}
