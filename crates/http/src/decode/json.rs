//! JSON from outside: the only place where an answer, a line of one or a webhook becomes a
//! value. How deep it may nest is bounded here, and what is deeper is told with its place.

use super::DEPTH_MAX;
use crate::error::quote;
use serde_json::Value as Json;
use std::fmt;

/// Why bytes are no value.
#[derive(Debug)]
pub(crate) enum Unread {
    /// They nest deeper than [`DEPTH_MAX`]; where the first level too many begins, counted from 0.
    Deep(usize),
    Broken(serde_json::Error),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deep(at) => write!(f, "nests deeper than {DEPTH_MAX} levels at byte {at}"),
            Self::Broken(why) if why.is_eof() => f.write_str("ends in the middle"),
            Self::Broken(why) => write!(f, "is not JSON ({why})"),
        }
    }
}

/// A value of bounded depth.
pub(crate) fn read(bytes: &[u8]) -> Result<Json, Unread> {
    // What reads goes no deeper than twice as deep, so neither it nor the walk over what
    // was read can run out of stack.
    match serde_json::from_slice(bytes) {
        Ok(json) if within(&json, DEPTH_MAX) => Ok(json),
        Ok(_) => Err(Unread::Deep(too_deep(bytes).unwrap_or_default())),
        Err(why) => Err(match too_deep(bytes.get(..place(&why, bytes)).unwrap_or(bytes)) {
            Some(at) => Unread::Deep(at),
            None => Unread::Broken(why),
        }),
    }
}

/// An answer, or a webhook; the error says what came instead.
pub(crate) fn parse(body: &[u8]) -> Result<Json, String> {
    read(body).map_err(|unread| {
        let text = quote(body, 80);
        match unread {
            Unread::Broken(_) if text.is_empty() => "the answer is empty where JSON was expected".to_owned(),
            Unread::Broken(_) if text.starts_with('<') => {
                format!("the answer is HTML instead of JSON: {text}")
            }
            Unread::Broken(why) if why.is_eof() => {
                format!("the answer is JSON that ends in the middle, after {} bytes: {text}", body.len())
            }
            unread => format!("the answer {unread}: {text}"),
        }
    })
}

/// A value on each line.
pub(super) fn lines(body: &[u8]) -> Result<Json, String> {
    let mut records = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let told = |why| format!("line {} of the answer {why}: {}", index + 1, quote(line, 80));
        records.push(read(line).map_err(told)?);
    }
    Ok(Json::Array(records))
}

/// Whether no more than `levels` lists and objects stand in one another.
fn within(json: &Json, levels: usize) -> bool {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
        Json::Array(elements) => {
            let inner = levels.checked_sub(1);
            inner.is_some_and(|levels| elements.iter().all(|element| within(element, levels)))
        }
        Json::Object(members) => {
            let inner = levels.checked_sub(1);
            inner.is_some_and(|levels| members.values().all(|member| within(member, levels)))
        }
    }
}

/// How many bytes had been read when it was found to be no JSON.
fn place(why: &serde_json::Error, bytes: &[u8]) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(why.line().saturating_sub(1));
    lines.map(<[u8]>::len).sum::<usize>().saturating_add(why.column())
}

/// Where the first level beyond [`DEPTH_MAX`] begins.
fn too_deep(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                if depth == DEPTH_MAX {
                    return Some(at);
                }
                depth += 1;
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{DEPTH_MAX, Unread, parse, read};

    /// Lists and objects by turns, so many in one another.
    fn nested(depth: usize) -> String {
        let open: String = (0..depth).map(|level| if level % 2 == 0 { "[" } else { r#"{"[\"{":"# }).collect();
        let close: String = (0..depth).rev().map(|level| if level % 2 == 0 { "]" } else { "}" }).collect();
        format!(" {open}1{close}")
    }

    #[test]
    fn the_last_level_is_read_and_the_first_too_many_is_told_with_its_place() {
        read(nested(DEPTH_MAX).as_bytes()).unwrap();
        // A space, and 32 lists and objects with their names.
        let at = 1 + 32 * (1 + r#"{"[\"{":"#.len());
        for depth in [DEPTH_MAX + 1, 100, 128, 1_000] {
            let why = read(nested(depth).as_bytes()).unwrap_err();
            assert!(matches!(why, Unread::Deep(found) if found == at), "{why} at {depth}");
        }
        let said = parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert!(
            said.starts_with(&format!("the answer nests deeper than 64 levels at byte {at}: [")),
            "{said}"
        );
        // Beside one another they may be as many as they like.
        read(format!("[{}1]", "[[]],".repeat(10_000)).as_bytes()).unwrap();
    }

    #[test]
    fn what_is_broken_before_it_is_deep_is_broken() {
        let body = format!("[\n1,\n}}{}", "[".repeat(1_000));
        assert!(matches!(read(body.as_bytes()), Err(Unread::Broken(_))));
        // What ends in the middle of a level too many is deep all the same.
        assert!(matches!(read("[".repeat(DEPTH_MAX + 1).as_bytes()), Err(Unread::Deep(DEPTH_MAX))));
        assert!(matches!(read("[".repeat(DEPTH_MAX).as_bytes()), Err(Unread::Broken(_))));
    }

    #[test]
    fn says_what_came_instead_of_json() {
        for (body, said) in [
            ("<html>\u{7}no", "HTML instead of JSON: <html>\\u{7}no"),
            ("", "empty"),
            ("[{\"a\":", "ends in the middle, after 6 bytes"),
            ("{]", "not JSON"),
            (&"[".repeat(10_000), "deeper than 64 levels at byte 64"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error} does not say {said}");
        }
    }

    /// On the small stack that a task of the runtime has, also in a build that is not optimised.
    #[test]
    fn hostile_answers_end_in_words_or_values() {
        let digits = "9".repeat(100_000);
        let hostile = [
            "[".repeat(1_000_000),
            "{\"a\":".repeat(1_000_000),
            "[{\"a\":".repeat(500_000),
            format!("[{{\"id\":{digits}}}]"),
            format!("[{{\"id\":1e{digits}}}]"),
            format!("[{{\"id\":\"{}\"}}]", "\\ud800".repeat(1_000)),
            format!("{{{}}}", vec!["\"a\":1"; 100_000].join(",")),
        ];
        let read = move || hostile.map(|body| parse(body.as_bytes()).err());
        let said = std::thread::Builder::new().stack_size(2 << 20).spawn(read).unwrap().join().unwrap();
        for deep in &said[..3] {
            assert!(deep.as_ref().is_some_and(|why| why.contains("deeper than 64")), "{said:?}");
        }
        assert!(said.iter().flatten().all(|why| why.len() < 400), "{said:?}");
        // Digits are kept as they came, and are no id: it would be too long.
        let long = serde_json::from_str(&digits).unwrap();
        crate::select::scalar_id(&long).unwrap_err();
    }
}
