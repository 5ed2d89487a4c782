//! A retriever as `read`: how records are listed, and where they are in an answer.

use super::figures::figure;
use super::refs::{BadRef, Part};
use super::terms::split;
use super::words::Said;
use super::{Import, keys};
use crate::out::{Item, Out};

impl Import {
    /// The keys of `read`.
    pub(super) fn read(
        &mut self,
        stream: &Part<'_>,
        retriever: &Part<'_>,
        requester: &Part<'_>,
        path: String,
        of: &str,
    ) -> Result<Vec<Item>, BadRef> {
        let (mut items, parameters) = self.request(requester, &path, of)?;
        let of_job = super::jobs::is_job(retriever)?;
        if let Some(selector) = retriever.own("record_selector")? {
            let cursor = stream.get("incremental_sync")?.is_some();
            items.extend(self.selector(&selector, cursor, of)?);
        }
        if let Some(decoder) = retriever.own(if of_job { "download_decoder" } else { "decoder" })? {
            items.extend(self.decoder(&decoder, of)?);
        }
        if let Some(paginator) = retriever.own(if of_job { "download_paginator" } else { "paginator" })? {
            items.extend(self.paginator(&paginator, of)?);
        }
        let mut sync = None;
        if let Some(given) = stream.get("incremental_sync")? {
            let body = items.iter().filter(|item| {
                matches!(
                    item.key.as_str(),
                    "path" | "request_body_json" | "request_body_data" | "request_body_text"
                )
            });
            let asked: Vec<Item> = parameters.iter().chain(body).cloned().collect();
            let mut added = super::added::added(stream)?;
            added.retain(|one| !one.name().is_some_and(|name| self.made.contains(name)));
            sync = self.incremental(&given, of, &asked, &added)?;
        }
        if let Some(router) = retriever.own("partition_router")? {
            items.extend(self.router(stream, &router, of)?);
        }
        let changes = sync.is_some();
        items.extend(sync);
        if !parameters.is_empty() {
            items.insert(1, Item::new(requester.at, "request_parameters", Out::Map(parameters)));
        }
        items.push(Item::own("poll_interval", Out::text(if changes { "1m" } else { "15m" })));
        if changes {
            items.push(Item::own("full_interval", Out::text("24h")).said("Finds what was deleted."));
        }
        Ok(items)
    }

    /// What a request is, and its parameters.
    fn request(
        &mut self,
        requester: &Part<'_>,
        path: &str,
        of: &str,
    ) -> Result<(Vec<Item>, Vec<Item>), BadRef> {
        let (path, mut parameters) = query(path);
        let mut items = vec![Item::new(requester.at, "path", Out::Text(path))];
        if let Some(method) = requester.own("http_method")?.or(requester.own("method")?)
            && let Some(word) = method.text().filter(|word| !word.eq_ignore_ascii_case("get"))
        {
            items.push(Item::new(method.at, "http_method", Out::Text(word.to_uppercase())));
        }
        let provider = requester.own("request_options_provider")?.unwrap_or_else(|| requester.clone());
        if let Some(given) = provider.get("request_parameters")?
            && let Some(Item { value: Out::Map(of), .. }) =
                self.texts("request_parameters", &given, of, true)?
        {
            parameters.extend(of);
        }
        items.extend(self.body(&provider, of)?);
        Ok((items, parameters))
    }

    /// The same, its parameters in it.
    pub(super) fn asked(&mut self, requester: &Part<'_>, path: &str, of: &str) -> Result<Vec<Item>, BadRef> {
        let (mut items, parameters) = self.request(requester, path, of)?;
        if !parameters.is_empty() {
            items.insert(1, Item::new(requester.at, "request_parameters", Out::Map(parameters)));
        }
        Ok(items)
    }

