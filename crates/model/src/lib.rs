//! The words of hms-sync as types: names, values, clocks, edits, events.
//!
//! Nouns only. Nothing here does I/O, reads a clock, or decides anything; every
//! other room speaks in these types. The order below is the order in which data
//! travels: a name, its value, the edit that changed it, the event that keeps it.

mod names;
mod vecmap;
mod decimal;
mod time;
mod sealed;
mod element;
mod unpack;
mod value;
mod clock;
mod edit;
mod write;
mod source;
mod parked;
mod event;
mod kind;
mod raw;
mod blob;

pub use blob::{Blob, Digest};
pub use clock::{Actor, Author, Clock, Dot};
pub use decimal::{Decimal, InvalidDecimal};
pub use edit::{Change, Edit, FieldMap, Stamp};
pub use element::ElementKey;
pub use event::{Apart, Body, Event, EventId, Failure, Request};
pub use kind::{Kind, NoSuchKind};
pub use names::{
    ARCHIVES_STREAM, CollectionName, FieldName, IdempotencyKey, InvalidName, JobName, KEYS_STREAM, NativeId,
    RecordId, SideName, Tag,
};
pub use parked::{Lane, ParkReason, Parked, Released};
pub use raw::RawHash;
pub use sealed::{KeyId, Sealed};
pub use source::{Source, WebhookMessage};
pub use time::Time;
pub use unpack::{ChangeRef, EditRef, TextRef, ValueRef};
pub use value::{Date, FieldType, Value};
pub use vecmap::VecMap;
pub use write::{FieldResult, Operation, Outcome, Written};
