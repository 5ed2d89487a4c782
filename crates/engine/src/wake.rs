//! Everything that can wake the machine, and everything it can ask for.
//!
//! Both are closed lists: whoever wants to know what a sync can do reads them.
//! A connector's answer is always one wake; a request to a connector is always
//! one effect. The machine itself does neither.

use crate::choose::Choice;
use crate::happening::Happening;
use crate::link::Tie;
use crate::page::ShownPage;
use crate::views::Saved;
use hms_sync_changelog::Sealed;
use hms_sync_connector::{
    Delivery, LookupRequest, Observation, RawRequest, ReadError, ReadRequest, WriteRequest,
};
use hms_sync_model::{
    Clock, CollectionName, JobName, Lane, NativeId, Outcome, RecordId, Released, SideName, Time,
};
use hms_sync_vault::VaultError;
use serde_json::Value as Json;

/// The time, as the machine is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the calendar. May jump; used for stamps and for people.
    pub wall: Time,
    /// Since the start. Never goes back; used for waits.
    pub mono: Time,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyTo(pub u64);

/// What happened outside.
#[derive(Debug)]
pub enum Wake {
    /// The sync starts, on what its log holds.
    Start,
    /// Time has passed.
    Timer,
    /// A page was read, or not.
    Page {
        /// From which side.
        side: SideName,
        /// Of which collection.
        collection: CollectionName,
        /// In which pass.
        pass: u64,
        /// The page.
        result: Result<ShownPage, ReadError>,
    },
    /// A write has its outcome.
    Wrote {
        /// Of which record.
        record: RecordId,
        /// On which side.
        side: SideName,
        /// The version of its `Intended` event.
        version: u64,
        /// The outcome.
        outcome: Outcome,
    },
    /// A handler's request has its outcome.
    Sent {
        /// On behalf of which record.
        record: RecordId,
        /// To which side.
        target: SideName,
        /// The version of its `Queued` event.
        version: u64,
        /// The outcome.
        outcome: Outcome,
    },
    /// One record was read.
    Fetched {
        /// Which.
        record: RecordId,
        /// On which side.
        side: SideName,
        /// When the read began, by the machine's time ([`crate::Machine::time`]).
        began: Time,
        /// What was there.
        result: Result<Observation, ReadError>,
    },
    /// A record was looked up by its identity.
    LookedUp {
        /// Which.
        record: RecordId,
        /// On which side.
        side: SideName,
        /// When the read began, by the machine's time ([`crate::Machine::time`]).
        began: Time,
        /// What was there.
        result: Result<Vec<Observation>, ReadError>,
    },
    /// A webhook came in, checked and taken apart.
    Webhook {
        /// From which side.
        side: SideName,
        /// Of which collection.
        collection: CollectionName,
        /// What it says.
        delivery: Delivery,
        /// Answered once it is durable.
        reply: ReplyTo,
    },
    /// A handler is done with a record.
    Handled {
        /// Which record.
        record: RecordId,
        /// Which handler.
        job: JobName,
        /// The state it was shown.
        clock: Clock,
        /// Its error, if it failed.
        result: Result<(), String>,
    },
    /// A handler asks for a request.
    Queue {
        /// For which record.
        record: RecordId,
        /// Which handler.
        job: JobName,
        /// The state it was shown.
        clock: Clock,
        /// Its how-many-eth request for this state, from 0.
        n: u32,
        /// To which side.
        target: SideName,
        /// `POST`, `PUT`, `PATCH` or `DELETE`.
        method: String,
        /// Below the side's URL.
        path: String,
        /// JSON text; empty for none.
        body: String,
        /// Answered once it is durable.
        reply: ReplyTo,
    },
    /// A person asks for something.
    Command {
        /// What.
        command: Command,
        /// Answered once it is durable.
        reply: ReplyTo,
    },
    /// A record's key is destroyed, or may be.
    Destroyed {
        /// How it went.
        result: Result<(), VaultError>,
        /// Who waits for it.
        reply: ReplyTo,
    },
    /// The views handed over last are readable in the log.
    Saved,
    /// Nothing new is to be begun.
    Stop,
}

