//! What a sync does that is started anew after a crash, without users and faults.

use super::plan::side_name;
use super::{Due, World};
use hms_sync_engine::Effect;

impl World {
    /// Dies in the middle of a first listing of ten pages. Answers from where each
    /// read of that side went on in the next life, until it was through.
    pub fn cut_short(mut self) -> Vec<Option<String>> {
        self.faults = 0.0;
        for _ in 0..30 {
            self.create(0);
        }
        let clerk = side_name(0);
        self.boot();
        while self.reads.iter().filter(|(side, _, _)| *side == clerk).count() < 5 {
            self.turn();
        }
        self.crash();
        let life = self.life;
        while self.sides[1].len() < 30 {
            self.turn();
        }
        let reads = self.reads.into_iter().filter(|(side, at, _)| *side == clerk && *at == life);
        reads.map(|(_, _, after)| after).collect()
    }

    /// Dies once both sides are known, and comes back after `down_us` to a new record of
    /// the first side, while the second cannot be read. Answers whether it creates it there.
    pub fn creates_unread(mut self, down_us: i64) -> bool {
        self.crash_when_quiet(down_us);
        let (marshal, until) = (side_name(1), self.now + 3_000_000);
        while self.now < until {
            self.queue.retain(
                |_, due| !matches!(due, Due::Arrive(_, Effect::Read { side, .. }) if *side == marshal),
            );
            self.turn();
        }
        self.sides[1].len() > 0
    }

    /// Both sides are known; then a record comes to one of them, and a process is started
    /// anew after so long.
    fn crash_when_quiet(&mut self, down_us: i64) {
        self.faults = 0.0;
        self.boot();
        while !self.queue.is_empty() {
            self.turn();
        }
        self.machine = None;
        self.disk.crash(self.seed);
        self.create(0);
        self.now += down_us;
        self.boot();
    }

    /// How long after a start, when nobody ran for so long, a side is first read.
    pub fn first_read_after(mut self, down_us: i64) -> i64 {
        self.crash_when_quiet(down_us);
        let began = self.now;
        let reads = |due: &Due| matches!(due, Due::Arrive(_, Effect::Read { .. }));
        while !self.queue.values().any(reads) {
            self.turn();
        }
        self.now - began
    }
}
