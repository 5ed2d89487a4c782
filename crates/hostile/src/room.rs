//! How much room readers make: what a few bytes say of a length is not to be believed.

/// More than all tests of a process take at once, and less than one length of 32 bits asks for.
const ROOM_MAX: u64 = 3 << 30;

/// How much more memory the process has asked for than when this was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    before: u64,
}

impl Room {
    pub(crate) fn now() -> Self {
        Self { before: peak() }
    }

    /// Whether it is more than any reader needs.
    pub(crate) fn is_too_much(self) -> bool {
        peak().saturating_sub(self.before) > ROOM_MAX
    }
}

/// The most memory that the process has had, in bytes, where the system tells. It counts what
/// was asked for and never written to as well.
fn peak() -> u64 {
    let told = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = told.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default().saturating_mul(1_024)
}
