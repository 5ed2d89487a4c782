//! The first key, another key, another origin: each is an event of the log before it is
//! used. The new key waits in a file of its own; the log's event about it decides whether
//! it is taken up, also after a crash between the two.
//!
//! What never happens here: signing with a key that the log does not name.

use crate::error::NotaryError;
use crate::folder;
use crate::key;
use crate::notary::{Notary, State, named_keys};
use hms_sync_changelog::Log;
use hms_sync_model::{Body, KEYS_STREAM, RecordId};
use hms_sync_proof::{KeyName, Signer};

/// Letters of the random end of an origin.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What an event is to say before a new key is taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The new verifier key.
    pub key: String,
    /// The one until now.
    pub before: Option<String>,
    /// Why.
    pub words: String,
    /// The last checkpoint under an origin that ends.
    pub last: Option<String>,
}

impl Notary {
    /// At a start: ends a change that was cut off, and makes the first key if there is none.
    /// Answers what is to be recorded before [`Notary::take_up`].
    pub fn first_key(&self, log: &Log) -> Result<Option<KeyChange>, NotaryError> {
        if self.is_recorded(log)? {
            self.take_up(log)?;
        } else if self.state().signer.is_some() {
            folder::remove(&self.folder().next_key())?;
        }
        if self.state().signer.is_some() || key::read(&self.folder().key())?.is_some() {
            return Ok(None);
        }
        if !self.folder().last_notes()?.is_empty() {
            // Checkpoints and no key: somebody took it away.
            return Err(NotaryError::NoKey);
        }
        let next = match key::read(&self.folder().next_key())? {
            Some(next) => next,
            None => key::make(&self.folder().next_key(), &self.origin(None)?)?,
        };
        self.folder().sync()?;
        let key = next.verifier_key().to_string();
        Ok(Some(KeyChange { key, before: None, words: "first start".to_owned(), last: None }))
    }

    /// Makes another key under the same origin.
    pub fn next_key(&self, words: &str) -> Result<KeyChange, NotaryError> {
        let name = self.signer(|signer| signer.name().clone())?;
        self.prepare(&name, words, None)
    }

    /// Makes a key under another origin: what was signed until now is no longer continued.
    ///
    /// # Errors
    /// [`NotaryError::UsedOrigin`] for a name that the log has or had: there are checkpoints
    /// under it already, which the next would not continue.
    pub fn next_origin(
        &self,
        log: &Log,
        origin: Option<KeyName>,
        words: &str,
    ) -> Result<KeyChange, NotaryError> {
        let name = self.origin(origin)?;
        let present = self.signer(Signer::verifier_key)?;
        if named_keys(log)?.iter().chain([&present]).any(|key| *key.name() == name) {
            return Err(NotaryError::UsedOrigin { name: name.to_string() });
        }
        let last = self.last().map(|signed| signed.note.to_string());
        self.prepare(&name, words, last)
    }

    fn prepare(&self, name: &KeyName, words: &str, last: Option<String>) -> Result<KeyChange, NotaryError> {
        let before = self.signer(|signer| signer.verifier_key().to_string())?;
        if std::mem::replace(&mut self.state().changing, true) {
            return Err(NotaryError::Changing);
        }
        let made = folder::remove(&self.folder().next_key())
            .and_then(|()| key::make(&self.folder().next_key(), name))
            .and_then(|next| self.folder().sync().map(|()| next));
        let next = made.inspect_err(|_| self.state().changing = false)?;
        let key = next.verifier_key().to_string();
        Ok(KeyChange { key, before: Some(before), words: words.to_owned(), last })
    }

    /// The engine will not record the event: the new key is dropped, unless the log names it
    /// all the same. Answers whether it was dropped.
    pub fn give_up(&self, log: &Log) -> Result<bool, NotaryError> {
        let mut state = self.state();
        if self.is_recorded(log)? {
            return Ok(false);
        }
        folder::remove(&self.folder().next_key())?;
        state.changing = false;
        Ok(true)
    }

    /// Takes the new key up, after the event about it is durable. Nothing is signed in between:
    /// if it is cut off by an error, the next checkpoint goes on with it first.
    pub fn take_up(&self, log: &Log) -> Result<(), NotaryError> {
        let mut state = self.state();
        if !self.is_recorded(log)? {
            return Err(NotaryError::NoKey);
        }
        (state.moving, state.changing) = (true, true);
        self.move_in(&mut state, log)
    }

    /// Puts the key that waits in the place of the old one. Again after an error, it ends the same.
    pub(crate) fn move_in(&self, state: &mut State, log: &Log) -> Result<(), NotaryError> {
        let (path, next_path) = (self.folder().key(), self.folder().next_key());
        if let Some(next) = key::read(&next_path)? {
            if let Some(now) = key::read(&path)?
                && now.name() != next.name()
            {
                self.folder().lay_aside(now.verifier_key().id())?;
            }
            std::fs::rename(&next_path, &path).map_err(NotaryError::io("rename", &next_path))?;
        }
        self.folder().sync()?;
        let loaded = self.load(state, log);
        // What is wrong with the record of checkpoints is no reason to move in again.
        if matches!(loaded, Ok(()) | Err(NotaryError::Refused(_))) {
            (state.moving, state.changing) = (false, false);
        }
        loaded
    }

    /// Whether the log's last word about keys is the key that waits.
    fn is_recorded(&self, log: &Log) -> Result<bool, NotaryError> {
        let Some(next) = key::read(&self.folder().next_key())? else { return Ok(false) };
        let Ok(stream) = RecordId::try_new(KEYS_STREAM) else { return Ok(false) };
        let Some((version, _)) = log.last(&stream)? else { return Ok(false) };
        let last = log.history(&stream, version, 1)?.pop();
        let wanted = next.verifier_key().to_string();
        Ok(last.is_some_and(|(_, event)| matches!(event.body, Body::Signing { key, .. } if key == wanted)))
    }

    fn signer<T>(&self, ask: impl FnOnce(&Signer) -> T) -> Result<T, NotaryError> {
        self.state().signer.as_ref().map(ask).ok_or(NotaryError::NoKey)
    }

    /// The name of the log: the one asked for, the configured one, or one that no other has.
    fn origin(&self, asked: Option<KeyName>) -> Result<KeyName, NotaryError> {
        if let Some(name) = asked.or_else(|| self.settings().origin.clone()) {
            return Ok(name);
        }
        let mut bytes = [0; 12];
        getrandom::fill(&mut bytes).map_err(|why| NotaryError::Random { why: why.to_string() })?;
        let letter =
            |byte: &u8| LETTERS.get(usize::from(byte & 31)).map_or('0', |letter| char::from(*letter));
        let end: String = bytes.iter().map(letter).collect();
        let name = format!("{}/{end}", self.sync_name());
        name.parse().map_err(|source| NotaryError::Origin { name, source })
    }
}
