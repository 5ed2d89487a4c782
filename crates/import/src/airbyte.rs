//! Airbyte's declarative manifests (low-code YAML): the read side as ours.
//!
//! Each stream becomes a collection between the source and a second side, which
//! is a stub to be filled in. What we have no word for is left out, with its
//! line and what was done instead.

mod refs;
mod words;
mod calls;
mod terms;
mod keys;
mod figures;
mod spec;
mod side;
mod auth;
mod tokens;
mod errors;
mod budget;
mod stream;
mod read;
mod options;
mod paging;
mod paths;
mod partitions;
mod values;
mod dynamic;
mod forms;
mod jobs;
mod cursor;
mod added;
mod made;
mod known;
mod fields;
mod flat;
mod heads;
mod grand;

use crate::note::Notes;
use crate::out::{Item, Out};
use crate::settle::{STUB as OTHER, settle};
use crate::{ImportError, Start};
pub(crate) use fields::{name as field_name, way};
use hms_sync_config::{At, tree};
use refs::{BadRef, Part};
use side::Sides;
use std::collections::{BTreeMap, BTreeSet};
pub(crate) use stream::other as stub;
use words::Variables;

/// The longest name of a sync, in bytes.
const NAME_MAX: usize = 64;

/// The most streams that are taken over.
const MAX_STREAMS: usize = 500;

/// The most reasons that are told where nothing could be taken over.
const MAX_REASONS: usize = 40;

/// What is known while a manifest is read.
#[derive(Debug)]
struct Import {
    notes: Notes,
    variables: Variables,
    /// The streams that become collections.
    streams: BTreeSet<String>,
    /// The URL of the side that is being read.
    url: String,
    /// Collections that name keys of their parents' parents.
    marks: Vec<grand::Mark>,
    /// Headers of what is being read that say of which partition a request is.
    heads: Vec<heads::Head>,
    /// Fields that cannot be made of the records of the stream being read: where, and why.
    unmakeable: Vec<(At, String)>,
    /// Fields that are made of the records of the stream being read.
    made: BTreeSet<String>,
}

/// A manifest's read side as a configuration. `file` stands for it in messages,
/// `name` is what the source is called.
///
/// # Errors
/// If it is no YAML, or no manifest that anything could be made of.
pub fn airbyte(file: &str, name: &str, yaml: &str) -> Result<Start, ImportError> {
    let root = tree(file, yaml).map_err(ImportError::Unreadable)?;
    let unusable = |at: At, what: String| ImportError::Unusable {
        file: file.to_owned(),
        line: at.line.max(1),
        column: at.column.max(1),
        what,
    };
    let bad = |bad: BadRef| unusable(bad.at, bad.what);
    let manifest = Part::root(&root).map_err(bad)?;
    if !manifest.is_map()
        || manifest.keys().iter().all(|(_, key)| !matches!(*key, "streams" | "dynamic_streams"))
    {
        let what =
            format!("this is no declarative manifest: it is {} without `streams`", manifest.describe());
        return Err(unusable(manifest.at, what));
    }
    let name = slug(name);
    let mut import = Import {
        notes: Notes::default(),
        variables: Variables::new(&name),
        streams: BTreeSet::new(),
        url: String::new(),
        marks: Vec::new(),
        heads: Vec::new(),
        unmakeable: Vec::new(),
        made: BTreeSet::new(),
    };
    let (sides, collections) = import.whole(&manifest, &name).map_err(bad)?;
    if collections.is_empty() {
        return Err(unusable(manifest.at, nothing(file, import.notes)));
    }
    let streams = collections.len();
    let head = head(&name, file, streams);
    let items = document(&name, sides, collections);
    let stubs = stubs(&import.variables, &items);
    let stub = move |variable: &str| stubs.get(variable).cloned();
    let yaml = match settle(items, &head, &stub, &mut import.notes) {
        Ok(Some(yaml)) => yaml,
        Ok(None) => return Err(unusable(manifest.at, nothing(file, import.notes))),
        Err(why) => return Err(unusable(manifest.at, format!("what came of it is not taken: {why}"))),
    };
    let variables =
        import.variables.used.into_iter().filter(|(_, told)| told.required && told.default.is_none());
    let variables = variables.map(|(name, told)| (name, told.title)).collect();
    let notes = import.notes.sorted();
    let yaml = annotated(&yaml, file, &notes);
    Ok(Start { yaml, notes, variables })
}

