//! What a listing knows of its records besides what stands in them: the partition that they are
//! listed for, and the range that was asked for. Only a listing knows it, so nothing is made of it
//! where a record comes by itself; what else shows a whole record would show it without.

use crate::formula;
use crate::partition::{NAMES, Partition};
use crate::spec::{HttpCollection, ParentSpec, PartitionRouter, Payload};
use crate::template;
use minijinja::Value;

/// What is called so in requests is called so here.
pub(crate) const RANGE: [&str; 2] = ["cursor", "cursor_end"];

/// What the records of one page have in common.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// The partition as expressions see it, and as text does.
    partition: Option<[Value; 2]>,
    cursor: String,
    cursor_end: String,
}

impl Around {
    pub(crate) fn new(partition: Option<&Partition>, from: Option<&str>, until: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let partition = partition.map(|it| [it.named(formula::value), it.named(template::value)]);
        Self { partition, cursor: text(from), cursor_end: text(until) }
    }

    /// What an expression may name, or a text, with the record and `more`.
    pub(super) fn names(&self, record: Value, is_text: bool, more: &[(&str, Value)]) -> Value {
        let partition = self.partition.iter().flat_map(|[typed, text]| {
            let it = if is_text { text } else { typed };
            NAMES.map(|name| (name, it.clone()))
        });
        let range = [("cursor", &self.cursor), ("cursor_end", &self.cursor_end)];
        let range = range.map(|(name, text)| (name, Value::from(text.as_str())));
        Value::from_pairs(more.iter().cloned().chain(partition).chain(range).chain([("record", record)]))
    }
}

/// What is wrong with naming these in a collection, and these members of a partition.
pub(super) fn misfit(
    spec: &HttpCollection,
    names: impl Fn(&str) -> bool,
    members: &[String],
) -> Result<(), String> {
    let of_partition = NAMES.into_iter().find(|name| names(name));
    let of_range = RANGE.into_iter().find(|name| names(name));
    let Some(named) = of_partition.or(of_range) else { return Ok(()) };
    let read = spec.read.as_ref();
    let router = read.and_then(|read| read.partition_router.as_ref());
    match (of_partition, router) {
        (Some(name), None) => {
            return Err(format!("names `{name}`, and `read` has no `partition_router`"));
        }
        (Some(name), Some(router)) => {
            let known = fields(router);
            // What is wrong with a router itself is told where it is set up.
            let stranger = |known: &Vec<String>| members.iter().find(|member| !known.contains(member));
            if let Some((known, member)) = known.and_then(|known| Some((known.join(", "), stranger(&known)?)))
            {
                return Err(format!("names `{name}.{member}`; known of the partition: {known}"));
            }
        }
        (None, _) => {}
    }
    if let Some(name) = of_range
        && read.is_none_or(|read| read.incremental_sync.is_none())
    {
        return Err(format!("names `{name}`, and `read` has no `incremental_sync`"));
    }
    let by_webhook = spec.webhook.as_ref().is_some_and(|webhook| webhook.payload == Payload::Whole);
    let other = if spec.fetch.is_some() { "`fetch`" } else { "a webhook with whole records" };
    if spec.fetch.is_some() || by_webhook {
        return Err(format!(
            "names `{named}`, which only a listing knows: {other} would show a record without it, as if it were \
             cleared"
        ));
    }
    Ok(())
}

/// What is known of a partition, if the router can say it.
fn fields(router: &PartitionRouter) -> Option<Vec<String>> {
    let one = |of: &ParentSpec| {
        let extra = (!of.extra_fields.is_empty()).then(|| "extra_fields".to_owned());
        [of.partition_field.clone()].into_iter().chain(extra).collect::<Vec<_>>()
    };
    Some(match router {
        PartitionRouter::List(of) => vec![of.partition_field.clone()],
        PartitionRouter::Substream(of) => of.parents().ok()?.iter().flat_map(one).collect(),
        PartitionRouter::Product(all) => {
            all.iter().map(fields).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
        }
    })
}