    fn body(&mut self, requester: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        let said = |key| Ok::<_, BadRef>(requester.own(key)?.map(|given| (key, given)));
        let given = match said("request_body_json")?.or(said("request_body_data")?) {
            Some(given) => Some(given),
            None => match requester.own("request_body")? {
                Some(body) => match body.kind()?.as_str() {
                    "RequestBodyJsonObject" | "RequestBodyGraphQL" => {
                        body.own("value")?.map(|value| ("request_body_json", value))
                    }
                    "RequestBodyUrlEncodedForm" => {
                        body.own("value")?.map(|value| ("request_body_data", value))
                    }
                    "RequestBodyPlainText" => return Ok(self.text_body(&body, of)),
                    kind => {
                        let instead = format!("left out: we have no `{kind}`");
                        self.notes.lost(body.at, format!("`request_body` of {of}"), instead);
                        None
                    }
                },
                None => None,
            },
        };
        let Some((key, given)) = given else { return Ok(None) };
        if let ("request_body_data", Some(_)) = (key, given.text()) {
            return Ok(self.one_text(&given, &format!("`{key}` of {of}")));
        }
        let value = self.same(&given, &format!("`{key}` of {of}"), 0)?;
        Ok(value.filter(|value| !value.is_empty()).map(|value| Item::new(given.at, key, untyped(value))))
    }

    /// A body that is text.
    fn text_body(&mut self, body: &Part<'_>, of: &str) -> Option<Item> {
        let value = body.own("value").ok()??;
        self.one_text(&value, &format!("`request_body` of {of}"))
    }

    /// A body that a manifest puts together by itself.
    fn one_text(&mut self, value: &Part<'_>, place: &str) -> Option<Item> {
        match self.variables.say(&value.text()?, value) {
            Said::Plain(text) if text.is_empty() => None,
            Said::Plain(text) | Said::Template(text) => {
                Some(Item::new(value.at, "request_body_text", Out::Text(text)))
            }
            Said::Cannot(why) => {
                self.notes.lost(value.at, place, format!("left out: {why}"));
                None
            }
        }
    }

    /// Where the records are, and which are taken.
    fn selector(&mut self, selector: &Part<'_>, polls: bool, of: &str) -> Result<Option<Item>, BadRef> {
        self.known(selector, of, keys::SELECTOR);
        let mut items = Vec::new();
        if let Some(extractor) = selector.own("extractor")? {
            let field = extractor.own("field_path")?.or(extractor.own("field_pointer")?);
            let mut read_by = vec!["field_path", "field_pointer"];
            if field.is_none() {
                read_by.push("class_name");
            }
            match field {
                Some(field) => items.extend(self.field_path(&field, of)?),
                None => {
                    let instead = format!("left out: `{}`; say where the records are", extractor.kind()?);
                    self.notes.lost(extractor.at, format!("`extractor` of {of}"), instead);
                }
            }
            self.known(&extractor, of, &read_by);
        }
        if let Some(filter) = selector.own("record_filter")? {
            let place = format!("`record_filter` of {of}");
            let condition = filter.own("condition")?;
            let text = condition.as_ref().and_then(Part::text);
            let text = text.map(|text| if polls { self.newer(&text, &filter, &place) } else { text });
            match text.map(|text| self.variables.formula(&text, &filter)) {
                Some(Ok(condition)) if condition.is_empty() => {}
                Some(Ok(condition)) => {
                    let condition =
                        Item::new(filter.at, "condition", Out::Text(format!("{{{{ {condition} }}}}")));
                    items.push(Item::new(filter.at, "record_filter", Out::Map(vec![condition])));
                }
                Some(Err(why)) => {
                    self.notes.lost(filter.at, place, format!("left out: {why}; all records are taken"));
                }
                None => self.notes.lost(
                    filter.at,
                    place,
                    "left out: it is code of Airbyte's; all records are taken",
                ),
            }
        }
        Ok((!items.is_empty()).then(|| Item::new(selector.at, "record_selector", Out::Map(items))))
    }

    /// A condition without what compares records with the cursor: that is what a poll does.
    fn newer(&mut self, text: &str, filter: &Part<'_>, place: &str) -> String {
        let inside = text.trim();
        let inside = inside.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(inside);
        let compares = |term: &&str| {
            let named =
                ["stream_interval", "stream_state", "stream_slice.start_time", "stream_slice['start_time']"];
            named.iter().any(|name| term.contains(name)) && term.contains("record") && term.contains('>')
        };
        let terms = split(inside, &[" and "]);
        if split(inside, &[" or "]).len() > 1 || !terms.iter().any(compares) {
            return text.to_owned();
        }
        let instead = "what compares a record with the cursor is what a poll does by itself";
        self.notes.chose(filter.at, place, instead);
        let left: Vec<&str> = terms.into_iter().filter(|term| !compares(term)).collect();
        left.join(" and ")
    }

