//! The notary itself: what it has signed, whether it may sign on, and doing it.
//!
//! Invariant: of two checkpoints of one origin that were ever signed, the smaller is a
//! beginning of the larger. The last one that is on record is read back at every start,
//! and compared with the log before the next is signed.

use crate::error::{NotaryError, Refusal};
use crate::folder::Folder;
use crate::key;
use crate::settings::Settings;
use chrono::{DateTime, SecondsFormat, Utc};
use hms_sync_changelog::Log;
use hms_sync_model::{Body, KEYS_STREAM, RecordId};
use hms_sync_proof::{
    Checkpoint, KeyName, Note, OpenedCheckpoint, RecordHead, Signer, TreeHead, Trust, VerifierKey,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A handle to a notary; its clones are the same one.
#[derive(Debug, Clone)]
pub struct Notary {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    sync: String,
    settings: Settings,
    folder: Folder,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) signer: Option<Signer>,
    /// All keys of this origin.
    pub(crate) keys: Vec<VerifierKey>,
    /// The last checkpoint, and its note.
    last: Option<(TreeHead, Note)>,
    last_at: Option<DateTime<Utc>>,
    /// What is wrong with what is on record.
    wrong: Option<String>,
    /// Why nothing is signed.
    trouble: Option<String>,
    /// The length of the record of checkpoints.
    length: Option<u64>,
    pub(crate) witnesses: Vec<WitnessStatus>,
    /// A change of the key is under way.
    pub(crate) changing: bool,
    /// A key that the log names is being put in the old one's place: until that is done
    /// nothing is signed.
    pub(crate) moving: bool,
}

/// How it stands with a witness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStatus {
    /// Its name.
    pub name: String,
    /// The size of the last checkpoint that it signed.
    pub size: Option<u64>,
    /// What went wrong last, if it did.
    pub trouble: Option<String>,
}

/// How the notary stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotaryStatus {
    /// The verifier key, for those who check; nothing before the first start.
    pub key: Option<String>,
    /// All keys that it has signed with under its origin.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Events of the last checkpoint.
    pub size: Option<u64>,
    /// When it was signed, in RFC 3339.
    pub at: Option<String>,
    /// Why nothing is signed, if that is so.
    pub trouble: Option<String>,
    /// The witnesses.
    pub witnesses: Vec<WitnessStatus>,
}

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Size and root.
    pub head: TreeHead,
    /// The note.
    pub note: Note,
}

impl Signed {
    /// Whether it speaks for this origin.
    fn is_of(&self, origin: &KeyName) -> bool {
        self.note.to_string().lines().next() == Some(origin.as_str())
    }
}

impl Notary {
    /// Of the log in a folder. Reads the key and the last checkpoint; makes nothing but the
    /// folder. What is wrong with them is told in [`Notary::status`].
    pub fn open(data_dir: &Path, sync: &str, settings: Settings, log: &Log) -> Result<Self, NotaryError> {
        let folder = Folder::open(data_dir)?;
        let witnesses = settings.witnesses.iter().map(|witness| WitnessStatus {
            name: witness.key.name().to_string(),
            ..WitnessStatus::default()
        });
        let state = State { witnesses: witnesses.collect(), ..State::default() };
        let inner = Inner { sync: sync.to_owned(), settings, folder, state: Mutex::new(state) };
        let notary = Self { inner: Arc::new(inner) };
        let loaded = notary.load(&mut notary.state(), log);
        if let Err(why) = loaded {
            notary.trouble(&why);
        }
        Ok(notary)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is changed in it is ever half changed.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.inner.folder
    }

