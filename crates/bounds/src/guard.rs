//! What stands before an operator that makes more of its operands than fuel counts.

use crate::scan::Guarded;
use crate::weight::{Limit, check};
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Expression, State, Value};

/// What an operator may be given: more than fuel pays for in any other way.
const OPERAND: Limit = Limit { parts: 100_000, bytes: 4_000_000 };
/// One of so many parts that are looked at takes a step.
const PARTS_A_STEP: usize = 8;

/// Before and behind `*`: no list.
pub(crate) const ONE: &str = "|__one ";
/// Before and behind operators that write out, or put together.
pub(crate) const SMALL: &str = "|__sml ";

/// Makes what [`expression`](crate::expression) and [`template`](crate::template) put into a text
/// known to the language.
pub fn teach(env: &mut Environment<'_>) {
    env.add_filter(name(ONE), |value: Value| {
        if matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) && !value.is_undefined() {
            let why = "a list cannot be multiplied: what it comes to has no bound";
            return Err(Error::new(ErrorKind::InvalidOperation, why));
        }
        Ok(value)
    });
    env.add_filter(name(SMALL), |state: &State<'_, '_>, value: Value| small(state, &value).map(|()| value));
}

fn name(written: &'static str) -> &'static str {
    written.trim_start_matches('|').trim_end()
}

/// Builds an expression with its guards, and tells where they are. Why one cannot be built is said
/// of the text as it was written.
pub fn compile<'e>(
    env: &'e Environment<'static>,
    source: &str,
) -> Result<(Expression<'e, 'static>, Guarded), Error> {
    let guarded = crate::expression(source);
    let expression = build(&guarded, source, |text| env.compile_expression_owned(text.to_owned()))?;
    Ok((expression, guarded))
}

/// What `build` makes of a text with its guards. Why it makes nothing is said of the text as it was
/// written, which comes second: parts that need no values are worked out as it is built.
pub fn build<T>(
    guarded: &Guarded,
    source: &str,
    mut build: impl FnMut(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    build(&guarded.text).map_err(|why| build(source).err().unwrap_or(why))
}

/// Refuses what is too large to be written out.
pub fn small(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) {
        return Ok(());
    }
    let parts = check(value, OPERAND).map_err(|why| {
        Error::new(ErrorKind::InvalidOperation, format!("a list or map is too large here: {why}"))
    })?;
    state.consume_fuel(u64::try_from(parts / PARTS_A_STEP).unwrap_or(u64::MAX))
}
