//! `collections:`: what kinds of record there are, where, and how they merge.

use crate::bridge;
use crate::cases;
use crate::fields::{self, Field, Fields};
use crate::node::{Entry, Kind, Node};
use crate::personal;
use crate::places;
use crate::policies::{self, Scope};
use crate::problem::{At, Problems, nearest};
use crate::section::{self, Section};
use crate::sides::Read;
use crate::types::{Collection, CollectionSide, Guard, OnAltered, OnMissing, SETTLE_WINDOW};
use crate::{contract, groups, parents, rules};
use hms_sync_http::HttpConnector;
use hms_sync_http::spec::{HttpCollection, HttpSpec, ReadSpec};
use hms_sync_mapping::Direction;
use hms_sync_model::{CollectionName, FieldName, SideName, VecMap};
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys of a collection's side that are not the connector's.
const SIDE_KEYS: &[&str] =
    &["settle_window", "accept_lost_updates", "on_altered", "on_missing", "read_back", "schema_contract"];
const ON_ALTERED: &[(&str, OnAltered)] =
    &[("keep_ours", OnAltered::KeepOurs), ("take_theirs", OnAltered::TakeTheirs), ("park", OnAltered::Park)];
const ON_MISSING: &[(&str, OnMissing)] = &[
    ("deleted", OnMissing::Deleted),
    ("recreate", OnMissing::Recreate),
    ("park", OnMissing::Park),
    ("unlink", OnMissing::Unlink),
];
/// Whether what comes back is the old one.
const RECREATE: &[(&str, bool)] = &[("fresh", false), ("revive", true)];
/// Keys of its `read` that are not the connector's.
const READ_KEYS: &[&str] = &["poll_interval", "full_interval", "sweep_interval"];

/// Reads `collections:`.
pub(crate) fn read(
    node: &Node,
    sides: &[Read],
    problems: &mut Problems<'_>,
) -> VecMap<CollectionName, Collection> {
    let Some(mut map) = Section::open(node, "`collections`", problems) else { return VecMap::new() };
    let entries = map.rest();
    if entries.is_empty() {
        problems.add(node.at, "a sync needs at least one collection");
    }
    parents::check(node, problems);
    let mut hooks = Hooks::new();
    entries.into_iter().filter_map(|entry| one(entry, sides, &mut hooks, problems)).collect()
}

/// Where webhooks come in, and what for.
type Hooks = BTreeMap<String, String>;

/// A side of a collection as far as it could be read.
pub(crate) struct Part {
    pub(crate) at: At,
    pub(crate) name: SideName,
    pub(crate) hook_at: Option<At>,
    pub(crate) http: Option<HttpCollection>,
    pub(crate) poll_interval: Option<Duration>,
    pub(crate) full_interval: Option<Duration>,
    pub(crate) sweep_interval: Option<Duration>,
    pub(crate) settle_window: Duration,
    pub(crate) accept_lost_updates: bool,
    /// It is a subscriber.
    is_told: bool,
    on_altered: OnAltered,
    on_missing: OnMissing,
    read_back: bool,
    contract: Option<contract::Said>,
}

