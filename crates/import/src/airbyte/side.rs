//! Requesters as sides: where it is, who we are, what its answers mean, how much
//! it takes. Requesters that are the same in all that are one side.

use super::Import;
use super::budget::budget_at;
use super::errors::listed;
use super::heads::Head;
use super::refs::{BadRef, Part};
use super::words::{NO_PARAMETER, Said};
use crate::out::{Item, Out};
use hms_sync_config::At;

/// The sides so far.
#[derive(Debug)]
pub(super) struct Sides {
    name: String,
    found: Vec<(String, Vec<Item>)>,
    budget: Option<Item>,
    concurrency: Option<Item>,
}

impl Sides {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), found: Vec::new(), budget: None, concurrency: None }
    }

    /// The name of the side that is described so.
    pub(super) fn of(&mut self, items: Vec<Item>) -> String {
        let same = |a: &[Item], b: &[Item]| {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| a.key == b.key && plain(&a.value) == plain(&b.value))
        };
        if let Some((name, _)) = self.found.iter().find(|(_, there)| same(there, &items)) {
            return name.clone();
        }
        let name = match self.found.len() {
            0 => self.name.clone(),
            n => format!("{}_{}", self.name, n + 1),
        };
        self.found.push((name.clone(), items));
        name
    }

    pub(super) fn budget(&mut self, item: Option<Item>) {
        self.budget = item;
    }

    pub(super) fn concurrency(&mut self, at: At, most: u64) {
        self.concurrency = Some(Item::new(at, "max_concurrency", Out::number(most)));
    }

    pub(super) fn items(self) -> Vec<Item> {
        let (budget, concurrency) = (self.budget, self.concurrency);
        let with = |mut items: Vec<Item>| {
            let url = super::texts(&items, "url").concat();
            items.extend(budget.as_ref().and_then(|budget| budget_at(budget, &url)));
            items.extend(concurrency.iter().cloned());
            items
        };
        self.found.into_iter().map(|(name, items)| Item::own(name, Out::Map(with(items)))).collect()
    }
}

/// What all streams of a side have is the side's own.
pub(super) fn lift(sides: &mut [Item], collections: &mut [Item], key: &str) {
    for side in sides {
        let reads = || collections.iter().filter_map(|of| inside(&of.value, &["sides", &side.key, "read"]));
        let all: Option<Vec<Out>> = reads().map(|read| inside(read, &[key]).map(plain)).collect();
        let Some([first, rest @ ..]) = all.as_deref() else { continue };
        if rest.iter().any(|other| other != first) {
            continue;
        }
        let mut lifted = None;
        for of in collections.iter_mut() {
            if let Some(Out::Map(read)) = inside_mut(&mut of.value, &["sides", &side.key, "read"])
                && let Some(at) = read.iter().position(|item| item.key == key)
            {
                let item = read.remove(at);
                lifted.get_or_insert(item);
            }
        }
        if let Out::Map(items) = &mut side.value {
            items.extend(lifted);
        }
    }
}

fn inside<'o>(value: &'o Out, way: &[&str]) -> Option<&'o Out> {
    way.iter().try_fold(value, |value, key| match value {
        Out::Map(items) => items.iter().find(|item| item.key == *key).map(|item| &item.value),
        Out::List(_) | Out::Text(_) | Out::Plain(_) | Out::Flow(_) => None,
    })
}

pub(super) fn inside_mut<'o>(value: &'o mut Out, way: &[&str]) -> Option<&'o mut Out> {
    way.iter().try_fold(value, |value, key| match value {
        Out::Map(items) => items.iter_mut().find(|item| item.key == *key).map(|item| &mut item.value),
        Out::List(_) | Out::Text(_) | Out::Plain(_) | Out::Flow(_) => None,
    })
}

/// A value without where it came from.
fn plain(value: &Out) -> Out {
    match value {
        Out::Map(items) => {
            let items = items.iter().map(|item| Item::own(item.key.clone(), plain(&item.value)));
            Out::Map(items.collect())
        }
        Out::List(of) => Out::List(of.iter().map(plain).collect()),
        Out::Text(_) | Out::Plain(_) | Out::Flow(_) => value.clone(),
    }
}

/// Where a requester's requests go.
pub(super) struct Place {
    pub(super) items: Vec<Item>,
    /// Below the side's URL.
    pub(super) path: String,
    /// What its requests say besides, and what their answers mean: of each listing.
    pub(super) more: Vec<Item>,
}

