//! Which event stands under a number, where a file has several: a crash can leave some
//! that were never acknowledged, and others were written in their place. The one that
//! later events of its record name as the one before counts; then the newer one.

use super::file::RawFile;
use super::scan::{Finds, Found};
use crate::error::LogError;
use std::collections::{BTreeMap, HashSet};

/// One event a number.
pub(super) fn choose(file: &RawFile, finds: &Finds) -> Result<BTreeMap<u64, Found>, LogError> {
    let named = named(file, finds)?;
    let mut chosen: BTreeMap<u64, Found> = BTreeMap::new();
    let better = |a: &Found, b: &Found| (named.contains(&a.id.0), a.age) > (named.contains(&b.id.0), b.age);
    for ((seq, _), found) in &finds.events {
        match chosen.get(seq) {
            Some(known) if !better(found, known) => {}
            _ => drop(chosen.insert(*seq, *found)),
        }
    }
    Ok(chosen)
}

/// The rivals that an event without rivals names as the one before it.
fn named(file: &RawFile, finds: &Finds) -> Result<HashSet<[u8; 32]>, LogError> {
    let contested: HashSet<u64> = finds.events.keys().filter(|(_, n)| *n > 0).map(|(seq, _)| *seq).collect();
    let rivals: HashSet<[u8; 32]> = finds
        .events
        .iter()
        .filter(|((seq, _), _)| contested.contains(seq))
        .map(|(_, found)| found.id.0)
        .collect();
    let (mut named, mut last) = (HashSet::new(), None);
    if rivals.is_empty() {
        return Ok(named);
    }
    for (_, found) in finds.events.iter().filter(|((seq, _), _)| !contested.contains(seq)) {
        if let Some((_, event)) = finds.read(file, found, &mut last)?
            && rivals.contains(&event.prev.0)
        {
            named.insert(event.prev.0);
        }
    }
    Ok(named)
}
