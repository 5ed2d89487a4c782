//! Exports that a side makes in its own time (`AsyncRetriever`) as the `job` of a listing. What is
//! read is what the job has made; what begins it takes the place of a listing's request.

use super::errors::listed;
use super::refs::{BadRef, Part};
use super::words::Said;
use super::{Import, keys};
use crate::out::{Item, Out};

/// Keys of a listing that say what is asked for: the request that begins the export has them.
const ASKED: [&str; 7] = [
    "path",
    "http_method",
    "request_parameters",
    "request_headers",
    "request_body_json",
    "request_body_data",
    "request_body_text",
];

/// What parts of a retriever were called before; both are read.
const OLDER: [(&str, &str); 2] =
    [("download_target_requester", "url_requester"), ("download_target_extractor", "urls_extractor")];

/// What the answers of a job were called in templates before.
const OLDER_ANSWERS: [(&str, &str); 4] = [
    ("stream_slice['create_job_response'].json()", "creation_response"),
    ("stream_slice[\"create_job_response\"].json()", "creation_response"),
    ("stream_slice['polling_job_response'].json()", "polling_response"),
    ("stream_slice[\"polling_job_response\"].json()", "polling_response"),
];

/// What names a file: as it is called, and as it was called before.
const FILE: [&str; 4] = [
    "download_target",
    "stream_partition.url",
    "stream_partition.extra_fields['url']",
    "stream_partition.extra_fields[\"url\"]",
];

/// An expression with the answers of a job under the names that they have now.
pub(super) fn renamed(inside: &str) -> String {
    OLDER_ANSWERS.iter().fold(inside.to_owned(), |text, (before, now)| text.replace(before, now))
}

/// A part of a retriever, also under the name that it had before.
fn own<'a>(retriever: &Part<'a>, key: &str) -> Result<Option<Part<'a>>, BadRef> {
    let before = OLDER.iter().find(|(now, _)| *now == key).map(|(_, before)| *before);
    Ok(match (retriever.own(key)?, before) {
        (None, Some(before)) => retriever.own(before)?,
        (part, _) => part,
    })
}

/// The most minutes that an export is waited for.
const MINUTES_MAX: u64 = 24 * 60;

/// Whether a retriever reads what a job makes.
pub(super) fn is_job(retriever: &Part<'_>) -> Result<bool, BadRef> {
    Ok(retriever.kind()? == "AsyncRetriever")
}

/// What a file is asked for by.
enum File {
    /// The address that names it.
    Address,
    /// A request of the side.
    Request(Vec<Item>),
}

impl Import {
    /// `read` of what was read as a listing asked for by `creation_requester`; nothing if it cannot be.
    pub(super) fn job(
        &mut self,
        retriever: &Part<'_>,
        mut read: Vec<Item>,
        (url, of): (&str, &str),
    ) -> Result<Option<Vec<Item>>, BadRef> {
        let handler = read.iter().position(|item| item.key == "error_handler").map(|at| read.remove(at));
        super::forms::typed(&mut read);
        let (mut create, rest): (Vec<Item>, Vec<Item>) =
            read.into_iter().partition(|item| ASKED.contains(&item.key.as_str()));
        create.extend(handler);
        let needed = ["polling_requester", "download_requester", "status_extractor", "status_mapping"];
        for key in needed {
            if retriever.own(key)?.is_none() {
                return Ok(self.no_job(retriever, of, &format!("it has no `{key}`")));
            }
        }
        let mut job = vec![Item::own("creation_requester", Out::Map(create))];
        for key in ["polling_requester", "download_target_requester", "abort_requester", "delete_requester"] {
            let Some(requester) = own(retriever, key)? else { continue };
            match self.errand(&requester, url, &format!("`{key}` of {of}"))? {
                Some(items) => job.push(Item::new(requester.at, key, Out::Map(items))),
                None if matches!(key, "polling_requester" | "download_target_requester") => {
                    return Ok(self.no_job(retriever, of, &format!("its `{key}` cannot be said")));
                }
                None => {}
            }
        }
        for key in ["status_extractor", "download_target_extractor"] {
            let Some(extractor) = own(retriever, key)? else { continue };
            let Some(path) = self.place_in_answer(&extractor, of)? else {
                return Ok(self.no_job(retriever, of, &format!("its `{key}` names no place in an answer")));
            };
            job.push(Item::new(extractor.at, key, Out::Map(vec![path])));
        }
        let Some(mapping) = retriever.own("status_mapping")? else { return Ok(None) };
        job.push(Item::new(mapping.at, "status_mapping", Out::Map(self.states(&mapping, of)?)));
        job.extend(self.waits(retriever, of)?);
        let Some(requester) = retriever.own("download_requester")? else { return Ok(None) };
        let Some(file) = self.file(&requester, url, of)? else {
            return Ok(self.no_job(retriever, of, "its `download_requester` cannot be said"));
        };
        let mut items = match file {
            File::Address => vec![Item::new(requester.at, "path", Out::text("{{ download_target }}"))],
            File::Request(items) => items,
        };
        items.extend(self.downloaded(retriever, rest, of)?);
        items.push(Item::new(retriever.at, "job", Out::Map(job)));
        Ok(Some(items))
    }

