//! Partition routers: what a stream is listed by, parent by parent or value by value.

use super::added::{What, added};
use super::errors::listed;
use super::refs::{BadRef, Part};
use super::values::Listed;
use super::words::escaped;
use super::{Import, keys, slug, texts};
use crate::out::{Item, Out};

/// Airbyte's name of it.
const SUBSTREAM: &str = "SubstreamPartitionRouter";

/// The same for the parents of several routers together.
pub(super) const UNION: &str = "UnionPartitionRouter";

/// So deep may parents have parents.
const MAX_DEPTH: usize = 4;

impl Import {
    /// It has Airbyte's names with us too. A parent is named if it is a collection itself, and
    /// else stands there whole.
    pub(super) fn router(
        &mut self,
        stream: &Part<'_>,
        router: &Part<'_>,
        of: &str,
    ) -> Result<Option<Item>, BadRef> {
        let place = format!("`partition_router` of {of}");
        let Some(routers) = router.elements()? else {
            let one = self.one_router(stream, router, &place)?;
            return Ok(one.map(|items| Item::new(router.at, "partition_router", Out::Map(items))));
        };
        let mut all = Vec::new();
        for one in &routers {
            all.extend(self.one_router(stream, one, &place)?.map(Out::Map));
        }
        let out = match all.len() {
            0 => return Ok(None),
            1 => all.remove(0),
            _ => Out::List(all),
        };
        Ok(Some(Item::new(router.at, "partition_router", out)))
    }

    fn one_router(
        &mut self,
        stream: &Part<'_>,
        router: &Part<'_>,
        place: &str,
    ) -> Result<Option<Vec<Item>>, BadRef> {
        let kind = router.kind()?;
        let has_parents = router.own("parent_stream_configs")?.is_some();
        let is_code = kind.starts_with("Custom");
        let (ours, mut items) = match kind.as_str() {
            "" if has_parents => (SUBSTREAM, self.parents(stream, router, place)?),
            "" if router.own("values")?.is_some() => ("ListPartitionRouter", self.values(router, place)?),
            // What stands beside the code is taken as usual, and the code named.
            _ if is_code && has_parents => (SUBSTREAM, self.parents(stream, router, place)?),
            SUBSTREAM => (SUBSTREAM, self.parents(stream, router, place)?),
            "ListPartitionRouter" => ("ListPartitionRouter", self.values(router, place)?),
            UNION => (SUBSTREAM, self.union(stream, router, place)?),
            kind => {
                let what = match kind {
                    _ if is_code => {
                        "left out: it is code of Airbyte's; say by `partition_router` what it lists for: a parent's records, or values"
                            .to_owned()
                    }
                    "GroupingPartitionRouter" => {
                        "left out: a request is for one parent, not for a group of them; add the router that is grouped, and name its partition in the request"
                            .to_owned()
                    }
                    kind => format!("left out: we have no `{kind}`"),
                };
                self.notes.lost(router.at, place, what);
                return Ok(None);
            }
        };
        if items.is_empty() {
            return Ok(None);
        }
        items.insert(0, Item::new(router.at, "type", Out::text(ours)));
        items.extend(record_field(stream, router)?);
        Ok(Some(items))
    }

    fn values(&mut self, router: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        self.known(router, place, keys::VALUES);
        let mut items = Vec::new();
        if let Some(given) = router.own("values")? {
            let given = given.handed().unwrap_or(given);
            if given.elements()?.is_none() {
                items.extend(self.listed_for(&given, place));
                if items.is_empty() {
                    return Ok(items);
                }
            } else {
                items.extend(self.same(&given, place, 0)?.map(|value| Item::new(given.at, "values", value)));
            }
        }
        if let Some(given) = router.own("cursor_field")? {
            items.extend(
                self.plain(&given, place).map(|text| Item::new(given.at, "partition_field", Out::Text(text))),
            );
        }
        items.extend(self.inject(router, place)?);
        Ok(items)
    }

