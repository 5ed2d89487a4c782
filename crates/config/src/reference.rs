//! The reference of a config's keys, as Markdown, from the same types as the
//! JSON Schema: what is true of one is true of the other.
//!
//! A description is the key's doc comment. A sentence in it that begins with
//! `Default:` or `Without it:` is its default. Examples are the types' own, or
//! follow from the default, an `as …` in the description, or the type. Since which version a key is
//! there is read from the page as it was before: a key that is not on it is new.
//!
//! What never happens here: a description that stands nowhere in the types.

use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A page of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// What a side reached over HTTP is described by: `docs/reference/http.md`.
    Http,
    /// All other keys: `docs/reference/keys.md`.
    Keys,
}

/// Types whose keys are described on the page of HTTP, and what they stand below.
const HTTP: [(&str, &str); 2] =
    [("Side", "sides.<side>"), ("CollectionSide", "collections.<collection>.sides.<side>")];

/// Types that are words rather than maps: their names say all.
const WORDS: [(&str, &str, &str); 13] = [
    ("NumberOrText", "number", "12"),
    ("BoolOrText", "bool", "true"),
    ("Span", "duration", "30s"),
    ("Size", "size", "32MiB"),
    ("BaseUrl", "URL", "https://api.example.org/v1"),
    ("FieldPath", "path", "location.address"),
    ("PrimaryKey", "path or list of paths", "[board, no]"),
    ("Template", "template", "/permits"),
    ("Tree", "value", "{ limit: 2 }"),
    ("Expression", "expression", "record.status == 'open'"),
    ("Network", "network", "10.0.0.0/8"),
    ("Secrets", "text or list", "whsec_…"),
    ("Headers", "map of text", "{ X-Client: hms-sync }"),
];

/// The most words that a type is told by.
const MOST_WORDS: usize = 5;

impl Page {
    /// The page's text. `before` is the page as it was, or nothing; `version` is ours.
    pub fn render(self, schema: &Json, before: &str, version: &str) -> String {
        let defs = schema.get("$defs").and_then(Json::as_object).cloned().unwrap_or_default();
        let since = since(before);
        let mut writer = Writer { defs, since, version, out: self.head().to_owned(), done: BTreeSet::new() };
        match self {
            Self::Http => {
                for (name, place) in HTTP {
                    writer.root(name, place);
                }
            }
            Self::Keys => {
                writer.done.extend(HTTP.iter().map(|(name, _)| (*name).to_owned()));
                writer.object("the top", "", schema);
                writer.below(schema, "");
            }
        }
        writer.out
    }

    fn head(self) -> &'static str {
        match self {
            Self::Http => {
                "# Keys of a side reached over HTTP\n\n\
                 Every key there is, from the types that read them: `cargo xtask docs` writes this page, and a test\n\
                 fails when it is not what they give. What the keys do together is told in [Configuration](configuration.md).\n"
            }
            Self::Keys => {
                "# All other keys\n\n\
                 Every key there is, from the types that describe them: `cargo xtask docs` writes this page, and a test\n\
                 fails when it is not what they give. What the keys do together is told in [Configuration](configuration.md)\n\
                 and [Fields](fields.md); the keys of a side are in [Keys of a side reached over HTTP](http.md).\n"
            }
        }
    }
}

/// Since when each key of a page is there: by its heading and itself.
fn since(page: &str) -> BTreeMap<(String, String), String> {
    let (mut heading, mut found) = (String::new(), BTreeMap::new());
    for line in page.lines() {
        if let Some(title) = line.strip_prefix('#') {
            title.trim_start_matches('#').trim().clone_into(&mut heading);
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [key, _, _, _, since, _] = cells.as_slice()
            && let Some(key) = key.strip_prefix("| `").and_then(|key| key.strip_suffix('`'))
        {
            found.insert((heading.clone(), key.to_owned()), (*since).to_owned());
        }
    }
    found
}

struct Writer<'v> {
    defs: Map<String, Json>,
    since: BTreeMap<(String, String), String>,
    version: &'v str,
    out: String,
    done: BTreeSet<String>,
}

