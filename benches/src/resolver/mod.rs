//! Merging, measured: ours beside four libraries of data types that merge.
//!
//! All are given the same edits, each as one encoded message, and two replicas get
//! them in two different orders. What is counted is edits taken in a second, by both
//! replicas together, decoding included. The others are built only with the feature
//! `peers`: they are in no build of the product or its tests.

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
