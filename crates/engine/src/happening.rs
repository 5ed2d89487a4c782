//! What an onlooker is told: the lines of the timeline, of the log and of the
//! counters. Each is told after the fact it speaks of is durable.

use hms_sync_model::{CollectionName, FieldMap, FieldName, Operation, RecordId, SideName, Time, Value};
use hms_sync_resolver::Reason;
use std::fmt;

/// One thing that happened, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// By the calendar.
    pub at: Time,
    /// To which record, if to one.
    pub record: Option<RecordId>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A side has a record that we had not seen.
    Appeared {
        /// Which side.
        side: SideName,
        /// Whether it was recognised as one that we know.
        linked: bool,
        /// Its fields.
        fields: FieldMap,
    },
    /// A side changed a record.
    Edited {
        /// Which side.
        side: SideName,
        /// What changed, with the new values.
        fields: FieldMap,
    },
    /// A side deleted a record.
    Deleted {
        /// Which side.
        side: SideName,
    },
    /// Concurrent edits of a field met, and a rule decided.
    Decided {
        /// Which field.
        field: FieldName,
        /// The value that stands.
        winner: Value,
        /// The values that do not, with who wanted them.
        losers: Vec<(String, Value)>,
        /// Why.
        reason: Reason,
    },
    /// A person decided.
    Chosen {
        /// Who.
        by: String,
        /// What the fields are to be.
        fields: FieldMap,
        /// Whether the record is to be deleted.
        deletes: bool,
    },
    /// A side carried out a write.
    Delivered {
        /// Which side.
        side: SideName,
        /// What was done.
        operation: Operation,
        /// The values written.
        fields: FieldMap,
        /// How long after we learnt of the change, in microseconds.
        after_us: u64,
    },
    /// A write was not carried out and will be tried again, or looked into.
    Delayed {
        /// Which side.
        side: SideName,
        /// What the side said.
        reason: String,
        /// In how many milliseconds.
        wait_ms: u64,
    },
    /// Something was set aside.
    Parked {
        /// What of the record: a side, a handler, a request.
        lane: String,
        /// Why.
        reason: String,
    },
    /// A side went away.
    SideAway {
        /// Which side.
        side: SideName,
        /// What it said.
        reason: String,
    },
    /// A side is back.
    SideBack {
        /// Which side.
        side: SideName,
    },
    /// A collection could not be read.
    ReadFailed {
        /// From which side.
        side: SideName,
        /// Which collection.
        collection: CollectionName,
        /// Why.
        reason: String,
    },
    /// A record of a page could not be read.
    Unreadable {
        /// From which side.
        side: SideName,
        /// Which collection.
        collection: CollectionName,
        /// Why.
        reason: String,
    },
    /// A side shows what the contract does not know, and takes.
    SchemaChanged {
        /// Which side.
        side: SideName,
        /// Which collection.
        collection: CollectionName,
        /// What, and of which record first.
        reason: String,
    },
    /// Everything of a collection has been read.
    Listed {
        /// From which side.
        side: SideName,
        /// Which collection.
        collection: CollectionName,
        /// How many records.
        records: usize,
    },
    /// A subscriber was told again what it took, as far as it went.
    Retold {
        /// Which side.
        side: SideName,
        /// Messages that it took again.
        told: u64,
        /// Messages that could not be made again.
        left_out: u64,
        /// How it ended.
        words: String,
    },
    /// A handler's request was delivered.
    Sent {
        /// To which side.
        side: SideName,
        /// Method and path.
        request: String,
    },
    /// A handler is done with a record.
    Handled {
        /// Which handler.
        job: String,
    },
    /// The record became one with another, which goes on.
    Joined {
        /// The other one.
        into: RecordId,
    },
    /// A record that was held starts over from what its sides show.
    TakenUp {
        /// Who wanted it.
        by: String,
        /// The sides that are read before anything is sent.
        unread: Vec<SideName>,
    },
    /// The erasure of a record's personal fields is written down; their key is destroyed now.
    Erased {
        /// The fields that are closed.
        fields: Vec<FieldName>,
    },
}

/// Fields as `status=revoked notes=…`.
fn fields(f: &mut fmt::Formatter<'_>, map: &FieldMap) -> fmt::Result {
    map.iter().try_for_each(|(field, value)| write!(f, " {field}={value:.60}"))
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appeared { side, linked, fields: map } => {
                write!(f, "{side} {}", if *linked { "linked" } else { "new" })?;
                fields(f, map)
            }
            Self::Edited { side, fields: map } => {
                write!(f, "{side} edited")?;
                fields(f, map)
            }
            Self::Deleted { side } => write!(f, "{side} deleted"),
            Self::Decided { field, winner, losers, reason } => {
                write!(f, "{field}: {winner} ({reason}")?;
                losers.iter().try_for_each(|(who, value)| write!(f, "; not {value} of {who}"))?;
                f.write_str(")")
            }
            Self::Chosen { by, deletes: true, .. } => write!(f, "{by:.60} at hms-sync: deleted"),
            Self::Chosen { by, fields: map, .. } => {
                write!(f, "{by:.60} at hms-sync:")?;
                fields(f, map)
            }
            Self::Delivered { side, operation, fields: map, .. } => {
                write!(f, "{side} {}d", operation.as_str())?;
                fields(f, map)
            }
            Self::Delayed { side, reason, wait_ms: 0 } => {
                write!(f, "{side} again as soon as it may be: {reason}")
            }
            Self::Delayed { side, reason, wait_ms } => write!(f, "{side} again in {wait_ms} ms: {reason}"),
            Self::Parked { lane, reason } => write!(f, "{lane} parked: {reason}"),
            Self::SideAway { side, reason } => write!(f, "{side} is away: {reason}"),
            Self::SideBack { side } => write!(f, "{side} is back"),
            Self::ReadFailed { side, collection, reason } => {
                write!(f, "{side} {collection} not read: {reason}")
            }
            Self::Unreadable { side, collection, reason }
            | Self::SchemaChanged { side, collection, reason } => write!(f, "{side} {collection}: {reason}"),
            Self::Listed { side, collection, records } => {
                write!(f, "{side} {collection}: all {records} read")
            }
            Self::Retold { side, told, left_out, words } => {
                write!(f, "{side} was told {told} messages again, {left_out} left out: {words}")
            }
            Self::Sent { side, request } => write!(f, "{side} took {request}"),
            Self::Handled { job } => write!(f, "{job} done"),
            Self::Joined { into } => write!(f, "one with {into}, which goes on"),
            Self::TakenUp { by, unread } => {
                write!(f, "{by:.60} at hms-sync: taken up, to be read first:")?;
                unread.iter().try_for_each(|side| write!(f, " {side}"))
            }
            Self::Erased { fields } => {
                f.write_str("personal fields erased:")?;
                fields.iter().try_for_each(|field| write!(f, " {field}"))
            }
        }
    }
}