/// What a person can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take something parked up again, or give it up.
    Release {
        /// Of which record, or which stream's held deletes.
        record: RecordId,
        /// What of it; nothing for all that is parked there.
        lane: Option<Lane>,
        /// Which of the two.
        action: Released,
    },
    /// Read a side's collection now.
    Poll {
        /// Which side.
        side: SideName,
        /// Which collection.
        collection: CollectionName,
        /// Everything, or what changed.
        full: bool,
    },
    /// Record that the log signs with another key from here on.
    Signing {
        /// The verifier key.
        key: String,
        /// The one until now.
        before: Option<String>,
        /// Why.
        words: String,
        /// The last checkpoint under an origin that ends here.
        last: Option<String>,
    },
    /// Decide a conflict, or a value.
    Choose(Choice),
    /// Say which native record is whose.
    Tie(Tie),
    /// Tell a subscriber again what it took.
    Retell {
        /// Which side.
        side: SideName,
        /// The number of the last event of which it is not told.
        after: u64,
    },
    /// Tell a subscriber nothing more, or again.
    Subscribe {
        /// Which side.
        side: SideName,
        /// Whether it is to be told.
        wanted: bool,
        /// Who asks for it.
        by: String,
        /// Why.
        reason: String,
    },
    /// Take up a record that is held because events of it are lost.
    TakeUp {
        /// Which record.
        record: RecordId,
        /// Who asks for it.
        by: String,
        /// Why.
        reason: String,
    },
    /// Erase a record's personal fields.
    Erase {
        /// Of which record.
        record: RecordId,
        /// Who asks for it.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What somebody who waited is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is durable.
    Done,
    /// So many things were done.
    Count(usize),
    /// It was made as this version of the record.
    Made(u64),
    /// It was not done: the record has changed where it matters. This is its version.
    Stale(u64),
    /// It cannot be done.
    Refused(String),
}

/// What is to be done outside. `Append` comes first of a step's effects; all
/// that follow but reads wait until it is durable.
#[derive(Debug)]
pub enum Effect {
    /// Make these events durable, in order.
    Append(Vec<Sealed>),
    /// Save these views some time, in order with the appends; then [`Wake::Saved`].
    Save(Saved),
    /// Read a page.
    Read {
        /// From which side.
        side: SideName,
        /// In which pass.
        pass: u64,
        /// Which page.
        request: ReadRequest,
        /// Whether its records may be read beforehand ([`ShownPage::read`]): in a first listing, as long
        /// as nothing is asked of their documents but their fields and a hash under no key.
        beforehand: bool,
    },
    /// Read one record.
    Fetch {
        /// Which.
        record: RecordId,
        /// On which side.
        side: SideName,
        /// Of which collection.
        collection: CollectionName,
        /// Its id there.
        id: NativeId,
    },
    /// Look a record up by its identity.
    LookUp {
        /// Which.
        record: RecordId,
        /// On which side.
        side: SideName,
        /// By what.
        request: LookupRequest,
    },
    /// Write.
    Write {
        /// Which record.
        record: RecordId,
        /// On which side.
        side: SideName,
        /// The version of its `Intended` event.
        version: u64,
        /// What.
        request: WriteRequest,
    },
    /// Send a handler's request.
    Send {
        /// On behalf of which record.
        record: RecordId,
        /// To which side.
        target: SideName,
        /// The version of its `Queued` event.
        version: u64,
        /// What.
        request: RawRequest,
    },
    /// Call a handler.
    Handle {
        /// For which record.
        record: RecordId,
        /// Which handler.
        job: JobName,
        /// The state it is shown.
        clock: Clock,
        /// The record as its side has it.
        document: Json,
    },
    /// Destroy a record's key; then [`Wake::Destroyed`].
    Destroy {
        /// Of which record.
        record: RecordId,
        /// Who waits for it.
        reply: ReplyTo,
    },
    /// Answer somebody who waits.
    Reply {
        /// Whom.
        to: ReplyTo,
        /// What.
        reply: Reply,
    },
    /// Tell whoever watches.
    Tell(Happening),
}