fn one(
    entry: &Entry,
    sides: &[Read],
    hooks: &mut Hooks,
    problems: &mut Problems<'_>,
) -> Option<(CollectionName, Collection)> {
    let name: CollectionName = section::key(entry, problems)?;
    let before = problems.count();
    let mut map = Section::open(&entry.value, format!("collection `{name}`"), problems)?;
    let node = map.require("sides", problems);
    let parts = node.map(|node| self::sides(node, &name, sides, problems)).unwrap_or_default();
    for part in &parts {
        hook(&name, part, hooks, problems);
    }
    let here: Vec<SideName> = parts.iter().map(|part| part.name.clone()).collect();
    let shown: Vec<SideName> =
        parts.iter().filter(|part| !part.is_told).map(|part| part.name.clone()).collect();
    let fields =
        map.require("fields", problems).map(|node| fields::read(node, &here, problems)).unwrap_or_default();
    let identity = map.require("identity", problems).map(|node| identity(node, &fields, &shown, problems));
    let guard = map.take("guard", problems).map_or(Some(Guard::default()), |node| guard(node, problems));
    let scope = Scope { what: "the collection", ty: None, sides: &here };
    let default = map.take("resolve", problems).and_then(|node| policies::resolve(node, scope, problems));
    let groups = map
        .take("groups", problems)
        .map(|node| groups::read(node, &fields, &here, problems))
        .unwrap_or_default();
    let deletes = map.take("deletes", problems).and_then(|node| rules::deletes(node, problems));
    let tests = map
        .take("tests", problems)
        .map(|node| cases::read(node, &fields, &here, problems))
        .unwrap_or_default();
    let contract = map.take("schema_contract", problems).and_then(|node| contract::read(node, problems));
    let revives = map.take("recreate", problems);
    let revives = revives.and_then(|node| section::choice(node, "`recreate`", RECREATE, problems));
    map.finish(problems);
    let named = identity.as_deref().unwrap_or_default();
    let personal = personal::read(&fields.all, named, &groups, &parts, problems);
    rules::lost_updates(&fields.all, &parts, problems);
    let compiled: Vec<_> = parts
        .into_iter()
        .filter_map(|part| compile(part, &fields.all, contract.as_ref(), problems))
        .collect();
    let rules = rules::build(&here, default, deletes.unwrap_or_default(), &fields.all, groups, problems);
    let whole = problems.count() == before;
    let (sides, guard) = (compiled.into_iter().collect(), guard?);
    let (identity, revives) = (identity?, revives.unwrap_or(false));
    let collection = Collection { identity, rules, sides, guard, revives, personal, tests };
    whole.then_some((name, collection))
}

fn sides(node: &Node, collection: &CollectionName, known: &[Read], problems: &mut Problems<'_>) -> Vec<Part> {
    let Some(mut map) = Section::open(node, "`sides` of a collection", problems) else { return Vec::new() };
    let entries = map.rest();
    if entries.len() < 2 {
        problems
            .add(node.at, "a collection needs two sides at least: there is nothing to keep in step with one");
    }
    entries.into_iter().filter_map(|entry| part(entry, collection, known, problems)).collect()
}

fn part(
    entry: &Entry,
    collection: &CollectionName,
    known: &[Read],
    problems: &mut Problems<'_>,
) -> Option<Part> {
    let Some(Read { name, side }) = known.iter().find(|side| side.name.as_str() == entry.key) else {
        let shown: String = entry.key.chars().take(60).collect();
        let hint = nearest(&entry.key, known.iter().map(|side| side.name.as_str()));
        problems.add_hint(entry.at, format!("no side is called `{shown}`"), hint);
        return None;
    };
    let what = format!("side `{name}`");
    let mut part = Part {
        at: entry.at,
        name: name.clone(),
        hook_at: entry.value.get("webhook").map(|node| node.at),
        http: None,
        poll_interval: None,
        full_interval: None,
        sweep_interval: None,
        settle_window: SETTLE_WINDOW,
        accept_lost_updates: false,
        is_told: side.as_ref().is_some_and(|side| side.subscriber.is_some()),
        on_altered: OnAltered::default(),
        on_missing: OnMissing::default(),
        read_back: false,
        contract: None,
    };
    let Some(mut map) = Section::open(&entry.value, what.clone(), problems) else { return Some(part) };
    if let Some(node) = map.take("settle_window", problems) {
        part.settle_window = section::duration(node, "`settle_window`", problems).unwrap_or(SETTLE_WINDOW);
    }
    if let Some(node) = map.take("accept_lost_updates", problems) {
        part.accept_lost_updates = section::yes_no(node, "`accept_lost_updates`", problems).unwrap_or(false);
    }
    if let Some(node) = map.take("on_altered", problems) {
        part.on_altered = section::choice(node, "`on_altered`", ON_ALTERED, problems).unwrap_or_default();
    }
    if let Some(node) = map.take("on_missing", problems) {
        part.on_missing = section::choice(node, "`on_missing`", ON_MISSING, problems).unwrap_or_default();
    }
    if let Some(node) = map.take("read_back", problems) {
        part.read_back = section::yes_no(node, "`read_back`", problems).unwrap_or(false);
        if part.read_back && entry.value.get("fetch").is_none() {
            problems.add_hint(node.at, "`read_back` reads the record by its id", "add `fetch`");
        }
    }
    if !part.is_told {
        let node = map.take("schema_contract", problems);
        part.contract = node.and_then(|node| contract::read(node, problems));
    }
    let mut rest: Vec<Entry> = map.rest().into_iter().cloned().collect();
    if part.is_told {
        for entry in rest {
            let shown: String = entry.key.chars().take(60).collect();
            problems
                .add(entry.at, format!("{what} is a subscriber, which is only told: it has no `{shown}`"));
        }
        part.http = Some(HttpCollection::default());
        return Some(part);
    }
    if let Some(read) = rest.iter_mut().find(|entry| entry.key == "read") {
        intervals(&mut read.value, &mut part, problems);
    }
    let rest = Node { at: entry.value.at, kind: Kind::Map(rest) };
    part.http = bridge::read(&rest, &what, SIDE_KEYS, problems);
    if let (Some(http), Some(side)) = (&part.http, side) {
        requests(&entry.value, collection, name, &side.http, http.clone(), problems);
    }
    Some(part)
}