    /// The values where they are an expression.
    fn listed_for(&mut self, given: &Part<'_>, place: &str) -> Option<Item> {
        let text = given.text().unwrap_or_default();
        let (way, otherwise) = match Listed::read(&text) {
            Some(Listed::Known(values)) if !values.is_empty() => {
                let values = values.iter().map(|value| Out::Text(escaped(value))).collect();
                return Some(Item::new(given.at, "values", Out::List(values)));
            }
            Some(Listed::Chosen(way, otherwise)) => (way, otherwise.filter(|text| !text.is_empty())),
            Some(Listed::Known(_)) | None => {
                let instead = "left out: its `values` are what people choose: write them out as a list, and name the partition in the request";
                self.notes.lost(given.at, place, instead);
                return None;
            }
        };
        let title = "The values that there is a listing for, with commas between them";
        let variable = match otherwise {
            Some(otherwise) => self.variables.of(&way, Some(&otherwise)),
            None => self.variables.chosen(&way, title, true),
        };
        let name = variable.trim_start_matches("${").split([':', '}']).next().unwrap_or_default();
        let instead = format!(
            "its `values` are what people choose: set {name} to them with commas between them, or write them out as a list"
        );
        self.notes.chose(given.at, format!("`values` in {place}"), instead);
        Some(Item::new(given.at, "values", Out::Text(variable)))
    }

    fn parents(&mut self, stream: &Part<'_>, router: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        self.known(router, place, keys::SUBSTREAM);
        let parents = router.own("parent_stream_configs")?.map(|list| list.elements()).transpose()?.flatten();
        let parents = parents.unwrap_or_default();
        if let [parent] = parents.as_slice() {
            return self.one_parent(stream, parent, place);
        }
        let mut kinds = Vec::new();
        for parent in &parents {
            kinds.extend(Some(self.one_parent(stream, parent, place)?).filter(|items| !items.is_empty()));
        }
        Ok(match kinds.len() {
            0 | 1 => kinds.pop().unwrap_or_default(),
            _ => {
                let kinds = Out::List(kinds.into_iter().map(Out::Map).collect());
                vec![Item::new(router.at, "parent_stream_configs", kinds)]
            }
        })
    }

    /// Parents of several routers under one name: parents of several kinds.
    fn union(&mut self, stream: &Part<'_>, router: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        self.known(router, place, keys::UNION);
        let Some(name) = router.word("partition_field")? else {
            self.notes.lost(router.at, place, "left out: it has no `partition_field`");
            return Ok(Vec::new());
        };
        let mut kinds = Vec::new();
        for one in listed(router, "partition_routers")? {
            let parents = listed(&one, "parent_stream_configs")?;
            if parents.is_empty() {
                let instead = "left out: it lists for values and for a parent's records together; make each a collection of its own";
                self.notes.lost(one.at, place, instead);
                return Ok(Vec::new());
            }
            for parent in &parents {
                let mut items = self.one_parent(stream, parent, place)?;
                if items.is_empty() {
                    return Ok(Vec::new());
                }
                items.retain(|item| item.key != "partition_field");
                items.push(Item::new(router.at, "partition_field", Out::text(&name)));
                kinds.push(Out::Map(items));
            }
        }
        if kinds.is_empty() {
            self.notes.lost(router.at, place, "left out: it names no router");
            return Ok(Vec::new());
        }
        let instead = "a parent that several of its routers have is listed for once for each of them";
        self.notes.chose(router.at, place, instead);
        Ok(vec![Item::new(router.at, "parent_stream_configs", Out::List(kinds))])
    }

    fn one_parent(&mut self, stream: &Part<'_>, parent: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        self.known(parent, place, keys::PARENT);
        let Some(given) = parent.own("stream")? else {
            self.notes.lost(parent.at, place, "left out: it names no parent");
            return Ok(Vec::new());
        };
        let Some(listed) = self.parent(stream, &given, place)? else { return Ok(Vec::new()) };
        let mut items = vec![listed];
        for key in ["parent_key", "partition_field"] {
            let Some(part) = parent.own(key)? else { continue };
            let Some(text) = self.plain(&part, place) else { continue };
            let mut added = added(&given)?;
            added.retain(|_| key == "parent_key");
            // What is made of the records of a collection is theirs; parents that are only listed
            // have what the side shows.
            if matches!(items.first(), Some(Item { value: Out::Text(_), .. })) {
                let told = std::mem::take(&mut self.unmakeable);
                self.makeable(&given, &mut added)?;
                self.unmakeable = told;
            }
            let value = match added.into_iter().find(|one| one.name() == Some(&text)).map(|one| one.what) {
                // The parent's records have it elsewhere.
                Some(What::Copy(way)) => Out::List(way.into_iter().map(Out::Text).collect()),
                Some(What::Computed) => {
                    let instead = format!(
                        "left out: its parents' `{text}` is computed by `AddFields`, and in none of their records"
                    );
                    self.notes.lost(part.at, place, instead);
                    return Ok(Vec::new());
                }
                Some(What::Again | What::Partition(_) | What::Made(_)) | None => Out::Text(text),
            };
            items.push(Item::new(part.at, key, value));
        }
        if let Some(extra) = parent.own("extra_fields")? {
            items
                .extend(self.same(&extra, place, 0)?.map(|value| Item::new(extra.at, "extra_fields", value)));
        }
        items.extend(self.inject(parent, place)?);
        Ok(items)
    }

