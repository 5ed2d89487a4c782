//! Brings to sled what the journal holds, in a thread of its own: a portion at a time, with a
//! sync of sled's before its log could grow by a segment, and one at the end.
//!
//! After an error it brings nothing more; what it had is in the journal.

use super::fresh::{Fresh, Keys};
use super::syncing::Syncing;
use super::{UNSYNCED_MAX, growth_max, guarded};
use crate::error::LogError;
use crate::folder::io;
use sled::IVec;
use std::path::Path;
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// What goes to sled at a time: so much, or a key more, that its log could grow by this.
const PORTION_GROWTH: u64 = 392 << 10;

/// The thread, until it is stopped.
#[derive(Debug)]
pub(super) struct Mover {
    turn: Mutex<Turn>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Turn {
    /// Nothing once it is stopped, or after an error.
    asks: Option<mpsc::Sender<Arc<Keys>>>,
    answers: mpsc::Receiver<Result<(), LogError>>,
    /// Asked, and not answered yet.
    under_way: bool,
}

impl Mover {
    pub(super) fn start(db: sled::Db, syncing: Arc<Syncing>, fresh: Arc<Fresh>) -> Result<Self, LogError> {
        let (asks, asked) = mpsc::channel::<Arc<Keys>>();
        let (answer, answers) = mpsc::channel();
        let work = move || {
            while let Ok(keys) = asked.recv() {
                let brought = bring(&db, &syncing, &keys).inspect(|()| fresh.arrived());
                if answer.send(brought).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("hms-sync log store".into()).spawn(work);
        let thread = thread.map_err(io("start a thread for", Path::new("the change log")))?;
        let turn = Mutex::new(Turn { asks: Some(asks), answers, under_way: false });
        Ok(Self { turn, thread: Some(thread) })
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Every change is one call that cannot stop in the middle.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings keys to sled. What was asked before has been settled.
    pub(super) fn ask(&self, keys: Arc<Keys>) -> Result<(), LogError> {
        let mut turn = self.turn();
        let asked = turn.asks.as_ref().is_some_and(|asks| asks.send(keys).is_ok());
        turn.under_way = asked;
        if asked { Ok(()) } else { Err(LogError::Closed) }
    }

    /// Whether nothing is under way, and all that was asked is in sled.
    pub(super) fn is_idle(&self) -> Result<bool, LogError> {
        let mut turn = self.turn();
        if !turn.under_way {
            return turn.goes_on().map(|()| true);
        }
        match turn.answers.try_recv() {
            Ok(answer) => turn.ended(answer).map(|()| true),
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => turn.ended(Err(LogError::Closed)).map(|()| true),
        }
    }

    /// Waits until all that was asked is in sled.
    pub(super) fn settle(&self) -> Result<(), LogError> {
        let mut turn = self.turn();
        if !turn.under_way {
            return turn.goes_on();
        }
        let answer = turn.answers.recv().unwrap_or(Err(LogError::Closed));
        turn.ended(answer)
    }

    pub(super) fn stop(&mut self) {
        drop(self.turn().asks.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the change log's thread for its storage ended before its time");
        }
    }
}

impl Turn {
    /// Nothing goes on once something has failed: what was asked then never came to sled.
    fn goes_on(&self) -> Result<(), LogError> {
        if self.asks.is_some() { Ok(()) } else { Err(LogError::Closed) }
    }

    fn ended(&mut self, answer: Result<(), LogError>) -> Result<(), LogError> {
        self.under_way = false;
        if answer.is_err() {
            self.asks = None;
        }
        answer
    }
}

/// Brings keys to sled, and returns when they are durable there.
fn bring(db: &sled::Db, syncing: &Syncing, keys: &Keys) -> Result<(), LogError> {
    let mut portion = Portion::default();
    for (key, value) in keys {
        portion.bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
        portion.removed += usize::from(value.is_none());
        portion.keys.push((key, value.as_ref()));
        if portion.growth() >= PORTION_GROWTH {
            std::mem::take(&mut portion).lay(db, syncing)?;
        }
    }
    portion.lay(db, syncing)?;
    syncing.sync(db)
}

#[derive(Default)]
struct Portion<'k> {
    keys: Vec<(&'k IVec, Option<&'k IVec>)>,
    bytes: usize,
    removed: usize,
}

impl Portion<'_> {
    /// The most that sled's log grows by for it.
    fn growth(&self) -> u64 {
        growth_max(self.bytes, self.removed)
    }

    /// Lays it down key by key: after a crash the journal has them all. Syncs before, if sled's
    /// log could grow by more than a segment before the next sync otherwise.
    fn lay(self, db: &sled::Db, syncing: &Syncing) -> Result<(), LogError> {
        let (meter, growth) = (&syncing.meter, self.growth());
        if meter.expected() + growth > UNSYNCED_MAX {
            // What sled has in hand is written now, and counted.
            syncing.flush(db)?;
            meter.measure();
        }
        if meter.expected() + growth > UNSYNCED_MAX {
            syncing.sync(db)?;
        }
        meter.expect(growth);
        guarded("write", || {
            self.keys.into_iter().try_for_each(|(key, value)| match value {
                Some(value) => db.insert(key, value).map(drop),
                None => db.remove(key).map(drop),
            })
        })
    }
}
