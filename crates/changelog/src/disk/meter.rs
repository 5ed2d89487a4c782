//! How much this process has written since the last sync: not less than sled has.
//!
//! sled does not say how far its log has grown. Linux counts what a process writes to
//! files (`wchar` in `/proc/self/io`), which is that and whatever else is written. Where
//! it is not to be had, what may have been written at most is taken for written.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What this process has written by itself to files that are not sled's, and said so.
static BESIDE: AtomicU64 = AtomicU64::new(0);

/// Says that so many bytes have just been written to a file that is not sled's.
pub(crate) fn written_beside(bytes: usize) {
    BESIDE.fetch_add(bytes as u64, Ordering::AcqRel);
}

/// More than `/proc/self/io` has up to the line that counts.
const TEXT_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct Meter {
    counter: Option<File>,
    /// What the counter said at the last sync.
    at_sync: AtomicU64,
    /// What has been written since, at most.
    expected: AtomicU64,
}

impl Meter {
    pub(super) fn new() -> Self {
        let meter = Self {
            counter: File::open("/proc/self/io").ok(),
            at_sync: AtomicU64::new(0),
            expected: AtomicU64::new(0),
        };
        meter.reset();
        meter
    }

    fn count(&self) -> Option<u64> {
        let mut text = [0; TEXT_BYTES];
        let length = self.counter.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        text.lines().find_map(|line| line.strip_prefix("wchar: ")?.trim().parse().ok())
    }

    /// All that was written is durable.
    pub(super) fn reset(&self) {
        // In this order: what is written beside meanwhile makes it less, and never more.
        let count = self.count().unwrap_or(0);
        self.at_sync.store(count.saturating_sub(BESIDE.load(Ordering::Acquire)), Ordering::Release);
        self.expected.store(0, Ordering::Release);
    }

    /// A batch comes that is written as so many bytes at most.
    pub(super) fn expect(&self, growth: u64) {
        self.expected.fetch_add(growth, Ordering::AcqRel);
    }

    /// What may have been written since the last sync, at most.
    pub(super) fn expected(&self) -> u64 {
        self.expected.load(Ordering::Acquire)
    }

    /// All that was expected is written: what it came to is known now.
    pub(super) fn measure(&self) {
        // In this order: what is written beside meanwhile makes it more, and never less.
        let beside = BESIDE.load(Ordering::Acquire);
        if let Some(count) = self.count() {
            let count = count.saturating_sub(beside);
            let written = count.saturating_sub(self.at_sync.load(Ordering::Acquire));
            self.expected.store(written, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_written_is_counted() {
        let meter = Meter::new();
        assert!(meter.counter.is_some(), "this system counts what a process writes");
        let mut file = tempfile::tempfile().unwrap();
        // Other tests write in the same process, but not all the time.
        let told_apart = (0..200).any(|_| {
            meter.reset();
            file.write_all(&vec![7; 100_000]).unwrap();
            meter.measure();
            assert!(meter.expected() >= 100_000);
            meter.expect(5);
            assert!(meter.expected() >= 100_005);
            written_beside(100_000);
            meter.measure();
            meter.expected() < 100_000
        });
        assert!(told_apart, "of which all was said to be beside");
        meter.reset();
        assert_eq!(meter.expected(), 0);
    }
}
