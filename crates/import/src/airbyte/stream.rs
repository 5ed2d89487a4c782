//! A stream as a collection between the source and the stub of the second side.

use super::added::{Added, What};
use super::grand::Mark;
use super::refs::{BadRef, Part};
use super::side::Sides;
use super::{Import, OTHER, keys, slug};
use crate::out::{Item, Out};
use hms_sync_config::At;

/// What a stream says of its records.
pub(super) struct Records {
    /// The ways to the properties that name a record, together if they are several.
    pub(super) key: Vec<Vec<String>>,
    /// The field that each of them is.
    pub(super) names: Vec<String>,
    pub(super) key_at: At,
    /// The property that grows with each change.
    pub(super) cursor: Option<String>,
}

impl Import {
    /// The collection of a stream; nothing if it cannot be read.
    pub(super) fn stream(&mut self, stream: &Part<'_>, sides: &mut Sides) -> Result<Option<Item>, BadRef> {
        let name = stream.word("name")?.unwrap_or_else(|| "stream".to_owned());
        let of = format!("stream `{name}`");
        if let Some(full) = stream.own("full_refresh_stream")? {
            let instead = "left out: the whole listing of `full_refresh_stream` is read each time";
            self.notes.lost(stream.at, format!("`incremental_stream` of {of}"), instead);
            return Ok(self.stream(&full, sides)?.map(|mut item| {
                item.key = slug(&name);
                item
            }));
        }
        let Some(retriever) = stream.get("retriever")? else {
            self.notes.lost(stream.at, of, "left out: it has no `retriever`");
            return Ok(None);
        };
        let Some(requester) = self.requester(&retriever, &of)? else { return Ok(None) };
        let is_job = super::jobs::is_job(&retriever)?;
        let custom = requester.kind()?.starts_with("Custom");
        if custom && requester.get("url")?.or(requester.get("url_base")?).is_none() {
            self.notes.lost(requester.at, of, "left out: its requester is code of Airbyte's");
            return Ok(None);
        }
        self.known(stream, &of, keys::STREAM);
        let mut read_by = if is_job { keys::JOB } else { keys::RETRIEVER }.to_vec();
        if follows_addresses(&retriever)? {
            // An address for the next page is asked as it is, without parameters of ours.
            read_by.push("ignore_stream_slicer_parameters_on_paginated_requests");
        }
        self.known(&retriever, &of, &read_by);
        self.known(&requester, &of, keys::REQUESTER);
        self.variables.grandparents.clear();
        self.heads.clear();
        let Some(place) = self.side(&requester, &of)? else { return Ok(None) };
        self.url = super::texts(&place.items, "url").concat();
        let (url, items) = (self.url.clone(), place.items);
        let added = self.added(stream)?;
        let records = self.records(stream, &added, &of)?;
        let mut read = self.read(stream, &retriever, &requester, place.path, &of)?;
        self.head(&mut read);
        read.extend(place.more);
        if is_job {
            let Some(job) = self.job(&retriever, read, (&url, &of))? else { return Ok(None) };
            read = job;
        } else {
            super::forms::typed(&mut read);
        }
        let side = sides.of(items);
        let fields = self.fields(stream, &records, &added, &side, &of)?;
        let mut ours = vec![Item::new(records.key_at, "primary_key", key_out(&records.key))];
        ours.extend(self.transformations(stream, &added, &mut read)?);
        ours.push(Item::new(retriever.at, "read", Out::Map(read)));
        let ours = Out::Map(ours);
        let between = vec![Item::own(side.clone(), ours), Item::own(OTHER, other(&name, &fields.there()))];
        let collection = vec![
            Item::own(
                "identity",
                Out::List(fields.identity.iter().map(|(field, _)| Out::text(field)).collect()),
            ),
            Item::own("sides", Out::Map(between)),
            Item::own("fields", Out::Map(fields.items)),
        ];
        let keys = std::mem::take(&mut self.variables.grandparents);
        if !keys.is_empty() {
            self.marks.push(Mark { collection: slug(&name), at: stream.at, keys });
        }
        Ok(Some(Item::new(stream.at, slug(&name), Out::Map(collection))))
    }

