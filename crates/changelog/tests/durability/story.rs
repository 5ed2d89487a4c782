//! The events and views that every child writes: each is known from its number
//! alone, so that whoever reads them needs not be told what was written.

use hms_sync_changelog::{Changes, Log, LogError, Options, Sealed, seal};
use hms_sync_model::{Body, Event, EventId, RecordId, SideName, Time};
use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Records that the events are of, the same ones coming again at uneven distances.
const RECORDS: u64 = 29;
/// Events of which one has a view of its own for a while.
const WINDOW: u64 = 40;

/// What is written, from the first event on.
#[derive(Default, Clone)]
pub(crate) struct Story {
    pub(crate) seq: u64,
    last: BTreeMap<RecordId, (u64, EventId)>,
}

impl Story {
    /// The story up to event `seq`.
    pub(crate) fn upto(seq: u64) -> Self {
        let mut story = Self::default();
        story.take(seq as usize);
        story
    }

    pub(crate) fn next(&mut self) -> Sealed {
        let seq = self.seq + 1;
        let record = RecordId::try_new(format!("permit/{}", seq * seq % RECORDS)).unwrap();
        let (version, prev) = self.last.get(&record).copied().unwrap_or_default();
        let mut random = fastrand::Rng::with_seed(seq);
        let size = if seq.is_multiple_of(211) { 15_000 } else { random.usize(30..400) };
        let words = (0..size).map(|_| random.alphanumeric()).collect();
        let side = SideName::try_new("clerk").unwrap();
        let at = Time(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
        let body = Body::Doubted { side, stale: false, id: None, words, message: None };
        let sealed =
            seal(&Event { seq, record: record.clone(), version: version + 1, at, prev, body }).unwrap();
        self.seq = seq;
        self.last.insert(record, (version + 1, sealed.id));
        sealed
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<Sealed> {
        (0..count).map(|_| self.next()).collect()
    }

    /// The views as of the last event: of each record, and of a few windows of events.
    pub(crate) fn views(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let of_records = self.last.iter().map(|(record, (version, id))| {
            let value = [version.to_be_bytes().as_slice(), &id.0].concat().repeat(5);
            (record.as_str().as_bytes().to_vec(), value)
        });
        let window = self.seq / WINDOW;
        let of_windows =
            (window.saturating_sub(3)..window).map(|n| (format!("window/{n}").into_bytes(), vec![7; 900]));
        of_records.chain(of_windows).collect()
    }

    /// What makes the views of `before` those of this.
    pub(crate) fn changes_since(&self, before: &Self) -> Changes {
        let (old, new) = (before.views(), self.views());
        let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None));
        let fresh = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
        gone.chain(fresh.map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
    }
}

/// The ids of the first `count` events.
pub(crate) fn ids(count: usize) -> Vec<EventId> {
    Story::default().take(count).iter().map(|sealed| sealed.id).collect()
}

/// How long a lock may be held by a process that a test has forked and that has not begun yet.
const FORKED: Duration = Duration::from_millis(400);

pub(crate) fn open(dir: &Path) -> Result<Log, LogError> {
    let until = Instant::now() + FORKED;
    loop {
        match Log::open(dir, Options { cache_bytes: 8 << 20, journal_bytes: 24 << 10 }) {
            Err(LogError::InUse { .. }) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            opened => return opened,
        }
    }
}

/// Everything that is wrong with the log in `dir`, of which events up to `acknowledged`
/// must be there. `ids` are those of the whole story.
pub(crate) fn examine(dir: &Path, acknowledged: u64, ids: &[EventId]) -> Result<u64, String> {
    let log = open(dir).map_err(|why| words(&why))?;
    let head = log.head();
    if head < acknowledged {
        return Err(format!("event {acknowledged} was acknowledged and the log ends with {head}"));
    }
    if let Some(why) = log.stats().poisoned {
        return Err(format!("it takes no writes: {why}"));
    }
    let found = log.events(1, usize::MAX).map_err(|why| words(&why))?;
    let dropped = log.dropped_upto();
    let kept = ids.iter().skip(dropped as usize);
    if found.len() as u64 + dropped != head || !found.iter().zip(kept).all(|((found, _), id)| found == id) {
        return Err(format!("its {} events are not those that were written", found.len()));
    }
    let report = log.verify(|_| {}).map_err(|why| words(&why))?;
    if let Some(bad) = report.first_bad {
        return Err(bad.to_string());
    }
    check_views(&log)?;
    let mut story = Story::upto(head);
    log.append(&story.take(3)).map_err(|why| format!("it cannot go on: {}", words(&why)))?;
    Ok(head)
}

/// The views are those that a replay of the events makes.
fn check_views(log: &Log) -> Result<(), String> {
    let upto = log.views_upto();
    if upto > log.head() {
        return Err(format!("views go up to {upto}, past the last event"));
    }
    let views: BTreeMap<_, _> =
        log.views(b"", None, usize::MAX).map_err(|why| words(&why))?.into_iter().collect();
    if views == Story::upto(upto).views() {
        Ok(())
    } else {
        Err(format!("the views up to {upto} are not a replay's"))
    }
}

/// An error and its causes.
pub(crate) fn words(why: &dyn std::error::Error) -> String {
    match why.source() {
        Some(cause) => format!("{why}: {}", words(cause)),
        None => why.to_string(),
    }
}
