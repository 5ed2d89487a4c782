//! What is taken out of records: fields, or the values of which a condition is true. Nothing is
//! put into a record here, but for null where an element of a list was.

use super::when;
use crate::formula::{self, Formula};
use crate::spec::{Expression, FieldPath};
use minijinja::context;
use serde_json::Value as Json;

/// The word for a value in a condition.
const PROPERTY: &str = "property";
/// The most values of a record that a condition is asked about.
const VALUES_MAX: usize = 100_000;

/// What is taken out, and when.
#[derive(Debug)]
pub(super) enum Removal {
    /// All of these fields, where the condition is true of the record.
    Fields(Option<Formula>, Vec<FieldPath>),
    /// The values in these places of which the condition is true.
    Values(Formula, Vec<FieldPath>),
}

impl Removal {
    /// The error says what is wrong.
    pub(super) fn new(places: &[FieldPath], condition: Option<&Expression>) -> Result<Self, String> {
        let Some(condition) = when(condition, &["record", PROPERTY])? else {
            places.iter().try_for_each(super::single_place)?;
            return Ok(Self::Fields(None, places.to_vec()));
        };
        if !condition.uses(PROPERTY) {
            places.iter().try_for_each(super::single_place)?;
            return Ok(Self::Fields(Some(condition), places.to_vec()));
        }
        if condition.uses("record") {
            return Err("a `condition` names `record` or `property`, not both".to_owned());
        }
        Ok(Self::Values(condition, places.iter().map(above).collect::<Result<_, _>>()?))
    }

    /// Whether what stands at `path` may be another after it.
    pub(super) fn touches(&self, path: &FieldPath) -> bool {
        let (Self::Fields(_, places) | Self::Values(_, places)) = self;
        let leads = |place: &FieldPath| path.parts().zip(place.parts()).all(|(a, b)| a == b || b == "*");
        places.iter().any(leads)
    }