/// What the connector finds wrong with the requests. It stops at the first
/// mistake, so the part with the mistake is left out and it is asked again.
fn requests(
    node: &Node,
    collection: &CollectionName,
    side: &SideName,
    spec: &HttpSpec,
    mut http: HttpCollection,
    problems: &mut Problems<'_>,
) {
    http.read = http.read.map(ReadSpec::alone);
    for _ in 0..8 {
        let alone = BTreeMap::from([(collection.clone(), http.clone())]);
        let Err(why) = HttpConnector::new(side, spec.clone(), alone) else { return };
        let prefix = format!("{collection}.");
        let key = why.key.strip_prefix(&prefix).unwrap_or(&why.key);
        problems.add(places::of(node, key), format!("`{key}` of side `{side}`: {}", why.reason));
        match key.split('.').next().unwrap_or_default() {
            "read" => http.read = None,
            "fetch" => http.fetch = None,
            "lookup" => http.lookup = None,
            "create" => http.create = None,
            "update" => http.update = None,
            "delete" => http.delete = None,
            "upsert" => http.upsert = None,
            "undelete" => http.undelete = None,
            "batch" => http.batch = None,
            "webhook" => http.webhook = None,
            _ => return,
        }
    }
}

/// Two webhooks must not come in at one place.
fn hook(collection: &CollectionName, part: &Part, hooks: &mut Hooks, problems: &mut Problems<'_>) {
    let Some(hook) = part.http.as_ref().and_then(|http| http.webhook.as_ref()) else { return };
    let what = format!("`{collection}` on `{}`", part.name);
    if let Some(other) = hooks.insert(hook.path.clone(), what.clone()) {
        let at = part.hook_at.unwrap_or(part.at);
        problems.add(at, format!("the webhooks of {other} and {what} would both come in at `{}`", hook.path));
    }
}

/// Takes the intervals out of `read:`; the rest is the connector's.
fn intervals(read: &mut Node, part: &mut Part, problems: &mut Problems<'_>) {
    let Kind::Map(entries) = &mut read.kind else { return };
    let mut sweep_at = None;
    for key in READ_KEYS {
        let Some(place) = entries.iter().position(|entry| entry.key == *key) else { continue };
        let entry = entries.remove(place);
        let interval = section::duration(&entry.value, &format!("`{key}`"), problems);
        match *key {
            "poll_interval" => part.poll_interval = interval,
            "sweep_interval" => {
                part.sweep_interval = interval;
                sweep_at = Some(entry.at);
            }
            _ => part.full_interval = interval,
        }
    }
    if let (Some(at), None) = (sweep_at, part.hook_at) {
        let message = format!("`sweep_interval` of side `{}` is of no use without `webhook`", part.name);
        problems.add_hint(at, message, "while webhooks come, it takes the place of `poll_interval`");
    }
}

