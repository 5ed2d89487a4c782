//! Methods that templates and expressions have of Python: `.get('next')`, `.replace('T', ' ')`,
//! `.split(',')`, `.lower()`, as those written for Airbyte use them.
//!
//! None of them makes more of a text than fuel can count: `format`, which pads, is not there.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

/// What a method of a value comes to. A member that is not there is nothing.
pub(crate) fn of(
    state: &mut State<'_, '_>,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    match (method, args) {
        ("get", [key, default @ ..])
            if default.len() <= 1 && matches!(value.kind(), ValueKind::Map | ValueKind::Undefined) =>
        {
            let found = if value.is_undefined() { Value::UNDEFINED } else { value.get_item(key)? };
            let default = || default.first().cloned().unwrap_or(Value::from(()));
            Ok(if found.is_undefined() { default() } else { found })
        }
        ("format" | "get", _) => {
            Err(Error::new(ErrorKind::UnknownMethod, format!("there is no method `{method}`")))
        }
        ("join", [parts]) => {
            hms_sync_bounds::small(state, parts)?;
            pycompat::unknown_method_callback(state, value, method, args)
        }
        _ => pycompat::unknown_method_callback(state, value, method, args),
    }
}
