//! loro: a document with a map for each record.

use crate::resolver::run::Library;
use crate::resolver::work::{ACTORS, FIELDS, Work};
use loro::{ExportMode, LoroDoc};

/// The library.
#[derive(Debug)]
pub struct Loro;

const MAP: &str = "r";

impl Library for Loro {
    type Doc = LoroDoc;

    fn name(&self) -> &'static str {
        "loro"
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
        // One document at a time: they are large.
        for (actor, pile) in piles.iter().enumerate().map(|(at, pile)| (at % ACTORS.len(), pile)) {
            let doc = LoroDoc::new();
            doc.set_peer_id(u64::try_from(actor)? + 1)?;
            for place in pile {
                let (Some(spec), Some(message)) = (work.edits.get(*place), messages.get_mut(*place)) else {
                    continue;
                };
                let Some(field) = FIELDS.get(spec.field) else { continue };
                let before = doc.oplog_vv();
                doc.get_map(MAP).insert(field, spec.value.as_str())?;
                doc.commit();
                *message = doc.export(ExportMode::updates(&before))?;
            }
        }
        Ok(messages)
    }

    fn doc(&self) -> LoroDoc {
        LoroDoc::new()
    }

    fn take(&self, doc: &mut LoroDoc, message: &[u8]) -> anyhow::Result<()> {
        doc.import(message)?;
        Ok(())
    }

    fn take_all(&self, doc: &mut LoroDoc, messages: &[&[u8]]) -> anyhow::Result<()> {
        let messages: Vec<Vec<u8>> = messages.iter().map(|message| message.to_vec()).collect();
        doc.import_batch(&messages)?;
        Ok(())
    }

    fn read(&self, doc: &LoroDoc) -> usize {
        let map = doc.get_map(MAP);
        let of = |field: &&str| map.get(field).and_then(|v| v.into_value().ok());
        let len = |field| of(field).and_then(|value| value.into_string().ok()).map_or(0, |text| text.len());
        FIELDS.iter().map(len).sum()
    }

    fn encoded(&self, doc: &LoroDoc) -> anyhow::Result<Vec<u8>> {
        let all = doc.export(ExportMode::all_updates())?;
        let snapshot = doc.export(ExportMode::Snapshot)?;
        Ok(if snapshot.len() < all.len() { snapshot } else { all })
    }

    fn same(&self, one: &LoroDoc, other: &LoroDoc) -> bool {
        one.get_deep_value() == other.get_deep_value()
    }
}