    fn no_job(&mut self, retriever: &Part<'_>, of: &str, why: &str) -> Option<Vec<Item>> {
        let instead = format!(
            "left out: {why}; read what the side lists of them, or say by hand how its export is made (`job` of `read`)"
        );
        self.notes.lost(retriever.at, of, instead);
        None
    }

    /// One of the requests of a job.
    fn errand(&mut self, requester: &Part<'_>, url: &str, of: &str) -> Result<Option<Vec<Item>>, BadRef> {
        if requester.kind()?.starts_with("Custom") {
            self.notes.lost(requester.at, of, "left out: it is code of Airbyte's");
            return Ok(None);
        }
        self.known(requester, of, keys::REQUESTER);
        let Some(place) = self.side(requester, of)? else { return Ok(None) };
        let whole = format!("{}{}", super::texts(&place.items, "url").concat(), place.path);
        let below = whole.strip_prefix(url.trim_end_matches('/')).filter(|rest| rest.starts_with('/'));
        let Some(path) = below else {
            let instead = format!("left out: it asks another URL than {url}, where the export is begun");
            self.notes.lost(requester.at, of, instead);
            return Ok(None);
        };
        let mut items = self.asked(requester, path, of)?;
        items.extend(place.more);
        super::forms::typed(&mut items);
        Ok(Some(items))
    }

    /// The request for a file.
    fn file(&mut self, requester: &Part<'_>, url: &str, of: &str) -> Result<Option<File>, BadRef> {
        let of = format!("`download_requester` of {of}");
        let said = |import: &mut Self, key: &str| {
            let part = requester.get(key)?;
            let text = part.and_then(|part| Some((part.text()?, part)));
            Ok::<_, BadRef>(match text.map(|(text, part)| import.variables.say(&text, &part)) {
                Some(Said::Plain(text) | Said::Template(text)) => text,
                Some(Said::Cannot(_)) | None => String::new(),
            })
        };
        let base = said(self, "url")? + &said(self, "url_base")?;
        let whole = base.trim_end_matches('/').to_owned() + &said(self, "path")?;
        let inside = whole.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        if !inside.is_some_and(|inside| FILE.contains(&inside.trim())) {
            return Ok(self.errand(requester, url, &of)?.map(File::Request));
        }
        self.known(requester, &of, keys::REQUESTER);
        for key in ["request_parameters", "request_headers", "request_body_json", "request_body_data"] {
            let given = requester.own(key)?.filter(|given| !given.keys().is_empty());
            if let Some(given) = given {
                let instead = "left out: a file is asked for at its address as it is";
                self.notes.lost(given.at, format!("`{key}` of {of}"), instead);
            }
        }
        let instead = "files are fetched below the side's `url`; where else they are is for `download_urls` of the \
                       side to say, and nothing of ours is shown there";
        self.notes.chose(requester.at, of, instead);
        Ok(Some(File::Address))
    }

