//! The border: events are sealed on their way into the log, and opened on their way out.
//!
//! [`walk`] is the one place that knows where in an event a personal value, or a text
//! that a side may have put one into, can stand. Each is bound to its place (record,
//! version, kind of place, field): moved elsewhere it does not open.

use crate::cipher::{self, Secret};
use crate::error::VaultError;
use crate::text;
use crate::vault::{Keys, Vault};
use hms_sync_model::{Body, Edit, Event, FieldName, FieldResult, KeyId, RecordId, Sealed, Tag, Value};
use std::collections::BTreeSet;

/// What stands where something cannot be opened any more.
const ERASED: &str = "(erased)";

/// Kinds of places, one letter each; they are part of the format.
mod kind {
    pub(super) const BEFORE: u8 = b'b';
    pub(super) const AFTER: u8 = b'a';
    pub(super) const SENT: u8 = b's';
    pub(super) const STORED: u8 = b'o';
    pub(super) const WORDS: u8 = b'w';
    pub(super) const TAG: u8 = b'v';
    pub(super) const PATH: u8 = b'p';
    pub(super) const BODY: u8 = b'q';
    pub(super) const STATE: u8 = b'r';
}

/// What is done at each place.
trait Visit {
    fn value(&mut self, kind: u8, field: &FieldName, value: &mut Value) -> Result<(), VaultError>;
    fn text(&mut self, kind: u8, text: &mut String) -> Result<(), VaultError>;
    fn tag(&mut self, tag: &mut Option<Tag>) -> Result<(), VaultError>;
}

/// Every place of an event's body.
fn walk(body: &mut Body, visit: &mut impl Visit) -> Result<(), VaultError> {
    match body {
        Body::Edited { edit, tag, .. } => {
            walk_edit(edit, visit)?;
            visit.tag(tag)
        }
        Body::Intended { fields, .. } | Body::Linked { fields, .. } => {
            fields.iter_mut().try_for_each(|(field, value)| visit.value(kind::SENT, field, value))
        }
        Body::Applied { results, tag, .. } => {
            for (field, result) in results.iter_mut() {
                match result {
                    FieldResult::Reformatted(value) | FieldResult::Altered(value) => {
                        visit.value(kind::STORED, field, value)?;
                    }
                    FieldResult::Taken | FieldResult::NotKept => {}
                }
            }
            visit.tag(tag)
        }
        Body::Confirmed { tag, .. } => visit.tag(tag),
        Body::Failed { words, .. } | Body::Doubted { words, .. } | Body::HandlerFailed { words, .. } => {
            visit.text(kind::WORDS, words)
        }
        Body::Parked { parked, .. } => visit.text(kind::WORDS, &mut parked.words),
        Body::Queued { request, .. } => {
            visit.text(kind::PATH, &mut request.path)?;
            visit.text(kind::BODY, &mut request.body)
        }
        Body::Released { .. }
        | Body::Unlinked { .. }
        | Body::Joined { .. }
        | Body::Follows { .. }
        | Body::Restored { .. }
        | Body::Handled { .. }
        | Body::Cursor { .. }
        | Body::Received { .. }
        | Body::Signing { .. }
        | Body::Erased { .. }
        | Body::Archived { .. }
        | Body::TakenUp { .. }
        // Made of what is sealed already, and sealed as a whole beside that.
        | Body::Carried { .. } => Ok(()),
    }
}

fn walk_edit(edit: &mut Edit, visit: &mut impl Visit) -> Result<(), VaultError> {
    for (field, change) in edit.changes.iter_mut() {
        visit.value(kind::BEFORE, field, &mut change.before)?;
        visit.value(kind::AFTER, field, &mut change.after)?;
    }
    Ok(())
}

