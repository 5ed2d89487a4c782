//! Whole-number arithmetic for counters: exact within 128 bits, saturating
//! beyond, so that no input can make it panic.

use hms_sync_model::{Decimal, Value};

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_str().parse().ok(),
        _ => None,
    }
}

fn number(n: i128) -> Value {
    Decimal::parse(&n.to_string()).map_or(Value::Null, Value::Number)
}

/// What was added between two values; what is no whole number counts as 0.
pub(crate) fn difference(before: &Value, after: &Value) -> Value {
    let (before, after) = (whole(before).unwrap_or(0), whole(after));
    number(after.map_or(0, |after| after.saturating_sub(before)))
}

/// The sum of values.
pub(crate) fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    number(values.filter_map(whole).fold(0, i128::saturating_add))
}