impl Writer<'_> {
    /// A type, and all that stand below it, at this place.
    fn root(&mut self, name: &str, place: &str) {
        let Some(ty) = self.defs.get(name).cloned() else { return };
        self.done.insert(name.to_owned());
        self.object(place, "", &ty);
        self.below(&ty, "");
    }

    /// The types that the keys of a type name, or of the maps it is one of, each once, where it
    /// is first met.
    fn below(&mut self, ty: &Json, place: &str) {
        for (key, property) in [ty].into_iter().chain(variants(ty)).flat_map(keys) {
            for name in named(property) {
                let Some(inner) = self.defs.get(&name).cloned() else { continue };
                let word = WORDS.iter().any(|(word, ..)| *word == name);
                if word || !self.done.insert(name.clone()) {
                    continue;
                }
                let place = if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") };
                self.kind(&place, &name, &inner);
                self.below(&inner, &place);
            }
        }
        let further = ty.get("additionalProperties").filter(|more| more.is_object());
        for name in variants(ty).into_iter().chain(further).flat_map(named) {
            let Some(inner) = self.defs.get(&name).cloned() else { continue };
            let word = WORDS.iter().any(|(word, ..)| *word == name);
            if !word && self.done.insert(name.clone()) {
                self.kind(place, &name, &inner);
                self.below(&inner, place);
            }
        }
    }

    /// A type: a map, one of several maps, or one of several words.
    fn kind(&mut self, place: &str, name: &str, ty: &Json) {
        let variants = variants(ty);
        if variants.is_empty() {
            self.object(place, name, ty);
            return;
        }
        self.heading(place, name, ty);
        let mut is_list = false;
        for variant in variants {
            let told = prose(variant);
            if keys(variant).next().is_some() {
                let title = format!("`{place}`: `{}`", title(variant));
                self.part(&format!("### {title}"));
                self.part(&told);
                self.table(&title, variant);
                is_list = false;
                continue;
            }
            let told = if told.is_empty() { told } else { format!(": {told}") };
            let line = format!("- {}{told}", word(variant, &self.defs));
            if is_list {
                let _infallible = writeln!(self.out, "{line}");
            } else {
                self.part(&line);
            }
            is_list = true;
        }
    }

    fn object(&mut self, place: &str, name: &str, ty: &Json) {
        self.heading(place, name, ty);
        let title = heading(place, name);
        self.table(&title, ty);
    }

    fn heading(&mut self, place: &str, name: &str, ty: &Json) {
        self.part(&format!("## {}", heading(place, name)));
        self.part(&prose(ty));
    }

    /// A heading, a paragraph, or what a table or a list begins with: an empty line stands before
    /// it, and nothing is none.
    fn part(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let written = self.out.trim_end_matches('\n').len();
        self.out.truncate(written);
        let _infallible = write!(self.out, "\n\n{text}\n");
    }

    /// The keys of a map, one a row.
    fn table(&mut self, title: &str, ty: &Json) {
        let required: BTreeSet<&str> = ty
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        let mut rows: Vec<(&str, &Json)> = keys(ty).filter(|(_, p)| p.get("const").is_none()).collect();
        if rows.is_empty() {
            return;
        }
        let of_map = prose(ty);
        rows.sort_by_key(|(key, _)| !required.contains(key));
        self.part("| key | type | default | example | since | meaning |\n|---|---|---|---|---|---|");
        for (key, property) in rows {
            let own = text(property);
            let (meaning, said) = split(if own.is_empty() { &of_map } else { &own });
            let default = match (required.contains(key), said) {
                (true, _) => "required".to_owned(),
                (false, Some(said)) => said,
                (false, None) => plain_default(property),
            };
            let example = flow(&self.example(property, &default, 0));
            let new = self.version.to_owned();
            let since = self.since.get(&(title.to_owned(), key.to_owned())).cloned().unwrap_or(new);
            let cells = [type_of(property, &self.defs), default, format!("`{example}`"), since, meaning];
            let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
            let _infallible = writeln!(self.out, "| `{key}` | {} |", cells.join(" | "));
        }
        if let Some(more) = ty.get("additionalProperties").filter(|more| more.is_object()) {
            let what = type_of(more, &self.defs);
            self.part(&format!("Further keys are names, each with: {what}."));
        }
    }

    /// A value that may stand at a key.
    fn example(&self, property: &Json, default: &str, depth: usize) -> Json {
        if let Some(given) = property.get("examples").and_then(|of| of.get(0)) {
            return given.clone();
        }
        if primitive(property) == "boolean" {
            return Json::from(default != "`true`");
        }
        let literal = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        if let Some(literal) = literal.filter(|text| !text.contains('`')) {
            return serde_json::from_str(literal).unwrap_or_else(|_| Json::from(literal));
        }
        if let Some(shown) = shown(&text(property)) {
            return Json::from(shown);
        }
        if let Some(of) = property.get("additionalProperties").filter(|of| of.is_object()) {
            let one = ("name".to_owned(), self.example(of, "", depth + 1));
            return Map::from_iter([one]).into();
        }
        for name in named(property) {
            if let Some((.., example)) = WORDS.iter().find(|(word, ..)| *word == name) {
                return Json::from(*example);
            }
            if let Some(ty) = self.defs.get(&name).filter(|_| depth < 6) {
                let one = self.of_type(ty, depth + 1);
                return if property.get("items").is_some() { Json::from(vec![one]) } else { one };
            }
        }
        self.of_type(property, depth)
    }

    fn of_type(&self, ty: &Json, depth: usize) -> Json {
        if let Some(given) = ty.get("examples").and_then(|of| of.get(0)) {
            return given.clone();
        }
        if let Some(only) = ty.get("const").or_else(|| ty.get("enum").and_then(|of| of.get(0))) {
            return only.clone();
        }
        let several = variants(ty);
        let telling = several.iter().find(|one| keys(one).nth(1).is_some()).or_else(|| several.first());
        if let Some(variant) = telling {
            return self.example(variant, "", depth + 1);
        }
        let required = ty.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
        let members: Map<String, Json> = keys(ty)
            .filter(|(key, _)| required.iter().any(|name| name == key))
            .map(|(key, property)| (key.to_owned(), self.example(property, "", depth + 1)))
            .collect();
        match primitive(ty) {
            "object" if members.is_empty() && keys(ty).next().is_none() => {
                Map::from_iter([("name".to_owned(), Json::from("…"))]).into()
            }
            "object" if members.is_empty() => keys(ty)
                .next()
                .map(|(key, of)| (key.to_owned(), self.example(of, "", depth + 1)))
                .into_iter()
                .collect::<Map<_, _>>()
                .into(),
            "object" => members.into(),
            "array" => vec![ty.get("items").map_or(Json::Null, |of| self.example(of, "", depth + 1))].into(),
            "integer" | "number" => Json::from(1),
            "boolean" => Json::from(true),
            _ => Json::from("…"),
        }
    }
}

