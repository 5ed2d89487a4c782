//! The promises every connector keeps, run against a real side (or a double of
//! one) that may be written to. What a connector does not claim in its
//! [`Abilities`] is not asked of it.
//!
//! Nothing here waits, retries or panics: a broken promise is a [`Broken`].

use crate::{
    Abilities, Connector, Content, Cursor, LookupRequest, Observation, ReadRequest, Scope, Shaped, Target,
    WriteRequest,
};
use hms_sync_model::{CollectionName, IdempotencyKey, NativeId, Outcome, Written};
use serde_json::Value as Json;

/// A listing that is longer is no place to try this.
const MAX_PAGES: usize = 10_000;

/// What is written to the side to try it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// A record that the side takes, and keeps as it is given.
    pub create: Json,
    /// Fields to change it by.
    pub update: Json,
    /// Other values of the same fields.
    pub update_again: Json,
    /// The identity of `create`, as for a lookup.
    pub identity: Json,
    /// An id in the side's form that no record has.
    pub unknown: NativeId,
    /// Beginning of the idempotency keys; another one for each run.
    pub keys: String,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a connector's promise is broken: {promise}; found {found}")]
pub struct Broken {
    /// What every connector promises.
    pub promise: &'static str,
    /// What happened instead.
    pub found: String,
}

/// Tries every promise; answers with those that could be tried. The side is left
/// as it was, but for what it remembers of deleted records.
pub async fn conformance(
    connector: &dyn Connector,
    collection: &CollectionName,
    sample: &Sample,
) -> Result<Vec<&'static str>, Broken> {
    let abilities = connector.abilities(collection);
    let mut trial = Trial { connector, collection, sample, abilities, kept: Vec::new() };
    trial.reached().await?;
    trial.strangers().await?;
    if abilities.create {
        let id = trial.created().await?;
        trial.found(&id).await?;
        trial.updated(&id).await?;
        trial.guarded(&id).await?;
        trial.deleted(&id).await?;
    }
    Ok(trial.kept)
}

struct Trial<'t> {
    connector: &'t dyn Connector,
    collection: &'t CollectionName,
    sample: &'t Sample,
    abilities: Abilities,
    kept: Vec<&'static str>,
}

