//! Records out of an answer. Hostile input: any bytes may come.

use crate::deleted::Deleted;
use crate::error::{SpecError, quote};
use crate::guard::{self, Guard};
use crate::key::RecordKey;
use crate::partition::NAMES;
use crate::read;
use crate::spec::{FieldPath, HttpCollection, VersionTag};
use crate::stamp::{Scale, Stamp};
use crate::transform::{Around, RANGE, Transform};
use crate::wire::Answer;
use hms_sync_connector::{Content, Observation};
use hms_sync_model::{NativeId, Tag};
use http::HeaderName;
use http::header::ETAG;
use serde_json::{Map, Value as Json};

/// A record may be as large as this.
pub(crate) const RECORD_MAX: usize = 16 << 20;

/// Members by which sides say how many records a listing has in all.
const TOTALS: [&str; 5] = ["total", "total_count", "totalCount", "total_items", "totalItems"];

/// The records of a listing, and how many there are in all if it says so.
///
/// In XML a list of one is no list, and an empty one is nothing.
pub(crate) fn records(
    json: Json,
    selector: Option<&FieldPath>,
    is_xml: bool,
) -> Result<(Vec<Json>, Option<u64>), String> {
    let total = match &json {
        Json::Object(members) => TOTALS.iter().find_map(|name| members.get(*name)?.as_u64()),
        _ => None,
    };
    if let Some(path) = selector.filter(|path| path.has_wildcard()) {
        return Ok((places(json, path)?, total));
    }
    let found = match (selector, json) {
        (Some(path), json) => {
            if is_xml && path.is_open_in(&json) {
                return Ok((Vec::new(), total));
            }
            path.take(json).ok_or_else(|| format!("there is nothing at `{path}` in the answer"))?
        }
        (None, Json::Object(members)) => only_list(members)?,
        (None, json) => json,
    };
    match found {
        Json::Array(records) => Ok((records, total)),
        Json::Null if is_xml => Ok((Vec::new(), total)),
        record @ Json::Object(_) if is_xml => Ok((vec![record], total)),
        other => Err(format!("there is no list of records in the answer, but {}", kind(&other))),
    }
}

/// The records of all places that a path with `*` leads to. What lacks the rest of the
/// path has no records there; if all lack it, the path is wrong.
pub(crate) fn places(json: Json, path: &FieldPath) -> Result<Vec<Json>, String> {
    let parts: Vec<&str> = path.parts().collect();
    let (mut places, mut open) = (Vec::new(), 0);
    expand(json, &parts, &mut places, &mut open);
    if places.is_empty() && open > 0 {
        return Err(format!("there is nothing at `{path}` in the answer"));
    }
    let mut records = Vec::new();
    for place in places {
        match place {
            Json::Array(mut list) => records.append(&mut list),
            Json::Null => {}
            record => records.push(record),
        }
    }
    Ok(records)
}

/// `open` counts what lacks the rest of the path.
fn expand(json: Json, parts: &[&str], places: &mut Vec<Json>, open: &mut usize) {
    let Some((part, rest)) = parts.split_first() else { return places.push(json) };
    match (*part, json) {
        ("*", Json::Array(elements)) => {
            elements.into_iter().for_each(|element| expand(element, rest, places, open));
        }
        ("*", Json::Object(members)) => {
            members.into_iter().for_each(|(_, member)| expand(member, rest, places, open));
        }
        (name, Json::Object(mut members)) => match members.remove(name) {
            Some(member) => expand(member, rest, places, open),
            None => *open += 1,
        },
        (index, Json::Array(elements)) => {
            match index.parse().ok().and_then(|index: usize| elements.into_iter().nth(index)) {
                Some(element) => expand(element, rest, places, open),
                None => *open += 1,
            }
        }
        (_, _) => *open += 1,
    }
}

