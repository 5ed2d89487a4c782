//! Elements as objects: attributes as `@name`, text beside others as `#text`, elements
//! of one name as a list if there are several. No entities but the five that XML
//! knows: a definition of others is refused, so none can grow or read files.

use super::{DEPTH_MAX, text};
use crate::error::quote;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use serde_json::{Map, Value as Json};

/// An element that is open.
#[derive(Default)]
struct Open {
    name: String,
    members: Map<String, Json>,
    text: String,
}

pub(super) fn parse(body: &[u8]) -> Result<Json, String> {
    let mut reader = Reader::from_str(text(body)?);
    let (mut open, mut root) = (Vec::new(), Map::new());
    loop {
        let event = reader.read_event().map_err(|e| {
            let at = reader.error_position();
            format!(
                "the answer is not XML at byte {at} ({}): {}",
                e.to_string().escape_debug(),
                quote(body, 80)
            )
        })?;
        match event {
            Event::Start(start) => {
                deeper(&open, &start, reader.buffer_position().saturating_sub(2))?;
                open.push(opened(&start)?);
            }
            Event::Empty(start) => {
                deeper(&open, &start, reader.buffer_position().saturating_sub(3))?;
                close(opened(&start)?, open.last_mut(), &mut root);
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(element, open.last_mut(), &mut root);
                }
            }
            Event::Text(text) => said(&mut open, &text.xml10_content())?,
            Event::CData(text) => said(&mut open, &text.xml10_content())?,
            Event::GeneralRef(entity) => said(&mut open, &referred(&entity)?)?,
            Event::DocType(_) => {
                return Err("the answer defines a document type; that is not read".to_owned());
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    match (open.pop(), root.is_empty()) {
        (Some(element), _) => {
            let name = quote(element.name.as_bytes(), 60);
            Err(format!("the answer is XML that ends in the middle, after {} bytes, in `{name}`", body.len()))
        }
        (None, true) => Err(format!("the answer is not XML: {}", quote(body, 80))),
        (None, false) => Ok(Json::Object(root)),
    }
}

/// Whether there is room for one more level, of which what stands between `<` and `>` is known.
fn deeper(open: &[Open], start: &BytesStart<'_>, end: u64) -> Result<(), String> {
    if open.len() < DEPTH_MAX {
        return Ok(());
    }
    let at = end.saturating_sub(start.len() as u64);
    let name = quote(start.name().0.as_bytes(), 60);
    Err(format!("the answer nests deeper than {DEPTH_MAX} levels at byte {at}, in `{name}`"))
}

fn opened(start: &BytesStart<'_>) -> Result<Open, String> {
    let mut element = Open { name: start.name().0.to_owned(), ..Open::default() };
    for attribute in start.attributes() {
        let bad = |why: String| {
            let name = quote(element.name.as_bytes(), 60);
            format!("an attribute of `{name}` in the answer cannot be read: {}", why.escape_debug())
        };
        let attribute = attribute.map_err(|e| bad(e.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| bad(e.to_string()))?.into_owned();
        element.members.insert(format!("@{}", attribute.key.0), Json::String(value));
    }
    Ok(element)
}

fn said(open: &mut [Open], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(format!("the answer is not XML: {}", quote(text.as_bytes(), 80))),
    }
    Ok(())
}

fn referred(entity: &BytesRef<'_>) -> Result<String, String> {
    let unknown =
        || format!("the answer names `&{};`, which XML does not know", quote(entity.as_bytes(), 40));
    match entity.resolve_char_ref() {
        Ok(Some(c)) => Ok(c.to_string()),
        Ok(None) => resolve_xml_entity(entity).map(str::to_owned).ok_or_else(unknown),
        Err(_) => Err(unknown()),
    }
}

/// Puts an element that has ended into the one around it.
fn close(element: Open, around: Option<&mut Open>, root: &mut Map<String, Json>) {
    let Open { name, mut members, text } = element;
    let text = text.trim();
    let json = match (members.is_empty(), text.is_empty()) {
        (true, true) => Json::Null,
        (true, false) => Json::String(text.to_owned()),
        (false, empty) => {
            if !empty {
                members.insert("#text".to_owned(), Json::String(text.to_owned()));
            }
            Json::Object(members)
        }
    };
    let into = around.map_or(root, |around| &mut around.members);
    match into.get_mut(&name) {
        None => {
            into.insert(name, json);
        }
        Some(Json::Array(list)) => list.push(json),
        Some(one) => *one = Json::Array(vec![one.take(), json]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{DEPTH_MAX, parse};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn elements_are_objects() {
        let body = "<?xml version=\"1.0\"?>\n<!-- x -->\n<r n=\"2 &amp; 3\"><p id=\"1\">a &lt;b&#x21;<![CDATA[<c>]]></p>\
                    <p><q/><q>2</q><s:t>3</s:t></p><e></e></r>";
        let expected = json!({ "r": {
            "@n": "2 & 3",
            "p": [{ "@id": "1", "#text": "a <b!<c>" }, { "q": [null, "2"], "s:t": "3" }],
            "e": null,
        }});
        assert_eq!(parse(body.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn the_last_level_is_read_and_the_first_too_many_is_told_with_its_place() {
        let nested = |depth: usize| format!("{}{}", "<a b='1'>".repeat(depth), "</a>".repeat(depth));
        parse(nested(DEPTH_MAX).as_bytes()).unwrap();
        let said = parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
        let at = DEPTH_MAX * "<a b='1'>".len();
        assert_eq!(said, format!("the answer nests deeper than 64 levels at byte {at}, in `a`"));
        // An element without an end is a level too, in the same place.
        let said = parse(nested(DEPTH_MAX).replace("></a>", "><c/></a>").as_bytes()).unwrap_err();
        assert_eq!(said, format!("the answer nests deeper than 64 levels at byte {at}, in `c`"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        for (body, said) in [
            ("<r><a></r>", "not XML at byte"),
            ("<r><a>", "ends in the middle, after 6 bytes, in `a`"),
            ("{\"a\":1}", "not XML: {\"a\":1}"),
            ("", "not XML"),
            ("<r>&nbsp;</r>", "names `&nbsp;`"),
            ("<r a=\"&x;\"/>", "attribute of `r`"),
            ("<r a=1/>", "attribute of `r`"),
            (bomb, "document type"),
            (&"<a>".repeat(1_000), "deeper than 64 levels at byte 192, in `a`"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error} does not say {said}");
        }
    }

    proptest! {
        /// Whatever text an element holds comes back, without blanks around it.
        #[test]
        fn text_comes_back(text in "[ -~äß€]{0,30}", attribute in "[ -~äß€]{0,12}") {
            let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let body = format!("<r><a b=\"{}\">{}</a></r>", escaped(&attribute), escaped(&text));
            let read = parse(body.as_bytes()).unwrap();
            prop_assert_eq!(read.pointer("/r/a/@b").unwrap().as_str().unwrap(), attribute.as_str());
            let there = read.pointer("/r/a/#text").map_or("", |json| json.as_str().unwrap());
            prop_assert_eq!(there, text.trim());
        }
    }
}
