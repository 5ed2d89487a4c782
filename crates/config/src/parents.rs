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
            let mut read = side.value.get("read");
            for _ in 0..DEPTH_MAX {
                let Some(parent) = read.and_then(parent) else { break };
                if let Kind::Text(name) = &parent.kind {
                    named(collections, &collection.key, &side.key, (name, parent), problems);
                }
                read = Some(parent);
            }
        }
    }
}

fn parent(read: &Node) -> Option<&Node> {
    read.get("partition_router")?.get("parent_stream")
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
