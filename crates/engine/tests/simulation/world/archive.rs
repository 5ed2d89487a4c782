//! Events are archived and dropped while nobody runs.

use super::World;
use hms_sync_changelog::{Archived, Log};
use hms_sync_engine::{Machine, RecordState, StreamState, Views, Wake};
use hms_sync_model::RecordId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// All records and streams.
type States = (Vec<(RecordId, RecordState)>, Vec<(RecordId, StreamState)>);

/// How many drops went through, in all worlds.
pub static DROPS: AtomicU64 = AtomicU64::new(0);

impl World {
    /// Drops some of the events, as if they were archived, while nobody runs. The power may be
    /// cut between any two steps; what a record is must be the same before and after.
    pub(super) fn archive(&mut self, log: Log) -> Log {
        let head = log.head();
        let Some(last) = log.last_to_drop(self.clerk.u64(0..=head)).unwrap() else { return log };
        self.say(|| format!("ARCHIVE {last} of {head}"));
        let (now, vault) = (self.clock(), self.vault.clone());
        let mut machine = Machine::open_with(Arc::clone(&self.plan), log.clone(), vault, 0).unwrap();
        machine.step(Wake::Stop, now).unwrap();
        let mut after = None;
        loop {
            let (events, next) = machine.carry(last, after.as_ref(), 7, now).unwrap();
            machine.flush_keys().unwrap();
            log.append(&events).unwrap();
            if self.clerk.u8(0..20) == 0 {
                self.disk.crash(self.clerk.u64(..));
                return Log::on(self.disk.clone()).unwrap();
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let root = log.prover().head(last).unwrap().root.0;
        let until = log.event(last).unwrap().unwrap().1.at;
        let (first, at, file) = (log.dropped_upto() + 1, now.wall, format!("to-{last}"));
        let range = Archived { first, last, at, until, hash: [7; 32], root, file };
        let approval = machine.approve(&range, "sim".into(), "asked".into(), now).unwrap().unwrap();
        drop(machine);
        let anew = self.clerk.bool();
        let before = anew.then(|| self.states_anew(&log));
        if self.clerk.u8(0..4) == 0 {
            self.disk.fail_after(self.clerk.u64(0..9));
        }
        let done = log.drop_archived(&range, &approval);
        DROPS.fetch_add(u64::from(done.is_ok()), Ordering::Relaxed);
        let log = if done.is_err() {
            drop(log);
            self.disk.crash(self.clerk.u64(..));
            Log::on(self.disk.clone()).unwrap()
        } else {
            self.disk.fail_after(u64::MAX);
            log
        };
        if let Some(mut before) = before {
            let mut after = self.states_anew(&log);
            for (_, streams) in [&mut before, &mut after] {
                streams.retain(|(record, _)| record.as_str() != "@log/archives");
            }
            assert_eq!(before, after, "seed {}: a drop has changed records", self.seed);
        }
        log
    }

    /// All records and streams, from nothing but their events.
    fn states_anew(&self, log: &Log) -> States {
        log.drop_views().unwrap();
        let mut views = Views::new(log.clone(), Arc::clone(&self.plan)).with_vault(self.vault.clone());
        views.catch_up().unwrap();
        let all = log.records(None, 10_000).unwrap();
        let (streams, records): (Vec<_>, Vec<_>) = all.into_iter().partition(RecordId::is_own_stream);
        let records =
            records.into_iter().map(|record| (record.clone(), views.peek(&record).unwrap().unwrap()));
        let streams = streams.into_iter().map(|stream| (stream.clone(), views.stream(&stream).unwrap()));
        (records.collect(), streams.collect())
    }
}
