//! `fields:` of a collection: each field's type, its place on each side, and
//! how it merges.
//!
//! A field's entry mixes keys of ours with the names of sides. A key that is
//! neither is a mistake with a hint for both.

use crate::node::{Entry, Node};
use crate::policies::{self, Keeps, Owner, Resolve, Scope};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use crate::{field_types, mappings};
use hms_sync_mapping::{Direction, FieldMapping, Finding, Normal, SideMap};
use hms_sync_model::{FieldName, FieldType, SideName, Value};

/// Keys of a field that are not sides. A side must not be called so.
pub(crate) const FIELD_KEYS: &[&str] = &[
    "type",
    "of",
    "values",
    "resolve",
    "owner",
    "locks",
    "personal",
    "normalize",
    "key",
    "expression",
    "derive",
    "require",
];

/// All fields of a collection.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// Those that could be read, in the order of the file.
    pub(crate) all: Vec<Field>,
    /// Names of those that could not, which is said already.
    broken: Vec<String>,
}

impl Fields {
    /// Whether a field of this name could not be read, which is said already.
    pub(crate) fn is_broken(&self, name: &str) -> bool {
        self.broken.iter().any(|broken| broken == name)
    }

    /// A field that something else names; one that is not there is a problem.
    pub(crate) fn get(
        &self,
        what: &str,
        name: &str,
        node: &Node,
        problems: &mut Problems<'_>,
    ) -> Option<&Field> {
        let field = self.all.iter().find(|field| field.name.as_str() == name);
        if field.is_none() && !self.is_broken(name) {
            let hint = nearest(name, self.all.iter().map(|field| field.name.as_str()));
            problems.add_hint(node.at, format!("{what} names {}, which is no field", node.describe()), hint);
        }
        field
    }
}

/// One field as written.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) at: At,
    pub(crate) name: FieldName,
    pub(crate) ty: FieldType,
    pub(crate) resolve: Option<Resolve>,
    pub(crate) owner: Option<Owner>,
    pub(crate) locks: Vec<Value>,
    /// Where it is said that its values are personal.
    pub(crate) personal: Option<At>,
    pub(crate) places: Vec<Place>,
    /// Sides on which its place could not be read, which is said already.
    pub(crate) broken: Vec<SideName>,
}

/// A field on one side.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) at: At,
    pub(crate) side: SideName,
    pub(crate) mapping: FieldMapping,
    /// Whether the side's edits fill the field only while the others leave it blank.
    pub(crate) fills_blank: bool,
    /// Values that must come back from there as they are.
    pub(crate) samples: Vec<Value>,
}

impl Place {
    /// Whether we write the field to the side.
    pub(crate) fn taken(&self) -> bool {
        self.mapping.direction != Direction::FromSide
    }
}

/// Reads `fields:`.
pub(crate) fn read(node: &Node, sides: &[SideName], problems: &mut Problems<'_>) -> Fields {
    let Some(mut map) = Section::open(node, "`fields`", problems) else { return Fields::default() };
    let entries = map.rest();
    if entries.is_empty() {
        problems.add(node.at, "a collection needs at least one field");
    }
    let mut fields = Fields::default();
    for entry in entries {
        match field(entry, sides, problems) {
            Some(field) => fields.all.push(field),
            None => fields.broken.push(entry.key.clone()),
        }
    }
    fields
}

