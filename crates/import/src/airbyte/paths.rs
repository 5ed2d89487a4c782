//! Paths: what an expression puts together is written out, text beside text. A path of ours
//! takes each value as a part of one segment, so that no `/` and no `?` may come of one.

use super::terms::{literal, split};

/// Conditions within conditions, so many deep.
const MAX_DEPTH: usize = 6;

/// A template of a path with its expressions written out; the error says why it cannot be.
pub(super) fn unfolded(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&written(inside.trim(), 0)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// A path without what escapes its values: with us each is escaped as it is put in.
pub(super) fn unquoted(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = super::terms::closed(after) else { break };
        let mut terms = split(inside.trim(), &["|"]);
        while terms.len() > 1
            && terms.last().is_some_and(|term| matches!(term.trim(), "urlencode" | "urlencode()"))
        {
            terms.pop();
        }
        let inside = terms.join("|");
        let called = |name: &str| {
            super::words::argument(&format!("{{{{ {} }}}}", inside.trim()), name).map(str::to_owned)
        };
        let inside = called("sanitize_url").or_else(|| called("urlencode")).unwrap_or(inside);
        out.extend([before, "{{ ", inside.trim(), " }}"]);
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn written(expression: &str, depth: usize) -> Result<String, String> {
    let expression = bare(expression);
    if let Some((yes, condition, no)) = choice(expression) {
        if depth >= MAX_DEPTH {
            return Err("it chooses too often".to_owned());
        }
        return chosen(condition, &written(yes, depth + 1)?, &written(no, depth + 1)?);
    }
    let terms = split(expression, &["+", "~"]);
    let is_text = |term: &&str| term.trim().starts_with(['\'', '"']) && literal(term.trim()).is_some();
    if terms.len() > 1 && terms.iter().any(is_text) {
        let terms: Result<Vec<String>, String> =
            terms.into_iter().map(|term| written(term.trim(), depth + 1)).collect();
        return Ok(terms?.concat());
    }
    match literal(expression).filter(|_| expression.starts_with(['\'', '"'])) {
        Some(text) => Ok(text),
        None => Ok(format!("{{{{ {expression} }}}}")),
    }
}

/// One of two, by a condition. Parameters behind a `?` are left out where it does not hold.
fn chosen(condition: &str, yes: &str, no: &str) -> Result<String, String> {
    let block = |yes: &str, no: &str| {
        if no.is_empty() {
            format!("{{% if {condition} %}}{yes}{{% endif %}}")
        } else {
            format!("{{% if {condition} %}}{yes}{{% else %}}{no}{{% endif %}}")
        }
    };
    let cut = |text: &str| {
        let (path, query) = super::side::cut(text, '?').unwrap_or((text, ""));
        (path.to_owned(), query.to_owned())
    };
    let ((path, query), (other_path, other_query)) = (cut(yes), cut(no));
    if query.is_empty() && other_query.is_empty() {
        return Ok(block(yes, no));
    }
    if path != other_path {
        return Err("it chooses among paths with parameters".to_owned());
    }
    let mut pairs: Vec<(&str, &str, &str)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((name, value, ""));
    }
    for pair in other_query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match pairs.iter_mut().find(|(there, ..)| *there == name) {
            Some((.., no)) => *no = value,
            None => pairs.push((name, "", value)),
        }
    }
    let pairs: Vec<String> =
        pairs.into_iter().map(|(name, yes, no)| format!("{name}={}", block(yes, no))).collect();
    Ok(format!("{path}?{}", pairs.join("&")))
}

/// `a if b else c`; without `else` it is nothing.
fn choice(expression: &str) -> Option<(&str, &str, &str)> {
    let first = split(expression, &[" if "]);
    let [yes, _, ..] = first.as_slice() else { return None };
    let rest = expression.get(yes.len() + " if ".len()..)?;
    let condition = split(rest, &[" else "]).first().copied()?;
    let no = rest.get(condition.len()..)?.strip_prefix(" else ").unwrap_or("''");
    Some((yes.trim(), condition.trim(), no.trim()))
}

/// Without the brackets around the whole of it.
fn bare(expression: &str) -> &str {
    let inner = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    match inner {
        Some(inner) if balanced(inner) => bare(inner.trim()),
        _ => expression,
    }
}

fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for c in text.chars() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::unfolded;

    #[test]
    fn what_is_put_together_is_written_out() {
        for (text, comes_to) in [
            ("a/{{ id }}/b", "a/{{ id }}/b"),
            ("{{ 'a/' + p.id + '/b' }}", "a/{{ p.id }}/b"),
            ("{{ 'a/' ~ (p['x'] + '/c') }}", "a/{{ p['x'] }}/c"),
            ("{{ 'a' if p.x else 'b/' + p.y }}", "{% if p.x %}a{% else %}b/{{ p.y }}{% endif %}"),
            ("a{{ '?s=' + p.x if p.x else '' }}", "a?s={% if p.x %}{{ p.x }}{% endif %}"),
            (
                "{{ 'a?s=' + p.x + '&t=1' if p.x else 'a?t=2' }}",
                "a?s={% if p.x %}{{ p.x }}{% endif %}&t={% if p.x %}1{% else %}2{% endif %}",
            ),
            ("{{ p.x|int + 1 }}", "{{ p.x|int + 1 }}"),
        ] {
            assert_eq!(unfolded(text).as_deref(), Ok(comes_to), "{text}");
        }
        assert!(unfolded("{{ 'a?s=1' if p.x else 'b' }}").is_err());
    }
}