    /// The error is a part of a line for people.
    pub(super) fn apply(&self, record: &mut Json) -> Result<(), String> {
        match self {
            Self::Fields(when, places) => {
                if super::holds(when.as_ref(), record)? {
                    places.iter().for_each(|place| remove(record, place));
                }
            }
            Self::Values(condition, places) => {
                let mut asked = Asked { condition, left: VALUES_MAX };
                for place in places {
                    let way: Vec<&str> = place.parts().collect();
                    asked.visit(record, &way).ok_or_else(|| {
                        format!(
                            "has more than {VALUES_MAX} values, about which a `condition` of `transformations` is asked"
                        )
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// The path to what a pointer has looked through; the error says what is wrong.
fn above(pointer: &FieldPath) -> Result<FieldPath, String> {
    let parts: Vec<&str> = pointer.parts().collect();
    match parts.as_slice() {
        [] => Err("an empty pointer leads nowhere: all of a record is `**`".to_owned()),
        [outer @ .., "**"] | outer if !outer.contains(&"**") => Ok(FieldPath::of(outer)),
        _ => Err(format!("`{pointer}`: `**`, everything below, stands at the end only")),
    }
}

/// A condition that is asked about values, so many at most.
struct Asked<'f> {
    condition: &'f Formula,
    left: usize,
}

impl Asked<'_> {
    /// Whether the value itself is to be taken out; nothing if there are too many of them.
    fn visit(&mut self, value: &mut Json, way: &[&str]) -> Option<bool> {
        let (step, rest) = way.split_first().map_or((None, way), |(step, rest)| (Some(*step), rest));
        let leads_to = |name: &str| step.is_none_or(|step| step == "*" || step == name);
        match value {
            Json::Object(members) => {
                let mut gone = Vec::new();
                for (name, member) in members.iter_mut().filter(|(name, _)| leads_to(name)) {
                    if self.visit(member, rest)? {
                        gone.push(name.clone());
                    }
                }
                gone.iter().for_each(|name| drop(members.remove(name)));
            }
            Json::Array(elements) => {
                let last = elements.len().saturating_sub(1);
                let mut is_shorter = false;
                for (index, element) in elements.iter_mut().enumerate() {
                    if !leads_to(&index.to_string()) || !self.visit(element, rest)? {
                        continue;
                    }
                    // What stands behind it keeps its place.
                    *element = Json::Null;
                    is_shorter = index == last;
                }
                if is_shorter {
                    elements.pop();
                }
            }
            leaf => return if step.is_some() { Some(false) } else { self.is_true(leaf) },
        }
        Some(false)
    }

    /// Of a value for which it cannot be worked out it is not true: a number has no length.
    fn is_true(&mut self, value: &Json) -> Option<bool> {
        self.left = self.left.checked_sub(1)?;
        Some(self.condition.is_true(&context! { property => formula::value(value) }).unwrap_or(false))
    }
}

fn remove(record: &mut Json, path: &FieldPath) {
    let parts: Vec<&str> = path.parts().collect();
    let Some((last, outer)) = parts.split_last() else { return };
    let place = outer.iter().try_fold(record, |value, part| match value {
        Json::Object(members) => members.get_mut(*part),
        Json::Array(elements) => elements.get_mut(part.parse::<usize>().ok()?),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    });
    if let Some(Json::Object(members)) = place {
        members.remove(*last);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Removal;
    use crate::spec::{Expression, FieldPath};
    use hms_sync_hostile::Reader;
    use serde_json::{Value as Json, json};

    fn removal(places: Json, condition: &str) -> Result<Removal, String> {
        let places: Vec<FieldPath> = serde_json::from_value(places).unwrap();
        Removal::new(&places, Some(&Expression::try_new(condition).unwrap()))
    }

    fn left(places: Json, condition: &str, mut record: Json) -> Json {
        removal(places, condition).unwrap().apply(&mut record).unwrap();
        record
    }

    /// What Airbyte makes of the same, where its pointers are `**`.
    #[test]
    fn values_are_taken_out_by_what_they_are() {
        let record = json!({ "id": 1, "a": "", "b": { "c": "", "d": null, "e": [] }, "l": ["", "x", ""],
            "m": ["", ""], "n": [{ "q": "", "r": 2 }], "o": {}, "p": "some long text" });
        for (condition, expected) in [
            (
                "{{ property | string == '' }}",
                json!({ "id": 1, "b": { "d": null, "e": [] }, "l": [null, "x"], "m": [null], "n": [{ "r": 2 }],
                    "o": {}, "p": "some long text" }),
            ),
            (
                "{{ property is integer }}",
                json!({ "a": "", "b": { "c": "", "d": null, "e": [] }, "l": ["", "x", ""], "m": ["", ""],
                    "n": [{ "q": "" }], "o": {}, "p": "some long text" }),
            ),
            (
                "property is none",
                json!({ "id": 1, "a": "", "b": { "c": "", "e": [] }, "l": ["", "x", ""], "m": ["", ""],
                    "n": [{ "q": "", "r": 2 }], "o": {}, "p": "some long text" }),
            ),
            (
                // A number has no length, and stays.
                "{{ property | length > 5 }}",
                json!({ "id": 1, "a": "", "b": { "c": "", "d": null, "e": [] }, "l": ["", "x", ""],
                    "m": ["", ""], "n": [{ "q": "", "r": 2 }], "o": {} }),
            ),
            (
                "{{ True or property }}",
                json!({ "b": { "e": [] }, "l": [null, null], "m": [null], "n": [{}], "o": {} }),
            ),
            ("{{ False and property }}", record.clone()),
        ] {
            assert_eq!(left(json!([["**"]]), condition, record.clone()), expected, "{condition}");
        }
    }

    #[test]
    fn only_what_the_pointers_lead_to_is_looked_at() {
        let record = json!({ "a": "", "b": { "c": "", "d": { "e": "" } }, "l": [{ "q": "", "r": "" }, { "q": "" }, 1] });
        for (places, expected) in [
            (
                json!([["a"]]),
                json!({ "b": { "c": "", "d": { "e": "" } }, "l": [{ "q": "", "r": "" }, { "q": "" }, 1] }),
            ),
            (
                json!([["b"], "no.such"]),
                json!({ "a": "", "b": { "d": {} }, "l": [{ "q": "", "r": "" }, { "q": "" }, 1] }),
            ),
            (
                json!([["b", "d", "**"]]),
                json!({ "a": "", "b": { "c": "", "d": {} }, "l": [{ "q": "", "r": "" }, { "q": "" }, 1] }),
            ),
            (
                json!(["l.*.q"]),
                json!({ "a": "", "b": { "c": "", "d": { "e": "" } }, "l": [{ "r": "" }, {}, 1] }),
            ),
            (
                json!(["l.0.q", "a.deeper"]),
                json!({ "a": "", "b": { "c": "", "d": { "e": "" } }, "l": [{ "r": "" }, { "q": "" }, 1] }),
            ),
        ] {
            assert_eq!(left(places.clone(), "property == ''", record.clone()), expected, "{places}");
        }
    }

    #[test]
    fn it_is_known_what_may_be_taken_out() {
        let id = FieldPath::dotted("list.0.id");
        for (places, touched) in [
            (json!(["**"]), true),
            (json!(["list"]), true),
            (json!(["list.*.id.**"]), true),
            (json!(["list.1"]), false),
        ] {
            assert_eq!(removal(places.clone(), "not property").unwrap().touches(&id), touched, "{places}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (places, condition, said) in [
            (json!(["a"]), "property == record.b", "`record` or `property`, not both"),
            (json!(["**.a"]), "not property", "`**`, everything below, stands at the end only"),
            (json!([""]), "not property", "all of a record is `**`"),
            (json!(["**"]), "record.a", "`**` names no single field"),
            (json!(["a"]), "value", "names `value`; known here: record, property"),
        ] {
            let why = removal(places, condition).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn no_record_is_asked_about_without_end() {
        let removal = removal(json!(["**"]), "not property").unwrap();
        assert_eq!(removal.apply(&mut json!({ "l": vec![1; 100_000] })), Ok(()));
        let why = removal.apply(&mut json!({ "l": vec![1; 100_001] })).unwrap_err();
        assert!(why.contains("has more than 100000 values"), "{why}");
    }

    /// Whether a value is one of those that are taken out.
    type Goes = fn(&Json) -> bool;

    /// Whether `left` is what is left of `record`: nothing else is in it, and what is in it stands
    /// where it stood, but for null where an element of a list was. All that `goes` is gone.
    fn is_left_of(left: &Json, record: &Json, goes: &impl Fn(&Json) -> Option<bool>) -> bool {
        let fits = |left: Option<&Json>, was: &Json, gone: Option<&Json>| {
            let is_leaf = !was.is_object() && !was.is_array();
            let went = left == gone && (!was.is_null() || left.is_none());
            match (left, is_leaf.then(|| goes(was)).flatten()) {
                (_, Some(true)) => left == gone,
                (Some(left), Some(false)) => left == was,
                (_, None) if is_leaf => left == Some(was) || went,
                (left, _) => left.is_some_and(|left| is_left_of(left, was, goes)),
            }
        };
        match (left, record) {
            (Json::Object(left), Json::Object(record)) => {
                left.keys().all(|name| record.contains_key(name))
                    && record.iter().all(|(name, was)| fits(left.get(name), was, None))
            }
            (Json::Array(left), Json::Array(record)) => {
                let shorter = record.len().checked_sub(left.len());
                let ends = shorter.is_some_and(|shorter| shorter <= 1);
                ends && record.iter().enumerate().all(|(index, was)| {
                    let gone = (index < left.len()).then_some(&Json::Null);
                    fits(left.get(index), was, gone)
                })
            }
            (left, record) => left == record,
        }
    }

    #[test]
    fn hostile_conditions_on_values() {
        let record = json!({ "a": 1.5, "tags": ["x", "", null, "y"], "nested": { "b": null, "c": [[""], {}] },
            "text": "ß,🚒", "": false, "long": "x".repeat(2_000), "n": [-1, 0, u64::MAX, 1e300] });
        Reader::new("conditions on values")
            .sound([
                "{{ property | string == '' }}",
                "property is integer and property > 0 or property is none",
                "{{ property | length > 5 and 'x' in property }}",
                "not property | float(7) // 2 ** 3",
                "property[::-1] | upper | replace('ß', 's') == 'X' if property is string else [1, {'k': 2}]",
            ])
            .words(["{{", "}}", "property", "property ", "record", "True or ", "string", "integer", "none"])
            .minijinja()
            .fewer(100_000)
            .texts(|text| {
                let Ok(condition) = Expression::try_new(text) else { return false };
                for place in ["**", "tags.*", "nested.c.**", "n.3"] {
                    let Ok(removal) = Removal::new(&[FieldPath::dotted(place)], Some(&condition)) else {
                        return false;
                    };
                    let [mut left, mut again] = [record.clone(), record.clone()];
                    let told = removal.apply(&mut left);
                    assert_eq!(removal.apply(&mut again), told);
                    assert_eq!(left, again, "{place}: it comes to another the second time");
                    if matches!(removal, Removal::Fields(..)) {
                        return told.is_ok();
                    }
                    assert_eq!(told, Ok(()), "{place}: of what cannot be worked out it is not true");
                    assert!(is_left_of(&left, &record, &|_| None), "{place}: {left}");
                    let outside = |at: &str| place == "**" || left.get(at) == record.get(at);
                    assert!(["a", "text", "long", ""].into_iter().all(outside), "{place}: {left}");
                }
                true
            });
    }

    #[test]
    fn hostile_records_of_which_values_are_taken_out() {
        let removals: [(Removal, Goes); 4] = [
            (removal(json!(["**"]), "property == ''").unwrap(), |leaf| leaf == ""),
            (removal(json!(["**"]), "property is none").unwrap(), Json::is_null),
            (removal(json!(["**"]), "property is string").unwrap(), Json::is_string),
            (removal(json!(["**"]), "true or property").unwrap(), |_| true),
        ];
        let some = removal(json!(["l.*.q", "a.0", "n.**", "*.*.*"]), "property == ''").unwrap();
        Reader::new("records of which values are taken out")
            .sound([
                r#"{"a":["",1,""],"b":{"c":"","d":null,"e":[]},"l":[{"q":"","r":2},["",""],[null]],"":""}"#,
                r#"{"n":[[[[""]]],{"0":"","-1":{"":[null,"",null]}}],"x":1e300,"y":-0.0,"t":"ß🚒","f":false}"#,
                r#"{"l":{"1":{"q":""},"*":"","**":{"**":""}},"a":{"0":""},"u":18446744073709551615}"#,
            ])
            .words(["{", "}", "[", "]", ",", ":", "\"\"", "null", "\"q\":", "\"*\":", "[[", "{\"l\":", "1", "true"])
            .fewer(200_000)
            .texts(|text| {
                let Ok(record) = serde_json::from_str::<Json>(text) else { return false };
                for (removal, goes) in &removals {
                    let mut left = record.clone();
                    removal.apply(&mut left).unwrap();
                    assert!(is_left_of(&left, &record, &|leaf| Some(goes(leaf))), "{removal:?}: {left}");
                }
                let mut left = record.clone();
                some.apply(&mut left).unwrap();
                let stays = |leaf: &Json| (leaf != "").then_some(false);
                assert!(is_left_of(&left, &record, &stays), "{left}");
                record.is_object()
            });
    }
}