impl Import {
    /// The side that a requester asks, and the path; nothing if that cannot be said.
    pub(super) fn side(&mut self, requester: &Part<'_>, of: &str) -> Result<Option<Place>, BadRef> {
        let base = match requester.get("url")? {
            Some(base) => Some(base),
            None => requester.get("url_base")?,
        };
        let Some(base) = base else {
            self.notes.lost(requester.at, of, "left out: its requester has neither `url` nor `url_base`");
            return Ok(None);
        };
        let path = match requester.get("path")? {
            Some(path) => match self.path(&path) {
                Ok(path) => path,
                Err(why) => {
                    self.notes.lost(path.at, of, format!("left out: its path cannot be told, {why}"));
                    return Ok(None);
                }
            },
            None => String::new(),
        };
        let Some((url, path)) = self.place(&base, &path, of) else { return Ok(None) };
        let mut items =
            vec![Item::own("connector", Out::text("http")), Item::new(base.at, "url", Out::text(url))];
        if let Some(authenticator) = requester.get("authenticator")? {
            items.extend(self.authenticator(&authenticator, of)?);
        }
        let mut more = Vec::new();
        if let Some(headers) = requester.get("request_headers")? {
            more.extend(self.texts("request_headers", &headers, of, false)?);
        }
        let handler = requester.get("error_handler")?;
        let handler = handler.map(|handler| self.error_handler(&handler, of)).transpose()?.flatten();
        more.extend(handler);
        Ok(Some(Place { items, path, more }))
    }

    /// A path, each value in it a part of one segment.
    fn path(&mut self, path: &Part<'_>) -> Result<String, String> {
        let text = super::paths::unquoted(&path.text().unwrap_or_default());
        match self.variables.say(&text, path) {
            Said::Plain(path) => Ok(path),
            Said::Template(path) => super::paths::unfolded(&path),
            Said::Cannot(why) => Err(why),
        }
    }

    /// A URL and the path below it. What is another for each request belongs to the path; a URL
    /// that depends on what people chose is for them to say.
    fn place(&mut self, base: &Part<'_>, path: &str, of: &str) -> Option<(String, String)> {
        let text = base.text().unwrap_or_default();
        let why = match self.variables.say(&text, base) {
            Said::Plain(url) => return Some(joined(&url, path)),
            Said::Template(url) => {
                let url = super::paths::unfolded(&url).unwrap_or(url);
                let path = path.trim_start_matches('/');
                let whole =
                    if path.is_empty() { url } else { format!("{}/{path}", url.trim_end_matches('/')) };
                let (host, path) = joined(&whole, "");
                if !host.contains("{{") && !host.contains("{%") {
                    return Some((host, path));
                }
                "it is one of several".to_owned()
            }
            Said::Cannot(why) => why,
        };
        if ["stream_", "next_page_token", "record"].iter().any(|name| text.contains(name)) {
            self.notes.lost(base.at, of, "left out: its URL is another for each record");
            return None;
        }
        let url = self.variables.url(&text);
        let instead = format!("{why}: write it into the variable");
        self.notes.chose(base.at, format!("the URL of {of}"), instead);
        Some(joined(&url, if path.is_empty() { "/" } else { path }))
    }

    /// A map of texts, as headers and parameters are.
    pub(super) fn texts(
        &mut self,
        key: &str,
        given: &Part<'_>,
        of: &str,
        templates: bool,
    ) -> Result<Option<Item>, BadRef> {
        if !given.is_map() {
            self.notes.lost(
                given.at,
                format!("`{key}` of {of}"),
                "left out: it is no map of names and texts",
            );
            return Ok(None);
        }
        let mut items = Vec::new();
        for (at, name, value) in given.entries()? {
            let place = format!("`{key}.{name}` of {of}");
            let listed = self.listed_properties(&value, &place)?;
            let Some(text) = listed.or_else(|| value.text()) else {
                self.notes.lost(
                    at,
                    place,
                    match value.kind()?.as_str() {
                        "QueryProperties" => {
                            "left out: its properties are found at run time; name those that you need"
                                .to_owned()
                        }
                        _ => format!("left out: it is {}, and one text is sent", value.describe()),
                    },
                );
                continue;
            };
            match self.variables.say(&text, &value) {
                Said::Plain(text) if text == "None" || text.is_empty() => {}
                Said::Plain(text) => items.push(Item::new(at, name, Out::text(text))),
                Said::Template(text) if templates => items.push(Item::new(at, name, Out::text(text))),
                Said::Template(text) => match Head::read(at, &place, name, &text) {
                    // The requests of an export have it from its router.
                    _ if self.heads.iter().any(|head| head.is_again(name, &text)) => {}
                    Some(head) => self.heads.push(head),
                    None => self.notes.lost(at, place, "left out: it is another for each request"),
                },
                // Airbyte sends nothing for it either.
                Said::Cannot(why) if why.starts_with(NO_PARAMETER) => {
                    self.notes.chose(at, place, format!("nothing is sent: {why}"));
                }
                Said::Cannot(why) => self.notes.lost(at, place, format!("left out: {why}")),
            }
        }
        Ok((!items.is_empty()).then(|| Item::new(given.at, key, Out::Map(items))))
    }

