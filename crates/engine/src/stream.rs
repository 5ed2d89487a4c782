//! The sync's own streams in the log: how far a collection of a side has been
//! read, which webhooks came in, and what the brakes hold back.

use hms_sync_model::{
    Body, CollectionName, Digest, Event, EventId, FieldName, InvalidName, ParkReason, Parked, RecordId,
    Released, SideName, Source, Time, WebhookMessage,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// One stream, as all its events make it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StreamState {
    /// How many events it has.
    #[serde(rename = "n")]
    pub version: u64,
    /// The id of the last one.
    #[serde(rename = "h")]
    pub head: EventId,
    /// Where the next poll starts.
    #[serde(rename = "c", default)]
    pub cursor: Option<String>,
    /// Whether everything has been read once.
    #[serde(rename = "l", default)]
    pub listed: bool,
    /// When everything was last read.
    #[serde(rename = "f", default)]
    pub listed_at: Time,
    /// How far the first listing has come, while it goes on.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// When the last pass ended that moved the cursor.
    #[serde(rename = "t", default)]
    pub at: Time,
    /// Deletes that wait for a person.
    #[serde(rename = "p", default)]
    pub held: Option<Parked>,
    /// Fields whose absence waits for a person.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Parked>,
    /// Fields of which a person has said that their absence is meant.
    #[serde(rename = "m", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub meant: BTreeSet<FieldName>,
    /// A person let the next listing's deletes pass.
    #[serde(rename = "a", default)]
    pub approved: bool,
    /// The side shows many records as they were earlier: what it shows waits for a person.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub regressed: Option<Parked>,
    /// What a person has said of that, until it is done.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// A person's word about a side that shows its records as they were earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whether ours is to be written back; else theirs is taken.
    #[serde(rename = "o")]
    pub ours: bool,
    /// When it was said: a listing that began later is read by it.
    #[serde(rename = "t")]
    pub at: Time,
}

/// A place in a listing that goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The page that comes next, in the connector's own words.
    #[serde(rename = "n")]
    pub next: String,
    /// When the listing began, or a little later.
    #[serde(rename = "b")]
    pub began: Time,
    /// When this page was known to be next.
    #[serde(rename = "t")]
    pub at: Time,
}

impl StreamState {
    /// Takes in one event.
    pub fn fold(&mut self, id: EventId, event: &Event) {
        self.version = event.version;
        self.head = id;
        match &event.body {
            // More pages come: what was there when the pass began is not known yet.
            Body::Cursor { cursor: Some(cursor), next: Some(_), .. } => self.cursor = Some(cursor.clone()),
            // A listing on which deletes depend is read from its start to its end.
            Body::Cursor { next: Some(_), .. } if self.held.is_some() || self.approved => {}
            Body::Cursor { next: Some(next), .. } => {
                let began = self.place.as_ref().map_or(event.at, |place| place.began);
                self.place = Some(Place { next: next.clone(), began, at: event.at });
            }
            Body::Cursor { cursor, listed, .. } => {
                self.place = None;
                self.at = event.at;
                if cursor.is_some() {
                    self.cursor.clone_from(cursor);
                }
                if *listed {
                    self.told = None;
                    self.listed = true;
                    self.listed_at = event.at;
                    self.approved = false;
                    self.held = None;
                }
            }
            Body::Parked { parked, .. } if parked.reason == ParkReason::Regression => {
                self.place = None;
                self.regressed = Some(parked.clone());
            }
            Body::Released { action: action @ (Released::PushOurs | Released::TakeTheirs), .. } => {
                self.released_side(*action == Released::PushOurs, event.at);
            }
            Body::Parked { parked, .. } if !parked.fields.is_empty() => self.withheld = Some(parked.clone()),
            Body::Released { action, .. } if self.held.is_none() && self.withheld.is_some() => {
                self.released_fields(*action);
            }
            Body::Parked { parked, .. } => {
                self.place = None;
                self.held = Some(parked.clone());
                // What is left to be said is about these deletes.
                self.told = None;
            }
            Body::Released { action, .. } => {
                self.place = None;
                self.held = None;
                self.approved = *action == Released::Replay;
            }
            Body::Restored { .. } => self.at = event.at,
            Body::Carried { .. } => self.begin_with(id, event),
            _ => {}
        }
    }
}

impl StreamState {
    /// What a person says of a side that shows its records as they were earlier. It says it of
    /// those too that are not there any more.
    fn released_side(&mut self, ours: bool, at: Time) {
        if self.regressed.take().is_some() {
            (self.place, self.held, self.approved) = (None, None, false);
            self.told = Some(Told { ours, at });
        }
    }

    /// What a person says of fields that are withheld.
    fn released_fields(&mut self, action: Released) {
        match action {
            Released::PushOurs | Released::TakeTheirs => {}
            Released::Replay => self.meant.extend(self.withheld.take().into_iter().flat_map(|p| p.fields)),
            Released::Discard => self.withheld.iter_mut().for_each(|parked| parked.given_up = true),
        }
    }
}

