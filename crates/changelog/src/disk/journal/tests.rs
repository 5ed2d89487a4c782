#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]

use super::*;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs;
use tempfile::TempDir;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn put_all(map: &mut Map, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

/// A storage of the simplest kind, with a journal before it.
struct Stage {
    dir: TempDir,
    journal: Journal,
    /// What was put, batch by batch, of which the first so many are synced.
    batches: Vec<Batch>,
    synced: usize,
    /// What is durable behind the journal: all up to a turn, but the last generation's.
    stored: usize,
    /// What had been put when the generation began.
    turned: usize,
    random: Rng,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, left) = Journal::open(dir.path()).unwrap();
        assert!(left.is_empty());
        let random = Rng::with_seed(seed);
        Self { dir, journal, batches: Vec::new(), synced: 0, stored: 0, turned: 0, random }
    }

    fn put(&mut self) {
        let random = &mut self.random;
        let entry = |random: &mut Rng| {
            let value = (random.u8(..4) > 0).then(|| vec![random.u8(..); random.usize(..3_000)]);
            (vec![b'k', random.u8(..40)], value)
        };
        let batch: Batch = (0..random.usize(1..5)).map(|_| entry(random)).collect();
        self.journal.put(&batch).unwrap();
        self.batches.push(batch);
    }

    fn sync(&mut self) {
        self.journal.sync().unwrap();
        self.synced = self.batches.len();
    }

    fn turn(&mut self) {
        self.sync();
        self.journal.turn().unwrap();
        (self.stored, self.turned) = (self.turned, self.synced);
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            match self.random.u8(..20) {
                0 => self.turn(),
                1..=6 => self.sync(),
                _ => self.put(),
            }
        }
    }

    fn map(&self, batches: usize) -> Map {
        let mut map = Map::new();
        self.batches[..batches].iter().for_each(|batch| put_all(&mut map, batch));
        map
    }

    fn files(&self) -> [Vec<u8>; 2] {
        JOURNAL.map(|name| fs::read(self.dir.path().join(name)).unwrap())
    }
}

/// Opens a journal of these bytes.
fn reopened(files: &[Vec<u8>; 2]) -> (TempDir, Result<(Journal, Batch), LogError>) {
    let dir = tempfile::tempdir().unwrap();
    JOURNAL.iter().zip(files).for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
    let opened = Journal::open(dir.path());
    (dir, opened)
}

/// What is synced comes back in order, and of the rest the first so many batches, whole, whatever
/// a power cut leaves of what was written since; wherever the storage behind it was meanwhile.
#[test]
fn a_power_cut_leaves_all_that_was_synced() {
    for seed in 0..120 {
        let mut stage = Stage::new(seed);
        let count = stage.random.usize(..120);
        stage.steps(count);
        let synced = (stage.files(), stage.synced);
        // More puts write by themselves, and are not synced.
        for _ in 0..stage.random.usize(..60) {
            stage.put();
        }
        let (mut files, later) = (synced.0.clone(), stage.files());
        for (file, later) in files.iter_mut().zip(&later) {
            file.resize(later.len(), 0);
            for (at, page) in later.chunks(4_096).enumerate() {
                if stage.random.bool() {
                    file[at * 4_096..][..page.len()].copy_from_slice(page);
                }
            }
        }
        let (_dir, opened) = reopened(&files);
        let left = opened.unwrap_or_else(|why| panic!("seed {seed}: {why}")).1;
        // sled has anything from what is surely there to all that was on its way.
        for stored in [stage.stored, stage.turned] {
            let mut map = stage.map(stored);
            put_all(&mut map, &left);
            let found = (synced.1..=stage.batches.len()).find(|count| stage.map(*count) == map);
            assert!(found.is_some(), "seed {seed}: {} batches, {} synced", stage.batches.len(), synced.1);
        }
    }
}

/// What is cleared holds nothing, and goes on; cut off between any two steps it holds what it held
/// or nothing.
#[test]
fn a_journal_that_is_cleared_is_never_half_there() {
    for seed in 0..40 {
        let mut stage = Stage::new(seed);
        stage.steps(60);
        stage.sync();
        let all = stage.map(stage.synced);
        let before = stage.files();
        let left = reopened(&before).1.unwrap().1;
        let newer = half_of(stage.journal.next.generation);
        // The record that says so, then one file, then the other.
        stage
            .journal
            .guarded(|journal| {
                journal.next.stored = journal.next.generation;
                journal.write()?;
                journal.make_durable()
            })
            .unwrap();
        let mut files = stage.files();
        assert!(reopened(&files).1.unwrap().1.is_empty(), "seed {seed}");
        files[1 - newer].clear();
        assert!(reopened(&files).1.unwrap().1.is_empty(), "seed {seed}");
        files[newer].clear();
        assert!(reopened(&files).1.unwrap().1.is_empty(), "seed {seed}");
        let mut map = all.clone();
        put_all(&mut map, &left);
        assert_eq!(map, all, "seed {seed}: what is put once more changes nothing");
        stage.journal.clear().unwrap();
        assert!(stage.files().iter().all(Vec::is_empty));
        let behind = stage.batches.len();
        (stage.stored, stage.turned) = (behind, behind);
        stage.steps(40);
        stage.sync();
        let mut map = stage.map(stage.stored);
        put_all(&mut map, &reopened(&stage.files()).1.unwrap().1);
        assert_eq!(map, stage.map(stage.synced), "seed {seed}");
    }
}

