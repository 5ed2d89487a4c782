//! The header `Link` (RFC 8288): which address stands in which relation.

/// The first target of `relation` in these headers. Links that are about something else
/// than the answer (`anchor`) do not count.
pub(crate) fn target<'h>(headers: impl Iterator<Item = &'h str>, relation: &str) -> Option<&'h str> {
    headers.flat_map(Links).find(|link| link.is(relation)).map(|link| link.target)
}

struct Link<'h> {
    target: &'h str,
    relations: Option<String>,
    anchored: bool,
}

impl Link<'_> {
    fn is(&self, relation: &str) -> bool {
        let relations = self.relations.as_deref().unwrap_or_default();
        !self.anchored && relations.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(relation))
    }
}

/// The links of one header. What cannot be read ends it.
struct Links<'h>(&'h str);

impl<'h> Iterator for Links<'h> {
    type Item = Link<'h>;

    fn next(&mut self) -> Option<Link<'h>> {
        let rest = self.0.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        let (target, mut rest) = rest.strip_prefix('<')?.split_once('>')?;
        let mut link = Link { target: target.trim(), relations: None, anchored: false };
        while let Some(parameter) = rest.trim_start().strip_prefix(';') {
            let end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
            let (name, after) = parameter.split_at_checked(end)?;
            let (value, after) = match after.strip_prefix('=') {
                Some(after) => value(after)?,
                None => (String::new(), after),
            };
            match name.trim().to_ascii_lowercase().as_str() {
                // The first one counts.
                "rel" => link.relations = link.relations.or(Some(value)),
                "anchor" => link.anchored = true,
                _ => {}
            }
            rest = after;
        }
        self.0 = rest;
        Some(link)
    }
}

/// A parameter's value, quoted or not, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.trim().to_owned(), rest));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (index, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, quoted.get(index + 1..)?)),
            _ => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::target;
    use hms_sync_hostile::Reader;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_of_all_its_forms() {
        for (header, next) in [
            ("<https://h/p?page=2>; rel=\"next\"", Some("https://h/p?page=2")),
            ("</p?a=1,2;3>; rel=next", Some("/p?a=1,2;3")),
            ("<a>; rel=prev, <b>; rel=\"first NEXT\"; title=\"x\"", Some("b")),
            ("<a>; title=\"rel=next, <z>; \\\"\"; REL=\"prev\", <b> ;rel = next", Some("b")),
            ("<a>; rel=prev; rel=next", None),
            ("<a>; rel=next; anchor=\"#x\", <b>; rel=last", None),
            ("<a>; rel=\"nextpage\"", None),
            ("<a>; rel=\"next", None),
            ("a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(target([header].into_iter(), "next"), next, "{header}");
        }
        let several = ["<a>; rel=prev", "<b>; rel=next"];
        assert_eq!(target(several.into_iter(), "next"), Some("b"));
    }

    #[test]
    fn hostile_link_headers() {
        Reader::new("Link")
            .sound([
                "<https://h/p?page=2>; rel=\"next\"",
                "<a>; rel=prev, <b>; rel=\"first NEXT\"; title=\"x\"",
                "<a>; title=\"rel=next, <z>; \\\"\"; REL=\"prev\", <b> ;rel = next",
            ])
            .words(["<", ">", ";", ",", "=", "\"", "\\", "rel", "next", "anchor", "</p>", "rel=next"])
            .texts(|text| {
                let found = target([text].into_iter(), "next");
                assert!(found.is_none_or(|target| text.contains(target)), "{found:?}");
                found.is_some()
            });
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(
            before in prop::collection::vec(("[a-z/?=&,;]{0,8}", "[ -~]{0,8}"), 0..4), next in "[a-z/?=&,;]{1,12}",
        ) {
            let before = before.into_iter().map(|(target, title)| {
                let title = title.replace('\\', "\\\\").replace('"', "\\\"");
                format!("<{target}>; title=\"{title}\"; rel=\"prev\"")
            });
            let header = before.chain([format!("<{next}>; rel=\"next\"")]).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(target([header.as_str()].into_iter(), "next"), Some(next.as_str()));
        }
    }
}
