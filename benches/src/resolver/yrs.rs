//! yrs: a document with a map for each record, updates in the first encoding.

use crate::resolver::run::Library;
use crate::resolver::work::{ACTORS, FIELDS, Work};
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, ReadTxn, StateVector, Transact, Update};

/// The library.
#[derive(Debug)]
pub struct Yrs;

const MAP: &str = "r";

impl Library for Yrs {
    type Doc = Doc;

    fn name(&self) -> &'static str {
        "yrs"
    }

    fn messages(&self, work: &Work) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut docs: Vec<Doc> = Vec::with_capacity(work.records * ACTORS.len());
        for place in 0..work.records * ACTORS.len() {
            docs.push(Doc::with_client_id(u64::try_from(place % ACTORS.len())? + 1));
        }
        let mut messages = Vec::with_capacity(work.edits.len());
        for spec in &work.edits {
            let (Some(doc), Some(field)) =
                (docs.get(spec.record * ACTORS.len() + spec.actor), FIELDS.get(spec.field))
            else {
                continue;
            };
            let map = doc.get_or_insert_map(MAP);
            let mut transaction = doc.transact_mut();
            map.insert(&mut transaction, *field, spec.value.as_str());
            messages.push(transaction.encode_update_v1());
        }
        Ok(messages)
    }

    fn doc(&self) -> Doc {
        Doc::with_client_id(9)
    }

    fn take(&self, doc: &mut Doc, message: &[u8]) -> anyhow::Result<()> {
        doc.transact_mut().apply_update(Update::decode_v1(message)?)?;
        Ok(())
    }

    fn take_all(&self, doc: &mut Doc, messages: &[&[u8]]) -> anyhow::Result<()> {
        let mut transaction = doc.transact_mut();
        for message in messages {
            transaction.apply_update(Update::decode_v1(message)?)?;
        }
        Ok(())
    }

    fn read(&self, doc: &Doc) -> usize {
        let map = doc.get_or_insert_map(MAP);
        let transaction = doc.transact();
        let of = |field: &&str| map.get(&transaction, field).map_or(0, |v| v.to_string(&transaction).len());
        FIELDS.iter().map(of).sum()
    }

    fn encoded(&self, doc: &Doc) -> anyhow::Result<Vec<u8>> {
        let (transaction, nothing) = (doc.transact(), StateVector::default());
        let first = transaction.encode_state_as_update_v1(&nothing);
        let second = transaction.encode_state_as_update_v2(&nothing);
        Ok(if second.len() < first.len() { second } else { first })
    }

    fn same(&self, one: &Doc, other: &Doc) -> bool {
        let of = |doc: &Doc| {
            let map = doc.get_or_insert_map(MAP);
            let transaction = doc.transact();
            FIELDS.map(|field| map.get(&transaction, field).map(|value| value.to_string(&transaction)))
        };
        of(one) == of(other)
    }
}