fn heading(place: &str, name: &str) -> String {
    if name.is_empty() && !place.contains('.') { place.to_owned() } else { format!("`{place}`") }
}

/// The keys of a map, in order.
fn keys(ty: &Json) -> impl Iterator<Item = (&str, &Json)> {
    ty.get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(key, property)| (key.as_str(), property))
}

/// What a type is one of.
fn variants(ty: &Json) -> Vec<&Json> {
    let of = ty.get("oneOf").or_else(|| ty.get("anyOf")).and_then(Json::as_array);
    of.into_iter().flatten().filter(|one| one.get("type").and_then(Json::as_str) != Some("null")).collect()
}

/// The names of the types that a property is made of.
fn named(property: &Json) -> Vec<String> {
    let mut names = Vec::new();
    let own = property.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next());
    names.extend(own.map(str::to_owned));
    let inner = [property.get("items"), property.get("additionalProperties")].into_iter().flatten();
    names.extend(inner.chain(variants(property)).flat_map(named));
    names
}

/// The first type that is not `null`.
fn primitive(ty: &Json) -> &str {
    match ty.get("type") {
        Some(Json::String(one)) => one,
        Some(Json::Array(several)) => {
            several.iter().filter_map(Json::as_str).find(|t| *t != "null").unwrap_or("")
        }
        _ => "",
    }
}