fn field(entry: &Entry, sides: &[SideName], problems: &mut Problems<'_>) -> Option<Field> {
    let name: FieldName = section::key(entry, problems)?;
    let what = format!("field `{name}`");
    let mut map = Section::open(&entry.value, what.clone(), problems)?;
    let ty = field_types::read(&mut map, problems);
    let scope = Scope { what: &what, ty: ty.as_ref(), sides };
    let personal = map.take("personal", problems).and_then(|node| {
        let yes = section::yes_no(node, &format!("`personal` of {what}"), problems)?;
        yes.then_some(node.at)
    });
    let keys = ["resolve", "owner", "locks"].map(|key| map.take(key, problems));
    // Without a type nothing can be said about rules; that is said already.
    let [resolve, owner, locks] = if ty.is_some() { keys } else { [None; 3] };
    let resolve = match resolve {
        Some(node) => policies::resolve(node, scope, problems),
        None => ty.as_ref().filter(|ty| is_keyed(ty)).map(|_| Resolve::of_elements(entry.at)),
    };
    by_key(resolve.as_ref(), ty.as_ref(), &what, problems);
    let owner = owner.and_then(|node| policies::owner(node, scope, problems));
    let locks = locks.and_then(|node| policies::values(node, "`locks`", scope, problems)).unwrap_or_default();
    if resolve.as_ref().is_some_and(|r| r.keeps != Keeps::Value) && (owner.is_some() || !locks.is_empty()) {
        let message = format!("{what} is a union or counter, to which `owner` and `locks` do not apply");
        problems.add(entry.at, message);
    }
    let normalize = map.take("normalize", problems).map(|node| normalize(node, &what, ty.as_ref(), problems));
    let known = map.known().to_vec();
    let (mut places, mut broken, mut mapped) = (Vec::new(), Vec::new(), false);
    for entry in map.rest() {
        let Some(side) = side_of(entry, &name, sides, &known, problems) else { continue };
        mapped = true;
        match mappings::read(entry, &name, side, ty.as_ref(), problems) {
            Some(mut place) => {
                place.mapping.normalize.clone_from(normalize.as_ref().unwrap_or(&Vec::new()));
                places.push(place);
            }
            None => broken.push(side.clone()),
        }
    }
    if let Some(first) = sides.first().filter(|_| !mapped) {
        let hint = format!("say where it is on a side: `{first}: path.to.it`");
        problems.add_hint(entry.at, format!("{what} is on no side"), hint);
    }
    if let Some(owner) = owner.as_ref().filter(|owner| !broken.contains(&owner.side)) {
        let gives = |place: &Place| place.side == owner.side && place.mapping.direction != Direction::ToSide;
        if !places.iter().any(gives) {
            let message = format!("{what} is owned by `{}`, but is never read from there", owner.side);
            problems.add(entry.at, message);
        }
    }
    let ruled =
        owner.is_some() || !locks.is_empty() || resolve.as_ref().is_some_and(|r| r.keeps != Keeps::Value);
    fills_blank(&what, &places, ruled, problems);
    Some(Field { at: entry.at, name, ty: ty?, resolve, owner, locks, personal, places, broken })
}

/// Whether it is a set of objects that are known by a key.
pub(crate) fn is_keyed(ty: &FieldType) -> bool {
    matches!(ty, FieldType::Set(of) if matches!(**of, FieldType::Object(_)))
}

/// Elements that have a key merge by themselves.
fn by_key(resolve: Option<&Resolve>, ty: Option<&FieldType>, what: &str, problems: &mut Problems<'_>) {
    let whole = resolve.filter(|resolve| resolve.keeps == Keeps::Value);
    if let Some(resolve) = whole.filter(|_| ty.is_some_and(is_keyed)) {
        let message = format!("{what} has a `key`, so its elements merge by themselves");
        let hint =
            "resolve: { union: add_wins } or { union: remove_wins }; for one value as a whole, type: json";
        problems.add_hint(resolve.at, message, hint);
    }
}

/// `normalize`: words for what does not count.
fn normalize(node: &Node, what: &str, ty: Option<&FieldType>, problems: &mut Problems<'_>) -> Vec<Normal> {
    let words = [
        ("trim", Normal::Trim),
        ("collapse", Normal::Collapse),
        ("nfc", Normal::Nfc),
        ("lower", Normal::Lower),
        ("upper", Normal::Upper),
    ];
    let (what, before) = (format!("`normalize` of {what}"), problems.count());
    if let Some(ty) = ty.filter(|ty| !Normal::suits(ty)) {
        problems.add(node.at, format!("{what} is for text, this is {}", policies::type_name(ty)));
    }
    let mut found = Vec::new();
    for node in section::list(node, &what, problems).unwrap_or_default() {
        let Some(step) = section::choice(node, &what, &words, problems) else { continue };
        if found.contains(&step) {
            problems.add(node.at, format!("{what} says {} twice", node.describe()));
        }
        found.push(step);
    }
    if found.contains(&Normal::Lower) && found.contains(&Normal::Upper) {
        problems.add(node.at, format!("{what} cannot be both lower and upper"));
    }
    if problems.count() == before { found } else { Vec::new() }
}