    /// The requester that a retriever asks by.
    fn requester<'m>(&mut self, retriever: &Part<'m>, of: &str) -> Result<Option<Part<'m>>, BadRef> {
        let is_job = super::jobs::is_job(retriever)?;
        let requester = retriever.own(if is_job { "creation_requester" } else { "requester" })?;
        if requester.is_none() {
            let instead = if is_job {
                "left out: it has no `creation_requester`".to_owned()
            } else {
                format!("left out: `{}` is no plain listing over HTTP", retriever.kind()?)
            };
            self.notes.lost(retriever.at, of, instead);
        }
        Ok(requester)
    }

    /// What names a record, and what grows with it.
    fn records(&mut self, stream: &Part<'_>, added: &[Added<'_>], of: &str) -> Result<Records, BadRef> {
        let given = stream.get("primary_key")?;
        let key_at = given.as_ref().map_or(stream.at, |given| given.at);
        let several = given.as_ref().map(Part::elements).transpose()?.flatten();
        let key: Vec<Vec<String>> = match (&given, several) {
            (_, Some(parts)) => parts.iter().map(path).collect::<Result<_, _>>()?,
            (Some(given), None) => vec![path(given)?],
            (None, None) => Vec::new(),
        };
        let mut key: Vec<Vec<String>> = key.into_iter().filter(|path| !path.is_empty()).collect();
        let names = key.iter().filter_map(|path| path.first().cloned()).collect();
        for path in &mut key {
            let [name] = path.as_slice() else { continue };
            match added.iter().find(|one| one.name() == Some(name)).map(|one| &one.what) {
                Some(What::Copy(way)) => way.clone_into(path),
                Some(What::Computed) => {
                    let instead =
                        format!("`{name}` is computed by `AddFields` and in no record; name another");
                    self.notes.lost(key_at, format!("`primary_key` of {of}"), instead);
                }
                Some(What::Again | What::Partition(_) | What::Made(_)) | None => {}
            }
        }
        let (key, names) = if key.is_empty() {
            self.notes.chose(key_at, format!("`primary_key` of {of}"), "there is none; `id` is taken");
            (vec![vec!["id".to_owned()]], vec!["id".to_owned()])
        } else {
            (key, names)
        };
        let sync = stream.get("incremental_sync")?;
        let cursor = sync.map(|sync| sync.get("cursor_field")).transpose()?.flatten();
        let cursor = cursor.and_then(|field| self.plain(&field, &format!("`cursor_field` of {of}")));
        let is_added =
            |name: &String| added.iter().any(|one| one.name() == Some(name) && one.what == What::Computed);
        let cursor = cursor.filter(|name| !is_added(name));
        Ok(Records { key, names, key_at, cursor })
    }
}

/// Whether the next page is asked for by an address that an answer names.
fn follows_addresses(retriever: &Part<'_>) -> Result<bool, BadRef> {
    let paginator = retriever.own("paginator")?;
    let option = paginator.map(|paginator| paginator.own("page_token_option")).transpose()?.flatten();
    Ok(option.map(|option| option.kind()).transpose()?.is_some_and(|kind| kind == "RequestPath"))
}

/// A key as it is written: each part as text, or as a list where it is a way.
fn key_out(key: &[Vec<String>]) -> Out {
    let part = |path: &Vec<String>| match path.as_slice() {
        [only] if !only.contains('.') => Out::text(only),
        several => Out::List(several.iter().map(Out::text).collect()),
    };
    Out::List(key.iter().map(part).collect())
}

/// A key's way: text, or a list of texts.
fn path(given: &Part<'_>) -> Result<Vec<String>, BadRef> {
    if let Some(text) = given.text() {
        return Ok(if text.is_empty() { Vec::new() } else { vec![text] });
    }
    let parts = given.elements()?.unwrap_or_default();
    Ok(parts.iter().filter_map(Part::text).collect())
}

/// The stub of the second side.
pub(crate) fn other(name: &str, identity: &[String]) -> Out {
    let path = format!("/{}", slug(name));
    let one = format!("{path}/{{{{ id }}}}");
    let at = |path: &str| Item::own("path", Out::text(path));
    let write = |method: &str, path: &str| Out::Flow(vec![Item::own("method", Out::text(method)), at(path)]);
    let find =
        identity.iter().map(|field| Item::own(field, Out::text(format!("{{{{ identity.{field} }}}}"))));
    let find = Out::Flow(vec![at(&path), Item::own("request_parameters", Out::Flow(find.collect()))]);
    Out::Map(vec![
        Item::own("read", Out::Flow(vec![at(&path)])),
        Item::own("fetch", Out::Flow(vec![at(&one)])),
        Item::own("lookup", find),
        Item::own("create", write("POST", &path)),
        Item::own("update", write("PATCH", &one)),
    ])
}
