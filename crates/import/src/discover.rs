//! What a side shows, as a configuration to start from. Pure: answers in,
//! proposals out; whoever asks the side decides how often.

mod shape;
mod openapi;
mod paging;

pub use openapi::{Described, described};
pub use paging::{Style, Trial, style, trials};
pub use shape::{Shape, shape};

use crate::Start;
use crate::out::{Item, Out};
use crate::settle::STUB;
use hms_sync_config::{Kind, Node};
use std::collections::BTreeMap;

/// Paths at which servers describe themselves.
pub const DESCRIPTIONS: [&str; 7] = [
    "/openapi.json",
    "/swagger.json",
    "/v3/api-docs",
    "/api/openapi.json",
    "/api-docs",
    "/swagger/v1/swagger.json",
    "/.well-known/openapi.json",
];

/// Whether a name that a side gave may stand in a configuration. There it is to be that
/// name and nothing else: no variable of our environment, no template, no line of its own.
pub fn usable(name: &str) -> bool {
    name.len() <= 200
        && !name.chars().any(char::is_control)
        && !["${", "$$", "{{", "{%", "{#"].iter().any(|mark| name.contains(mark))
}

/// An answer of the side.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: serde_json::Value,
}

/// A collection as proposed.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Its path.
    pub path: String,
    /// What its records look like.
    pub shape: Shape,
    /// How its listing is cut into pages; nothing if that could not be seen.
    pub style: Option<Style>,
    /// The parameter that asks for what changed since.
    pub since: Option<String>,
    /// The path of one record, with `{{ id }}`, if one was read there or is described.
    pub one: Option<String>,
    /// Whether one record comes with an `ETag`.
    pub etag: bool,
    /// Methods that are described for the listing's and the record's path.
    pub methods: Vec<(String, String)>,
}

/// The side that was asked, as it stands in a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    name: String,
    keys: Vec<Item>,
}

/// How we showed who we are, with the variable that holds the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// Not at all.
    Nothing,
    /// `Authorization: Bearer`.
    Bearer(String),
    /// `Authorization: Basic`, of this user.
    Basic(String, String),
    /// This header.
    Header(String, String),
}

impl Asked {
    /// A side of which only the URL is known.
    pub fn at_url(name: &str, url: &str, shown: &Shown) -> Self {
        let variable = |name: &str| Out::text(format!("${{{name}}}"));
        let authenticator = |items: Vec<(&str, Out)>| {
            let items = items.into_iter().map(|(key, value)| Item::own(key, value)).collect();
            Item::own("authenticator", Out::Map(items))
        };
        let mut keys = vec![Item::own("connector", Out::text("http")), Item::own("url", Out::text(url))];
        keys.extend(match shown {
            Shown::Nothing => None,
            Shown::Bearer(name) => {
                Some(authenticator(vec![("type", Out::text("bearer")), ("api_token", variable(name))]))
            }
            Shown::Basic(user, name) => Some(authenticator(vec![
                ("type", Out::text("basic")),
                ("username", Out::text(user)),
                ("password", variable(name)),
            ])),
            Shown::Header(header, name) => {
                Some(Item::own("request_headers", Out::Map(vec![Item::own(header, variable(name))])))
            }
        });
        Self { name: crate::airbyte::slug(name), keys }
    }

    /// A side of a configuration, as it is written there.
    pub fn in_file(name: &str, side: &Node) -> Self {
        let keys = match copied(side) {
            Some(Out::Map(items)) => items,
            _ => Vec::new(),
        };
        Self { name: name.to_owned(), keys }
    }
}

/// A part of a configuration as it is written.
fn copied(node: &Node) -> Option<Out> {
    match &node.kind {
        Kind::Null | Kind::Spoilt => None,
        Kind::Bool(b) => Some(Out::Plain(b.to_string())),
        Kind::Number(n) => Some(Out::Plain(n.to_string())),
        Kind::Text(text) => Some(Out::text(text)),
        Kind::List(of) => Some(Out::List(of.iter().filter_map(copied).collect())),
        Kind::Map(entries) => {
            let items = entries.iter().filter_map(|entry| Some(Item::own(&entry.key, copied(&entry.value)?)));
            Some(Out::Map(items.collect()))
        }
    }
}