    pub(super) fn field_path(&mut self, field: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        let parts = match field.elements()? {
            Some(parts) => parts,
            None => vec![field.clone()],
        };
        let mut way = Vec::new();
        for part in parts {
            // A way of which a part is missing leads somewhere else.
            let Some(text) = self.plain(&part, &format!("`field_path` of {of}")) else { return Ok(None) };
            way.extend(Some(text).filter(|text| !text.is_empty()));
        }
        let way: Vec<Out> = way.into_iter().map(Out::Text).collect();
        // The answer itself: with us that is what there is without a selector, if it is a list.
        Ok((!way.is_empty()).then(|| Item::new(field.at, "field_path", Out::List(way))))
    }

    fn decoder(&mut self, decoder: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        let kind = decoder.kind()?;
        if kind == "GzipDecoder" {
            // What is packed is unpacked by itself.
            let inner = decoder.own("decoder")?;
            return inner.map_or(Ok(None), |inner| self.decoder(&inner, of));
        }
        if kind == "ZipfileDecoder" {
            return self.archive(decoder, of);
        }
        let ours = match kind.as_str() {
            "JsonDecoder" | "" => return Ok(None),
            "JsonlDecoder" | "IterableDecoder" => "jsonl",
            "CsvDecoder" => "csv",
            "XmlDecoder" => "xml",
            _ => {
                let instead = format!("left out: we have no `{kind}`; the answer is read as JSON");
                self.notes.lost(decoder.at, format!("`decoder` of {of}"), instead);
                return Ok(None);
            }
        };
        let mut items = vec![Item::new(decoder.at, "type", Out::text(ours))];
        for key in ["delimiter", "encoding", "set_values_to_none"] {
            if let Some(given) = decoder.own(key)?
                && let Some(value) = self.same(&given, &format!("`{key}` of {of}"), 0)?
            {
                items.push(Item::new(given.at, key, value));
            }
        }
        Ok(Some(Item::new(decoder.at, "decoder", Out::Map(items))))
    }

    /// An archive of files in a form of their own.
    fn archive(&mut self, decoder: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        let inner = decoder.own("decoder")?;
        let inner = inner.map_or(Ok(None), |inner| self.decoder(&inner, of))?;
        let is_kind = |item: &Item| item.key == "type" && item.value == Out::text("zip");
        let is_archive = |item: &Item| matches!(&item.value, Out::Map(items) if items.iter().any(is_kind));
        let inner = inner.filter(|inner| {
            if is_archive(inner) {
                let instead = "left out: an archive in an archive is not read; its files are read as JSON";
                self.notes.lost(decoder.at, format!("`decoder` of {of}"), instead);
            }
            !is_archive(inner)
        });
        let items = std::iter::once(Item::new(decoder.at, "type", Out::text("zip"))).chain(inner).collect();
        Ok(Some(Item::new(decoder.at, "decoder", Out::Map(items))))
    }

    /// A text or a number as a whole number.
    pub(super) fn count(&mut self, part: Option<Part<'_>>, place: &str) -> Option<u64> {
        let part = part?;
        let text = part.text()?;
        if let Ok(n) = text.parse() {
            return Some(n);
        }
        if let Said::Plain(said) | Said::Template(said) = self.variables.say(&text, &part)
            && let Some(n) = figure(&said).and_then(|n| n.parse().ok())
        {
            self.notes.chose(part.at, place, format!("{n} is taken: it is no variable with us"));
            return Some(n);
        }
        self.notes.lost(part.at, place, "left out: it is no whole number; our default is taken");
        None
    }
}

/// A body without Airbyte's name of its kind.
fn untyped(value: Out) -> Out {
    let is_kind = |item: &Item| item.key == "type" && item.value == Out::text("RequestBodyGraphQlQuery");
    match value {
        Out::Map(items) => Out::Map(items.into_iter().filter(|item| !is_kind(item)).collect()),
        other => other,
    }
}

/// A path without what follows its `?`, and that as parameters.
fn query(path: &str) -> (String, Vec<Item>) {
    let Some((path, query)) = super::side::cut(path, '?') else {
        return (path.to_owned(), Vec::new());
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let items = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Item::own(name, Out::text(value))
    });
    (path.to_owned(), items.collect())
}
