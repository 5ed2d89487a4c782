//! What a connector is: how hms-sync sees any external system.
//!
//! A connector reads pages, reads one record, looks records up, writes, and
//! takes webhooks apart. It decides nothing: it neither maps fields (the engine
//! does, so every connector's records are plain JSON), nor retries, nor keeps
//! state. Whatever a side answers is a value of [`Outcome`], not an error.
//!
//! [`kit`] is the set of promises every connector must keep, as tests.

mod observation;
mod read;
mod shaped;
mod webhook;
mod write;
pub mod kit;

pub use observation::{Content, Observation};
pub use read::{Cursor, Page, PageToken, ReadError, ReadRequest, Scope, Unread};
pub use shaped::Shaped;
pub use webhook::{Delivery, RawWebhook, Registration, WebhookError};
pub use write::{LookupRequest, RawRequest, Target, WriteRequest};

use futures_util::future::BoxFuture;
use hms_sync_model::{CollectionName, NativeId, Outcome, Time};
use std::time::Duration;

/// What a side can do for one collection. The engine chooses by this how to
/// find out what became of a write without an answer, and refuses what cannot
/// be done safely.
#[expect(clippy::struct_excessive_bools, reason = "independent abilities, each asked on its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Abilities {
    /// It can be listed.
    pub read: bool,
    /// A listing can be limited to what changed since a cursor.
    pub incremental: bool,
    /// One record can be read by its id.
    pub fetch: bool,
    /// Records can be looked up by identity fields.
    pub lookup: bool,
    /// Records can be created.
    pub create: bool,
    /// Records can be changed.
    pub update: bool,
    /// Records can be deleted.
    pub delete: bool,
    /// A repeated request with the same `Idempotency-Key` is carried out once.
    pub idempotency_key: bool,
    /// How long the side remembers such a key, if not for ever.
    pub key_valid_for: Option<Duration>,
    /// A write can be made to depend on the version tag (`If-Match`).
    pub precondition: bool,
}

/// One side, reached. All calls may run at once; each has its own time limit
/// and bounds on what it takes in, and must end even if the side never answers.
pub trait Connector: Send + Sync + std::fmt::Debug + 'static {
    /// What the side can do for `collection`.
    fn abilities(&self, collection: &CollectionName) -> Abilities;

    /// Places in the collection's records, by the members to step into, that a listing fills with
    /// what it knows: what else shows a record may leave them out, which says nothing of them.
    fn filled_by_listing(&self, collection: &CollectionName) -> Vec<Vec<String>> {
        let _ = collection;
        Vec::new()
    }

    /// Asks the side for as little as shows that it is there and lets us in.
    /// Writes nothing. Answers with a line for people: what was asked and found.
    fn check(&self, collection: &CollectionName) -> BoxFuture<'_, Result<String, ReadError>>;

    /// Reads one page.
    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Page, ReadError>>;

    /// Reads one record by its id; [`Content::Gone`] if the side has none.
    fn fetch(
        &self,
        collection: CollectionName,
        id: NativeId,
    ) -> BoxFuture<'_, Result<Observation, ReadError>>;

    /// Reads the records that carry an identity; a few at most.
    fn lookup(&self, request: LookupRequest) -> BoxFuture<'_, Result<Vec<Observation>, ReadError>>;

    /// Writes one record.
    fn write(&self, request: WriteRequest) -> BoxFuture<'_, Outcome>;

    /// Sends a request that a handler wrote itself.
    fn send(&self, request: RawRequest) -> BoxFuture<'_, Outcome>;

    /// A person lets what was set aside there be tried again: so does the connector.
    fn released(&self) {}

    /// Whether the side wants to be asked for the collection's webhooks.
    fn registers(&self, collection: &CollectionName) -> bool {
        let _ = collection;
        false
    }

    /// Whether this is what the side was to be asked for.
    fn is_registered(&self, collection: &CollectionName, known: &Registration) -> bool {
        let (_, _) = (collection, known);
        false
    }

    /// Asks the side for the collection's webhooks, or to go on with them.
    fn register(
        &self,
        collection: CollectionName,
        known: Option<Registration>,
        now: Time,
    ) -> BoxFuture<'_, Result<Registration, ReadError>> {
        let _ = (known, now);
        let reason = format!("no registration of webhooks is configured for {collection}");
        Box::pin(std::future::ready(Err(ReadError::Denied { reason })))
    }

    /// The answer, in plain text, to a question whether we listen; nothing if it is no such
    /// question. Pure, as [`Connector::webhook`] is.
    fn handshake(
        &self,
        collection: &CollectionName,
        raw: &RawWebhook,
    ) -> Option<Result<String, WebhookError>> {
        let (_, _) = (collection, raw);
        None
    }

    /// Checks and takes apart one webhook. Pure: no I/O, no clock but the one given.
    fn webhook(&self, collection: &CollectionName, raw: &RawWebhook) -> Result<Delivery, WebhookError>;
}
