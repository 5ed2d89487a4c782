//! automerge: a document for each record, one change an edit.

use crate::resolver::run::Library;
use crate::resolver::work::{ACTORS, FIELDS, Work};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, Change, ROOT, ReadDoc};

/// The library.
#[derive(Debug)]
pub struct Automerge;

impl Library for Automerge {
    type Doc = AutoCommit;

    fn name(&self) -> &'static str {
        "automerge"
    }

    fn messages(&self, work: &Work) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut messages = vec![Vec::new(); work.edits.len()];
        let mut piles: Vec<Vec<usize>> = vec![Vec::new(); work.records * ACTORS.len()];
        for (place, spec) in work.edits.iter().enumerate() {
            piles
                .get_mut(spec.record * ACTORS.len() + spec.actor)
                .into_iter()
                .for_each(|pile| pile.push(place));
        }
        for (actor, pile) in piles.iter().enumerate().map(|(at, pile)| (at % ACTORS.len(), pile)) {
            let name = ACTORS.get(actor).copied().unwrap_or_default();
            let mut doc = AutoCommit::new().with_actor(ActorId::from(name.as_bytes()));
            for place in pile {
                let (Some(spec), Some(message)) = (work.edits.get(*place), messages.get_mut(*place)) else {
                    continue;
                };
                let Some(field) = FIELDS.get(spec.field) else { continue };
                doc.put(ROOT, *field, spec.value.as_str())?;
                doc.commit();
                if let Some(mut change) = doc.get_last_local_change() {
                    *message = change.bytes().to_vec();
                }
            }
        }
        Ok(messages)
    }

    fn doc(&self) -> AutoCommit {
        AutoCommit::new()
    }

    fn take(&self, doc: &mut AutoCommit, message: &[u8]) -> anyhow::Result<()> {
        Ok(doc.apply_changes([Change::try_from(message)?])?)
    }

    fn take_all(&self, doc: &mut AutoCommit, messages: &[&[u8]]) -> anyhow::Result<()> {
        let changes: Result<Vec<Change>, _> =
            messages.iter().map(|message| Change::try_from(*message)).collect();
        Ok(doc.apply_changes(changes?)?)
    }

    fn read(&self, doc: &AutoCommit) -> usize {
        let of = |field: &&str| doc.get(ROOT, *field).ok().flatten();
        FIELDS.iter().map(|field| of(field).map_or(0, |(value, _)| value.as_str().map_or(0, str::len))).sum()
    }

    fn encoded(&self, doc: &AutoCommit) -> anyhow::Result<Vec<u8>> {
        Ok(doc.clone().save())
    }

    fn same(&self, one: &AutoCommit, other: &AutoCommit) -> bool {
        let of = |doc: &AutoCommit| {
            FIELDS.map(|field| {
                let all = doc.get_all(ROOT, field).unwrap_or_default();
                all.into_iter().map(|(value, _)| value.to_string()).collect::<Vec<_>>()
            })
        };
        of(one) == of(other)
    }
}
