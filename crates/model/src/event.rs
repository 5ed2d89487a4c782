//! An event: one immutable entry of the change log.
//!
//! Everything hms-sync learns (an edit, a cursor, a webhook) and everything it
//! does (an intent, its outcome, a park) is one of these. The letters in the
//! serde names are part of the format on disk (`docs/format.md`): a letter never
//! changes its meaning, new ones may come, unknown fields are passed over.

use crate::{
    Blob, Clock, Digest, Edit, FieldMap, FieldName, FieldResult, IdempotencyKey, JobName, Lane, NativeId,
    Operation, Parked, RawHash, RecordId, Released, Sealed, SideName, Source, Tag, Time, VecMap,
    WebhookMessage,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The BLAKE3 hash of an event's encoded content: its name in proofs and chains.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(pub [u8; 32]);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for EventId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = EventId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<EventId, E> {
                let fixed = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(EventId(fixed))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// A request that a handler asked for, as it will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The side it goes to.
    #[serde(rename = "s")]
    pub target: SideName,
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    #[serde(rename = "m")]
    pub method: String,
    /// The path below the side's URL.
    #[serde(rename = "p")]
    pub path: String,
    /// The JSON body as text; empty for none.
    #[serde(rename = "b")]
    pub body: String,
    /// Sent with every attempt.
    #[serde(rename = "k")]
    pub key: IdempotencyKey,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A side or a person changed the record.
    #[serde(rename = "E")]
    Edited {
        /// What changed, and what its author had seen.
        #[serde(rename = "e")]
        edit: Edit,
        /// The side's id of the record, if a side made the edit.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        id: Option<NativeId>,
        /// The side's version tag with the edit in it.
        #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
        tag: Option<Tag>,
        /// How we learnt of it.
        #[serde(rename = "o")]
        source: Source,
        /// The hash of what it was made from; nothing where a side showed nothing.
        #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
        raw: Option<RawHash>,
    },
    /// We are about to write to a side. Durable before the request leaves.
    #[serde(rename = "I")]
    Intended {
        /// To which side.
        #[serde(rename = "s")]
        side: SideName,
        /// What the write does.
        #[serde(rename = "op")]
        operation: Operation,
        /// The canonical values it carries.
        #[serde(rename = "f")]
        fields: FieldMap,
        /// What the merged state had seen.
        #[serde(rename = "c")]
        clock: Clock,
    },
    /// A write was carried out. `of` is the version of the event that asked for it.
    #[serde(rename = "A")]
    Applied {
        /// By which side.
        #[serde(rename = "s")]
        side: SideName,
        /// The version of the `Intended` or `Queued` event.
        #[serde(rename = "of")]
        of: u64,
        /// The side's id of the record.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        id: Option<NativeId>,
        /// The side's version tag after the write.
        #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
        tag: Option<Tag>,
        /// Fields of which the side made something else than it was sent.
        #[serde(rename = "r", default, skip_serializing_if = "VecMap::is_empty")]
        results: VecMap<FieldName, FieldResult>,
        /// Whether the side showed us the whole record after the write.
        #[serde(rename = "w", default)]
        whole: bool,
    },
    /// A write was not carried out, or nobody knows.
    #[serde(rename = "F")]
    Failed {
        /// By which side.
        #[serde(rename = "s")]
        side: SideName,
        /// The version of the `Intended` or `Queued` event.
        #[serde(rename = "of")]
        of: u64,
        /// Which kind of failure: decides what is known of the side's state.
        #[serde(rename = "k")]
        failure: Failure,
        /// What the side said, or what broke.
        #[serde(rename = "w")]
        words: String,
    },
    /// A read begun after the merge showed the side in step: it has seen `clock`.
    #[serde(rename = "C")]
    Confirmed {
        /// Which side.
        #[serde(rename = "s")]
        side: SideName,
        /// What it has now seen.
        #[serde(rename = "c")]
        clock: Clock,
        /// The side's version tag, as it was read.
        #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
        tag: Option<Tag>,
        /// The fields of which it goes on showing what it did not keep.
        #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
        but: Vec<FieldName>,
    },
    /// A side may show something else than we know of it: it is to be read again.
    /// Written when a hint came in, or when a read had to be passed over because
    /// it may be older than a write of ours.
    #[serde(rename = "D")]
    Doubted {
        /// Which side.
        #[serde(rename = "s")]
        side: SideName,
        /// Whether a read was passed over, and not just a hint come in: a second
        /// one waits until what we wrote has settled.
        #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
        stale: bool,
        /// The side's id, for a record that is not linked yet.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        id: Option<NativeId>,
        /// The message of the webhook that gave the hint, if one did and was named.
        #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
        message: Option<WebhookMessage>,
        /// Why.
        #[serde(rename = "w")]
        words: String,
    },
    /// Delivery to a side (or of a request, or by a handler) was set aside.
    #[serde(rename = "P")]
    Parked {
        /// What of the record was set aside.
        #[serde(rename = "l")]
        lane: Lane,
        /// Why.
        #[serde(rename = "p")]
        parked: Parked,
    },
    /// A person took something up again, or gave it up.
    #[serde(rename = "R")]
    Released {
        /// What of the record.
        #[serde(rename = "l")]
        lane: Lane,
        /// Which of the two.
        #[serde(rename = "a")]
        action: Released,
    },
    /// The record and a side's native record go separate ways.
    #[serde(rename = "U")]
    Unlinked {
        /// Which side.
        #[serde(rename = "s")]
        side: SideName,
        /// That it is meant so: the two are not matched again, and nothing is brought there.
        #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
        apart: Option<Apart>,
    },
    /// A side's native record is made the record's part there, or the side is let in again.
    #[serde(rename = "L")]
    Linked {
        /// Which side.
        #[serde(rename = "s")]
        side: SideName,
        /// The side's id; nothing if what is there is found as on a first listing.
        #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
        id: Option<NativeId>,
        /// What it is known to hold there: nothing of it is an edit.
        #[serde(rename = "f", default, skip_serializing_if = "VecMap::is_empty")]
        fields: FieldMap,
        /// Who asked for it.
        #[serde(rename = "w")]
        by: String,
        /// Why.
        #[serde(rename = "y")]
        reason: String,
    },
    /// The record is one with another, and goes on under that one's name.
    #[serde(rename = "J")]
    Joined {
        /// The record that goes on.
        #[serde(rename = "o")]
        into: RecordId,
        /// Sides on which this one is known not to be there any more.
        #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
        gone: Vec<SideName>,
        /// Who asked for it.
        #[serde(rename = "w")]
        by: String,
        /// Why.
        #[serde(rename = "y")]
        reason: String,
    },
    /// The record comes after another one, whose place on a side it took.
    #[serde(rename = "N")]
    Follows {
        /// The record before.
        #[serde(rename = "o")]
        of: RecordId,
    },
    /// The log was put back from a backup: what it had given out since is not known, and from
    /// here on all authors go on in another epoch. On a stream of the sync's own, `@log/restores`.
    #[serde(rename = "B")]
    Restored {
        /// The number of the last event that it still had.
        #[serde(rename = "z")]
        last: u64,
    },
    /// A handler asked for a request.
    #[serde(rename = "Q")]
    Queued {
        /// Which job asked.
        #[serde(rename = "j")]
        job: JobName,
        /// The request.
        #[serde(rename = "q")]
        request: Request,
    },
    /// A handler has dealt with the record up to `clock`.
    #[serde(rename = "H")]
    Handled {
        /// Which job.
        #[serde(rename = "j")]
        job: JobName,
        /// The state it was shown.
        #[serde(rename = "c")]
        clock: Clock,
    },
    /// A handler failed and will be called again.
    #[serde(rename = "h")]
    HandlerFailed {
        /// Which job.
        #[serde(rename = "j")]
        job: JobName,
        /// Its error.
        #[serde(rename = "w")]
        words: String,
    },
    /// A pass over a collection got so far. On a stream of the sync's own.
    #[serde(rename = "K")]
    Cursor {
        /// Which side.
        #[serde(rename = "s")]
        side: SideName,
        /// The connector's own words; nothing to start from the beginning.
        #[serde(rename = "c")]
        cursor: Option<String>,
        /// Whether a complete listing ended here.
        #[serde(rename = "l", default)]
        listed: bool,
        /// The page that comes next in the same pass, in the connector's own words. Without a
        /// cursor it is where a first listing stands, which goes on from there after a restart.
        #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// A webhook was taken in. On a stream of the sync's own; its message id
    /// is remembered so that the sender's retries change nothing.
    #[serde(rename = "W")]
    Received {
        /// The sender's message id.
        #[serde(rename = "i")]
        message: String,
    },
    /// From here on the log signs its checkpoints with this key. On a stream of the
    /// sync's own, `@log/keys`.
    #[serde(rename = "S")]
    Signing {
        /// The verifier key, as C2SP signed-note writes it. Its name is the log's origin.
        #[serde(rename = "k")]
        key: String,
        /// The verifier key until now; nothing for the first.
        #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        /// Why.
        #[serde(rename = "w")]
        words: String,
        /// The last checkpoint signed under the origin until now, a signed note, where a
        /// new origin begins: what the log no longer continues.
        #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
        last: Option<String>,
    },
    /// A record's personal fields were erased. Written twice, in one commit: on the
    /// record, and on a stream of the sync's own, which says what is to be destroyed
    /// if the process ends before it is. Durable before the record's key is destroyed.
    #[serde(rename = "X")]
    Erased {
        /// Which record, on the sync's own stream.
        #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
        of: Option<RecordId>,
        /// Who asked for it.
        #[serde(rename = "w")]
        by: String,
        /// Why.
        #[serde(rename = "y")]
        reason: String,
        /// The fields that are closed from here on.
        #[serde(rename = "f")]
        fields: Vec<FieldName>,
    },
    /// What came of the record's first events, so that they can be dropped from the log once
    /// they are archived: a fold begins here where they are gone, and changes nothing where
    /// they are there. On a stream of the sync's own, what came of all events before.
    #[serde(rename = "V")]
    Carried {
        /// How many of its events are in it.
        #[serde(rename = "n")]
        upto: u64,
        /// The state, with what is personal sealed as it was in the events: `MessagePack`.
        #[serde(rename = "s")]
        state: Blob,
        /// The same as its record's key opens it, where there is one.
        #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
        sealed: Option<Sealed>,
        /// Fields whose values are sealed in those events.
        #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
        fields: Vec<FieldName>,
    },
    /// Events were archived and dropped from the log, with somebody's approval. On a stream
    /// of the sync's own, `@log/archives`, in one batch with the drop.
    #[serde(rename = "Z")]
    Archived {
        /// The number of the first.
        #[serde(rename = "a")]
        first: u64,
        /// The number of the last.
        #[serde(rename = "z")]
        last: u64,
        /// The name of the file they are in.
        #[serde(rename = "f")]
        file: String,
        /// The BLAKE3 hash of that file.
        #[serde(rename = "h")]
        hash: Digest,
        /// The root of the tree over the first `last` events.
        #[serde(rename = "r")]
        root: Digest,
        /// Who approved.
        #[serde(rename = "w")]
        by: String,
        /// Why.
        #[serde(rename = "y")]
        reason: String,
    },
    /// A person has a record taken up that was held because events of it are lost. From here
    /// on it is what its sides show, as if it had just been linked, and whoever edits it
    /// goes on in the next epoch.
    #[serde(rename = "T")]
    TakenUp {
        /// Who asked for it.
        #[serde(rename = "w")]
        by: String,
        /// Why.
        #[serde(rename = "y")]
        reason: String,
        /// The sides of its collection.
        #[serde(rename = "s")]
        sides: Vec<SideName>,
        /// Those of them that are read anew before anything is sent.
        #[serde(rename = "u")]
        unread: Vec<SideName>,
        /// The fields that make its identity: by these it is known until a side shows it.
        #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
        identity: Vec<FieldName>,
    },
}

/// A record and a side's native record that are kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// The side's id of the native record; nothing if only the record is kept from the side.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<NativeId>,
    /// Who asked for it; nothing if no person did.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(rename = "y")]
    pub reason: String,
}