/// The member whose list is taken for the records where nobody says where they are.
pub(crate) fn found_at(json: &Json) -> Option<String> {
    let Json::Object(members) = json else { return None };
    let name = members.iter().find_map(|(name, member)| member.is_array().then_some(name))?;
    Some(quote(name.as_bytes(), 60))
}

fn only_list(members: Map<String, Json>) -> Result<Json, String> {
    let names: Vec<String> = members.keys().take(8).map(|name| quote(name.as_bytes(), 60)).collect();
    let mut lists = members.into_iter().filter(|(_, member)| member.is_array());
    match (lists.next(), lists.next()) {
        (Some((_, list)), None) => Ok(list),
        (None, _) => Err(format!(
            "the answer has no list of records; `record_selector` must name one of {}",
            names.join(", ")
        )),
        (Some((a, _)), Some((b, _))) => {
            let [a, b] = [a, b].map(|name| quote(name.as_bytes(), 60));
            Err(format!("the answer has several lists (`{a}`, `{b}`); `record_selector` must name one"))
        }
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a yes or no",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// How records of a collection are looked at.
#[derive(Debug)]
pub(crate) struct Lens {
    pub(crate) key: RecordKey,
    pub(crate) tag: TagFrom,
    /// When a record was last changed.
    pub(crate) modified: Option<Scale>,
    /// Which records say that they are gone.
    pub(crate) deleted: Option<Deleted>,
    /// What is made of a record before it is looked at.
    transform: Option<Transform>,
}

/// Where versions are, and what they look like.
#[derive(Debug)]
pub(crate) struct TagFrom {
    header: Option<HeaderName>,
    field: Option<FieldPath>,
    /// They are entity tags: the same with and without quotes.
    etag: bool,
    /// Weak tags are of no use for what comes after.
    weak: bool,
}

impl TagFrom {
    /// Where none are looked for.
    fn nowhere() -> Self {
        Self { header: None, field: None, etag: false, weak: false }
    }

    pub(crate) fn new(spec: Option<&VersionTag>, guard: &Guard) -> Result<Self, String> {
        let usual = VersionTag::header("etag");
        let VersionTag { header, field } = spec.unwrap_or(&usual);
        if header.is_none() && field.is_none() {
            return Err("needs `header` or `field`".to_owned());
        }
        let name = |name: &String| {
            HeaderName::try_from(name).map_err(|_| format!("`{name}` is no name of a header"))
        };
        let header = header.as_ref().map(name).transpose()?;
        let etag = guard.is_etag() || header.as_ref().is_some_and(|name| *name == ETAG);
        Ok(Self { header, field: field.clone(), etag, weak: guard.takes_weak() })
    }

    fn find(&self, record: Option<&Json>, answer: Option<&Answer>) -> Option<String> {
        let head = self.header.as_ref().and_then(|name| answer?.header(name));
        let text = match (head, &self.field) {
            (Some(text), _) => text.to_owned(),
            (None, Some(path)) => match path.get(record?)? {
                Json::String(text) => text.clone(),
                Json::Number(n) => n.to_string(),
                _ => return None,
            },
            (None, None) => return None,
        };
        if !self.etag {
            return Some(text);
        }
        (self.weak || !guard::is_weak(&text)).then(|| guard::quoted_tag(&text))
    }
}

impl Lens {
    /// `key` is the collection's name.
    pub(crate) fn new(key: &str, spec: &HttpCollection) -> Result<Self, SpecError> {
        let bad = |part: &str, why: String| SpecError::new(format!("{key}.{part}"), why);
        let guard = Guard::new(&format!("{key}.precondition"), spec)?;
        let tag = TagFrom::new(spec.version_tag.as_ref(), &guard).map_err(|e| bad("version_tag", e))?;
        let deleted = spec.deleted_when.as_ref().map(Deleted::new).transpose();
        let deleted = deleted.map_err(|why| bad("deleted_when", why))?;
        let record_key = RecordKey::new(&spec.primary_key).map_err(|why| bad("primary_key", why))?;
        let transform = Transform::new(&spec.transformations).map_err(|why| bad("transformations", why))?;
        if let Some(transform) = &transform {
            transform.fits(spec).map_err(|why| bad("transformations", why))?;
        }
        Ok(Self { key: record_key, tag, modified: read::modified(spec), deleted, transform })
    }

    /// For records of which only the key counts.
    pub(crate) fn plain(key: RecordKey) -> Self {
        Self { key, tag: TagFrom::nowhere(), modified: None, deleted: None, transform: None }
    }

    /// A record as it came, made ready to be looked at; the error is a part of a line for people.
    pub(crate) fn made(&self, record: Json) -> Result<Json, String> {
        self.made_of(record, None)
    }

    /// The same for a record of a listing, with what that knows of it.
    pub(crate) fn made_of(&self, mut record: Json, around: Option<&Around>) -> Result<Json, String> {
        if let Some(transform) = &self.transform {
            transform.apply(&mut record, true, around)?;
        }
        Ok(record)
    }

    /// Whether anything is made of what a listing knows of its records.
    pub(crate) fn looks_around(&self) -> bool {
        let names = |transform: &Transform| NAMES.iter().chain(&RANGE).any(|name| transform.names(name));
        self.transform.as_ref().is_some_and(names)
    }

    /// Whether anything that is made names the end of the range that was asked for.
    pub(crate) fn names_end(&self) -> bool {
        self.transform.as_ref().is_some_and(|transform| transform.names("cursor_end"))
    }

    /// Whether the key of a record, and what stands at `other`, are as they came.
    pub(crate) fn leaves_alone(&self, other: Option<&FieldPath>) -> bool {
        let Some(transform) = &self.transform else { return true };
        !self.key.paths().iter().chain(other).any(|path| transform.touches(path))
    }

    /// The same where it may not be whole: nothing is made of what may be missing.
    pub(crate) fn partly(&self, mut record: Json) -> Result<Json, String> {
        if let Some(transform) = &self.transform {
            transform.apply(&mut record, false, None)?;
        }
        Ok(record)
    }

    /// The record's id; the error is a part of a line for people.
    pub(crate) fn id(&self, record: &Json) -> Result<NativeId, String> {
        if !record.is_object() {
            return Err(format!("is no object, but {}", kind(record)));
        }
        self.key.id(record)
    }

    /// A record of a listing, or one on its own with the answer that brought it.
    pub(crate) fn observe(&self, id: NativeId, record: Json, answer: Option<&Answer>) -> Observation {
        let gone = self.is_gone(&record).unwrap_or(false);
        let modified = self.modified.as_ref().and_then(|scale| scale.time(&scale.of(&record)?));
        let tag = self.tag(Some(&record), answer);
        Observation { id, tag, modified, content: content(record, gone) }
    }

    /// The same where the listing's cursor value has been read already; the error is a part
    /// of a line for people.
    pub(crate) fn observe_at(
        &self,
        id: NativeId,
        record: Json,
        stamp: Option<(&Scale, &Stamp)>,
    ) -> Result<Observation, String> {
        let gone = self.is_gone(&record)?;
        let Some((scale, stamp)) = stamp else { return Ok(self.observe(id, record, None)) };
        let (tag, modified) = (self.tag(Some(&record), None), scale.time(stamp));
        Ok(Observation { id, tag, modified, content: content(record, gone) })
    }

    fn is_gone(&self, record: &Json) -> Result<bool, String> {
        self.deleted.as_ref().map_or(Ok(false), |deleted| deleted.says(record))
    }

    /// The version: from the header of an answer about just this record, or from the record.
    pub(crate) fn tag(&self, record: Option<&Json>, answer: Option<&Answer>) -> Option<Tag> {
        let text = self.tag.find(record, answer)?;
        Tag::try_new(text).ok()
    }
}

fn content(record: Json, gone: bool) -> Content {
    if gone { Content::Gone } else { Content::Whole(record) }
}

/// An id is text or a whole number.
pub(crate) fn scalar_id(json: &Json) -> Result<NativeId, String> {
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Number(n) if n.is_u64() || n.is_i64() => n.to_string(),
        Json::Number(n) => {
            let text = n.to_string();
            let digits = text.strip_prefix('-').unwrap_or(&text);
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("a number that is not whole".to_owned());
            }
            text
        }
        other => return Err(kind(other).to_owned()),
    };
    NativeId::try_new(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{found_at, records, scalar_id};
    use crate::spec::FieldPath;
    use serde_json::json;

    #[test]
    fn finds_the_records() {
        let found =
            |json, selector: Option<&str>| records(json, selector.map(FieldPath::dotted).as_ref(), false);
        assert_eq!(found(json!([1]), None), Ok((vec![json!(1)], None)));
        assert_eq!(found(json!({ "items": [1], "total": 9 }), None), Ok((vec![json!(1)], Some(9))));
        assert_eq!(found(json!({ "a": { "b": [1] }, "c": [] }), Some("a.b")), Ok((vec![json!(1)], None)));
        assert_eq!(found_at(&json!({ "items": [1], "total": 9 })).as_deref(), Some("items"));
        assert_eq!(found_at(&json!([1])), None);
        assert!(found(json!({ "error": "x" }), None).unwrap_err().contains("one of error"));
        assert!(found(json!({ "a": [], "b": [] }), None).unwrap_err().contains("several"));
        // Names are a side's own words, and no terminal obeys them.
        for members in [json!({ "a\u{7}b": 1 }), json!({ "a\u{7}b": [], "c": [] })] {
            assert!(found(members, None).unwrap_err().contains("a\\u{7}b"));
        }
        assert!(found(json!({ "a": 1 }), Some("b")).unwrap_err().contains("nothing at `b`"));
        assert!(found(json!({ "a": {} }), Some("a")).unwrap_err().contains("an object"));
    }

    #[test]
    fn wildcards_gather_from_all_places() {
        let found = |json, path: &str| records(json, Some(&FieldPath::dotted(path)), false).map(|(r, _)| r);
        let json = json!({ "years": [{ "lines": [1, 2] }, {}, { "lines": null }, { "lines": [3] }] });
        assert_eq!(found(json.clone(), "years.*.lines"), Ok(vec![json!(1), json!(2), json!(3)]));
        assert_eq!(
            found(json!({ "byId": { "a": { "id": 1 }, "b": { "id": 2 } } }), "byId.*").unwrap().len(),
            2
        );
        assert_eq!(found(json!({ "years": [] }), "years.*.lines"), Ok(Vec::new()));
        assert!(found(json, "years.*.lnes").unwrap_err().contains("nothing at `years.*.lnes`"));
        assert!(found(json!({ "a": 1 }), "a.*").unwrap_err().contains("nothing at"));
    }

    #[test]
    fn in_xml_a_list_may_be_one_or_nothing() {
        let found = |json| records(json, Some(&FieldPath::dotted("a.b")), true).map(|(r, _)| r.len());
        assert_eq!(found(json!({ "a": { "b": { "id": "1" } } })), Ok(1));
        assert_eq!(found(json!({ "a": { "b": [{}, {}] } })), Ok(2));
        assert_eq!(found(json!({ "a": null })), Ok(0));
        assert_eq!(found(json!({ "a": { "@n": "0" } })), Ok(0));
        found(json!({ "x": null })).unwrap_err();
    }

    #[test]
    fn ids_are_text_or_whole_numbers() {
        let big = serde_json::from_str("123456789012345678901234567890").unwrap();
        assert_eq!(scalar_id(&big).unwrap().as_str(), "123456789012345678901234567890");
        assert_eq!(scalar_id(&json!(-7)).unwrap().as_str(), "-7");
        for bad in [json!(1.5), json!(""), json!(null), json!([1]), json!("a\0b"), json!("x".repeat(70_000))]
        {
            scalar_id(&bad).unwrap_err();
        }
    }
}
