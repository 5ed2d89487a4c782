//! Templates in words of the language alone: it adds no lengths to times, and its lists do not
//! grow, so both are said in words of ours before a template is built. What stands in quotes, in
//! comments and in `raw` parts is never touched.

use super::{lapse, lists};
use std::borrow::Cow;

/// The name of what statements come to.
pub(super) const END: &str = "__end";

/// A text of statements with one expression behind them, where that is given the name [`END`]
/// instead of being written; nothing if the text is another.
pub(super) fn ending(source: &str) -> Option<String> {
    let live = hms_sync_bounds::live(source);
    let (last, before) = live.split_last()?;
    let is_statement = |live| hms_sync_bounds::is_statement(source, live);
    if before.is_empty() || is_statement(last) || !before.iter().all(is_statement) {
        return None;
    }
    // Nothing but marks stands around them.
    let mut from = 0;
    for live in &live {
        let between = source.get(from..live.start)?;
        let between = if from == 0 { between } else { between.trim_start_matches(['-', '+']).get(2..)? };
        if !between.get(..between.len().checked_sub(2)?)?.trim().is_empty() {
            return None;
        }
        from = live.end;
    }
    let rest = source.get(last.end..)?.trim_start_matches(['-', '+']);
    if rest.get(..2)? != "}}" || !rest.get(2..)?.trim().is_empty() {
        return None;
    }
    let head = source.get(..last.start)?.strip_suffix("{{")?;
    let value = source.get(last.clone())?;
    let value = value.strip_prefix(['-', '+']).unwrap_or(value);
    Some(format!("{head}{{% set {END} = {value} %}}"))
}

/// A template in words of the language alone: it adds no lengths to times, and its lists do not
/// grow.
pub(super) fn said(source: &str) -> Cow<'_, str> {
    if !["duration", ".append(", ".extend("].into_iter().any(|word| source.contains(word)) {
        return Cow::Borrowed(source);
    }
    let (mut out, mut from) = (String::with_capacity(source.len() + 64), 0);
    for live in hms_sync_bounds::live(source) {
        let inside = source.get(live.clone()).unwrap_or_default();
        let is_statement = hms_sync_bounds::is_statement(source, &live);
        let inside = if is_statement { lists::growing(inside, source) } else { Cow::Borrowed(inside) };
        out.push_str(source.get(from..live.start).unwrap_or_default());
        out.push_str(&lapse::signs(&inside));
        from = live.end;
    }
    out.push_str(source.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

/// An expression in words of the language alone.
pub(crate) fn said_alone(source: &str) -> Cow<'_, str> {
    lapse::signs(source)
}

#[cfg(test)]
mod tests {
    use super::ending;

    #[test]
    fn statements_come_to_the_expression_at_their_end() {
        for (text, comes_to) in [
            ("{% set a = 1 %} {{ a }}\n", Some("{% set a = 1 %} {% set __end =  a  %}")),
            (
                "\n{%- if a -%}\n{% endif %}{{- '}}' -}}",
                Some("\n{%- if a -%}\n{% endif %}{% set __end =  '}}'  %}"),
            ),
            ("{{ a }}", None),
            ("{% if a %}x{% endif %}{{ a }}", None),
            ("{% if a %}{{ a }}{% endif %}", None),
            ("{% set a = 1 %}{{ a }}{{ a }}", None),
            ("{% set a = 1 %}{{ a }} m", None),
            ("{# #}{% set a = 1 %}{{ a }}", None),
            ("{% set a = 1 %}{{ a ", None),
            ("a", None),
        ] {
            assert_eq!(ending(text).as_deref(), comes_to, "{text}");
        }
    }
}