/// A record that was durable, has others behind it, and changes by one bit is noticed.
#[test]
fn a_durable_record_that_is_damaged_is_no_end() {
    let mut noticed = 0;
    for seed in 0..60 {
        let mut stage = Stage::new(seed);
        for _ in 0..8 {
            stage.put();
            stage.sync();
        }
        if seed % 2 == 0 {
            stage.turn();
            stage.put();
            stage.sync();
        }
        let mut files = stage.files();
        let first = half_of(1);
        let last = stage.journal.at.min(20_000);
        let whole =
            if seed % 2 == 0 { files[first].iter().rposition(|b| *b != 0).unwrap() as u64 } else { last };
        // Of the last generation's last record nobody says that it was durable.
        let record = Half::open(stage.dir.path().join(JOURNAL[first])).unwrap().read().unwrap();
        assert!(record.records >= 8);
        let end = if seed % 2 == 0 { whole } else { 7 * whole / 10 };
        let at = usize::try_from(stage.random.u64(..end)).unwrap();
        files[first][at] ^= 1 << stage.random.u8(..8);
        match reopened(&files).1 {
            Err(LogError::Corrupt { path, .. }) => {
                assert!(path.ends_with(JOURNAL[first]));
                noticed += 1;
            }
            Err(why) => panic!("seed {seed}: {why}"),
            // Only if it was the last one.
            Ok((_, left)) => {
                assert!(seed % 2 == 1, "seed {seed}: byte {at} of {whole}");
                let (mut map, all) = (Map::new(), stage.map(7));
                put_all(&mut map, &left);
                assert_eq!(map, all, "seed {seed}");
            }
        }
    }
    assert!(noticed > 40, "{noticed}");
}

/// Files of another hand: whatever they hold, they are read in the end, or refused.
#[test]
fn files_of_another_hand_do_no_harm() {
    let mut refused = 0;
    for seed in 0..400 {
        let mut stage = Stage::new(seed % 8);
        stage.steps(30);
        stage.sync();
        let mut random = Rng::with_seed(seed);
        let mut files = stage.files();
        // With hashes that fit: lengths and numbers that no journal of ours has.
        let file = &mut files[random.usize(..2)];
        if file.len() < HEAD_BYTES {
            file.resize(4_096, 0);
        }
        let numbers = [0, 1, 2, u64::MAX, u64::MAX - 1, random.u64(..)];
        let mut number = || numbers[random.usize(..numbers.len())];
        let bytes = [0, 3, 8, 12, 100][usize::try_from(number() % 5).unwrap()];
        let head = Head {
            bytes,
            generation: number(),
            number: number(),
            durable: number(),
            stored: number(),
            before: number(),
        };
        let mut record = head.to_bytes().to_vec();
        record.extend((0..bytes).map(|n| if n % 4 == 0 { 0xff } else { 0x01 }));
        let its = hash(&record, &record[HEAD_BYTES..]);
        record[HEAD_BYTES - HASH_BYTES..HEAD_BYTES].copy_from_slice(&its);
        file[..record.len()].copy_from_slice(&record);
        let (_dir, opened) = reopened(&files);
        match opened {
            Ok((mut journal, _)) => {
                let put = journal.put(&vec![(b"k".to_vec(), None)]).and_then(|()| journal.sync());
                assert!(put.and_then(|()| journal.clear()).is_ok());
            }
            Err(LogError::Corrupt { .. }) => refused += 1,
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    assert!(refused > 20, "{refused}");
}

/// Each byte begins as many records as it can, which are all to be hashed.
#[test]
fn records_in_records_are_not_searched_for_ever() {
    let head = Head { bytes: 60_000, generation: 1, number: 1, durable: 0, stored: 0, before: 0 };
    let file: Vec<u8> = head.to_bytes().repeat(2_000);
    match reopened(&[Vec::new(), file]).1 {
        Err(LogError::Corrupt { why, .. }) => assert_eq!(why, "records lie in records"),
        other => panic!("{other:?}"),
    }
}
