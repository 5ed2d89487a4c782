//! Keys of parents' parents, `stream_partition.parent_slice.x`: the parent's records are given
//! the key that they are listed by, and the child asks for it beside the parent's own.

use super::Import;
use super::side::inside_mut;
use crate::out::{Item, Out};
use hms_sync_config::At;
use std::collections::BTreeSet;

/// That a collection names keys of its parent's parent.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) collection: String,
    pub(super) at: At,
    pub(super) keys: BTreeSet<String>,
}

impl Import {
    /// Has the parents give on the keys that their children name. A child whose parent cannot
    /// is left out: it would be listed for nothing.
    pub(super) fn give_on(&mut self, collections: &mut Vec<Item>) {
        for mark in std::mem::take(&mut self.marks) {
            let lacking = mark.keys.iter().find(|key| give(collections, &mark.collection, key).is_none());
            let Some(lacking) = lacking else { continue };
            let instead = format!(
                "left out: it names `{lacking}` of its parent's parent, by which its parent is not listed"
            );
            self.notes.lost(mark.at, format!("stream `{}`", mark.collection), instead);
            collections.retain(|item| item.key != mark.collection);
        }
    }
}

/// Has the parent of a collection's records carry the key, and the collection ask for it.
fn give(collections: &mut [Item], child: &str, key: &str) -> Option<()> {
    let side = side_of(collections, child)?;
    let router = router(collections, child, &side)?;
    let parent = router.iter_mut().find(|item| item.key == "parent_stream")?;
    let path = match &mut parent.value {
        Out::Map(read) => carried(read.iter_mut().find(|item| item.key == "partition_router")?, key)?,
        Out::Text(parent) => {
            let parent = parent.clone();
            let there = collections.iter_mut().find(|item| item.key == parent)?;
            let way = ["sides", side.as_str(), "read"];
            let Some(Out::Map(read)) = inside_mut(&mut there.value, &way) else { return None };
            carried(read.iter_mut().find(|item| item.key == "partition_router")?, key)?
        }
        Out::Plain(_) | Out::List(_) | Out::Flow(_) => return None,
    };
    let router = self::router(collections, child, &side)?;
    match router.iter_mut().find(|item| item.key == "extra_fields") {
        Some(Item { value: Out::List(of), .. }) => of.push(Out::text(&path)),
        Some(_) => return None,
        None => router.push(Item::own("extra_fields", Out::List(vec![Out::text(&path)]))),
    }
    let child = collections.iter_mut().find(|item| item.key == child)?;
    if path != key {
        rename(&mut child.value, &format!("extra_fields['{key}']"), &format!("extra_fields['{path}']"));
    }
    Some(())
}

/// The side that a collection is read from.
fn side_of(collections: &mut [Item], child: &str) -> Option<String> {
    let child = collections.iter_mut().find(|item| item.key == child)?;
    let Some(Out::Map(sides)) = inside_mut(&mut child.value, &["sides"]) else { return None };
    sides.first().map(|side| side.key.clone())
}

fn router<'o>(collections: &'o mut [Item], child: &str, side: &str) -> Option<&'o mut Vec<Item>> {
    let child = collections.iter_mut().find(|item| item.key == child)?;
    match inside_mut(&mut child.value, &["sides", side, "read", "partition_router"]) {
        Some(Out::Map(router)) => Some(router),
        _ => None,
    }
}

/// Where the records that a router lists carry its key; they are made to, if they do not.
fn carried(router: &mut Item, key: &str) -> Option<String> {
    let Out::Map(items) = &mut router.value else { return None };
    let named = |item: &Item| item.key == "partition_field" && item.value == Out::text(key);
    if !items.iter().any(named) {
        return None;
    }
    match items.iter().find(|item| item.key == "record_field").map(|item| &item.value) {
        Some(Out::List(path)) => match path.as_slice() {
            [Out::Text(only)] => Some(only.clone()),
            _ => None,
        },
        Some(_) => None,
        // A record has names of its own, and what is there is not written over.
        None => {
            let name = format!("parent_slice_{key}");
            items.push(Item::own("record_field", Out::List(vec![Out::text(&name)])));
            Some(name)
        }
    }
}

fn rename(value: &mut Out, from: &str, to: &str) {
    match value {
        Out::Text(text) => *text = text.replace(from, to),
        Out::Plain(_) => {}
        Out::List(of) => of.iter_mut().for_each(|one| rename(one, from, to)),
        Out::Map(items) | Out::Flow(items) => {
            items.iter_mut().for_each(|item| rename(&mut item.value, from, to));
        }
    }
}
