//! The end: both systems compared record by record, in words of their own, and
//! what was done to them looked through for anything done twice.
//!
//! Compared are the records as the systems hold them; hms-sync is not asked.

use hms_sync_doubles::{Effect, Operation};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A permit as both systems should have it.
#[derive(Debug, PartialEq)]
struct Permit {
    fields: BTreeMap<&'static str, String>,
}

/// Every difference, in words; none if the systems agree.
pub(crate) fn differences(clerk: &[Json], marshal: &[Json]) -> Vec<String> {
    let mut found = Vec::new();
    let clerk = by_number(clerk, "permit_no", of_clerk, "clerk", &mut found);
    let marshal = by_number(marshal, "permitId", of_marshal, "marshal", &mut found);
    for (number, ours) in &clerk {
        let Some(theirs) = marshal.get(number) else {
            found.push(format!("{number}: the clerk has it, the marshal has not"));
            continue;
        };
        for (field, value) in &ours.fields {
            let other = theirs.fields.get(field).map_or("", String::as_str);
            if value != other {
                found.push(format!(
                    "{number}: {field} is {value:?} at the clerk's, {other:?} at the marshal's"
                ));
            }
        }
    }
    let only = marshal.keys().filter(|number| !clerk.contains_key(*number));
    found.extend(only.map(|number| format!("{number}: the marshal has it, the clerk has not")));
    found
}

fn by_number(
    records: &[Json],
    key: &str,
    read: fn(&Json) -> Permit,
    who: &str,
    found: &mut Vec<String>,
) -> BTreeMap<String, Permit> {
    let mut all = BTreeMap::new();
    for record in records {
        let number = text(record.get(key));
        if all.insert(number.clone(), read(record)).is_some() {
            found.push(format!("{number}: the {who} has it twice"));
        }
    }
    all
}

fn of_clerk(record: &Json) -> Permit {
    let at = text(record.get("inspection_at"));
    let at = chrono::DateTime::parse_from_rfc3339(&at)
        .map_or(at, |at| at.to_utc().format("%Y-%m-%d %H:%M:%S").to_string());
    Permit {
        fields: BTreeMap::from([
            ("address", text(record.pointer("/location/address"))),
            ("status", text(record.get("status"))),
            ("scheduled", at),
            ("inspector", text(record.get("inspector"))),
            ("notes", text(record.get("notes"))),
            ("fee", number(record.get("fee"))),
        ]),
    }
}

fn of_marshal(record: &Json) -> Permit {
    let state = match text(record.get("state")).as_str() {
        "PENDING" => "pending".to_owned(),
        "OK" => "approved".to_owned(),
        "NO" => "denied".to_owned(),
        "REVOKED" => "revoked".to_owned(),
        other => format!("({other})"),
    };
    Permit {
        fields: BTreeMap::from([
            ("address", text(record.get("address"))),
            ("status", state),
            ("scheduled", text(record.get("scheduledFor"))),
            ("inspector", text(record.get("inspector"))),
            ("notes", text(record.get("remarks"))),
            ("fee", number(record.get("fee"))),
        ]),
    }
}

/// A field that is missing, null or empty is one and the same to people.
fn text(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `120.50`, `120.5` and 120.5 are one amount.
fn number(value: Option<&Json>) -> String {
    let text = text(value);
    match text.split_once('.') {
        Some((whole, rest)) => {
            let rest = rest.trim_end_matches('0');
            if rest.is_empty() { whole.to_owned() } else { format!("{whole}.{rest}") }
        }
        None => text,
    }
}

/// Whatever a system carried out twice, in words.
pub(crate) fn done_twice(who: &str, effects: &[Effect]) -> Vec<String> {
    let mut found = Vec::new();
    let (mut made, mut keys) = (HashSet::new(), HashSet::new());
    let mut last: HashMap<&str, (Operation, u64)> = HashMap::new();
    for effect in effects {
        let name = effect.natural.as_deref().unwrap_or(&effect.id);
        if effect.operation == Operation::Create && !made.insert(name) {
            found.push(format!("{name} was made twice at the {who}'s"));
        }
        if effect.key.as_deref().is_some_and(|key| !keys.insert(key)) {
            found.push(format!("{name}: one request was carried out twice at the {who}'s"));
        }
        let this = (effect.operation, effect.body_hash);
        if last.insert(&effect.id, this) == Some(this) {
            found.push(format!("{name}: the same write came twice to the {who}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use hms_sync_doubles::Kind;
    use serde_json::json;

    #[test]
    fn the_samples_of_both_systems_are_the_same_permits() {
        let all = |kind: Kind| (1..4).map(|n| kind.sample(n)).collect::<Vec<_>>();
        assert_eq!(differences(&all(Kind::Clerk), &all(Kind::Marshal)), Vec::<String>::new());
    }

    #[test]
    fn every_difference_is_found_and_named() {
        let clerk = [Kind::Clerk.sample(1), Kind::Clerk.sample(2), Kind::Clerk.sample(2)];
        let mut first = Kind::Marshal.sample(1);
        first["state"] = json!("OK");
        first["scheduledFor"] = json!("2026-12-01 09:30:00");
        let found = differences(&clerk, &[first, Kind::Marshal.sample(3)]);
        let expect = [
            "P-000002: the clerk has it twice",
            "P-000001: scheduled is \"\" at the clerk's, \"2026-12-01 09:30:00\" at the marshal's",
            "P-000001: status is \"pending\" at the clerk's, \"approved\" at the marshal's",
            "P-000002: the clerk has it, the marshal has not",
            "P-000003: the marshal has it, the clerk has not",
        ];
        assert_eq!(found, expect);
    }

    #[test]
    fn the_same_instant_in_two_forms_is_no_difference() {
        let mut ours = Kind::Clerk.sample(1);
        ours["inspection_at"] = json!("2026-12-01T10:30:00+01:00");
        let mut theirs = Kind::Marshal.sample(1);
        theirs["scheduledFor"] = json!("2026-12-01 09:30:00");
        assert_eq!(differences(&[ours], &[theirs]), Vec::<String>::new());
    }

    #[test]
    fn what_was_done_twice_is_found() {
        use Operation::{Create, Update};
        let effect = |operation, id: &str, key: Option<&str>, body_hash| Effect {
            operation,
            id: id.to_owned(),
            natural: Some(format!("P-{}", id.trim_end_matches('b'))),
            key: key.map(str::to_owned),
            body_hash,
            at: 0,
        };
        let fine =
            [effect(Create, "1", Some("k1"), 1), effect(Update, "1", None, 2), effect(Update, "1", None, 3)];
        assert_eq!(done_twice("clerk", &fine), Vec::<String>::new());
        assert_eq!(
            done_twice("clerk", &[effect(Create, "1", None, 1), effect(Create, "1b", None, 1)]).len(),
            1
        );
        assert_eq!(
            done_twice("clerk", &[effect(Update, "1", Some("k"), 1), effect(Update, "1", Some("k"), 2)])
                .len(),
            1
        );
        assert_eq!(
            done_twice("clerk", &[effect(Update, "1", None, 1), effect(Update, "1", None, 1)]).len(),
            1
        );
    }
}
