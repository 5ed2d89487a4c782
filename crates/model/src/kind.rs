//! The kinds of event by name, as reports and filters call them.

use crate::Body;
use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $name:literal,)*) => {
        /// What kind an event is of. The names are those of the reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Its name: `edited`, `intended`, `applied`, …
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }

        impl Body {
            /// What kind of event it makes.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind { .. } => Kind::$kind,)*
                }
            }
        }
    };
}

// New ones come last: the place is a kind's number in saved views.
kinds! {
    /// A side or a person changed the record.
    Edited => "edited",
    /// A write was decided.
    Intended => "intended",
    /// A write was carried out.
    Applied => "applied",
    /// A write was not carried out, or nobody knows.
    Failed => "failed",
    /// A side was read and is in step.
    Confirmed => "confirmed",
    /// A side is to be read again.
    Doubted => "doubted",
    /// Something was set aside.
    Parked => "parked",
    /// A person took something up again, or gave it up.
    Released => "released",
    /// The record and a side's went separate ways.
    Unlinked => "unlinked",
    /// A handler asked for a request.
    Queued => "queued",
    /// A handler is done.
    Handled => "handled",
    /// A handler failed.
    HandlerFailed => "handler_failed",
    /// A collection was read so far.
    Cursor => "cursor",
    /// A webhook was taken in.
    Received => "received",
    /// The log signs with another key from here on.
    Signing => "signing",
    /// A record's personal fields were erased.
    Erased => "erased",
    /// What came of events that are archived.
    Carried => "carried",
    /// Events were archived and dropped.
    Archived => "archived",
    /// A side's native record was made the record's part there.
    Linked => "linked",
    /// The record became one with another.
    Joined => "joined",
    /// The record comes after another one.
    Follows => "follows",
    /// A record that lacks events was taken up again.
    TakenUp => "taken_up",
    /// The log was put back from a backup.
    Restored => "restored",
}

/// There is no such kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no event is of that kind")]
pub struct NoSuchKind;

impl FromStr for Kind {
    type Err = NoSuchKind;

    fn from_str(name: &str) -> Result<Self, NoSuchKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name).ok_or(NoSuchKind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_goes_by_its_name() {
        assert!(Kind::ALL.iter().all(|kind| kind.as_str().parse() == Ok(*kind)));
        assert_eq!("edit".parse::<Kind>(), Err(NoSuchKind));
    }
}
