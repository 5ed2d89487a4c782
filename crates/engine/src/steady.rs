//! Time that never goes back, whatever the calendar does: events are stamped with
//! it, so that in the log a later event never has an earlier time.
//!
//! Where the calendar's clock is set back, this one goes on from the last event at
//! half the pace until the calendar has caught up: what comes later stays later,
//! and what was read after a write can be told from what was read before it.

use crate::wake::Now;
use hms_sync_model::Time;

/// A clock that never goes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steady {
    wall: Time,
    mono: Time,
}

impl Steady {
    /// One that goes on from the time of the last event.
    pub(crate) fn after(last: Time) -> Self {
        Self { wall: last, mono: Time(i64::MAX) }
    }

    /// The time, where the world's clocks show `now`.
    pub(crate) fn read(self, now: Now) -> Now {
        let passed = now.mono.since(self.mono);
        Now { wall: now.wall.max(self.wall.plus(passed / 2)), mono: now.mono }
    }

    /// The same, and goes on from there.
    pub(crate) fn tick(&mut self, now: Now) -> Now {
        let now = self.read(now);
        *self = Self { wall: now.wall, mono: now.mono };
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown for each pair of the calendar's and the steady time.
    fn check(last: i64, clocks: &[(i64, i64)], expect: &[i64]) {
        let mut steady = Steady::after(Time(last));
        let shown = clocks.iter().map(|(wall, mono)| {
            let now = steady.tick(Now { wall: Time(*wall), mono: Time(*mono) });
            assert_eq!(now.mono, Time(*mono));
            now.wall.0
        });
        assert_eq!(shown.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn it_is_the_calendars_where_that_goes_on() {
        check(0, &[(100, 1), (110, 11), (500, 12)], &[100, 110, 500]);
    }

    #[test]
    fn it_goes_on_where_the_calendar_is_set_back_and_meets_it_again() {
        check(0, &[(1_000, 1), (400, 101), (500, 201), (1_500, 1_201)], &[1_000, 1_050, 1_100, 1_600]);
        check(0, &[(1_000, 1), (900, 101), (1_000, 201), (1_101, 302)], &[1_000, 1_050, 1_100, 1_150]);
        check(0, &[(1_000, 1), (900, 101), (1_200, 401)], &[1_000, 1_050, 1_200]);
    }

    #[test]
    fn it_starts_no_earlier_than_the_last_event() {
        check(1_000, &[(10, 5), (20, 25)], &[1_000, 1_010]);
        check(i64::MAX, &[(10, 5), (20, 25)], &[i64::MAX, i64::MAX]);
    }
}
