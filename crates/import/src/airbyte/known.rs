//! What a listing of ours knows of its records besides what stands in them: the partitions that it
//! is read by, and the range that it asks for. What is made of anything else cannot be made.

use super::errors::listed;
use super::partitions::named_by;
use super::refs::{BadRef, Part};
use super::terms::Place;

/// The most parts of a request that are looked through.
const PARTS_MAX: u32 = 2_000;

/// What a listing of ours knows of its records.
pub(super) struct Known {
    /// What its partitions are called.
    partitions: Vec<String>,
    /// Whether more of a parent is known.
    has_more: bool,
    /// Whether it asks for changes, and up to when.
    polls: bool,
    ends: bool,
}

/// The same for a stream, by the routers that are taken over.
pub(super) fn listed_by(stream: &Part<'_>) -> Result<Known, BadRef> {
    let retriever = stream.get("retriever")?;
    let router = retriever.as_ref().map(|of| of.own("partition_router")).transpose()?.flatten();
    let several = router.as_ref().map(Part::elements).transpose()?.flatten();
    let (mut partitions, mut has_more) = (Vec::new(), false);
    for one in several.unwrap_or_else(|| router.into_iter().collect()) {
        if one.kind()? == "GroupingPartitionRouter" {
            continue;
        }
        partitions.extend(named_by(&one)?);
        for router in listed(&one, "partition_routers")?.iter().chain([&one]) {
            for parent in listed(router, "parent_stream_configs")? {
                has_more |= parent.own("extra_fields")?.is_some();
            }
        }
    }
    let sync = stream
        .get("incremental_sync")?
        .filter(|sync| sync.kind().is_ok_and(|kind| !kind.starts_with("Custom")));
    let option = sync.as_ref().map(|sync| sync.own("end_time_option")).transpose()?.flatten();
    let requester = retriever.map(|of| of.own("requester")).transpose()?.flatten();
    let mut asks = false;
    if let Some(requester) = requester {
        let mut left = PARTS_MAX;
        for key in
            ["path", "url", "request_parameters", "request_body_json", "request_body_data", "request_body"]
        {
            let given = requester.get(key)?.map(|given| says(&given, "end_time", &mut left)).transpose()?;
            asks |= given.is_some_and(|says| says);
        }
    }
    Ok(Known { partitions, has_more, polls: sync.is_some(), ends: option.is_some() || asks })
}

/// Whether a part or anything in it names `word`, as far as `left` parts reach.
fn says(part: &Part<'_>, word: &str, left: &mut u32) -> Result<bool, BadRef> {
    let Some(fewer) = left.checked_sub(1) else { return Ok(false) };
    *left = fewer;
    if let Some(text) = part.text() {
        return Ok(text.contains(word));
    }
    let inner = match part.elements()? {
        Some(list) => list,
        None => part.entries()?.into_iter().map(|(_, _, inner)| inner).collect(),
    };
    for one in &inner {
        if says(one, word, left)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a template names this of the range that was asked for.
pub(super) fn of_range(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\'' | '"');
    text.contains("{{")
        && text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at + word.len()..).unwrap_or_default();
            !before.ends_with(part) && !after.starts_with(|c: char| part(c) && c != '.')
        })
}

/// Whether the listing knows all that a template of ours names of it; the error says what not.
pub(super) fn fits(text: &str, known: &Known) -> Result<(), String> {
    for (at, name) in text.match_indices("stream_partition") {
        let rest = text.get(at + name.len()..).unwrap_or_default();
        let (way, behind) = rest.split_at_checked(Place::length(rest)).unwrap_or((rest, ""));
        let place = Place::read(&format!("{name}{way}")).map(|place| place.way).unwrap_or_default();
        let is_known = match place.as_slice() {
            [only] => known.partitions.contains(only) && !behind.starts_with('['),
            [extra, _] => extra == "extra_fields" && known.has_more,
            _ => false,
        };
        if !is_known {
            return Err(
                "it is made of a partition by which its stream is not listed: add a field that is it"
                    .to_owned(),
            );
        }
    }
    if of_range(text, "cursor") && !known.polls || of_range(text, "cursor_end") && !known.ends {
        return Err("it is made of a range that no request of its stream asks for".to_owned());
    }
    Ok(())
}
