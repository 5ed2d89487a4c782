//! Partition routers: what a stream is listed by, parent by parent or value by value.

use super::refs::{BadRef, Part};
use super::{Import, keys, slug, texts};
use crate::out::{Item, Out};

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
        let mut items = match router.kind()?.as_str() {
            "SubstreamPartitionRouter" => self.parents(stream, router, place)?,
            "ListPartitionRouter" => self.values(router, place)?,
            kind => {
                let what = if kind.starts_with("Custom") {
                    "left out: it is code of Airbyte's".to_owned()
                } else {
                    format!("left out: we have no `{kind}`")
                };
                self.notes.lost(router.at, place, what);
                return Ok(None);
            }
        };
        if items.is_empty() {
            return Ok(None);
        }
        items.insert(0, Item::new(router.at, "type", Out::Text(router.kind()?)));
        items.extend(record_field(stream)?);
        Ok(Some(items))
    }

    fn values(&mut self, router: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        self.known(router, place, keys::VALUES);
        let mut items = Vec::new();
        if let Some(given) = router.own("values")? {
            // `{{ config['regions'] }}`: a list that is not known here.
            if given.elements()?.is_none() {
                self.notes.lost(given.at, place, "left out: `values` is no list here; write it out");
                return Ok(items);
            }
            items.extend(self.same(&given, place, 0)?.map(|value| Item::new(given.at, "values", value)));
        }
        if let Some(given) = router.own("cursor_field")? {
            items.extend(
                self.plain(&given, place).map(|text| Item::new(given.at, "partition_field", Out::Text(text))),
            );
        }
        items.extend(self.inject(router, place)?);
        Ok(items)
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

    fn one_parent(&mut self, stream: &Part<'_>, parent: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        self.known(parent, place, keys::PARENT);
        let Some(given) = parent.own("stream")? else {
            self.notes.lost(parent.at, place, "left out: it names no parent");
            return Ok(Vec::new());
        };
        let Some(listed) = self.parent(stream, &given, place)? else { return Ok(Vec::new()) };
        let mut items = vec![listed];
        for key in ["parent_key", "partition_field"] {
            if let Some(given) = parent.own(key)?
                && let Some(text) = self.plain(&given, place)
            {
                items.push(Item::new(given.at, key, Out::Text(text)));
            }
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
        let Some(there) = self.side(&requester, &of)? else { return Ok(None) };
        let url = texts(&there.items, "url").concat();
        if url != self.url {
            let instead = format!("left out: its parent is at another URL, {url}");
            self.notes.lost(requester.at, place, instead);
            return Ok(None);
        }
        let mut read = self.read(parent, &retriever, &requester, there.path, &of)?;
        read.extend(there.handler);
        // Parents are always listed whole.
        read.retain(|item| {
            !matches!(item.key.as_str(), "incremental_sync" | "poll_interval" | "full_interval")
        });
        Ok(Some(Item::new(parent.at, "parent_stream", Out::Map(read))))
    }

    /// Where in a request the partition goes.
    fn inject(&mut self, part: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let Some(option) = part.own("request_option")? else { return Ok(None) };
        let Some(name) = option.own("field_name")?.or(option.own("field_path")?) else { return Ok(None) };
        let mut items = Vec::new();
        items.extend(self.same(&name, place, 0)?.map(|value| Item::new(option.at, "field_name", value)));
        if let Some(into) = option.word("inject_into")? {
            items.push(Item::new(option.at, "inject_into", Out::Text(into)));
        }
        Ok(Some(Item::new(option.at, "request_option", Out::Map(items))))
    }
}

/// `AddFields` of the partition alone: where the record gets it.
fn record_field(stream: &Part<'_>) -> Result<Option<Item>, BadRef> {
    let all = stream.own("transformations")?.map(|list| list.elements()).transpose()?.flatten();
    for one in all.unwrap_or_default() {
        if let Some((path, of)) = adds_partition(&one)? {
            let path = path.into_iter().map(Out::Text).collect();
            return Ok(Some(Item::new(of.at, "record_field", Out::List(path))));
        }
    }
    Ok(None)
}

/// Whether a transformation does nothing but put the partition into the record, and where.
pub(super) fn adds_partition<'m>(one: &Part<'m>) -> Result<Option<(Vec<String>, Part<'m>)>, BadRef> {
    if one.kind()? != "AddFields" || one.own("condition")?.is_some() {
        return Ok(None);
    }
    let fields = one.own("fields")?.map(|list| list.elements()).transpose()?.flatten().unwrap_or_default();
    let [field] = fields.as_slice() else { return Ok(None) };
    let value = field.word("value")?.unwrap_or_default();
    let path = field.own("path")?.map(|path| path.elements()).transpose()?.flatten().unwrap_or_default();
    let path: Vec<String> = path.iter().filter_map(Part::text).collect();
    Ok((is_partition(&value) && !path.is_empty()).then(|| (path, field.clone())))
}

/// `{{ stream_partition.id }}`, `{{ stream_slice['id'] }}`.
fn is_partition(value: &str) -> bool {
    let inner = value.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let inner = inner.map(str::trim).unwrap_or_default();
    let way = inner.strip_prefix("stream_partition").or(inner.strip_prefix("stream_slice"));
    let way = way.unwrap_or_default();
    let is_step =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '\'' | '"' | '(' | ')');
    let member = way.trim_start_matches(['.', '[', '\'', '"']);
    way.chars().all(is_step) && !member.is_empty() && !member.starts_with("extra_fields")
}