impl Import {
    fn whole(&mut self, manifest: &Part<'_>, name: &str) -> Result<(Vec<Item>, Vec<Item>), BadRef> {
        self.known(manifest, "the manifest", keys::MANIFEST);
        if let Some(spec) = manifest.own("spec")? {
            self.known(&spec, "`spec`", keys::SPEC);
        }
        self.dynamic(manifest)?;
        spec::read(manifest, &mut self.variables)?;
        let mut sides = Sides::new(name);
        let mut collections: Vec<Item> = Vec::new();
        let streams = manifest.own("streams")?.map(|list| list.elements()).transpose()?.flatten();
        let streams = self.flattened(streams.unwrap_or_default())?;
        for stream in &streams {
            self.streams.extend(stream.word("name")?.map(|name| slug(&name)));
        }
        for stream in streams.into_iter().take(MAX_STREAMS) {
            if let Some(collection) = self.stream(&stream, &mut sides)? {
                if collections.iter().any(|there| there.key == collection.key) {
                    let place = format!("stream `{}`", collection.key);
                    self.notes.lost(stream.at, place, "left out: there is one of this name already");
                    continue;
                }
                collections.push(collection);
            }
        }
        self.give_on(&mut collections);
        let budget = manifest.own("api_budget")?;
        if let Some(budget) = &budget {
            sides.budget(self.budget(budget)?);
        }
        if let Some(level) = manifest.own("concurrency_level")? {
            let most = self.count(level.own("default_concurrency")?, "`concurrency_level`");
            match most.filter(|n| (1..=1000).contains(n)) {
                Some(n) => sides.concurrency(level.at, n),
                None => {
                    let instead = "left out: our default of 32 requests at once holds; set `max_concurrency`";
                    self.notes.lost(level.at, "`concurrency_level`", instead);
                }
            }
        }
        if collections.is_empty() {
            return Ok((Vec::new(), collections));
        }
        let mut sides = sides.items();
        for key in ["request_headers", "error_handler"] {
            side::lift(&mut sides, &mut collections, key);
        }
        Ok((sides, collections))
    }

    /// Streams that are there under a condition are taken as if it held.
    fn flattened<'m>(&mut self, streams: Vec<Part<'m>>) -> Result<Vec<Part<'m>>, BadRef> {
        let mut all = Vec::new();
        for stream in streams {
            match stream.own("streams")?.map(|list| list.elements()).transpose()?.flatten() {
                Some(inner) => {
                    self.notes.lost(stream.at, "`condition` of streams", "left out: they are read always");
                    all.extend(inner);
                }
                None => all.push(stream),
            }
        }
        Ok(all)
    }

    /// Says which keys of a part are not known.
    fn known(&mut self, part: &Part<'_>, of: &str, known: &[&str]) {
        for (at, key) in part.keys() {
            if known.contains(&key) || keys::EVERYWHERE.contains(&key) {
                continue;
            }
            if let Some((_, instead)) = keys::NOTHING_LOST.iter().find(|(name, _)| *name == key) {
                self.notes.chose(at, format!("`{key}` of {of}"), *instead);
                continue;
            }
            let instead = keys::INSTEAD.iter().find(|(name, _)| *name == key);
            let instead = instead.map_or("left out: we have no word for it", |(_, instead)| instead);
            self.notes.lost(at, format!("`{key}` of {of}"), instead);
        }
    }
}

