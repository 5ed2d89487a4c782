//! Headers that say of which partition a request is: the router's `request_option`.

use super::Import;
use super::terms::way_into;
use crate::out::{Item, Out};
use hms_sync_config::At;

/// A header with a partition in it.
#[derive(Debug)]
pub(super) struct Head {
    at: At,
    place: String,
    /// The header.
    name: String,
    /// What the partition is called.
    field: String,
}

impl Head {
    /// Such a header, if a text is nothing else than a partition.
    pub(super) fn read(at: At, place: &str, name: &str, text: &str) -> Option<Self> {
        let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
        let inside = inside
            .split('|')
            .next()
            .map(str::trim)
            .filter(|_| inside.split('|').skip(1).all(|filter| filter.trim() == "string"))?;
        let way = way_into(inside, "stream_partition").or_else(|| way_into(inside, "stream_slice"))?;
        let [field] = way.as_slice() else { return None };
        Some(Self { at, place: place.to_owned(), name: name.to_owned(), field: field.clone() })
    }

    /// Whether a header of a later request of an export says the same: the same partition, or what
    /// the request said that began it.
    pub(super) fn is_again(&self, name: &str, text: &str) -> bool {
        let again = Self::read(self.at, &self.place, name, text);
        let inside = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let way = inside.and_then(|inside| {
            ["creation_response", "stream_partition"].iter().find_map(|root| way_into(inside.trim(), root))
        });
        let way = way.unwrap_or_default();
        let begun = match way.as_slice() {
            [request, headers, of] => [request, headers, of],
            [extra, response, request, headers, of]
                if extra == "extra_fields" && response == "creation_response" =>
            {
                [request, headers, of]
            }
            _ => return again.is_some_and(|again| again.field == self.field && again.is_named(&self.name)),
        };
        let [request, headers, of] = begun;
        self.is_named(name) && self.is_named(of) && request == "request" && headers == "headers"
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl Import {
    /// Has the routers of what is read send the headers that were met; names those that cannot be.
    pub(super) fn head(&mut self, read: &mut [Item]) {
        for head in std::mem::take(&mut self.heads) {
            if carry(read, &head).is_none() {
                let instead = "left out: it is another for each request, and no router is free to send it";
                self.notes.lost(head.at, head.place, instead);
            }
        }
    }
}

fn carry(read: &mut [Item], head: &Head) -> Option<()> {
    let router = read.iter_mut().find(|item| item.key == "partition_router")?;
    let routers: Vec<&mut Vec<Item>> = match &mut router.value {
        Out::Map(items) => vec![items],
        Out::List(of) => of.iter_mut().filter_map(map).collect(),
        Out::Text(_) | Out::Plain(_) | Out::Flow(_) => return None,
    };
    for items in routers {
        let several = items.iter_mut().find(|item| item.key == "parent_stream_configs");
        let kinds: Vec<&mut Vec<Item>> = match several {
            Some(Item { value: Out::List(of), .. }) => of.iter_mut().filter_map(map).collect(),
            _ => vec![items],
        };
        let named = |items: &Vec<Item>| {
            items.iter().any(|item| item.key == "partition_field" && item.value == Out::text(&head.field))
        };
        let free = |items: &Vec<Item>| items.iter().all(|item| item.key != "request_option");
        if kinds.is_empty() || !kinds.iter().all(|items| named(items) && free(items)) {
            continue;
        }
        for items in kinds {
            let option = vec![
                Item::new(head.at, "field_name", Out::text(&head.name)),
                Item::new(head.at, "inject_into", Out::text("header")),
            ];
            items.push(Item::new(head.at, "request_option", Out::Map(option)));
        }
        return Some(());
    }
    None
}

fn map(out: &mut Out) -> Option<&mut Vec<Item>> {
    match out {
        Out::Map(items) => Some(items),
        Out::List(_) | Out::Text(_) | Out::Plain(_) | Out::Flow(_) => None,
    }
}