    /// A collection by its name, or how the parents are listed.
    fn parent(&mut self, child: &Part<'_>, parent: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let name = parent.word("name")?.unwrap_or_default();
        if !name.is_empty()
            && self.streams.contains(&slug(&name))
            && child.word("name")? != Some(name.clone())
        {
            return Ok(Some(Item::new(parent.at, "parent_stream", Out::Text(slug(&name)))));
        }
        let retriever = parent.own("retriever")?;
        let requester = retriever.as_ref().map(|retriever| retriever.own("requester")).transpose()?.flatten();
        let (Some(retriever), Some(requester)) = (retriever, requester) else {
            self.notes.lost(parent.at, place, "left out: its parent is no listing over HTTP");
            return Ok(None);
        };
        if place.matches("the parent of").count() >= MAX_DEPTH {
            self.notes.lost(parent.at, place, "left out: its parents have parents too deep");
            return Ok(None);
        }
        let of = format!("the parent of {}", place.trim_start_matches("`partition_router` of "));
        self.known(&retriever, &of, keys::RETRIEVER);
        self.known(&requester, &of, keys::REQUESTER);
        let child_heads = std::mem::take(&mut self.heads);
        let there = self.side(&requester, &of)?;
        let heads = std::mem::replace(&mut self.heads, child_heads);
        let Some(there) = there else { return Ok(None) };
        let url = texts(&there.items, "url").concat();
        if url != self.url {
            let instead = format!("left out: its parent is at another URL, {url}");
            self.notes.lost(requester.at, place, instead);
            return Ok(None);
        }
        let above = std::mem::take(&mut self.variables.grandparents);
        let made = std::mem::take(&mut self.made);
        let child_heads = std::mem::replace(&mut self.heads, heads);
        let mut read = self.read(parent, &retriever, &requester, there.path, &of)?;
        self.head(&mut read);
        self.heads = child_heads;
        self.made = made;
        if !std::mem::replace(&mut self.variables.grandparents, above).is_empty() {
            self.notes.lost(parent.at, place, "left out: its parent names a key of its own parent's parent");
            return Ok(None);
        }
        read.extend(there.more);
        super::forms::typed(&mut read);
        // Parents are always listed whole.
        read.retain(|item| {
            !matches!(item.key.as_str(), "incremental_sync" | "poll_interval" | "full_interval")
        });
        Ok(Some(Item::new(parent.at, "parent_stream", Out::Map(read))))
    }

    /// Where in a request the partition goes.
    fn inject(&mut self, part: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let Some(option) = part.own("request_option")? else { return Ok(None) };
        let said = self.option(&option, place)?;
        Ok(said.map(|said| Item::new(option.at, "request_option", said)))
    }
}

/// `AddFields` of the partition: where the record gets it.
fn record_field(stream: &Part<'_>, router: &Part<'_>) -> Result<Option<Item>, BadRef> {
    let named = named_by(router)?;
    let found = added(stream)?.into_iter().find_map(|one| match one.what {
        What::Partition(name) if named.contains(&name) && !one.path.is_empty() => {
            let path = one.path.into_iter().map(Out::Text).collect();
            Some(Item::new(one.of.at, "record_field", Out::List(path)))
        }
        _ => None,
    });
    Ok(found)
}

/// What the partitions of a stream are called.
pub(super) fn fields_of(stream: &Part<'_>) -> Result<Vec<String>, BadRef> {
    let retriever = stream.get("retriever")?;
    let router = retriever.map(|retriever| retriever.own("partition_router")).transpose()?.flatten();
    let Some(router) = router else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for one in router.elements()?.unwrap_or_else(|| vec![router.clone()]) {
        all.extend(named_by(&one)?);
    }
    Ok(all)
}

/// What the partitions of a router are called.
pub(super) fn named_by(router: &Part<'_>) -> Result<Vec<String>, BadRef> {
    // The parts of a union are all called as it is.
    if router.kind()? == UNION {
        return Ok(router.word("partition_field")?.into_iter().collect());
    }
    let mut all: Vec<String> =
        router.own("cursor_field")?.and_then(|field| field.text()).into_iter().collect();
    for parent in listed(router, "parent_stream_configs")? {
        all.extend(parent.word("partition_field")?);
    }
    Ok(all)
}
