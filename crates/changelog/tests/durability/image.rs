//! What a disk may hold after a power cut: a model of a file system that keeps
//! only what was synced for certain, and of the rest whatever chance leaves.
//!
//! A file's bytes are durable once the file was synced, a name once its folder
//! was. `sync_file_range` makes nothing durable, as its manual says.

use crate::record::{Change, Entry};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What becomes of changes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All lost.
    Lost,
    /// All there, as when only the process ends.
    Kept,
    /// Each there or not, whatever came before it: half of them, or most.
    Half,
    Most,
    /// Of each write, some sectors of 512 bytes, or pages of 4,096.
    Sectors,
    Pages,
    /// The first few there, the next one up to some sector, nothing after.
    Cut,
    /// The later ones there, the earlier ones not.
    Reordered,
}

impl Fate {
    pub(crate) const ALL: [Self; 8] = [
        Self::Lost,
        Self::Half,
        Self::Sectors,
        Self::Cut,
        Self::Reordered,
        Self::Pages,
        Self::Most,
        Self::Kept,
    ];

    /// The pieces of write number `n` of `count` that are there: from, to.
    fn pieces(
        self,
        n: usize,
        count: usize,
        length: usize,
        cut: usize,
        random: &mut Rng,
    ) -> Vec<(usize, usize)> {
        let all = |there: bool| if there { vec![(0, length)] } else { Vec::new() };
        let torn = |size: usize, random: &mut Rng| {
            let starts = (0..length).step_by(size).filter(|_| random.bool());
            starts.map(|from| (from, length.min(from + size))).collect()
        };
        match self {
            Self::Lost => all(false),
            Self::Kept => all(true),
            Self::Half => all(random.bool()),
            Self::Most => all(random.u8(..4) > 0),
            Self::Sectors => torn(512, random),
            Self::Pages => torn(4_096, random),
            Self::Cut if n == cut => vec![(0, random.usize(..=length / 512) * 512)],
            Self::Cut => all(n < cut),
            Self::Reordered => all(n >= count / 2),
        }
    }

    /// Whether a change that cannot be torn is there.
    fn keeps(self, n: usize, count: usize, cut: usize, random: &mut Rng) -> bool {
        match self {
            Self::Sectors | Self::Pages => random.bool(),
            _ => !self.pieces(n, count, 1, cut, random).is_empty() && (self != Self::Cut || n < cut),
        }
    }
}

#[derive(Debug, Clone)]
enum Content {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default, Clone)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Content>,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

/// Names of a folder that changed together, and are durable or not together.
#[derive(Debug, Clone)]
struct Naming {
    folder: String,
    put: Option<(String, Node)>,
    removed: Option<String>,
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, Node>) {
        if let Some(gone) = &self.removed {
            names.remove(gone);
        }
        if let Some((name, node)) = &self.put {
            names.insert(name.clone(), *node);
        }
    }
}

/// The disk below the watched folder.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<Naming>,
}

fn folder_of(path: &str) -> String {
    path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

impl Disk {
    fn file(&mut self, path: &str) -> &mut File {
        let Some(Node::File(at)) = self.names.get(path).copied() else { panic!("{path} is no file here") };
        &mut self.files[at]
    }

    fn name(&mut self, folder: String, put: Option<(String, Node)>, removed: Option<String>) {
        let naming = Naming { folder, put, removed };
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    /// Takes in a change, if it was done.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        if entry.error != 0 {
            return;
        }
        match &entry.change {
            Change::Write { path, offset, bytes } => {
                self.file(path).pending.push(Content::Bytes(*offset, bytes.clone()));
            }
            Change::Truncate { path, length } => self.file(path).pending.push(Content::Length(*length)),
            Change::Sync { path } => self.sync(path),
            Change::Create { path } => {
                self.files.push(File::default());
                let node = Node::File(self.files.len() - 1);
                self.name(folder_of(path), Some((path.clone(), node)), None);
            }
            Change::MakeFolder { path } => {
                self.name(folder_of(path), Some((path.clone(), Node::Folder)), None);
            }
            Change::Rename { from, to } => {
                let node = self.names[from];
                self.name(folder_of(to), Some((to.clone(), node)), Some(from.clone()));
            }
            Change::Unlink { path } => self.name(folder_of(path), None, Some(path.clone())),
            Change::Range | Change::Told(_) => {}
        }
    }

    fn sync(&mut self, path: &str) {
        if let Some(Node::File(at)) = self.names.get(path).copied() {
            let file = &mut self.files[at];
            for content in std::mem::take(&mut file.pending) {
                content.apply(&mut file.durable, &mut |length| vec![(0, length)]);
            }
            return;
        }
        let (now, later): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(|naming| naming.folder == path);
        now.iter().for_each(|naming| naming.apply(&mut self.durable));
        self.pending = later;
    }

    /// Writes into `dir` what a power cut now could leave. Answers how many writes it lost, or parts of them.
    pub(crate) fn image(&self, fate: Fate, random: &mut Rng, dir: &Path) -> usize {
        let mut names = self.durable.clone();
        let count = self.pending.len();
        let cut = random.usize(..=count);
        for (n, naming) in self.pending.iter().enumerate() {
            if fate.keeps(n, count, cut, random) {
                naming.apply(&mut names);
            }
        }
        let mut lost = 0;
        for (path, node) in &names {
            let folder = folder_of(path);
            if !folder.is_empty() && names.get(&folder) != Some(&Node::Folder) {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir_all(dir.join(path)).unwrap(),
                Node::File(at) => {
                    let bytes = self.files[*at].after(fate, random, &mut lost);
                    fs::write(dir.join(path), bytes).unwrap();
                }
            }
        }
        lost
    }
}

impl File {
    fn after(&self, fate: Fate, random: &mut Rng, lost: &mut usize) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let count = self.pending.len();
        let cut = random.usize(..=count);
        for (n, content) in self.pending.iter().enumerate() {
            let mut there = 0;
            content.apply(&mut bytes, &mut |length| {
                let pieces = fate.pieces(n, count, length, cut, random);
                there = pieces.iter().map(|(from, to)| to - from).sum();
                pieces
            });
            *lost += usize::from(there < content.length());
        }
        bytes
    }
}

impl Content {
    fn length(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) => bytes.len(),
            Self::Length(_) => 1,
        }
    }

    /// Brings those pieces of a change into `file` that `choose` takes.
    fn apply(&self, file: &mut Vec<u8>, choose: &mut dyn FnMut(usize) -> Vec<(usize, usize)>) {
        match self {
            Self::Length(length) => {
                if !choose(1).is_empty() {
                    file.resize(*length as usize, 0);
                }
            }
            Self::Bytes(offset, bytes) => {
                let offset = *offset as usize;
                for (from, to) in choose(bytes.len()) {
                    let (from, to) = (from.min(bytes.len()), to.min(bytes.len()));
                    if file.len() < offset + to {
                        file.resize(offset + to, 0);
                    }
                    file[offset + from..offset + to].copy_from_slice(&bytes[from..to]);
                }
            }
        }
    }
}
