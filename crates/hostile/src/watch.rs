//! Who looks after the threads: a case that does not end is told, and the process with it,
//! as nothing else could stop it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the threads are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A case at which a thread is at so many looks does not end. Looks are counted, not seconds: a
/// process that was stopped for a while has not been at work.
const LOOKS: u32 = 30;

/// Where a thread is.
#[derive(Debug, Default)]
pub(crate) struct Place(AtomicU64);

impl Place {
    /// It begins with a case.
    pub(crate) fn at(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The places of all threads.
#[derive(Debug)]
pub(crate) struct Watch {
    places: Vec<Place>,
}

impl Watch {
    pub(crate) fn of(threads: u64) -> Self {
        Self { places: (0..threads).map(|_| Place::default()).collect() }
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    /// Waits until every thread has said that it is over, by its number.
    pub(crate) fn until_done(&self, ends: &Receiver<usize>, told: impl Fn(u64) -> String) {
        let mut seen = vec![Some(UNSEEN); self.places.len()];
        while seen.iter().any(Option::is_some) {
            match ends.recv_timeout(LOOK_EVERY) {
                // It stays at its last case, and is at work no more.
                Ok(over) => seen.iter_mut().skip(over).take(1).for_each(|seen| *seen = None),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(number) = self.stuck(&mut seen) {
                        stop(&told(number));
                    }
                }
            }
        }
    }

    /// A case at which a thread that is at work has been for too long.
    fn stuck(&self, seen: &mut [Option<Seen>]) -> Option<u64> {
        for (place, seen) in self.places().zip(seen) {
            let Some((number, looks)) = seen else { continue };
            *looks = if place.number() == *number { *looks + 1 } else { 1 };
            *number = place.number();
            if *looks > LOOKS {
                return Some(*number);
            }
        }
        None
    }
}

/// Where a thread was seen, and at how many looks.
type Seen = (u64, u32);
const UNSEEN: Seen = (u64::MAX, 0);

/// A thread that does not end cannot be ended, and the test waits for it: all of it ends.
fn stop(why: &str) -> ! {
    use std::io::Write;
    // Not kept to itself by the test that is about to end without a word.
    let _closed = writeln!(std::io::stderr(), "{why}");
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, UNSEEN, Watch};

    #[test]
    fn a_case_that_does_not_end_is_found_and_one_that_goes_on_is_not() {
        let watch = Watch::of(2);
        let mut seen = vec![Some(UNSEEN); 2];
        for look in 0..LOOKS {
            watch.places[0].at(look.into());
            watch.places[1].at(3);
            assert_eq!(watch.stuck(&mut seen), None);
        }
        assert_eq!(watch.stuck(&mut seen), Some(3));
        // Its thread is over, and the other goes on for long.
        seen[1] = None;
        watch.places[0].at(0);
        assert_eq!(watch.stuck(&mut seen), None);
    }
}
