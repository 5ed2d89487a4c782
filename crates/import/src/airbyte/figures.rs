//! Numbers that a manifest works out from what people set: with us they are plain numbers, so what
//! stands in for the variables is taken, and the expression worked out now.
//!
//! What never happens here: an expression that knows anything of a request or a record.

use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior};

/// Steps that an expression may take.
const FUEL: u64 = 10_000;
/// The longest expression, in bytes.
const LENGTH_MAX: usize = 400;

/// The number that a text of ours comes to: `50`, `${X_SIZE:-50}`, `{{ '${X_MINUTES:-2}'|int * 60 }}`.
/// Nothing if it is none, if it names anything, or if nothing stands in for a variable: what would
/// be worked out then is what nobody has said.
pub(super) fn figure(said: &str) -> Option<String> {
    let text = settled(said)?;
    let text = text.trim();
    if is_number(text) {
        return Some(text.to_owned());
    }
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    // Nothing that can be said so in numbers makes anything large of them.
    if inside.len() > LENGTH_MAX || inside.contains(['[', '~']) {
        return None;
    }
    let mut env = Environment::new();
    env.set_fuel(Some(FUEL));
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let expression = env.compile_expression(inside).ok()?;
    if !expression.undeclared_variables(false).is_empty() {
        return None;
    }
    let value = expression.eval(()).ok().filter(|value| value.kind() == ValueKind::Number)?.to_string();
    // `/` makes a fraction of whole numbers.
    let whole = value.strip_suffix(".0").unwrap_or(&value);
    (is_number(whole) && whole != "0").then(|| whole.to_owned())
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The text with what stands in for its variables; nothing where nothing does, or where it says
/// `${` itself.
fn settled(said: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = said;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, behind) = after.split_once('}').filter(|_| !before.ends_with('$'))?;
        out.push_str(before);
        match variable.split_once(":-") {
            Some((_, default)) => out.push_str(default),
            // Elsewhere the text asks whether it is set, and here it is then.
            None if said.contains(&format!("${{{variable}:-")) => {}
            None => return None,
        }
        rest = behind;
    }
    Some(out + rest)
}

#[cfg(test)]
mod tests {
    use super::figure;

    #[test]
    fn what_is_known_now_is_worked_out() {
        for (said, number) in [
            ("50", Some("50")),
            ("${X_SIZE:-50}", Some("50")),
            ("${X_SIZE}", None),
            ("{{ (('${X:-120}' or 0)|int) * 60 + 1 }}", Some("7201")),
            ("{{ (('${X:-}' or 0)|int) if '${X:-}' != '' else 10 }}", Some("10")),
            ("{{ (('${X}' or 0)|int) if '${X:-}' != '' else 10 }}", Some("10")),
            ("{{ (('${X}' or 0)|int) * 60 }}", None),
            ("{{ (('${X:?How long}' or 0)|int) * 60 + 1 }}", None),
            ("{{ (('${X:-}' or 0)|int) * 60 }}", None),
            ("{{ 100 / 2 }}", Some("50")),
            ("{{ 100 if cursor is defined else 50 }}", None),
            ("{{ [[0]*100000]*100000 }}", None),
            ("{{ '7' * 1000000000 }}", None),
            ("{{ 0.5 * 3 }}", Some("1.5")),
            ("{{ page_size * 2 }}", None),
            ("{{ '$${X}' }}", None),
            ("{{ 'many' }}", None),
            ("{{ 1e308 * 10 }}", None),
            ("{{ range(100000)|list|length }}", None),
            ("{{", None),
        ] {
            assert_eq!(figure(said).as_deref(), number, "{said}");
        }
    }
}
