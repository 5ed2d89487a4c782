//! Parents of sub-collections: that a collection which lists another one first names one that
//! there is.

use crate::node::{Entry, Kind, Node};
use crate::problem::{Problems, nearest};

/// So deep may parents have parents.
const DEPTH_MAX: usize = 8;

/// Looks at what stands below `collections:`.
pub(crate) fn check(collections: &Node, problems: &mut Problems<'_>) {
    for collection in entries(collections) {
        for side in collection.value.get("sides").map_or(&[][..], entries) {
            let mut reads: Vec<&Node> = side.value.get("read").into_iter().collect();
            for _ in 0..DEPTH_MAX {
                reads = reads.into_iter().flat_map(parents).collect();
                for parent in &reads {
                    if let Kind::Text(name) = &parent.kind {
                        named(collections, &collection.key, &side.key, (name, parent), problems);
                    }
                }
            }
        }
    }
}

/// What a listing lists first: of each router, each kind of parents.
fn parents(read: &Node) -> Vec<&Node> {
    let routers = read.get("partition_router").map_or(Vec::new(), one_or_several);
    let mut found = Vec::new();
    for router in routers {
        found.extend(router.get("parent_stream"));
        for kind in router.get("parent_stream_configs").map_or(Vec::new(), one_or_several) {
            found.extend(kind.get("parent_stream").or_else(|| kind.get("stream")));
        }
    }
    found
}

fn one_or_several(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::List(all) => all.iter().collect(),
        _ => vec![node],
    }
}

fn named(
    collections: &Node,
    child: &str,
    side: &str,
    (name, at): (&str, &Node),
    problems: &mut Problems<'_>,
) {
    let shown: String = name.chars().take(60).collect();
    if name == child {
        problems.add(at.at, format!("`parent_stream`: `{shown}` is this collection itself"));
        return;
    }
    let has_read = |entry: &&Entry| {
        let part = entry.value.get("sides").and_then(|sides| sides.get(side));
        part.is_some_and(|part| part.get("read").is_some())
    };
    let readable: Vec<&str> =
        entries(collections).iter().filter(has_read).map(|entry| entry.key.as_str()).collect();
    if !readable.contains(&name) {
        let message = format!("`parent_stream`: no collection `{shown}` is read on side `{side}`");
        let others = readable.into_iter().filter(|known| *known != child);
        problems.add_hint(at.at, message, nearest(name, others));
    }
}

fn entries(node: &Node) -> &[Entry] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    }
}
