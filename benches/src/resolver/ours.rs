//! Ours: edits as they stand in the change log, records as the resolver has them.

use crate::resolver::run::Library;
use crate::resolver::work::{ACTORS, FIELDS, Spec, Work};
use hms_sync_model::{
    Actor, Author, Change, Clock, Dot, Edit, EditRef, FieldName, SideName, Stamp, Time, Value, VecMap,
};
use hms_sync_resolver::{FieldRule, Record, Rules};
use std::collections::HashMap;

/// hms-sync's resolver.
#[derive(Debug)]
pub struct Ours {
    rules: Rules,
    actors: Vec<Actor>,
    fields: Vec<FieldName>,
}

impl Ours {
    /// With a rule for each field, as a configuration has them.
    pub fn new() -> anyhow::Result<Self> {
        let actors = ACTORS.iter().map(|name| Ok(Actor::side(SideName::try_new(*name)?)));
        let fields: anyhow::Result<Vec<FieldName>> =
            FIELDS.iter().map(|name| Ok(FieldName::try_new(*name)?)).collect();
        let fields = fields?;
        let mut rules = Rules::builder();
        for field in &fields {
            rules = rules.field(field.clone(), FieldRule::default());
        }
        Ok(Self { rules: rules.build()?, actors: actors.collect::<anyhow::Result<_>>()?, fields })
    }

    fn edit(&self, spec: &Spec, before: Value, n: u64) -> Option<Edit> {
        let (actor, field) = (self.actors.get(spec.actor)?.clone(), self.fields.get(spec.field)?.clone());
        let change = Change { before, after: Value::from(spec.value.as_str()) };
        let mut context = Clock::new();
        context.see(&actor, n - 1);
        Some(Edit {
            generation: 0,
            dot: Dot { actor, n },
            context,
            but: VecMap::new(),
            changes: [(field, change)].into_iter().collect(),
            deletes: false,
            stamp: Stamp { low: Time(spec.read), high: Time(spec.at) },
            certain: true,
        })
    }
}

impl Library for Ours {
    type Doc = Record;

    fn name(&self) -> &'static str {
        "hms-sync"
    }

    fn messages(&self, work: &Work) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut counts: HashMap<(usize, usize), u64> = HashMap::new();
        let mut last: HashMap<(usize, usize, usize), Value> = HashMap::new();
        let mut messages = Vec::with_capacity(work.edits.len());
        for spec in &work.edits {
            let n = counts.entry((spec.record, spec.actor)).or_default();
            *n += 1;
            let after = Value::from(spec.value.as_str());
            let before = last.insert((spec.record, spec.actor, spec.field), after).unwrap_or_default();
            if let Some(edit) = self.edit(spec, before, *n) {
                messages.push(rmp_serde::to_vec_named(&edit)?);
            }
        }
        Ok(messages)
    }

    fn doc(&self) -> Record {
        Record::default()
    }

    fn take(&self, doc: &mut Record, message: &[u8]) -> anyhow::Result<()> {
        match EditRef::read(message) {
            Some(edit) => doc.apply_ref(&self.rules, &edit)?,
            None => doc.apply(&self.rules, &rmp_serde::from_slice(message)?)?,
        }
        Ok(())
    }

    fn take_all(&self, doc: &mut Record, messages: &[&[u8]]) -> anyhow::Result<()> {
        let mut edits = Vec::with_capacity(messages.len());
        for message in messages {
            match EditRef::read(message) {
                Some(edit) => edits.push(edit),
                None => return messages.iter().try_for_each(|message| self.take(doc, message)),
            }
        }
        Ok(doc.apply_batch(&self.rules, &edits)?)
    }

    fn read(&self, doc: &Record) -> usize {
        doc.current(&self.rules).map(|(_, value)| value.as_text().map_or(0, str::len)).sum()
    }

    fn encoded(&self, doc: &Record) -> anyhow::Result<Vec<u8>> {
        Ok(rmp_serde::to_vec_named(doc)?)
    }

    fn same(&self, one: &Record, other: &Record) -> bool {
        one == other
    }
}

/// Bytes of a record that every side has seen, on average: its values are written down,
/// and what lost is in the log alone.
pub fn settled_bytes(work: &Work) -> anyhow::Result<f64> {
    let ours = Ours::new()?;
    let messages = ours.messages(work)?;
    let mut docs: Vec<Record> = (0..work.records).map(|_| ours.doc()).collect();
    for (spec, message) in work.edits.iter().zip(&messages) {
        docs.get_mut(spec.record).into_iter().try_for_each(|doc| ours.take(doc, message))?;
    }
    let mut bytes = 0;
    for doc in &mut docs {
        settle(&ours.rules, doc)?;
        bytes += ours.encoded(doc)?.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    Ok(bytes as f64 / work.records.max(1) as f64)
}

/// As the engine settles: every value once more, by somebody who has seen all.
fn settle(rules: &Rules, doc: &mut Record) -> anyhow::Result<()> {
    let actor = Actor { author: Author::Engine, epoch: 0 };
    let mut stamp = Stamp::default();
    let mut changes = VecMap::new();
    for field in doc.met() {
        let decision = doc.decide(rules, field);
        let winner = decision.siblings.iter().find(|(_, wins)| *wins).map(|(sibling, _)| sibling.stamp);
        stamp = winner.unwrap_or_default().max(stamp);
        changes.insert(field.clone(), Change { before: decision.value.clone(), after: decision.value });
    }
    let edit = Edit {
        generation: doc.generation,
        dot: Dot { n: doc.clock.count(&actor) + 1, actor },
        context: doc.clock.clone(),
        but: VecMap::new(),
        changes,
        deletes: false,
        stamp,
        certain: true,
    };
    Ok(doc.apply(rules, &edit)?)
}