    /// `QueryProperties` that are listed: names with commas between them.
    fn listed_properties(&mut self, given: &Part<'_>, place: &str) -> Result<Option<String>, BadRef> {
        if given.kind()? != "QueryProperties" {
            return Ok(None);
        }
        let all =
            listed(given, "always_include_properties")?.into_iter().chain(listed(given, "property_list")?);
        let all: Vec<String> = all.filter_map(|one| one.text()).collect();
        if all.is_empty() {
            return Ok(None);
        }
        if let Some(chunks) = given.own("property_chunking")? {
            let instead = "left out: all properties are asked for at once";
            self.notes.lost(chunks.at, format!("`property_chunking` in {place}"), instead);
        }
        Ok(Some(all.join(",")))
    }

    /// A text that holds nothing but the environment's values.
    pub(super) fn plain(&mut self, part: &Part<'_>, place: &str) -> Option<String> {
        match self.variables.say(&part.text()?, part) {
            Said::Plain(text) => Some(text),
            Said::Template(_) => {
                self.notes.lost(part.at, place, "left out: it is another for each request");
                None
            }
            Said::Cannot(why) => {
                self.notes.lost(part.at, place, format!("left out: {why}"));
                None
            }
        }
    }

    /// A component as it stands, texts as ours: for what has Airbyte's names with us too.
    pub(super) fn same(&mut self, part: &Part<'_>, place: &str, depth: usize) -> Result<Option<Out>, BadRef> {
        if depth > 12 {
            return Ok(None);
        }
        if let Some(handed) = part.handed() {
            return self.same(&handed, place, depth + 1);
        }
        if let Some(elements) = part.elements()? {
            let mut of = Vec::new();
            for element in elements {
                of.extend(self.same(&element, place, depth + 1)?);
            }
            return Ok(Some(Out::List(of)));
        }
        if part.is_map() {
            let mut items = Vec::new();
            for (at, key, value) in part.entries()? {
                if matches!(key, "$parameters" | "$options") {
                    continue;
                }
                let inner = format!("`{key}` in {place}");
                if let Some(value) = self.same(&value, &inner, depth + 1)? {
                    items.push(Item::new(at, key, value));
                }
            }
            return Ok(Some(Out::Map(items)));
        }
        let Some(text) = part.text() else { return Ok(None) };
        if !part.is_text() {
            return Ok(Some(Out::Plain(text)));
        }
        match self.variables.say(&text, part) {
            Said::Plain(text) | Said::Template(text) => Ok(Some(Out::Text(text))),
            Said::Cannot(why) => {
                self.notes.lost(part.at, place, format!("left out: {why}"));
                Ok(None)
            }
        }
    }
}

/// A URL up to where it is the same for all, and the path below it.
pub(super) fn joined(url: &str, path: &str) -> (String, String) {
    let url = url.trim();
    let (base, query) = cut(url, '?').map_or((url, None), |(base, query)| (base, Some(query)));
    let base = base.trim_end_matches('/');
    let path = path.trim();
    if path.is_empty() {
        // All in one: cut behind the host.
        let from = base.find("://").map_or(0, |at| at + 3);
        let host = base.get(from..).and_then(|rest| cut(rest, '/')).map(|(host, _)| from + host.len());
        if let Some((host, rest)) = host.and_then(|end| base.split_at_checked(end)) {
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return (host.to_owned(), format!("{rest}{query}"));
        }
    }
    (base.to_owned(), format!("/{}", path.trim_start_matches('/')))
}

/// The text before and behind the first such letter that is not within `${…}` or `{{ … }}`.
pub(super) fn cut(text: &str, letter: char) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if c == letter && depth == 0 => {
                return Some((text.get(..at)?, text.get(at + c.len_utf8()..)?));
            }
            _ => {}
        }
    }
    None
}
