//! A page on its way to the machine. What a first listing shows is all new: each of its
//! records is taken apart where the page was received, beside the machine, and the document
//! ends there. Of any other page most records are as they were, which a look at the whole
//! document tells sooner than its fields do: those come as they are.
//!
//! Nothing is decided here, and nothing of the machine's state is known.

use crate::contract::{Contract, Extent, Fit, Refused, fit};
use crate::plan::{CollectionPlan, CollectionSide, Plan};
use crate::raw::RawHasher;
use hms_sync_connector::{Content, Observation, Page};
use hms_sync_model::{CollectionName, NativeId, RawHash, SideName, Tag, Time};
use serde_json::Value as Json;

/// A page as the machine is handed it.
#[derive(Debug)]
pub struct ShownPage {
    /// Without its records, if they were read.
    pub(crate) page: Page,
    read: Vec<Sight>,
}

impl From<Page> for ShownPage {
    /// As it came.
    fn from(page: Page) -> Self {
        Self { page, read: Vec::new() }
    }
}

impl ShownPage {
    /// The page that [`crate::Effect::Read`] asks for, with its records read if it says that they
    /// may be.
    pub fn read(plan: &Plan, place: (&SideName, &CollectionName), beforehand: bool, mut page: Page) -> Self {
        let Some(mut reader) = Reader::of(plan, place).filter(|_| beforehand) else { return page.into() };
        let read = std::mem::take(&mut page.records).into_iter().map(|record| reader.read(record)).collect();
        Self { page, read }
    }

    /// The same, letting others have the thread from time to time.
    pub(crate) async fn read_beside_others(
        plan: &Plan,
        place: (&SideName, &CollectionName),
        beforehand: bool,
        mut page: Page,
    ) -> Self {
        let Some(mut reader) = Reader::of(plan, place).filter(|_| beforehand) else { return page.into() };
        let mut read = Vec::with_capacity(page.records.len());
        for record in std::mem::take(&mut page.records) {
            read.push(reader.read(record));
            if read.len() % AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        Self { page, read }
    }

    /// Its records as they came; none if they were read.
    pub(crate) fn as_they_came(&self) -> &[Observation] {
        &self.page.records
    }

    /// The page without its records, and they.
    pub(crate) fn parts(mut self) -> (Page, Vec<Sight>) {
        let came = std::mem::take(&mut self.page.records).into_iter().map(Sight::AsItCame);
        let records = if self.read.is_empty() { came.collect() } else { self.read };
        (self.page, records)
    }
}

/// Records read before others may have the thread: some milliseconds at most.
const AT_ONCE: usize = 256;

/// One record of a page.
#[derive(Debug)]
pub(crate) enum Sight {
    AsItCame(Observation),
    Read(Box<Read>),
}

impl Sight {
    pub(crate) fn id(&self) -> &NativeId {
        match self {
            Self::AsItCame(seen) => &seen.id,
            Self::Read(read) => &read.id,
        }
    }
}

impl From<Observation> for Sight {
    fn from(seen: Observation) -> Self {
        Self::AsItCame(seen)
    }
}

/// A whole record that was read where it was received.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) id: NativeId,
    pub(crate) tag: Option<Tag>,
    pub(crate) modified: Option<Time>,
    pub(crate) fit: Result<Fit, Refused>,
    pub(crate) doc: Doc,
}

/// What is left of a record's document.
#[derive(Debug, Clone)]
pub(crate) enum Doc {
    /// All of it.
    Whole(Json),
    /// Its hash. Nothing if it has none.
    Hashed(Option<RawHash>),
}

/// Reads the records of one side's collection.
struct Reader<'a> {
    collection: &'a CollectionPlan,
    part: &'a CollectionSide,
    contract: Contract,
    hasher: RawHasher,
}

impl<'a> Reader<'a> {
    /// Nothing if the plan has no such collection there.
    fn of(plan: &'a Plan, (side, name): (&SideName, &CollectionName)) -> Option<Self> {
        let collection = plan.collections.get(name)?;
        let part = collection.sides.get(side)?;
        Some(Self { collection, part, contract: Contract::default(), hasher: RawHasher::default() })
    }

    fn read(&mut self, seen: Observation) -> Sight {
        let Observation { id, tag, modified, content } = seen;
        match content {
            Content::Whole(doc) => {
                let fit = fit(&self.contract, &self.collection.identity, self.part, &doc, Extent::Listed);
                let doc = Doc::Hashed(self.hasher.plain(&doc));
                Sight::Read(Box::new(Read { id, tag, modified, fit, doc }))
            }
            content => Sight::AsItCame(Observation { id, tag, modified, content }),
        }
    }
}
