//! Lists that grow in a template: `{% set ids = [] %}`, then `{% set _ = ids.append(x) %}`.
//!
//! The values of the language never change, so a list that is set in a text which appends is one
//! of ours. What is put into one is a copy, taken apart: no list is ever in itself, and each
//! appending is paid for by all that is appended.

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What makes such a list.
const MAKE: &str = "__list";

/// The most elements that one may have.
const LONG_MAX: usize = 20_000;

/// Makes them known to templates.
pub(super) fn teach(env: &mut Environment<'static>) {
    env.add_function(MAKE, |state: &State<'_, '_>, of: Value| {
        let mut list = Vec::new();
        for part in of.try_iter()? {
            list.push(copied(state, &part)?);
        }
        Ok::<_, Error>(Value::from_object(Grown(Mutex::new(list))))
    });
}

/// A statement of a template; where the text appends, lists that it sets are made to grow.
pub(super) fn growing<'t>(statement: &'t str, text: &str) -> Cow<'t, str> {
    let made = || {
        let (head, value) = statement.split_once('=')?;
        let name = head.trim_start_matches(['-', '+']).trim().strip_prefix("set ")?.trim();
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let end = value.trim_end_matches(['-', '+']).trim_end();
        let is_list = end.trim_start().starts_with('[') && end.ends_with(']');
        let rest = value.get(end.len()..)?;
        (is_name && is_list).then(|| format!("{head}= {MAKE}({end}){rest}"))
    };
    if !text.contains(".append(") && !text.contains(".extend(") {
        return Cow::Borrowed(statement);
    }
    made().map_or(Cow::Borrowed(statement), Cow::Owned)
}

/// A list that grows.
#[derive(Debug)]
struct Grown(Mutex<Vec<Value>>);

impl Grown {
    fn look<T>(&self, look: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
        let value = copied(state, value)?;
        self.look(|list| {
            if list.len() >= LONG_MAX {
                return Err(bad(format!("a list that grows has {LONG_MAX} elements at most")));
            }
            list.push(value);
            Ok(())
        })
    }
}

impl Object for Grown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = key.as_usize()?;
        self.look(|list| list.get(at).cloned())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.look(|list| list.len()))
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match (method, args) {
            ("append", [value]) => self.push(state, value)?,
            ("extend", [values]) => {
                hms_sync_bounds::small(state, values)?;
                let values: Vec<Value> = values.try_iter()?.collect();
                values.iter().try_for_each(|value| self.push(state, value))?;
            }
            _ => return Err(ErrorKind::UnknownMethod.into()),
        }
        Ok(Value::from(()))
    }
}

/// A value as it stands now, with nothing in it that may change later.
fn copied(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    hms_sync_bounds::small(state, value)?;
    state.consume_fuel(1)?;
    taken_apart(value)
}

/// It has been weighed, and is not deep.
fn taken_apart(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Map => {
            let members =
                value.try_iter()?.map(|key| Ok((key.clone(), taken_apart(&value.get_item(&key)?)?)));
            members.collect::<Result<BTreeMap<_, _>, Error>>().map(Value::from)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.map(|part| taken_apart(&part)).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        ValueKind::Plain => Ok(Value::from(value.to_string())),
        ValueKind::Invalid => Err(bad("there is nothing to be appended".to_owned())),
        _ => Ok(value.clone()),
    }
}

fn bad(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::super::{Compiled, value};
    use minijinja::context;
    use serde_json::json;

    #[test]
    fn lists_grow_where_a_text_appends() {
        let filled = |text: &str| {
            let with = context! { l => value(&json!([{ "id": 1 }, { "id": 2 }])) };
            let compiled = Compiled::text(text, &["l"]).map_err(|why| why.to_string())?;
            compiled.fill(&with).map(String::from).map_err(|why| why.to_string())
        };
        for (text, comes_to) in [
            (
                "{% set ids = [] %}{% for x in l %}{% set _ = ids.append(x.id) %}{% endfor %}{{ ids }}",
                "[1, 2]",
            ),
            (
                "{%- set a = [ 0 ] -%}{% for x in a %}{% set _ = a.extend([x, 7]) %}{% endfor %}{{ a|join('-') }} \
                 {{ a|length }} {{ a[2] }} {{ 7 in a }} {{ a == [0, 0, 7] }}",
                "0-0-7 3 7 True True",
            ),
            // What is appended is as it was: no list is in itself.
            (
                "{% set a = [1] %}{% set _ = a.append(a) %}{% set _ = a.append({'a': [a]}) %}{{ a }}",
                "[1, [1], {'a': [[1, [1]]]}]",
            ),
            ("{% set a = [] %}{% set b = a.append(1) %}{{ b is none and a == [1] }}", "True"),
        ] {
            assert_eq!(filled(text).unwrap(), comes_to, "{text}");
        }
        for (text, told) in [
            (
                "{% set a = [1] %}{% for i in range(60) %}{% set _ = a.append(a) %}{% endfor %}{{ a|length }}",
                "",
            ),
            (
                "{% set a = [1] %}{% for i in range(9999) %}{% for j in range(9999) %}{% set _ = a.append(j) %}\
                 {% endfor %}{% endfor %}",
                "",
            ),
            ("{{ l.append(1) }}", "no method named append"),
        ] {
            let why = filled(text).unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }
}