/// The place that something is bound to.
fn place(record: &RecordId, version: u64, kind: u8, field: &str) -> Vec<u8> {
    let mut place = Vec::with_capacity(64);
    place.extend_from_slice(b"hms-sync sealed 1");
    place.extend_from_slice(&(record.as_str().len() as u64).to_be_bytes());
    place.extend_from_slice(record.as_str().as_bytes());
    place.extend_from_slice(&version.to_be_bytes());
    place.push(kind);
    place.extend_from_slice(field.as_bytes());
    place
}

impl Vault {
    /// Seals the values of `personal` fields in an event, and every text that could hold
    /// one. The record gets a key if it has none; [`flush`](Vault::flush) before the event
    /// is made durable.
    pub fn seal(&self, event: &mut Event, personal: &BTreeSet<FieldName>) -> Result<(), VaultError> {
        if event.record.is_own_stream() {
            return Ok(());
        }
        let (record, version) = (&event.record, event.version);
        let mut sealer = Sealer { record, version, personal, keys: &mut self.keys(), key: None };
        walk(&mut event.body, &mut sealer)
    }

    /// Opens what can be opened. A value without its key stays sealed, a text is shown as
    /// erased, a tag is not there.
    pub fn open_event(&self, event: &mut Event) {
        let (record, version) = (&event.record, event.version);
        let mut opener = Opener { vault: Some(self), record, version, key: None, asked: false };
        // Opening has no errors: what cannot be opened is erased.
        let opened = walk(&mut event.body, &mut opener);
        debug_assert!(opened.is_ok());
    }

    /// Leaves an event as [`open_event`](Vault::open_event) does once the record's key is gone.
    pub fn shut_event(event: &mut Event) {
        let (record, version) = (&event.record, event.version);
        let mut opener = Opener { vault: None, record, version, key: None, asked: false };
        let shut = walk(&mut event.body, &mut opener);
        debug_assert!(shut.is_ok());
    }

    /// Fields of an event, as it stands in the log, whose values are sealed.
    pub fn sealed_fields(event: &mut Event) -> BTreeSet<FieldName> {
        let mut found = Finder(BTreeSet::new());
        // Looking has no errors.
        let looked = walk(&mut event.body, &mut found);
        debug_assert!(looked.is_ok());
        found.0
    }

    /// Seals bytes that hold a record's whole state, as of a version. Makes no key: nothing
    /// for a record that has none, or no more.
    pub fn seal_state(
        &self,
        record: &RecordId,
        version: u64,
        state: &[u8],
    ) -> Result<Option<Sealed>, VaultError> {
        let mut keys = self.keys();
        let Some((id, key)) = keys.of(record) else { return Ok(None) };
        let place = place(record, version, kind::STATE, "");
        Ok(Some(Sealed::new(id, &cipher::seal(&key, &mut keys.random, &place, state)?)))
    }

    /// Opens them again; nothing if the key is gone.
    pub fn open_state(&self, record: &RecordId, version: u64, sealed: &Sealed) -> Option<Vec<u8>> {
        let (id, key) = self.key(record)?;
        let plain = (id == sealed.key())
            .then(|| cipher::open(&key, &place(record, version, kind::STATE, ""), sealed.content()))??;
        Some(plain.to_vec())
    }
}

struct Sealer<'a> {
    record: &'a RecordId,
    version: u64,
    personal: &'a BTreeSet<FieldName>,
    keys: &'a mut Keys,
    /// Made when the first thing is sealed.
    key: Option<(KeyId, Secret)>,
}

impl Sealer<'_> {
    fn seal(&mut self, kind: u8, field: &str, mut plain: Vec<u8>) -> Result<Sealed, VaultError> {
        cipher::pad(&mut plain);
        let place = place(self.record, self.version, kind, field);
        let known = self.key.take().map_or_else(|| self.keys.get_or_make(self.record), Ok)?;
        let (id, key) = self.key.insert(known);
        Ok(Sealed::new(*id, &cipher::seal(key, &mut self.keys.random, &place, &plain)?))
    }

    fn sealed_text(&mut self, kind: u8, plain: &str) -> Result<String, VaultError> {
        Ok(text::from_sealed(&self.seal(kind, "", plain.as_bytes().to_vec())?))
    }
}

