//! What the log asks of the storage underneath: an ordered map of bytes with
//! atomic batches and an explicit sync. Small, so that an in-memory double
//! serves simulation and another engine can be measured on the same suite.
//!
//! Batches become durable in the order in which they were applied: after a
//! crash a prefix of the unsynced ones may be there, never a part of one.

use crate::error::LogError;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

/// A stored value, shared with the storage where it can be.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Sled(sled::IVec),
    Shared(Arc<[u8]>),
    Owned(Vec<u8>),
}

impl Deref for Value {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Sled(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Keys with their new values, or nothing to remove them: all of it or none. A key that comes
/// twice keeps the last value.
pub(crate) type Batch = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A key with its value.
pub(crate) type Entry = (Value, Value);

/// Keys from `from` up to, not including, `to`.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
}

impl Span {
    /// All keys that begin with `prefix`, which is not all `FF`.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        let mut to = prefix.to_vec();
        while let Some(last) = to.pop() {
            if let Some(next) = last.checked_add(1) {
                to.push(next);
                break;
            }
        }
        Self { from: prefix.to_vec(), to }
    }
}

/// Which end a scan begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

/// One ordered map of bytes.
pub(crate) trait Storage: Debug + Send + Sync {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, LogError>;
    /// The entries of `span`, one after the other.
    fn scan(&self, span: Span, order: Order) -> Box<dyn Iterator<Item = Result<Entry, LogError>> + '_>;
    /// Applies a batch, readable at once and not durable yet.
    fn apply(&self, batch: Batch) -> Result<(), LogError>;
    /// Returns when everything applied so far is durable.
    fn sync(&self) -> Result<(), LogError>;
    /// Does what can wait until whoever waited for the last sync has been told.
    fn rest(&self) -> Result<(), LogError> {
        Ok(())
    }
    /// What it takes, in bytes.
    fn bytes(&self) -> u64;
    /// Prepares a fast next start. Everything is durable already.
    fn close(self: Box<Self>);
}