/// That nothing came of it, and why.
fn nothing(file: &str, notes: Notes) -> String {
    let notes: Vec<crate::Note> = notes.sorted().into_iter().filter(|note| note.lost).collect();
    let told =
        notes.iter().take(MAX_REASONS).map(|note| format!("\n{file}:{}:{}: {note}", note.line, note.column));
    format!("there is no stream in it that can be read over HTTP{}", told.collect::<String>())
}

/// What stands in for variables without a default while what came of it is read.
fn stubs(variables: &Variables, items: &[Item]) -> BTreeMap<String, String> {
    let urls: Vec<&str> =
        ["url", "token_refresh_endpoint"].iter().flat_map(|key| texts(items, key)).collect();
    let times: Vec<&str> =
        ["start_datetime", "end_datetime"].iter().flat_map(|key| texts(items, key)).collect();
    let unset = variables.used.iter().filter(|(_, told)| told.default.is_none());
    let value = |name: &str| {
        let whole = urls.iter().any(|url| url.starts_with(&format!("${{{name}")));
        let names =
            |text: &&str| text.contains(&format!("${{{name}}}")) || text.contains(&format!("${{{name}:"));
        if whole {
            "https://stub.example"
        } else if times.iter().any(names) {
            "2020-01-01T00:00:00Z"
        } else {
            "stub"
        }
    };
    unset.map(|(name, _)| (name.clone(), value(name).to_owned())).collect()
}

/// The texts behind a key, wherever it is.
fn texts<'o>(items: &'o [Item], key: &str) -> Vec<&'o str> {
    let inside = |item: &'o Item| match &item.value {
        Out::Text(text) if item.key == key => vec![text.as_str()],
        Out::Map(items) => texts(items, key),
        _ => Vec::new(),
    };
    items.iter().flat_map(inside).collect()
}

/// What a sync of a side is called: not as the side, where messages name both. A name that would be
/// too long stays as it is.
pub(crate) fn sync_name(side: &str) -> String {
    let name = format!("{side}_sync");
    if name.len() > NAME_MAX { side.to_owned() } else { name }
}

/// The configuration as a tree.
fn document(name: &str, mut sides: Vec<Item>, collections: Vec<Item>) -> Vec<Item> {
    let url = format!("${{{}_URL:-http://127.0.0.1:8080}}", OTHER.to_uppercase());
    let other = vec![Item::own("connector", Out::text("http")), Item::own("url", Out::text(url))];
    let other = Item::own(OTHER, Out::Map(other))
        .said("Fill in: the system that is to be kept in step with the source, and the requests\nto it in each collection below.");
    sides.push(other);
    vec![
        Item::own("sync", Out::text(sync_name(name))),
        Item::own("sides", Out::Map(sides)),
        Item::own("collections", Out::Map(collections)),
    ]
}

fn head(name: &str, file: &str, streams: usize) -> String {
    let file: String = file.rsplit('/').next().unwrap_or(file).chars().filter(|c| !c.is_control()).collect();
    format!(
        "# {name}: the read side of {file}, {streams} {}.\n# `{OTHER}` is a stub: fill it in, then `hms-sync check` asks both.\n\n",
        if streams == 1 { "stream" } else { "streams" }
    )
}

/// The notes as comments at the end of the file.
fn annotated(yaml: &str, file: &str, notes: &[crate::Note]) -> String {
    let lost: Vec<String> = notes
        .iter()
        .filter(|note| note.lost)
        .map(|note| format!("#   line {}: {note}\n", note.line))
        .collect();
    if lost.is_empty() {
        return yaml.to_owned();
    }
    let file = file.rsplit('/').next().unwrap_or(file);
    format!("{yaml}\n# Not taken over from {file}:\n{}", lost.concat())
}

/// A name as ours: letters, digits, `_` and `-`.
pub(crate) fn slug(name: &str) -> String {
    let slug: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let parts: Vec<&str> = slug.split('_').filter(|part| !part.is_empty()).collect();
    let slug: String = parts.join("_").chars().take(60).collect();
    if slug.is_empty() { "source".to_owned() } else { slug }
}
