//! The gate before one side: how many requests may be under way, how fast they
//! may follow each other, and whether any may go at all. It holds work back; it
//! never drops any.
//!
//! Three things close it. A pause the side asked for (429, Retry-After) ends at
//! its time; after it requests keep to a pace, learnt from how many the side took
//! before it asked (`pace.rs`). A side that cannot be reached, or fails many times
//! in a row, opens the circuit: one probe at a time with growing waits. After that
//! the flow grows again from a few requests, so that a side just back is not overrun.

use crate::pace::Pace;
use crate::plan::Retry;
use hms_sync_model::Time;
use std::time::Duration;

/// Failures in a row, of whatever records, after which the side itself is taken to be unwell.
const STREAK_MAX: u32 = 24;

/// The longest wait between two probes of a side that is away.
const PROBE_WAIT_MAX: Duration = Duration::from_secs(1);

/// One side's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    max: usize,
    allowed: usize,
    in_flight: usize,
    streak: u32,
    probes: u32,
    paused_until: Option<Time>,
    away_until: Option<Time>,
    pace: Pace,
}

/// What a request told of the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered.
    Well,
    /// It could not take this request.
    Unwell,
    /// It asked for a pause.
    Pause(Duration),
    /// It could not be reached.
    Away,
}

/// What changed for an onlooker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing.
    Same,
    /// The side is away now.
    WentAway,
    /// It is back.
    CameBack,
}

impl Gate {
    /// A gate for a side that takes `max` requests at once.
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self {
            max,
            allowed: max,
            in_flight: 0,
            streak: 0,
            probes: 0,
            paused_until: None,
            away_until: None,
            pace: Pace::default(),
        }
    }

    /// Whether a request may go out now.
    pub(crate) fn is_open(&self, now: Time) -> bool {
        if self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        match self.away_until {
            Some(until) => now >= until && self.in_flight == 0,
            None => self.in_flight < self.allowed && self.pace.next_at().is_none_or(|at| at <= now),
        }
    }

    /// Whether the side is taken to be away.
    pub(crate) fn is_away(&self) -> bool {
        self.away_until.is_some()
    }

    /// Requests under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// When to look again, if only time keeps the gate closed, or has until just now.
    pub(crate) fn opens_at(&self, now: Time) -> Option<Time> {
        let until = self.paused_until.max(self.away_until).max(self.pace.next_at())?;
        // Its time may have come since it was last looked at.
        (until > now || self.is_open(now)).then_some(until)
    }

    /// A request goes out.
    pub(crate) fn begin(&mut self, now: Time) {
        self.in_flight += 1;
        self.pace.begin(now);
    }

    /// A request came back. `draw` gives the jitter: a number from 0 to 1.
    pub(crate) fn end(&mut self, health: Health, now: Time, retry: &Retry, draw: f64) -> Turn {
        self.in_flight = self.in_flight.saturating_sub(1);
        match health {
            Health::Well => {
                self.pace.taken(now);
                self.well()
            }
            Health::Unwell => {
                self.streak = self.streak.saturating_add(1);
                if self.streak >= STREAK_MAX { self.away(now, retry, draw) } else { Turn::Same }
            }
            Health::Pause(wait) => {
                let until = now.plus(wait);
                // The rest of a volley tells nothing new of the pace.
                if self.paused_until.is_none_or(|paused| paused <= now) {
                    self.pace.limited(now, until);
                }
                self.paused_until = self.paused_until.max(Some(until));
                Turn::Same
            }
            Health::Away => self.away(now, retry, draw),
        }
    }

    fn well(&mut self) -> Turn {
        self.streak = 0;
        if self.away_until.take().is_some() {
            self.probes = 0;
            self.allowed = self.max.min(4);
            return Turn::CameBack;
        }
        if self.allowed < self.max {
            self.allowed += 1;
        }
        Turn::Same
    }

    fn away(&mut self, now: Time, retry: &Retry, draw: f64) -> Turn {
        // The rest of a volley that met the same wall tells nothing new.
        if self.away_until.is_some_and(|until| now < until) {
            return Turn::Same;
        }
        let initial = retry.initial.max(Duration::from_millis(100));
        let widest = initial.saturating_mul(1 << self.probes.min(10)).min(PROBE_WAIT_MAX.max(retry.initial));
        // Between half and all of the width: a probe too early costs a try, one too late costs the user.
        let wait = widest.mul_f64(0.5 + draw * 0.5);
        self.probes = self.probes.saturating_add(1);
        let turn = if self.away_until.is_none() { Turn::WentAway } else { Turn::Same };
        self.away_until = Some(now.plus(wait));
        turn
    }
}

/// The wait before try number `attempt` (from 0): full jitter.
pub(crate) fn backoff(retry: &Retry, attempt: u32, draw: f64) -> Duration {
    let widest = retry.initial.saturating_mul(1 << attempt.min(20)).min(retry.max);
    widest.mul_f64(draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one who asks when to look again does so later than the one who found it closed.
    #[test]
    fn a_gate_that_has_opened_since_it_was_looked_at_is_looked_at_again() {
        let mut gate = Gate::new(4);
        gate.begin(Time(1));
        gate.end(Health::Pause(Duration::from_secs(1)), Time(2), &Retry::default(), 0.5);
        assert!(!gate.is_open(Time(1_000_001)));
        assert_eq!(gate.opens_at(Time(1_000_001)), Some(Time(1_000_002)));
        assert_eq!(gate.opens_at(Time(1_000_005)), Some(Time(1_000_002)));
        gate.begin(Time(1_000_005));
        let next = gate.opens_at(Time(1_000_005)).unwrap();
        assert!(!gate.is_open(Time(1_000_006)) && gate.is_open(next));
        assert_eq!(gate.opens_at(next.plus(Duration::from_millis(3))), Some(next));
        for _ in 0..3 {
            gate.begin(next);
        }
        assert_eq!(gate.opens_at(Time(9_000_000)), None, "only an answer opens it");
    }
}
