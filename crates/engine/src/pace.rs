//! How fast requests to a side may follow each other, once it has said that they
//! came too fast.
//!
//! A side says when to come back, and not how much it takes. That shows in how
//! much it took just before: after a pause requests keep to a little less,
//! and get faster little by little until the side objects again. Where little was
//! taken before, nothing is known: then the pace doubles until it objects.
//! (As TCP does: additive increase, multiplicative decrease, slow start; RFC 5681.)

use hms_sync_model::Time;
use std::time::Duration;

/// Over how long the requests taken are counted.
const WINDOW: Duration = Duration::from_millis(250);
/// The least time that a count is taken to stand for.
const SHORTEST: Duration = Duration::from_millis(100);
/// The slowest pace, in requests a second.
const SLOWEST: f64 = 20.0;
/// Past this nothing is held back any more, in requests a second.
const FASTEST: f64 = 20_000.0;
/// How much of what a side took it is given after it objected.
const STEP_BACK: f64 = 0.95;
/// The same where it objected again soon: it took more at once than it takes for long.
const STEP_BACK_FAR: f64 = 0.85;
/// How often a pace of which nothing is known doubles.
const DOUBLING: Duration = Duration::from_millis(200);
/// How often a pace that is known grows.
const GROWING: Duration = Duration::from_secs(1);
/// By how much it grows at first.
const GROWTH: f64 = 0.008;
/// By how much it grows at most, after a long time without objection.
const GROWTH_MAX: f64 = 0.25;
/// Growth doubles after so many steps.
const STEPS: u32 = 10;
/// How far requests may run ahead of the pace: timers and commits come in steps.
const AHEAD: Duration = Duration::from_millis(20);

/// The pace of the requests to one side.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Nothing while the side has not objected.
    kept: Option<Kept>,
    counted: Counted,
}

#[derive(Debug)]
struct Kept {
    /// Requests a second.
    rate: f64,
    /// When the next may go.
    next: Time,
    /// Whether the side has shown what it takes.
    known: bool,
    /// When the pace last changed.
    changed: Time,
    /// How often it has grown since the side objected.
    grown: u32,
}

/// Requests that the side took, in this window and the one before.
#[derive(Debug, Default)]
struct Counted {
    /// Since when requests flow.
    start: Time,
    since: Time,
    now: f64,
    before: f64,
}

impl Counted {
    fn turn(&mut self, now: Time) {
        let passed = now.since(self.since);
        if passed >= WINDOW * 2 {
            (self.before, self.now, self.since) = (0.0, 0.0, now);
        } else if passed >= WINDOW {
            (self.before, self.now, self.since) = (self.now, 0.0, self.since.plus(WINDOW));
        }
    }

    /// Requests a second over the last window or two.
    fn rate(&mut self, now: Time) -> f64 {
        self.turn(now);
        let over = (WINDOW + now.since(self.since)).min(now.since(self.start)).max(SHORTEST);
        (self.before + self.now) / over.as_secs_f64()
    }
}

impl Pace {
    /// When the next request may go; nothing if at once.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.kept.as_ref().map(|kept| kept.next)
    }

    /// A request goes out.
    pub(crate) fn begin(&mut self, now: Time) {
        if let Some(kept) = &mut self.kept {
            let from = kept.next.max(now.minus(AHEAD));
            kept.next = from.plus(Duration::from_secs_f64(1.0 / kept.rate));
        }
    }

    /// The side took a request.
    pub(crate) fn taken(&mut self, now: Time) {
        self.counted.turn(now);
        self.counted.now += 1.0;
        let Some(kept) = &mut self.kept else { return };
        let (every, growth) = if kept.known {
            let doublings = (kept.grown / STEPS).min(16);
            (GROWING, (GROWTH * f64::from(1u32 << doublings)).min(GROWTH_MAX))
        } else {
            (DOUBLING, 1.0)
        };
        if now.since(kept.changed) >= every {
            kept.rate *= 1.0 + growth;
            kept.changed = now;
            kept.grown += 1;
        }
        if kept.rate > FASTEST {
            self.kept = None;
        }
    }

    /// The side said that requests came too fast; nothing goes before `until`.
    pub(crate) fn limited(&mut self, now: Time, until: Time) {
        let taken = self.counted.rate(now);
        // At the start a side often takes a volley at once and then much less.
        let known = self.kept.as_ref().is_some_and(|kept| taken >= kept.rate / 3.0);
        let settled = self.kept.as_ref().is_some_and(|kept| kept.known && kept.grown >= STEPS);
        let kept = self.kept.as_ref().map_or(f64::INFINITY, |kept| kept.rate);
        let step_back = if settled { STEP_BACK } else { STEP_BACK_FAR };
        let rate = (taken.min(kept) * step_back).max(SLOWEST);
        self.counted = Counted { start: until, since: until, ..Counted::default() };
        self.kept = Some(Kept { rate, next: until, known, changed: until, grown: 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A side that takes `rate` requests a second, a tenth of them at once, and asks
    /// whoever comes too fast to come back in a second. Answers how many requests it
    /// took and how many it refused within `seconds`.
    fn drive(rate: f64, seconds: i64) -> (u32, u32) {
        let (mut pace, mut paused) = (Pace::default(), Time(0));
        let (mut tokens, mut taken, mut refused) = (rate / 10.0, 0, 0);
        for tick in 1..seconds * 1_000 {
            let now = Time(tick * 1_000);
            tokens = (tokens + rate / 1_000.0).min(rate / 10.0);
            for _ in 0..16 {
                if now < paused || pace.next_at().is_some_and(|at| at > now) {
                    break;
                }
                pace.begin(now);
                if tokens >= 1.0 {
                    tokens -= 1.0;
                    taken += 1;
                    pace.taken(now);
                } else {
                    refused += 1;
                    paused = now.plus(Duration::from_secs(1));
                    pace.limited(now, paused);
                }
            }
        }
        (taken, refused)
    }

    #[test]
    fn what_a_side_takes_is_found_out() {
        for rate in [30.0, 100.0, 500.0, 3_000.0] {
            let (taken, refused) = drive(rate, 60);
            let share = f64::from(taken) / (rate * 60.0);
            assert!(share > 0.85, "{rate}: {share:.2} of what it takes, {refused} refused");
            assert!(f64::from(refused) < 2.0 + f64::from(taken) / 100.0, "{rate}: {refused} refused");
        }
    }

    #[test]
    fn a_side_that_has_not_objected_is_not_held_back() {
        let mut pace = Pace::default();
        for n in 0..1_000 {
            pace.begin(Time(n));
            pace.taken(Time(n));
        }
        assert_eq!(pace.next_at(), None);
    }

    #[test]
    fn a_limit_that_is_lifted_is_forgotten() {
        let mut pace = Pace::default();
        pace.limited(Time(1), Time(1_000_001));
        let mut now = Time(1_000_001);
        for _ in 0..200_000 {
            pace.begin(now);
            pace.taken(now);
            let Some(next) = pace.next_at() else { return };
            now = now.max(next);
        }
        panic!("still held back");
    }
}
