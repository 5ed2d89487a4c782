//! Syncs in a thread of its own, so that whoever writes makes the next batch meanwhile.
//!
//! One sync at a time, and nothing is written while it is under way: the writer waits for
//! it ([`Ahead::settle`]) before its next batch. So what is unsynced is never more than
//! it would be without this thread.

use super::syncing::Syncing;
use crate::error::LogError;
use crate::folder::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

/// The thread, until it is stopped.
#[derive(Debug)]
pub(super) struct Ahead {
    turn: Mutex<Turn>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Turn {
    /// Nothing once it is stopped.
    asks: Option<mpsc::Sender<()>>,
    answers: mpsc::Receiver<Result<(), LogError>>,
    /// Asked, and not answered yet.
    under_way: bool,
}

impl Ahead {
    pub(super) fn start(db: sled::Db, syncing: Arc<Syncing>) -> Result<Self, LogError> {
        let (asks, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let work = move || {
            while asked.recv().is_ok() && answer.send(syncing.sync(&db)).is_ok() {}
        };
        let thread = thread::Builder::new().name("hms-sync log sync".into()).spawn(work);
        let thread = thread.map_err(io("start a thread for", Path::new("the change log")))?;
        let turn = Mutex::new(Turn { asks: Some(asks), answers, under_way: false });
        Ok(Self { turn, thread: Some(thread) })
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // Every change is one call that cannot stop in the middle.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a sync, if none is under way.
    pub(super) fn ask(&self) {
        let mut turn = self.turn();
        if !turn.under_way {
            turn.under_way = turn.asks.as_ref().is_some_and(|asks| asks.send(()).is_ok());
        }
    }

    /// Waits for the sync that is under way. Answers whether there was one.
    pub(super) fn settle(&self) -> Result<bool, LogError> {
        let mut turn = self.turn();
        if !std::mem::take(&mut turn.under_way) {
            return Ok(false);
        }
        turn.answers.recv().unwrap_or(Err(LogError::Closed)).map(|()| true)
    }

    pub(super) fn stop(&mut self) {
        drop(self.turn().asks.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the change log's thread for syncs ended before its time");
        }
    }
}
