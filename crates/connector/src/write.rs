//! Writing one record, or sending one request as a handler wrote it.

use crate::Shaped;
use hms_sync_model::{CollectionName, IdempotencyKey, NativeId, Tag};
use serde_json::Value as Json;

/// Which record a write is for, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A new one.
    Create,
    /// The one with this id; if a tag is given and the side honours
    /// preconditions, only as long as it still has this tag.
    Update(NativeId, Option<Tag>),
    /// As for an update.
    Delete(NativeId, Option<Tag>),
}

/// Asks a side to write one record.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRequest {
    /// Of which collection.
    pub collection: CollectionName,
    /// What to do.
    pub target: Target,
    /// The fields that differ, in the side's shape. Empty for a delete.
    pub changed: Shaped,
    /// All mapped fields in the side's shape, for sides that take whole records. For a
    /// create the same as what changed.
    pub whole: Shaped,
    /// For a create, the id that the record had here before it was deleted: a side that can
    /// bring it back under that may do so.
    pub former: Option<NativeId>,
    /// The same on every attempt, also after a restart.
    pub key: IdempotencyKey,
}

/// Asks for the records that carry an identity.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupRequest {
    /// Of which collection.
    pub collection: CollectionName,
    /// The identity fields in the side's shape.
    pub identity: Json,
}

/// A request that a handler wrote itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRequest {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Below the side's URL.
    pub path: String,
    /// JSON text; empty for none.
    pub body: String,
    /// The same on every attempt, also after a restart.
    pub key: IdempotencyKey,
}