    /// How it is told to work.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(crate) fn sync_name(&self) -> &str {
        &self.inner.sync
    }

    /// Notes what went wrong.
    pub(crate) fn trouble(&self, why: &NotaryError) {
        let why = why.in_one_line();
        let mut state = self.state();
        if state.trouble.as_ref() != Some(&why) {
            tracing::error!(why, "no checkpoint is signed");
            state.trouble = Some(why);
        }
    }

    /// Reads key and last checkpoint anew.
    pub(crate) fn load(&self, state: &mut State, log: &Log) -> Result<(), NotaryError> {
        let signer = key::read(&self.folder().key())?;
        let mut keys: Vec<_> = signer.iter().map(Signer::verifier_key).collect();
        if let Some(signer) = &signer {
            keys.extend(earlier_keys(log, signer)?);
        }
        let (mut last, mut wrong) = (None::<OpenedCheckpoint>, None);
        let notes = self.folder().last_notes()?;
        if let Some(signer) = &signer {
            let trust = Trust::new(signer.name().as_str(), keys.iter().cloned(), [])?;
            for note in &notes {
                match trust.open(note) {
                    Ok(opened) => {
                        let larger = last.as_ref().is_none_or(|last| {
                            opened.checkpoint().head().size >= last.checkpoint().head().size
                        });
                        last = if larger { Some(opened) } else { last };
                    }
                    Err(why) => wrong = Some(why),
                }
            }
        }
        state.last = last.and_then(|opened| {
            let head = *opened.checkpoint().head();
            let is = |note: &Note| note.to_string().contains(&opened.checkpoint().to_string());
            let mut notes = notes.iter().filter_map(|note| Note::parse(note).ok());
            notes.find(is).map(|note| (head, note))
        });
        state.last_at = self.folder().last_at().map(DateTime::from);
        (state.signer, state.keys, state.trouble, state.length) = (signer, keys, None, None);
        state.wrong = wrong.map(|why| why.to_string());
        match &state.wrong {
            Some(why) => Err(Refusal::Unknown { why: why.clone() }.into()),
            None => Ok(()),
        }
    }

    /// Signs the log as it is now, if that is a continuation of what was signed before, and
    /// returns when the checkpoint is durable. Blocks.
    ///
    /// # Errors
    /// [`NotaryError::Refused`] if it is none; it stays so until a new origin is begun.
    pub fn sign(&self, log: &Log) -> Result<Signed, NotaryError> {
        let mut state = self.state();
        let signed = self.sign_with(&mut state, log);
        drop(state);
        signed.inspect_err(|why| self.trouble(why))
    }

    fn sign_with(&self, state: &mut State, log: &Log) -> Result<Signed, NotaryError> {
        if state.moving {
            self.move_in(state, log)?;
        }
        let signer = state.signer.as_ref().ok_or(NotaryError::NoKey)?;
        if let Some(configured) = self.settings().origin.as_ref().filter(|name| *name != signer.name()) {
            let (found, configured) = (signer.name().to_string(), configured.to_string());
            return Err(Refusal::OtherOrigin { found, configured }.into());
        }
        if let Some(why) = &state.wrong {
            return Err(Refusal::Unknown { why: why.clone() }.into());
        }
        let head = log.tree_head();
        let prover = log.prover();
        if let Some((last, note)) = &state.last {
            continues(last, &head, |older, newer| prover.consistency(older, newer))?;
            if *last == head {
                let signed = Signed { head, note: note.clone() };
                state.trouble = None;
                return Ok(signed);
            }
        }
        let note = Checkpoint::new(signer.name().as_str(), head)?.sign(signer)?;
        self.keep(state, head, note.clone())?;
        Ok(Signed { head, note })
    }

    /// Puts a checkpoint on record.
    fn keep(&self, state: &mut State, head: TreeHead, note: Note) -> Result<(), NotaryError> {
        self.folder().write(&note.to_string(), &mut state.length)?;
        (state.last, state.last_at, state.trouble) = (Some((head, note)), Some(Utc::now()), None);
        Ok(())
    }

    /// Puts the last checkpoint on record once more, with cosignatures under it. One that is
    /// no longer the last, or of an origin that ended, is let be.
    pub(crate) fn keep_cosigned(&self, signed: &Signed) -> Result<(), NotaryError> {
        let mut state = self.state();
        let ours = state.signer.as_ref().is_some_and(|signer| signed.is_of(signer.name()));
        let newest = state.last.as_ref().is_some_and(|(last, _)| *last == signed.head);
        if ours && newest && !state.moving {
            self.keep(&mut state, signed.head, signed.note.clone())?;
        }
        Ok(())
    }

    /// What the log says of a record, signed.
    pub(crate) fn sign_record(&self, head: &RecordHead) -> Result<Note, NotaryError> {
        let state = self.state();
        Ok(head.sign(state.signer.as_ref().ok_or(NotaryError::NoKey)?)?)
    }

    /// The last checkpoint.
    pub fn last(&self) -> Option<Signed> {
        self.state().last.as_ref().map(|(head, note)| Signed { head: *head, note: note.clone() })
    }

    /// All keys under the present origin; the one that signs now comes first.
    pub fn keys(&self) -> Vec<VerifierKey> {
        self.state().keys.clone()
    }

    /// Size and root of every checkpoint on record under the present origin.
    pub fn checkpoints(&self) -> Result<Vec<TreeHead>, NotaryError> {
        let keys = self.keys();
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let trust = Trust::new(first.name().as_str(), keys.iter().cloned(), [])?;
        let (mut heads, mut wrong) = (Vec::new(), None);
        self.folder().each(|note| match trust.open(note) {
            Ok(opened) => heads.push(*opened.checkpoint().head()),
            Err(why) => wrong = Some(why),
        })?;
        heads.dedup();
        match wrong {
            Some(why) => Err(Refusal::Unknown { why: why.to_string() }.into()),
            None => Ok(heads),
        }
    }

    /// How it stands.
    pub fn status(&self) -> NotaryStatus {
        let state = self.state();
        NotaryStatus {
            key: state.signer.as_ref().map(|signer| signer.verifier_key().to_string()),
            keys: state.keys.iter().map(ToString::to_string).collect(),
            size: state.last.as_ref().map(|(head, _)| head.size),
            at: state.last_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true)),
            trouble: state.trouble.clone(),
            witnesses: state.witnesses.clone(),
        }
    }
}

