//! Bodies that are one text: a form, JSON or XML that a manifest puts together by itself. What it is
//! must be told to the side, where the manifest does not.

use crate::out::{Item, Out};

/// Says of which type a body is that is one text, if its headers do not. What begins as XML is sent as
/// that by itself; of a template it shows only once it is filled in, so what we see is said.
pub(super) fn typed(read: &mut Vec<Item>) {
    let Some(body) = read.iter().find(|item| item.key == "request_body_text") else { return };
    let Out::Text(text) = &body.value else { return };
    let (at, Some(kind)) = (body.from, kind(text)) else { return };
    let says = |item: &Item| item.key.eq_ignore_ascii_case("content-type");
    match read.iter_mut().find(|item| item.key == "request_headers").map(|item| &mut item.value) {
        Some(Out::Map(headers)) if headers.iter().any(says) => {}
        Some(Out::Map(headers)) => headers.push(Item::new(at, "Content-Type", Out::text(kind))),
        Some(_) => {}
        None => {
            let headers = Out::Map(vec![Item::new(at, "Content-Type", Out::text(kind))]);
            read.push(Item::new(at, "request_headers", headers));
        }
    }
}

/// What a text is, by how it begins.
fn kind(text: &str) -> Option<&'static str> {
    let text = text.trim_start();
    let is_filled_in = text.starts_with("{{") || text.starts_with("{%");
    if text.starts_with('<') {
        return None;
    }
    if text.starts_with('[') || (text.starts_with('{') && !is_filled_in) {
        return Some("application/json");
    }
    let named = text.split_once('=').map(|(name, _)| name);
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    Some(if named.is_some_and(is_name) { "application/x-www-form-urlencoded" } else { "text/plain" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::kind;

    #[test]
    fn a_text_is_what_it_begins_as() {
        for (text, read) in [
            ("<find/>", None),
            (" { \"a\": 1 }", Some("application/json")),
            ("[{}]", Some("application/json")),
            ("from={{ cursor }}&kind=a", Some("application/x-www-form-urlencoded")),
            ("{{ cursor }}", Some("text/plain")),
            ("fields id, name; where x = 1;", Some("text/plain")),
        ] {
            assert_eq!(kind(text), read, "{text}");
        }
    }
}
