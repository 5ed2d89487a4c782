//! Faults of natural first drafts, to be put back one at a time: the laws have to notice
//! each of them, or they are worth nothing.
//!
//! The places where a fault was mended ask [`is_back`]. Only the feature `faults`, which
//! no product is built with, makes the answer anything but no; without it the question
//! is answered while compiling. What never happens here: a fault in a product.

/// A fault: thirteen by their numbers in the specification of merging, and those found since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// F1: what an author had seen leaves out the author's own earlier edits.
    OwnPastLeftOut,
    /// F2: a read that lags behind our write is taken for an edit.
    StaleReadBelieved,
    /// F3: whatever an answer to a write shows counts as written by us.
    AnswerSwallowed,
    /// F4: what was sent counts as kept, whatever the side shows.
    SentCountsAsKept,
    /// F5: while the fate of a write is open, edits are taken in as if there were none.
    OpenWriteForgotten,
    /// F6: only a write tells a side's people anything.
    InStepUnacknowledged,
    /// F7: a lock is a value that no later edit prunes.
    LockNotPruned,
    /// F8: sets and counters are worked out of concurrent values when asked for.
    KindsAtReadTime,
    /// F9: one context for all fields of an edit.
    OneContext,
    /// F10: a side that is linked anew goes on in its old epoch.
    EpochKept,
    /// F11: nobody writes down what all have seen and agree on.
    NeverSettled,
    /// F12: only creating and deleting says whether a record is there.
    PresenceUntouched,
    /// F13: operators are one author, who has always seen what another of them chose.
    OneOperator,
    /// F14: folding drops what was done in epochs that are over.
    FoldForgets,
}

impl Fault {
    /// All of them, in order of number.
    pub const ALL: [Self; 14] = [
        Self::OwnPastLeftOut,
        Self::StaleReadBelieved,
        Self::AnswerSwallowed,
        Self::SentCountsAsKept,
        Self::OpenWriteForgotten,
        Self::InStepUnacknowledged,
        Self::LockNotPruned,
        Self::KindsAtReadTime,
        Self::OneContext,
        Self::EpochKept,
        Self::NeverSettled,
        Self::PresenceUntouched,
        Self::OneOperator,
        Self::FoldForgets,
    ];
}

#[cfg(feature = "faults")]
thread_local! {
    static BACK: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Whether `fault` is put back in this thread.
#[cfg(feature = "faults")]
pub fn is_back(fault: Fault) -> bool {
    BACK.get() == Some(fault)
}

/// Whether `fault` is put back: it is not.
#[cfg(not(feature = "faults"))]
#[inline]
pub const fn is_back(_fault: Fault) -> bool {
    false
}

/// Whether no fault at all is put back in this thread.
#[cfg(feature = "faults")]
pub(crate) fn none_is_back() -> bool {
    BACK.get().is_none()
}

/// Whether no fault at all is put back: so it is.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn none_is_back() -> bool {
    true
}

/// Does something with a fault put back in this thread, also if that panics.
#[cfg(feature = "faults")]
pub fn with<T>(fault: Fault, act: impl FnOnce() -> T) -> T {
    struct Mended;
    impl Drop for Mended {
        fn drop(&mut self) {
            BACK.set(None);
        }
    }
    let _mended = Mended;
    BACK.set(Some(fault));
    act()
}
