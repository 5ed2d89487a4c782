//! crdts: a map of multi-value registers, operations and states as MessagePack.

use crate::resolver::run::Library;
use crate::resolver::work::{ACTORS, FIELDS, Work};
use crdts::{CmRDT, MVReg, Map};

type Doc = Map<String, MVReg<String, String>, String>;

/// The library.
#[derive(Debug)]
pub struct Crdts;

impl Library for Crdts {
    type Doc = Doc;

    fn name(&self) -> &'static str {
        "crdts"
    }

    fn messages(&self, work: &Work) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut docs: Vec<Doc> = vec![Doc::new(); work.records * ACTORS.len()];
        let mut messages = Vec::with_capacity(work.edits.len());
        for spec in &work.edits {
            let (Some(doc), Some(actor), Some(field)) = (
                docs.get_mut(spec.record * ACTORS.len() + spec.actor),
                ACTORS.get(spec.actor),
                FIELDS.get(spec.field),
            ) else {
                continue;
            };
            let context = doc.read_ctx().derive_add_ctx((*actor).to_owned());
            let op =
                doc.update(*field, context, |register, context| register.write(spec.value.clone(), context));
            messages.push(rmp_serde::to_vec(&op)?);
            doc.apply(op);
        }
        Ok(messages)
    }

    fn doc(&self) -> Doc {
        Doc::new()
    }

    fn take(&self, doc: &mut Doc, message: &[u8]) -> anyhow::Result<()> {
        doc.apply(rmp_serde::from_slice(message)?);
        Ok(())
    }

    fn read(&self, doc: &Doc) -> usize {
        let of = |field: &&str| doc.get(&(*field).to_owned()).val.map_or_else(Vec::new, |reg| reg.read().val);
        FIELDS.iter().map(|field| of(field).iter().map(String::len).sum::<usize>()).sum()
    }

    fn encoded(&self, doc: &Doc) -> anyhow::Result<Vec<u8>> {
        Ok(rmp_serde::to_vec(doc)?)
    }

    fn same(&self, one: &Doc, other: &Doc) -> bool {
        one == other
    }
}
