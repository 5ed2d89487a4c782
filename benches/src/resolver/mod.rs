//! Merging, measured: ours beside four libraries of data types that merge.
//!
//! All are given the same edits, each as one encoded message, and two replicas get
//! them in two different orders. What is counted is edits taken in a second, by both
//! replicas together, decoding included; and, beside it, the same with one reading of
//! every field of every record, because some do work then that others do at once.
//!
//! What each does with a message, one by one and batched (all of a record at once):
//! - ours: `EditRef::read` and `Record::apply_ref`, or `Record::apply_batch`. The registers of a record lie in one piece until
//!   somebody reads them, and are opened then.
//! - crdts: MessagePack to its `Op`, `apply`; it has no other call for many.
//! - yrs: `Update::decode_v1`, a transaction for each message, or one for all.
//! - loro: `import`, or `import_batch`.
//! - automerge: `Change::try_from`, `apply_changes` with one change, or with all.
//!
//! No other work is in the time: no view is made, nothing encoded, nothing compared. Ours
//! and crdts keep every concurrent value, the others pick one. The others are built only
//! with the feature `peers`: they are in no build of the product or its tests.

mod ours;
mod run;
mod work;

#[cfg(feature = "peers")]
mod automerge;
#[cfg(feature = "peers")]
mod crdts;
#[cfg(feature = "peers")]
mod loro;
#[cfg(feature = "peers")]
mod yrs;

pub use ours::{Ours, settled_bytes};
pub use run::{Contest, Library, Run, Style};
pub use work::{Order, Work};

#[cfg(feature = "peers")]
pub use {automerge::Automerge, crdts::Crdts, loro::Loro, yrs::Yrs};
