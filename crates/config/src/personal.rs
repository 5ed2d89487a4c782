//! `personal: true` at fields: whether what they hold can be kept sealed.
//!
//! What records are found, told apart, or ordered by has to lie open, and so has what
//! merges together with an open field. Where the same value would reach the log by
//! another way, the mark would be an empty promise: that is a mistake, too.

use crate::collections::Part;
use crate::fields::{Field, Place};
use crate::groups::Group;
use crate::problem::Problems;
use hms_sync_http::spec::{HttpCollection, Paginator};
use hms_sync_model::FieldName;
use std::collections::BTreeSet;

/// The personal fields of a collection.
pub(crate) fn read(
    fields: &[Field],
    identity: &[FieldName],
    groups: &[Group],
    parts: &[Part],
    problems: &mut Problems<'_>,
) -> BTreeSet<FieldName> {
    let personal: BTreeSet<FieldName> =
        fields.iter().filter(|field| field.personal.is_some()).map(|field| field.name.clone()).collect();
    for field in fields {
        let Some(at) = field.personal else { continue };
        if identity.contains(&field.name) {
            let message = format!("`{}` is part of the identity, so it cannot be personal", field.name);
            let hint =
                "records are found by it, and what is sealed finds nothing; identify them by something else";
            problems.add_hint(at, message, hint);
        }
        for place in &field.places {
            elsewhere(field, place, fields, parts, problems);
        }
    }
    groups.iter().for_each(|group| together(group, &personal, fields, problems));
    personal
}

/// A group merges as one, so it is erased as one.
fn together(group: &Group, personal: &BTreeSet<FieldName>, fields: &[Field], problems: &mut Problems<'_>) {
    let Some(open) = group.fields.iter().find(|field| !personal.contains(*field)) else { return };
    let marked = fields.iter().find(|field| group.fields.contains(&field.name) && field.personal.is_some());
    if let Some((field, at)) = marked.and_then(|field| Some((field, field.personal?))) {
        let message =
            format!("`{}` is personal, and `{open}` of the same group `{}` is not", field.name, group.name);
        problems.add_hint(at, message, "a group merges as one: mark all of its fields, or none");
    }
}

/// Whether what stands at `place` is also kept in another way.
fn elsewhere(field: &Field, place: &Place, fields: &[Field], parts: &[Part], problems: &mut Problems<'_>) {
    let (side, path) = (&place.side, &place.mapping.path);
    for other in fields.iter().filter(|other| other.personal.is_none()) {
        let mut there = other.places.iter().filter(|there| there.side == *side);
        if let Some(there) = there.find(|there| there.mapping.path.overlaps(path)) {
            let message = format!(
                "field `{}`, which is not personal, holds `{path}` of `{side}` too, where personal `{}` is",
                other.name, field.name
            );
            problems.add_hint(there.at, message, "mark it `personal: true` as well, or give it another path");
        }
    }
    let http = parts.iter().find(|part| part.name == *side).and_then(|part| part.http.as_ref());
    for (key, parts) in http.map(open_paths).unwrap_or_default() {
        if path.parts().zip(&parts).all(|(one, two)| one == two) {
            let message = format!("`{key}` of side `{side}` is where personal `{}` is: `{path}`", field.name);
            problems.add_hint(place.at, message, "what it holds is kept as it is, for reading on from there");
        }
    }
}

/// Paths whose values a connector keeps, or hands on beside the record.
fn open_paths(http: &HttpCollection) -> Vec<(&'static str, Vec<String>)> {
    let tag = http.version_tag.as_ref().and_then(|tag| tag.field.as_ref());
    let read = http.read.as_ref();
    let cursor = read.and_then(|read| read.incremental_sync.as_ref()?.cursor_field.as_ref());
    let key = read.and_then(|read| match &read.paginator {
        Paginator::Keyset { key_field, .. } => key_field.as_ref(),
        _ => None,
    });
    let all = [
        ("version_tag", tag),
        ("modified", http.modified.as_ref()),
        ("cursor_field", cursor),
        ("key_field", key),
    ];
    let ids = http.primary_key.paths().iter().map(|path| ("primary_key", Some(path)));
    ids.chain(all)
        .filter_map(|(name, path)| Some((name, path?.parts().map(str::to_owned).collect())))
        .collect()
}