/// A configuration to start from, of what was found.
///
/// # Errors
/// If nothing was found, or what came of it would not be taken.
pub fn starting(asked: &Asked, proposals: &[Proposal]) -> Result<Start, String> {
    if proposals.is_empty() {
        return Err("no listing of records was found".to_owned());
    }
    let other = Item::own(
        STUB,
        Out::Map(vec![
            Item::own("connector", Out::text("http")),
            Item::own("url", Out::text("${OTHER_URL:-http://127.0.0.1:8080}")),
        ]),
    )
    .said("Fill in: the system that is to be kept in step with it, and the requests to it below.");
    let collections = proposals.iter().map(|proposal| collection(&asked.name, proposal)).collect();
    let items = vec![
        Item::own("sync", Out::text(crate::airbyte::sync_name(&asked.name))),
        Item::own("sides", Out::Map(vec![Item::own(&asked.name, Out::Map(asked.keys.clone())), other])),
        Item::own("collections", Out::Map(collections)),
    ];
    let head = "# What the side showed when it was sampled. Look it over: a sample proves nothing.\n\n";
    let mut notes = crate::note::Notes::default();
    let stub =
        |name: &str| Some(if name.ends_with("URL") { "https://stub.example" } else { "stub" }.to_owned());
    let yaml = crate::settle::settle(items, head, &stub, &mut notes)?;
    let yaml = yaml.ok_or_else(|| "no listing of what was found is taken".to_owned())?;
    Ok(Start { yaml, notes: notes.sorted(), variables: Vec::new() })
}

fn collection(side: &str, proposal: &Proposal) -> Item {
    let name = name_of(&proposal.path);
    let shape = &proposal.shape;
    let ids = || [Some(&shape.id), shape.id_with.as_ref()].into_iter().flatten().cloned().collect();
    let identity: Vec<String> = shape.natural.clone().map_or_else(ids, |natural| vec![natural]);
    // A key of several parts is the record's own, and no number that the side drew.
    let drawn = |field: &String| *field == shape.id && shape.id_with.is_none();
    let there = |field: &String| if drawn(field) { format!("{side}_{field}") } else { field.clone() };
    let writes = proposal.methods.iter().any(|(method, _)| method == "POST")
        && proposal.methods.iter().any(|(method, _)| matches!(method.as_str(), "PATCH" | "PUT"));
    let fields = shape.fields.iter().filter(|(field, _)| !shape.known(field) || identity.contains(field));
    let fields = fields.map(|(field, ty)| {
        let place = crate::airbyte::way(std::slice::from_ref(field));
        let here = if writes && !drawn(field) {
            Out::text(place)
        } else {
            Out::Flow(vec![
                Item::own("path", Out::text(place)),
                Item::own("direction", Out::text("from_side")),
            ])
        };
        let other =
            crate::airbyte::way(&[if identity.contains(field) { there(field) } else { field.clone() }]);
        let of =
            vec![Item::own("type", Out::text(*ty)), Item::own(side, here), Item::own(STUB, Out::text(other))];
        Item::own(crate::airbyte::field_name(field), Out::Flow(of))
    });
    let fields = fields.collect();
    let between = vec![
        Item::own(side, Out::Map(here(proposal, writes))),
        Item::own(STUB, crate::airbyte::stub(&name, &identity.iter().map(there).collect::<Vec<_>>())),
    ];
    let with = shape.id_with.as_ref().map(|with| format!(" and `{with}` together")).unwrap_or_default();
    let about =
        format!("{}: {} records seen, told apart by `{}`{with}.", proposal.path, shape.seen, shape.id);
    Item::own(
        name,
        Out::Map(vec![
            Item::own(
                "identity",
                Out::List(identity.iter().map(|f| Out::text(crate::airbyte::field_name(f))).collect()),
            ),
            Item::own("sides", Out::Map(between)),
            Item::own("fields", Out::Map(fields)),
        ]),
    )
    .said(about)
}