/// Messages in one event that carries a stream over.
pub(crate) const MESSAGES_MAX: usize = 4_096;
/// Webhooks are sent again for hours or days; what came in longer ago is forgotten.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// A webhook that was taken in: the hash of its message id, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message(pub(crate) Digest, pub(crate) Time);

/// What is carried over of a stream whose events are dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamCarry {
    /// The stream as all its events made it.
    #[serde(rename = "s")]
    pub(crate) state: StreamState,
    /// Webhooks that were taken in lately.
    #[serde(rename = "m", default)]
    pub(crate) messages: Vec<Message>,
}

/// The hash by which a message is known.
pub(crate) fn message_hash(message: &str) -> Digest {
    Digest(*blake3::hash(message.as_bytes()).as_bytes())
}

/// The webhook message that is taken in with an event of a record. What it says makes a
/// [`Body::Received`] needless.
pub(crate) fn message_told(body: &Body) -> Option<&str> {
    match body {
        Body::Edited { source: Source::Webhook(Some(WebhookMessage::Whole(id))), .. }
        | Body::Doubted { message: Some(WebhookMessage::Whole(id)), .. } => Some(id),
        _ => None,
    }
}

/// The messages that an event of a stream says were taken in.
pub(crate) fn messages_in(event: &Event) -> Vec<Message> {
    match &event.body {
        Body::Received { message } => vec![Message(message_hash(message), event.at)],
        Body::Carried { state, .. } => {
            rmp_serde::from_slice(&state.0).map_or_else(|_| Vec::new(), |carry: StreamCarry| carry.messages)
        }
        _ => Vec::new(),
    }
}

/// The stream of one side's collection.
pub fn stream_of(side: &SideName, collection: &CollectionName) -> Result<RecordId, InvalidName> {
    RecordId::try_new(format!("@sync/{side}/{collection}"))
}

/// The stream of the keys that the log signs with.
pub(crate) fn keys_stream() -> Result<RecordId, InvalidName> {
    RecordId::try_new(hms_sync_model::KEYS_STREAM)
}

/// The stream of how often the log was put back from a backup.
pub(crate) fn restores_stream() -> Result<RecordId, InvalidName> {
    RecordId::try_new("@log/restores")
}

/// The side and collection of a stream.
pub fn parse_stream(stream: &RecordId) -> Option<(SideName, CollectionName)> {
    let (side, collection) = stream.as_str().strip_prefix("@sync/")?.split_once('/')?;
    Some((SideName::try_new(side).ok()?, CollectionName::try_new(collection).ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use hms_sync_model::{Clock, Lane};

    /// All that these make, one microsecond after the other.
    fn after(bodies: Vec<Body>) -> StreamState {
        let mut state = StreamState::default();
        for (version, body) in (1..).zip(bodies) {
            let record = RecordId::try_new("@sync/clerk/permits").unwrap();
            let at = Time(i64::try_from(version).unwrap());
            let event = Event { seq: version, record, version, at, prev: EventId::default(), body };
            state.fold(EventId::default(), &event);
        }
        state
    }

    /// Until a pass has ended, what it has not come to is not known.
    #[test]
    fn a_page_moves_the_cursor_and_does_not_end_the_pass() {
        let body = |cursor: &str, next: Option<&str>| Body::Cursor {
            side: SideName::try_new("clerk").unwrap(),
            cursor: Some(cursor.into()),
            listed: false,
            next: next.map(Into::into),
        };
        let state = after(vec![body("a", None), body("b", Some("2"))]);
        assert_eq!((state.cursor.as_deref(), state.at), (Some("b"), Time(1)));
        let state = after(vec![body("a", None), body("b", Some("2")), body("c", None)]);
        assert_eq!((state.cursor.as_deref(), state.at), (Some("c"), Time(3)));
    }

    /// Deletes are told only by a listing that was read in one go.
    #[test]
    fn a_place_is_kept_only_while_no_deletes_wait() {
        let side = SideName::try_new("clerk").unwrap();
        let lane = || Lane::Side(side.clone());
        let place =
            || Body::Cursor { side: side.clone(), cursor: None, listed: false, next: Some("2".into()) };
        let parked = Parked {
            reason: ParkReason::MassDelete,
            words: String::new(),
            attempts: 0,
            fields: Vec::new(),
            clock: Clock::default(),
            given_up: false,
        };
        let held = || Body::Parked { lane: lane(), parked: parked.clone() };
        let let_go = |action| Body::Released { lane: lane(), action };
        assert!(after(vec![place()]).place.is_some());
        for bodies in [
            vec![place(), held()],
            vec![held(), place()],
            vec![held(), let_go(Released::Replay), place()],
            vec![place(), held(), let_go(Released::Replay)],
        ] {
            let words = format!("{bodies:?}");
            let state = after(bodies);
            assert_eq!(state.place, None, "{words}");
            assert!(state.held.is_some() || state.approved, "{words}");
        }
        assert!(after(vec![held(), let_go(Released::Discard), place()]).place.is_some());
    }
}