/// Whether the log as it is now begins with what was signed last.
fn continues(
    last: &TreeHead,
    now: &TreeHead,
    prove: impl FnOnce(u64, u64) -> Result<hms_sync_proof::ConsistencyProof, hms_sync_changelog::LogError>,
) -> Result<(), NotaryError> {
    if last.size > now.size {
        return Err(Refusal::RolledBack { now: now.size, signed: last.size }.into());
    }
    let proof = prove(last.size, now.size)?;
    proof.verify(last, now).map_err(|why| Refusal::Rewritten { signed: *last, why })?;
    Ok(())
}

/// Keys of this origin that the log's own events name.
fn earlier_keys(log: &Log, signer: &Signer) -> Result<Vec<VerifierKey>, NotaryError> {
    let now = signer.verifier_key();
    let mut keys = named_keys(log)?;
    keys.retain(|key| key.name() == now.name() && *key != now);
    Ok(keys)
}

/// Keys of every origin that the log's own events name.
pub fn named_keys(log: &Log) -> Result<Vec<VerifierKey>, NotaryError> {
    let mut keys: Vec<VerifierKey> = Vec::new();
    let Ok(stream) = RecordId::try_new(KEYS_STREAM) else { return Ok(keys) };
    for (_, event) in log.history(&stream, 1, usize::MAX)? {
        let Body::Signing { key, before, .. } = event.body else { continue };
        for key in before.iter().chain([&key]).filter_map(|key| key.parse::<VerifierKey>().ok()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hms_sync_changelog::{MemoryDisk, seal};
    use hms_sync_model::{Event, EventId, Time};

    fn change(notary: &Notary, log: &Log, change: crate::change::KeyChange) {
        let record = RecordId::try_new(KEYS_STREAM).unwrap();
        let (version, prev) = log.last(&record).unwrap().unwrap_or((0, EventId::default()));
        let crate::change::KeyChange { key, before, words, last } = change;
        let body = Body::Signing { key, before, words, last };
        let (seq, version) = (log.head() + 1, version + 1);
        log.append(&[seal(&Event { seq, record, version, at: Time(1), prev, body }).unwrap()]).unwrap();
        notary.take_up(log).unwrap();
    }

    #[test]
    fn what_a_witness_signs_late_is_not_put_on_record_under_another_origin() {
        let (dir, log) = (tempfile::tempdir().unwrap(), Log::on(MemoryDisk::new()).unwrap());
        let notary = Notary::open(dir.path(), "Permits", Settings::default(), &log).unwrap();
        change(&notary, &log, notary.first_key(&log).unwrap().unwrap());
        let late = notary.sign(&log).unwrap();
        notary.keep_cosigned(&late).unwrap();
        change(&notary, &log, notary.next_origin(&log, None, "anew").unwrap());
        // Before the first checkpoint of the new origin, and after it.
        notary.keep_cosigned(&late).unwrap();
        assert_eq!(notary.checkpoints().unwrap(), []);
        let first = notary.sign(&log).unwrap();
        notary.keep_cosigned(&Signed { head: first.head, note: late.note }).unwrap();
        assert_eq!(notary.checkpoints().unwrap(), [first.head]);
    }
}