/// The side's own part.
fn here(proposal: &Proposal, writes: bool) -> Vec<Item> {
    let shape = &proposal.shape;
    let way = |field: &String| Out::text(crate::airbyte::way(std::slice::from_ref(field)));
    let key = match &shape.id_with {
        Some(with) => Out::List(vec![way(&shape.id), way(with)]),
        None => way(&shape.id),
    };
    let mut items = vec![Item::own("primary_key", key)];
    if let Some(version) = shape.version.as_ref().filter(|_| !proposal.etag) {
        items.push(Item::own("version_tag", Out::Flow(vec![Item::own("field", Out::text(version))])));
    }
    let mut read = vec![Item::own("path", Out::text(&proposal.path))];
    if !shape.list.is_empty() {
        let path = Out::List(shape.list.iter().map(Out::text).collect());
        read.push(Item::own("record_selector", Out::Flow(vec![Item::own("field_path", path)])));
    }
    match &proposal.style {
        Some(style) => read.push(Item::own("paginator", Out::Flow(style.items()))),
        None => {
            let path = read
                .pop()
                .map(|item| item.said("How it is cut into pages could not be seen: one answer is read."));
            read.extend(path);
        }
    }
    if let Some(cursor) = &shape.cursor {
        let cursor = Item::own("cursor_field", Out::text(cursor));
        read.push(match &proposal.since {
            Some(since) => {
                let option = Out::Flow(vec![Item::own("field_name", Out::text(since))]);
                let sync = vec![cursor, Item::own("start_time_option", option)];
                Item::own("incremental_sync", Out::Map(sync))
            }
            None => {
                let sync =
                    vec![cursor, Item::own("is_client_side_incremental", Out::Plain("true".to_owned()))];
                let said = "No parameter was seen that asks for what changed: each poll lists everything.";
                Item::own("incremental_sync", Out::Map(sync)).said(said)
            }
        });
    }
    read.push(Item::own("poll_interval", Out::text(if proposal.since.is_some() { "30s" } else { "5m" })));
    read.push(Item::own("full_interval", Out::text("24h")));
    items.push(Item::own("read", Out::Map(read)));
    if let Some(one) = &proposal.one {
        items.push(Item::own("fetch", Out::Flow(vec![Item::own("path", Out::text(one))])));
    }
    if writes {
        items.extend(proposal.methods.iter().filter_map(|(method, path)| {
            let key = match method.as_str() {
                "POST" => "create",
                "PATCH" | "PUT" => "update",
                "DELETE" => "delete",
                _ => return None,
            };
            let of = vec![Item::own("method", Out::text(method)), Item::own("path", Out::text(path))];
            Some(Item::own(key, Out::Flow(of)))
        }));
        items.push(lookup(proposal));
    }
    items
}

/// How a record is found by what people know it by.
fn lookup(proposal: &Proposal) -> Item {
    let shape = &proposal.shape;
    let by = |field: &String| Item::own(field, Out::text(format!("{{{{ identity.{field} }}}}")));
    let natural = shape.natural.as_ref();
    let by = natural.map_or_else(
        || [Some(&shape.id), shape.id_with.as_ref()].into_iter().flatten().map(by).collect(),
        |natural| vec![by(natural)],
    );
    let of =
        vec![Item::own("path", Out::text(&proposal.path)), Item::own("request_parameters", Out::Flow(by))];
    Item::own("lookup", Out::Flow(of))
        .said("Check that the side filters by this parameter, or take this out.")
}

/// A collection's name from its path: the last part that is no number.
pub fn name_of(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let mut parts =
        path.split('/').filter(|part| part.chars().any(char::is_alphabetic) && !part.contains('{'));
    let last = parts.next_back().unwrap_or("records");
    crate::airbyte::slug(last.split('.').next().unwrap_or(last))
}