    /// What follows of a listing once its request is that for a file: where records are in it, and its
    /// form. A table is what Airbyte takes it for if nothing is said.
    fn downloaded(
        &mut self,
        retriever: &Part<'_>,
        mut rest: Vec<Item>,
        of: &str,
    ) -> Result<Vec<Item>, BadRef> {
        let extractor = retriever.own("download_extractor")?;
        let plain = extractor.as_ref().map(Part::kind).transpose()?;
        let whole_file = plain.as_deref().is_none_or(|kind| kind == "ResponseToFileExtractor");
        let path = match extractor.filter(|_| !whole_file) {
            Some(extractor) => self.place_in_answer(&extractor, of)?,
            None => None,
        };
        // What stands in its own extractor is not looked at.
        let selector = rest.iter().position(|item| item.key == "record_selector").map(|at| rest.remove(at));
        let mut selects = match selector.map(|item| item.value) {
            Some(Out::Map(items)) => items,
            _ => Vec::new(),
        };
        selects.retain(|item| item.key != "field_path");
        let is_empty = |item: &Item| matches!(&item.value, Out::List(of) if of.is_empty());
        selects.extend(path.filter(|item| !is_empty(item)));
        let mut items = Vec::new();
        if !selects.is_empty() {
            items.push(Item::own("record_selector", Out::Map(selects)));
        }
        if whole_file && rest.iter().all(|item| item.key != "decoder") {
            let table = Item::own("type", Out::text("csv"));
            items.push(Item::own("decoder", Out::Map(vec![table])));
        }
        for item in &mut rest {
            // An export is more work for a side than a page.
            if item.key == "poll_interval" {
                item.value = Out::text("1h");
            }
        }
        items.extend(rest);
        Ok(items)
    }

    /// Where in an answer something is.
    fn place_in_answer(&mut self, extractor: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        self.known(extractor, of, &["field_path", "field_pointer"]);
        let Some(field) = extractor.own("field_path")?.or(extractor.own("field_pointer")?) else {
            let instead = format!("left out: `{}`; say where it is", extractor.kind()?);
            self.notes.lost(extractor.at, format!("`extractor` of {of}"), instead);
            return Ok(None);
        };
        self.field_path(&field, of)
    }

    fn states(&mut self, mapping: &Part<'_>, of: &str) -> Result<Vec<Item>, BadRef> {
        let all = ["running", "completed", "failed", "timeout", "skipped"];
        self.known(mapping, of, &all);
        let mut items = Vec::new();
        for key in all {
            let names = listed(mapping, key)?;
            let place = format!("`status_mapping.{key}` of {of}");
            let names: Vec<Out> =
                names.iter().filter_map(|name| self.plain(name, &place)).map(Out::Text).collect();
            if !names.is_empty() || matches!(key, "running" | "completed") {
                items.push(Item::new(mapping.at, key, Out::List(names)));
            }
        }
        Ok(items)
    }

    /// How long it is waited for, and after it failed.
    fn waits(&mut self, retriever: &Part<'_>, of: &str) -> Result<Vec<Item>, BadRef> {
        let mut items = Vec::new();
        if let Some(given) = retriever.own("polling_job_timeout")? {
            let (at, place) = (given.at, format!("`polling_job_timeout` of {of}"));
            if let Some(minutes) = self.count(Some(given), &place).filter(|minutes| *minutes > 0) {
                if minutes > MINUTES_MAX {
                    self.notes.chose(at, place, "an export is waited for a day at most");
                }
                let text = format!("{}m", minutes.min(MINUTES_MAX));
                items.push(Item::new(at, "polling_job_timeout", Out::Text(text)));
            }
        }
        if let Some(given) = retriever.own("failed_retry_wait_time_in_seconds")? {
            let (at, place) = (given.at, format!("`failed_retry_wait_time_in_seconds` of {of}"));
            if let Some(seconds) =
                self.count(Some(given), &place).filter(|n| (1..=MINUTES_MAX * 60).contains(n))
            {
                items.push(Item::new(at, "failed_retry_wait", Out::Text(format!("{seconds}s"))));
            }
        }
        Ok(items)
    }
}
