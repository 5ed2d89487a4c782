//! From what stands in a config to the resolver's rules, and the checks that
//! need both a field's rule and the sides it is on.

use crate::collections::Part;
use crate::fields::Field;
use crate::groups::Group;
use crate::node::Node;
use crate::policies::{Keeps, Owner, Resolve};
use crate::problem::Problems;
use crate::section;
use hms_sync_model::SideName;
use hms_sync_resolver::{Deletes, FieldRule, Formulas, Kind, Rules};

const DELETES: &[(&str, Deletes)] =
    &[("edit_wins", Deletes::EditWins), ("delete_wins", Deletes::DeleteWins), ("manual", Deletes::Manual)];

/// Reads `deletes:`.
pub(crate) fn deletes(node: &Node, problems: &mut Problems<'_>) -> Option<Deletes> {
    section::choice(node, "`deletes`", DELETES, problems)
}

/// A lost write is a lost addition: what adds up needs writes that depend on
/// what was read, or a word that losses are accepted.
pub(crate) fn lost_updates(fields: &[Field], parts: &[Part], problems: &mut Problems<'_>) {
    for field in fields {
        let Some(resolve) = field.resolve.as_ref().filter(|resolve| resolve.keeps != Keeps::Value) else {
            continue;
        };
        let name = if resolve.keeps == Keeps::Counter { "counter" } else { "union" };
        for place in field.places.iter().filter(|place| place.taken()) {
            let part = parts.iter().find(|part| part.name == place.side);
            let blind = part.is_some_and(|part| {
                !part.accept_lost_updates && part.http.as_ref().is_some_and(|http| !http.preconditions())
            });
            if blind {
                let (field, side) = (&field.name, &place.side);
                let message = format!(
                    "`{name}` of field `{field}`: a write to `{side}` can overwrite an unseen edit, which would be lost from the result"
                );
                let hint = format!(
                    "take the version from the ETag header of `{side}`, give it a `precondition`, or say there: accept_lost_updates: true"
                );
                problems.add_hint(resolve.at, message, hint);
            }
        }
    }
}

/// The rules of a collection. `order` is that of the sides in the file.
pub(crate) fn build(
    order: &[SideName],
    default: Option<Resolve>,
    deletes: Deletes,
    fields: &[Field],
    groups: Vec<Group>,
    problems: &mut Problems<'_>,
) -> Rules {
    let mut builder = Rules::builder().side_order(order.iter().cloned()).deletes(deletes);
    if let Some(default) = default {
        builder = builder.default_resolve(default.chain);
    }
    for field in fields {
        builder = builder.field(field.name.clone(), rule(field));
    }
    for Group { name, fields, lead, resolve, mut locks, derive, require } in groups {
        let (resolve, sticky) = resolve.map(|resolve| (resolve.chain, resolve.locks)).unwrap_or_default();
        locks.extend(sticky);
        if !derive.is_empty() || require.is_some() {
            builder = builder.formulas(Formulas { group: name.clone(), derive, require });
        }
        builder = builder.group(hms_sync_resolver::Group { name, fields, lead, resolve, locks });
    }
    builder.build().unwrap_or_else(|why| {
        // What can be said with its place has been said before; this is for what was not foreseen.
        if problems.count() == 0 {
            problems.add(crate::problem::At::default(), why.to_string());
        }
        Rules::default()
    })
}

fn rule(field: &Field) -> FieldRule {
    let Field { ty, resolve, owner, locks, .. } = field;
    let mut rule = FieldRule { ty: ty.clone(), locks: locks.clone(), ..FieldRule::default() };
    rule.owner = owner.as_ref().map(|Owner { side, unless_blank }| hms_sync_resolver::Owner {
        side: side.clone(),
        unless_blank: *unless_blank,
    });
    let filling = field.places.iter().filter(|place| place.fills_blank);
    rule.fills_blank = filling.map(|place| place.side.clone()).collect();
    if let Some(resolve) = resolve {
        rule.kind = match resolve.keeps {
            Keeps::Value => Kind::Value,
            Keeps::Set { adds_win } => Kind::Set { remove_wins: !adds_win },
            Keeps::Counter => Kind::Counter,
        };
        rule.resolve.clone_from(&resolve.chain);
        rule.locks.extend(resolve.locks.iter().cloned());
    }
    rule
}