/// What is known of a side after a write that was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Not done: the side's record is another version than the write was made for.
    Conflict,
    /// Not done: a record with this identity is there already.
    Exists,
    /// Not done: the side no longer has the record.
    Gone,
    /// Not done, and never will be.
    Rejected,
    /// Not done for now, and it is the record that the side will not take.
    RetryLater,
    /// Not done for now, and the record is not to blame: the side is away or
    /// asks for less.
    Away,
    /// Not done: we looked.
    NotApplied,
    /// Done or not done: no answer came.
    Unknown,
}

/// One immutable entry of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the whole log, from 1, without gaps.
    #[serde(rename = "q")]
    pub seq: u64,
    /// The record it belongs to, or a stream of the sync's own.
    #[serde(rename = "r")]
    pub record: RecordId,
    /// Its place in the record's history, from 1, without gaps.
    #[serde(rename = "n")]
    pub version: u64,
    /// When hms-sync wrote it.
    #[serde(rename = "t")]
    pub at: Time,
    /// The id of the record's previous event; zeros for the first.
    #[serde(rename = "p")]
    pub prev: EventId,
    /// What it says.
    #[serde(rename = "b")]
    pub body: Body,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Change, Dot, Stamp, Value};

    #[test]
    fn an_event_survives_the_round_trip_through_messagepack() {
        let side = SideName::try_new("clerk").unwrap();
        let actor = Actor::side(side);
        let edit = Edit {
            generation: 0,
            dot: Dot { actor: actor.clone(), n: 2 },
            context: [(actor, 1)].into_iter().collect(),
            but: VecMap::new(),
            changes: [
                (
                    FieldName::try_new("status").unwrap(),
                    Change { before: Value::Absent, after: "revoked".into() },
                ),
                (
                    FieldName::try_new("tags").unwrap(),
                    Change { before: Value::Null, after: Value::set([2.into(), 1.into(), true.into()]) },
                ),
            ]
            .into_iter()
            .collect(),
            deletes: false,
            stamp: Stamp::at(Time(5)),
            certain: true,
        };
        let event = Event {
            seq: 1,
            record: RecordId::try_new("permit/1").unwrap(),
            version: 1,
            at: Time(7),
            prev: EventId::default(),
            body: Body::Edited {
                edit,
                id: None,
                tag: None,
                source: Source::Webhook(Some(WebhookMessage::Whole("m1".into()))),
                raw: Some(RawHash([7; 32])),
            },
        };
        let bytes = rmp_serde::to_vec_named(&event).unwrap();
        assert_eq!(rmp_serde::from_slice::<Event>(&bytes).unwrap(), event);
        assert!(bytes.len() < 256, "{} bytes", bytes.len());
    }
}