fn identity(node: &Node, fields: &Fields, sides: &[SideName], problems: &mut Problems<'_>) -> Vec<FieldName> {
    let Some(nodes) = section::list(node, "`identity`", problems) else { return Vec::new() };
    if nodes.is_empty() {
        problems.add_hint(
            node.at,
            "`identity` names no field",
            "name the fields that say which records are the same one",
        );
    }
    let mut found: Vec<FieldName> = Vec::new();
    for node in nodes {
        let Some(name) = section::text(node, "a field of `identity`", problems) else { continue };
        let Some(field) = fields.get("`identity`", name, node, problems) else { continue };
        for side in sides {
            identifies(node.at, field, side, problems);
        }
        if found.contains(&field.name) {
            problems.add(node.at, format!("`identity` names `{name}` twice"));
        }
        found.push(field.name.clone());
    }
    found
}

/// Records of a side can be recognised only by what the side shows.
fn identifies(at: At, field: &Field, side: &SideName, problems: &mut Problems<'_>) {
    let name = &field.name;
    match field.places.iter().find(|place| place.side == *side) {
        None if field.broken.contains(side) => {}
        None => {
            let message = format!("`{name}` is part of the identity, but is not mapped on `{side}`");
            problems.add_hint(at, message, format!("say at the field where it is: `{side}: path.to.it`"));
        }
        Some(place) if place.mapping.direction == Direction::ToSide => {
            let message = format!("`{name}` is part of the identity, but is never read from `{side}`");
            problems.add_hint(place.at, message, "make its direction `both` or `from_side`");
        }
        Some(_) => {}
    }
}

fn guard(node: &Node, problems: &mut Problems<'_>) -> Option<Guard> {
    let mut map = Section::open(node, "`guard`", problems)?;
    let mut guard = Guard::default();
    let number = |node: &Node, what: &str, max, problems: &mut Problems<'_>| {
        section::whole(node, what, 0..=max, problems).and_then(|n| usize::try_from(n).ok())
    };
    if let Some(node) = map.take("max_deletes", problems) {
        guard.max_deletes = number(node, "`max_deletes`", 1_000_000_000, problems).unwrap_or_default();
    }
    if let Some(node) = map.take("max_deletes_percent", problems) {
        guard.max_deletes_percent = number(node, "`max_deletes_percent`", 100, problems).unwrap_or_default();
    }
    if let Some(node) = map.take("max_regressions", problems) {
        guard.max_regressions =
            number(node, "`max_regressions`", 1_000_000_000, problems).unwrap_or_default();
    }
    if let Some(node) = map.take("max_regressions_percent", problems) {
        guard.max_regressions_percent =
            number(node, "`max_regressions_percent`", 100, problems).unwrap_or_default();
    }
    map.finish(problems);
    Some(guard)
}

/// What the fields ask of a side, the side must be able to do.
fn compile(
    part: Part,
    fields: &[Field],
    of_collection: Option<&contract::Said>,
    problems: &mut Problems<'_>,
) -> Option<(SideName, CollectionSide)> {
    let Part { at, name, http, poll_interval, full_interval, sweep_interval, .. } = part;
    let Part { settle_window, on_altered, on_missing, read_back, is_told, contract, .. } = part;
    let map = fields::side_map(&name, fields, problems);
    let http = http?;
    let taken =
        fields.iter().flat_map(|field| &field.places).any(|place| place.side == name && place.taken());
    let what = format!("side `{name}`");
    if !is_told && http.read.is_none() && http.lookup.is_none() {
        let hint = "add `read`, or `lookup` for a side that is only written";
        problems.add_hint(
            at,
            format!("{what} has neither `read` nor `lookup`: its records cannot be found"),
            hint,
        );
    }
    for (key, missing) in [("create", http.creates().is_none()), ("update", http.updates().is_none())] {
        if taken && missing && !is_told {
            let hint = "or give every field of this side `direction: from_side`";
            problems.add_hint(at, format!("{what} takes fields, but has no `{key}`"), hint);
        }
    }
    let map = map?;
    let contract = contract::settle(contract, of_collection.filter(|_| !is_told), &http, &map);
    let mut side = CollectionSide {
        http,
        map,
        poll_interval,
        full_interval,
        sweep_interval,
        settle_window,
        on_altered,
        on_missing,
        read_back,
        contract,
    };
    let path = |field: &FieldName| {
        let path = side.map.path(field)?;
        Some((path.parts().map(str::to_owned).collect(), field.to_string()))
    };
    // Where fields lie, for the connector to name them to people as we do.
    side.http.field_names = side.map.fields().filter_map(path).collect();
    Some((name, side))
}