/// Sides that fill blanks need others whose word counts, and nobody else with the last word.
fn fills_blank(what: &str, places: &[Place], ruled: bool, problems: &mut Problems<'_>) {
    let gives = |place: &&Place| place.mapping.direction != Direction::ToSide;
    for place in places.iter().filter(|place| place.fills_blank) {
        if !gives(&place) {
            problems
                .add(place.at, format!("{what} is never read from `{}`, so it fills nothing", place.side));
        } else if ruled {
            let message =
                format!("{what} has `fills_blank`, to which owner, locks, union and counter do not go");
            problems.add(place.at, message);
        } else if !places.iter().filter(gives).any(|other| !other.fills_blank) {
            let message = format!("{what}: every side only fills blanks, so nobody could change a value");
            problems.add_hint(place.at, message, "leave one side without `fills_blank`");
        }
    }
}

/// The side that a key of a field names.
fn side_of<'s>(
    entry: &Entry,
    field: &FieldName,
    sides: &'s [SideName],
    known: &[&'static str],
    problems: &mut Problems<'_>,
) -> Option<&'s SideName> {
    let side = sides.iter().find(|side| side.as_str() == entry.key);
    let shown: String = entry.key.chars().take(60).collect();
    if side.is_none() && FIELD_KEYS.contains(&entry.key.as_str()) {
        let message = format!("`{shown}` of field `{field}` is not there yet");
        match shown.as_str() {
            "expression" => problems.add_hint(
                entry.at,
                format!("`expression` in field `{field}` is a policy"),
                "write resolve: { expression: \"…\" }",
            ),
            "derive" | "require" => {
                let message = format!("`{shown}` in field `{field}` is for groups");
                problems.add_hint(entry.at, message, "a group's fields are derived and required together");
            }
            _ => problems.add(entry.at, message),
        }
    } else if side.is_none() {
        let known = known.iter().copied().chain(sides.iter().map(SideName::as_str));
        let message = format!("`{shown}` in field `{field}` is neither a key nor a side of this collection");
        problems.add_hint(entry.at, message, nearest(&entry.key, known));
    }
    side
}

/// What is written to a side must come back from there. Where a side holds less than we
/// do, that is lawful; but not of a sample.
fn invertible(map: &SideMap, place: &Place, problems: &mut Problems<'_>) {
    let Place { at, side, mapping, samples, fills_blank: _ } = place;
    for finding in map.findings(&mapping.field, samples) {
        let hint = match &finding {
            Finding::NoWord { .. } => {
                "list it in `values`, or say with `otherwise: { to: … }` what is written for it"
            }
            Finding::Lossy { value, .. } if samples.contains(value) => {
                "samples must come back as they are: mend `to` or `from`"
            }
            Finding::Lossy { .. } => continue,
            Finding::NotRead { .. } | Finding::Restless { .. } | Finding::Forgets { .. } => {
                "what is written must be read back as the same"
            }
        };
        problems.add_hint(*at, format!("field `{}` on `{side}`: {finding}", mapping.field), hint);
    }
}

/// Compiles the fields of one side; every one that cannot be is a problem.
pub(crate) fn side_map(side: &SideName, fields: &[Field], problems: &mut Problems<'_>) -> Option<SideMap> {
    let before = problems.count();
    let places: Vec<&Place> =
        fields.iter().flat_map(|f| &f.places).filter(|place| place.side == *side).collect();
    for (i, place) in places.iter().enumerate() {
        match SideMap::new(vec![place.mapping.clone()]) {
            Ok(map) => invertible(&map, place, problems),
            Err(why) => problems.add(place.at, format!("side `{side}`, {why}")),
        }
        let taken = places.iter().take(i).find(|earlier| {
            earlier.taken() && place.taken() && earlier.mapping.path.overlaps(&place.mapping.path)
        });
        if let Some(earlier) = taken {
            let (first, second, path) = (&earlier.mapping.field, &place.mapping.field, &place.mapping.path);
            let message =
                format!("fields `{first}` and `{second}` would both be written at `{path}` on `{side}`");
            problems.add_hint(place.at, message, "give one of them another path, or `direction: from_side`");
        }
    }
    if problems.count() > before {
        return None;
    }
    SideMap::new(places.into_iter().map(|place| place.mapping.clone()).collect()).ok()
}
