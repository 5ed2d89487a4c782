//! A folder in memory that keeps what a power cut would leave: the double for tests
//! and for the simulation. Any operation can be made the last one.

use crate::folder::Folder;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone, Default)]
struct Content {
    /// What stands on the disk.
    durable: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
}

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Content>,
    durable_names: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
    operations: usize,
    /// After so many operations everything fails, as if the process had ended.
    end_after: Option<usize>,
}

/// A folder in memory. Clones are the same folder.
#[derive(Debug, Clone, Default)]
pub struct MemoryFolder(Arc<Mutex<Inner>>);

impl MemoryFolder {
    /// An empty folder.
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets so many more operations that change something pass, and none after them.
    pub fn end_after(&self, operations: usize) {
        self.with(|inner| inner.end_after = Some(inner.operations.saturating_add(operations)));
    }

    /// How many operations have changed something.
    pub fn operations(&self) -> usize {
        self.with(|inner| inner.operations)
    }

    /// A power cut. What was not synced is lost, kept, or kept sector by sector, as
    /// `seed` says (0: lost, 1: kept). Operations pass again.
    pub fn crash(&self, seed: u64) {
        self.with(|inner| {
            let mut state = seed;
            let mut kept = || match seed {
                0 => false,
                1 => true,
                _ => {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    state >> 63 == 1
                }
            };
            for file in &mut inner.files {
                file.durable = torn(file, &mut kept);
                file.seen.clone_from(&file.durable);
            }
            if kept() {
                inner.durable_names.clone_from(&inner.names);
            } else {
                inner.names.clone_from(&inner.durable_names);
            }
            inner.end_after = None;
        });
    }

    /// Every file under its name, as a reader sees it.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.with(|inner| {
            let content = |at: &usize| inner.files.get(*at).map(|file| file.seen.clone()).unwrap_or_default();
            inner.names.iter().map(|(name, at)| (name.clone(), content(at))).collect()
        })
    }
}

/// What of a file stands on the disk after a cut.
fn torn(file: &Content, kept: &mut impl FnMut() -> bool) -> Vec<u8> {
    if file.durable == file.seen {
        return file.seen.clone();
    }
    let len = if kept() { file.seen.len() } else { file.durable.len() };
    let mut left = Vec::with_capacity(len);
    while left.len() < len {
        let (from, to) = (left.len(), left.len().saturating_add(SECTOR).min(len));
        let source = if kept() { &file.seen } else { &file.durable };
        let mut sector = source.get(from..to.min(source.len())).unwrap_or_default().to_vec();
        sector.resize(to - from, 0);
        left.append(&mut sector);
    }
    left
}

impl Inner {
    fn pass(&mut self) -> io::Result<()> {
        if self.end_after.is_some_and(|end| self.operations >= end) {
            return Err(io::Error::other("the process has ended"));
        }
        self.operations += 1;
        Ok(())
    }

    fn file(&mut self, name: &str) -> io::Result<&mut Content> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let at = *self.names.get(name).ok_or_else(missing)?;
        self.files.get_mut(at).ok_or_else(missing)
    }
}

impl Folder for MemoryFolder {
    fn make(&mut self) -> io::Result<()> {
        self.with(Inner::pass)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.with(|inner| Ok(inner.file(name).ok().map(|file| file.seen.clone())))
    }

    fn create(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            if let Ok(file) = inner.file(name) {
                file.seen = bytes.to_vec();
                return Ok(());
            }
            inner.names.insert(name.to_owned(), inner.files.len());
            inner.files.push(Content { durable: Vec::new(), seen: bytes.to_vec() });
            Ok(())
        })
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            let file = inner.file(name)?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let to = from.saturating_add(bytes.len());
            file.seen.resize(file.seen.len().max(to), 0);
            if let Some(place) = file.seen.get_mut(from..to) {
                place.copy_from_slice(bytes);
            }
            Ok(())
        })
    }

    fn truncate(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            inner.file(name)?.seen.truncate(usize::try_from(len).unwrap_or(usize::MAX));
            Ok(())
        })
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            let file = inner.file(name)?;
            file.durable.clone_from(&file.seen);
            Ok(())
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            let at = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            inner.names.insert(to.to_owned(), at);
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            inner.names.remove(name);
            Ok(())
        })
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.with(|inner| {
            inner.pass()?;
            inner.durable_names.clone_from(&inner.names);
            Ok(())
        })
    }
}