impl Trial<'_> {
    fn keep(&mut self, promise: &'static str, kept: bool, found: impl std::fmt::Debug) -> Result<(), Broken> {
        if !kept {
            return Err(Broken { promise, found: format!("{found:?}") });
        }
        self.kept.push(promise);
        Ok(())
    }

    async fn reached(&mut self) -> Result<(), Broken> {
        let answer = self.connector.check(self.collection).await;
        self.keep("`check` answers with a line", answer.as_ref().is_ok_and(|line| !line.is_empty()), answer)
    }

    /// Ids that the side does not know.
    async fn strangers(&mut self) -> Result<(), Broken> {
        let id = self.sample.unknown.clone();
        if self.abilities.fetch {
            let seen = self.connector.fetch(self.collection.clone(), id.clone()).await;
            let gone = seen.as_ref().is_ok_and(|seen| seen.content == Content::Gone && seen.id == id);
            self.keep("reading an unknown id says that it is gone", gone, seen)?;
        }
        if self.abilities.update {
            let target = Target::Update(id.clone(), None);
            let outcome = self.write(target, &self.sample.update, "unknown-update").await?;
            self.keep("changing an unknown id says that it is gone", outcome == Outcome::Gone, outcome)?;
        }
        if self.abilities.delete {
            let outcome = self.write(Target::Delete(id, None), &Json::Null, "unknown-delete").await?;
            self.keep("deleting an unknown id has nothing to do", outcome == Outcome::Noop, outcome)?;
        }
        Ok(())
    }

    async fn created(&mut self) -> Result<NativeId, Broken> {
        let sample = self.sample;
        let outcome = self.write(Target::Create, &sample.create, "create").await?;
        let Outcome::Applied(Written { id, .. }) = outcome else {
            return Err(Broken { promise: "a create is applied", found: format!("{outcome:?}") });
        };
        self.kept.push("a create is applied");
        if self.abilities.idempotency_key {
            let again = self.write(Target::Create, &sample.create, "create").await?;
            let same = matches!(&again, Outcome::Applied(written) if written.id == id);
            self.keep("the same key again makes the same record", same, again)?;
        }
        Ok(id)
    }

    async fn found(&mut self, id: &NativeId) -> Result<(), Broken> {
        let sample = self.sample;
        self.shows(id, &sample.create, "a created record is read as it was written").await?;
        if self.abilities.read {
            let (seen, _) = self.list(Scope::Everything).await?;
            let times = seen.iter().filter(|seen| seen.id == *id).count();
            self.keep("a listing of everything has a created record", times >= 1, times)?;
            if self.abilities.idempotency_key {
                let held = |seen: &&Observation| matches!(&seen.content, Content::Whole(doc) if holds(doc, &sample.identity));
                let mut ids: Vec<_> = seen.iter().filter(held).map(|seen| seen.id.clone()).collect();
                ids.sort_unstable();
                ids.dedup();
                self.keep("the same key again makes no second record", ids.len() == 1, ids)?;
            }
        }
        if self.abilities.lookup {
            let request =
                LookupRequest { collection: self.collection.clone(), identity: sample.identity.clone() };
            let found = self.connector.lookup(request).await;
            let one = found.as_ref().is_ok_and(|found| matches!(found.as_slice(), [seen] if seen.id == *id));
            self.keep("a lookup finds a created record, and nothing else", one, found)?;
        }
        Ok(())
    }

    async fn updated(&mut self, id: &NativeId) -> Result<(), Broken> {
        if !self.abilities.update {
            return Ok(());
        }
        let sample = self.sample;
        let before = if self.abilities.read { self.list(Scope::Everything).await?.1 } else { None };
        let outcome = self.write(Target::Update(id.clone(), None), &sample.update, "update").await?;
        let applied = matches!(&outcome, Outcome::Applied(written) if written.id == *id);
        self.keep("an update is applied to its record", applied, outcome)?;
        self.shows(id, &sample.update, "an updated record is read as it was written").await?;
        if self.abilities.incremental {
            let Some(cursor) = before else {
                let found = "no cursor".to_owned();
                return Err(Broken { promise: "a whole listing gives a cursor to go on from", found });
            };
            let (seen, _) = self.list(Scope::Since(cursor)).await?;
            let changed = |seen: &Observation| matches!(&seen.content, Content::Whole(doc) if holds(doc, &sample.update));
            let has = seen.iter().any(|seen| seen.id == *id && changed(seen));
            self.keep("a listing since a cursor has what changed after it", has, seen.len())?;
        }
        Ok(())
    }

    /// A write for a version that is no more.
    async fn guarded(&mut self, id: &NativeId) -> Result<(), Broken> {
        if !(self.abilities.precondition && self.abilities.fetch && self.abilities.update) {
            return Ok(());
        }
        let sample = self.sample;
        let seen = self.connector.fetch(self.collection.clone(), id.clone()).await;
        let Some(tag) = seen.ok().and_then(|seen| seen.tag) else { return Ok(()) };
        let target = Target::Update(id.clone(), Some(tag));
        let first = self.write(target.clone(), &sample.update_again, "guarded").await?;
        self.keep("a write for the current version is applied", matches!(first, Outcome::Applied(_)), first)?;
        let stale = self.write(target, &sample.update, "stale").await?;
        self.keep(
            "a write for an old version is a conflict",
            matches!(stale, Outcome::Conflict { .. }),
            stale,
        )?;
        self.shows(id, &sample.update_again, "a conflict changes nothing").await
    }

    async fn deleted(&mut self, id: &NativeId) -> Result<(), Broken> {
        if !self.abilities.delete {
            return Ok(());
        }
        let target = Target::Delete(id.clone(), None);
        let outcome = self.write(target.clone(), &Json::Null, "delete").await?;
        self.keep("a delete is applied", matches!(outcome, Outcome::Applied(_)), outcome)?;
        let again = self.write(target, &Json::Null, "delete-again").await?;
        self.keep("a second delete has nothing to do", again == Outcome::Noop, again)?;
        if self.abilities.fetch {
            let seen = self.connector.fetch(self.collection.clone(), id.clone()).await;
            let gone = seen.as_ref().is_ok_and(|seen| seen.content == Content::Gone);
            self.keep("a deleted record is read as gone", gone, seen)?;
        }
        Ok(())
    }

    async fn shows(&mut self, id: &NativeId, fields: &Json, promise: &'static str) -> Result<(), Broken> {
        if !self.abilities.fetch {
            return Ok(());
        }
        let seen = self.connector.fetch(self.collection.clone(), id.clone()).await;
        let shown = matches!(&seen, Ok(Observation { id: other, content: Content::Whole(doc), .. })
            if other == id && holds(doc, fields));
        self.keep(promise, shown, seen)
    }

    async fn write(&self, target: Target, fields: &Json, key: &str) -> Result<Outcome, Broken> {
        let key = IdempotencyKey::try_new(format!("{}-{key}", self.sample.keys));
        let key =
            key.map_err(|e| Broken { promise: "the sample's keys can be keys", found: e.to_string() })?;
        let (collection, whole) = (self.collection.clone(), Shaped::from(fields.clone()));
        let changed = whole.clone();
        Ok(self.connector.write(WriteRequest { collection, target, changed, whole, former: None, key }).await)
    }

    /// A pass to its end.
    async fn list(&self, scope: Scope) -> Result<(Vec<Observation>, Option<Cursor>), Broken> {
        const PROMISE: &str = "a listing can be read to its end";
        let (mut seen, mut cursor, mut after) = (Vec::new(), None, None);
        for _ in 0..MAX_PAGES {
            let request = ReadRequest { collection: self.collection.clone(), scope: scope.clone(), after };
            let page = self.connector.read(request).await;
            let page = page.map_err(|e| Broken { promise: PROMISE, found: e.to_string() })?;
            seen.extend(page.records);
            cursor = page.cursor.or(cursor);
            after = page.next;
            if after.is_none() {
                return Ok((seen, cursor));
            }
        }
        Err(Broken { promise: PROMISE, found: format!("more than {MAX_PAGES} pages") })
    }
}

/// Whether `doc` has all members of `fields` with their values.
fn holds(doc: &Json, fields: &Json) -> bool {
    match (doc, fields) {
        (Json::Object(doc), Json::Object(fields)) => {
            fields.iter().all(|(name, wanted)| doc.get(name).is_some_and(|there| holds(there, wanted)))
        }
        (doc, wanted) => doc == wanted,
    }
}