impl Visit for Sealer<'_> {
    fn value(&mut self, kind: u8, field: &FieldName, value: &mut Value) -> Result<(), VaultError> {
        if !self.personal.contains(field) || matches!(value, Value::Absent | Value::Null | Value::Sealed(_)) {
            return Ok(());
        }
        let plain = rmp_serde::to_vec(value).map_err(|why| VaultError::Encode(why.to_string()))?;
        *value = Value::Sealed(self.seal(kind, field.as_str(), plain)?);
        Ok(())
    }

    fn text(&mut self, kind: u8, text: &mut String) -> Result<(), VaultError> {
        if !text.is_empty() {
            *text = self.sealed_text(kind, text)?;
        }
        Ok(())
    }

    /// A tag may be a hash of the record. One that is too long when sealed is left out.
    fn tag(&mut self, tag: &mut Option<Tag>) -> Result<(), VaultError> {
        if let Some(plain) = tag.take() {
            *tag = Tag::try_new(self.sealed_text(kind::TAG, plain.as_str())?).ok();
        }
        Ok(())
    }
}

struct Finder(BTreeSet<FieldName>);

impl Visit for Finder {
    fn value(&mut self, _: u8, field: &FieldName, value: &mut Value) -> Result<(), VaultError> {
        if value.is_sealed() {
            self.0.insert(field.clone());
        }
        Ok(())
    }

    fn text(&mut self, _: u8, _: &mut String) -> Result<(), VaultError> {
        Ok(())
    }

    fn tag(&mut self, _: &mut Option<Tag>) -> Result<(), VaultError> {
        Ok(())
    }
}

struct Opener<'a> {
    /// Nothing if no key is to be had.
    vault: Option<&'a Vault>,
    record: &'a RecordId,
    version: u64,
    /// Asked for when the first sealed thing is met.
    key: Option<(KeyId, Secret)>,
    asked: bool,
}

impl Opener<'_> {
    fn open(&mut self, kind: u8, field: &str, sealed: &Sealed) -> Option<Vec<u8>> {
        if !std::mem::replace(&mut self.asked, true) {
            self.key = self.vault.and_then(|vault| vault.key(self.record));
        }
        let (id, key) = self.key.as_ref()?;
        if *id != sealed.key() {
            return None;
        }
        let padded = cipher::open(key, &place(self.record, self.version, kind, field), sealed.content())?;
        cipher::unpad(&padded).map(<[u8]>::to_vec)
    }

    fn open_text(&mut self, kind: u8, sealed: &str) -> Option<String> {
        String::from_utf8(self.open(kind, "", &text::to_sealed(sealed)?)?).ok()
    }
}

impl Visit for Opener<'_> {
    fn value(&mut self, kind: u8, field: &FieldName, value: &mut Value) -> Result<(), VaultError> {
        let Value::Sealed(sealed) = value else { return Ok(()) };
        let plain = self.open(kind, field.as_str(), &sealed.clone());
        if let Some(opened) = plain.and_then(|plain| rmp_serde::from_slice(&plain).ok()) {
            *value = opened;
        }
        Ok(())
    }

    fn text(&mut self, kind: u8, text: &mut String) -> Result<(), VaultError> {
        if text::is_sealed(text) {
            *text = self.open_text(kind, text).unwrap_or_else(|| ERASED.to_owned());
        }
        Ok(())
    }

    fn tag(&mut self, tag: &mut Option<Tag>) -> Result<(), VaultError> {
        if let Some(sealed) = tag.as_ref().filter(|tag| text::is_sealed(tag.as_str())) {
            *tag = self.open_text(kind::TAG, sealed.as_str()).and_then(|text| Tag::try_new(text).ok());
        }
        Ok(())
    }
}