/// The type as the table says it.
fn type_of(property: &Json, defs: &Map<String, Json>) -> String {
    if let Some(name) = property.get("$ref").and_then(Json::as_str).and_then(|path| path.rsplit('/').next()) {
        if let Some((_, said, _)) = WORDS.iter().find(|(word, ..)| *word == name) {
            return (*said).to_owned();
        }
        return defs.get(name).map_or_else(|| "map".to_owned(), |ty| type_of(ty, defs));
    }
    let several = variants(property);
    if !several.is_empty() {
        let words: Vec<String> =
            several.iter().filter_map(|one| constant(one)).map(|w| format!("`{w}`")).collect();
        if words.len() == several.len() {
            return if words.len() > MOST_WORDS { "word".to_owned() } else { words.join(", ") };
        }
        let mut kinds: Vec<String> = several.iter().map(|one| type_of(one, defs)).collect();
        kinds.dedup();
        kinds.truncate(3);
        return kinds.join(" or ");
    }
    if let Some(words) = property.get("enum").and_then(Json::as_array) {
        let words: Vec<String> = words.iter().filter_map(Json::as_str).map(|w| format!("`{w}`")).collect();
        return words.join(", ");
    }
    match primitive(property) {
        "string" => "text".to_owned(),
        "integer" => "number".to_owned(),
        "boolean" => "bool".to_owned(),
        "array" => {
            let of = property.get("items").map(|of| type_of(of, defs)).unwrap_or_default();
            if of.is_empty() { "list".to_owned() } else { format!("list of {of}") }
        }
        "object" => match property.get("additionalProperties").filter(|of| of.is_object()) {
            Some(of) if property.get("properties").is_none() => format!("map of {}", type_of(of, defs)),
            _ => "map".to_owned(),
        },
        "" => "any".to_owned(),
        other => other.to_owned(),
    }
}

fn constant(variant: &Json) -> Option<&str> {
    variant.get("const").and_then(Json::as_str)
}

/// What tells one map of several from the others: its `type`, or its first key.
fn title(variant: &Json) -> String {
    let of_type = keys(variant).find_map(|(key, property)| Some((key, constant(property)?)));
    match of_type {
        Some((key, value)) => format!("{key}: {value}"),
        None => keys(variant).next().map(|(key, _)| key.to_owned()).unwrap_or_default(),
    }
}

fn word(variant: &Json, defs: &Map<String, Json>) -> String {
    constant(variant).map_or_else(|| type_of(variant, defs), |word| format!("`{word}`"))
}

fn text(property: &Json) -> String {
    let given = property.get("description").and_then(Json::as_str).unwrap_or_default();
    given.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn prose(ty: &Json) -> String {
    text(ty)
}

/// A description without the sentence that tells the default, and the default.
fn split(text: &str) -> (String, Option<String>) {
    let found = ["Default: ", "Without it: "].iter().find_map(|word| Some((text.find(word)?, *word)));
    let Some((at, word)) = found else { return (text.to_owned(), None) };
    let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    let rest = rest.strip_prefix(word).unwrap_or(rest);
    let (default, after) = rest.split_once(". ").unwrap_or((rest.strip_suffix('.').unwrap_or(rest), ""));
    let meaning = format!("{} {}", before.trim(), after.trim()).trim().to_owned();
    let default =
        if default.chars().all(|c| c.is_ascii_digit()) { format!("`{default}`") } else { default.to_owned() };
    (meaning, Some(default))
}

fn plain_default(property: &Json) -> String {
    match property.get("default") {
        Some(given) if !given.is_null() => format!("`{given}`").replace('"', ""),
        _ => "none".to_owned(),
    }
}

/// What a description shows: the first code after `as` or a colon.
fn shown(text: &str) -> Option<&str> {
    let at = ["as `", ": `"].iter().filter_map(|mark| text.find(mark)).min()?;
    text.get(at..)?.split('`').nth(1)
}

/// A value in one line of YAML.
fn flow(value: &Json) -> String {
    match value {
        Json::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{key}: {}", inner(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Json::Array(elements) => format!("[{}]", elements.iter().map(inner).collect::<Vec<_>>().join(", ")),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The same between brackets, where some text must be quoted.
fn inner(value: &Json) -> String {
    match value {
        Json::String(text) if text.contains(['{', '}', '[', ']', ',', '#', '"']) || text.contains(": ") => {
            if text.starts_with("{ ") {
                text.clone()
            } else {
                Json::from(text.as_str()).to_string()
            }
        }
        other => flow(other),
    }
}

/// A cell's text: a bar would end the cell.
fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|")
}
