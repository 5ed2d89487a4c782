//! Patterns of paths: regular expressions that take time in proportion to what they are tried
//! on, whatever they are. None is larger than its bounds, and none is tried on anything but a
//! path.

use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::error::Error as _;

/// The most bytes that one has.
const TEXT_MAX: usize = 1_000;
/// The most bytes that one may become: `(a{999}){999}` is short. What it becomes, times a path, is
/// how long it takes where each place of it leads to all others, as in `(a*){0,900}`.
const SIZE_MAX: usize = 64 << 10;
/// So deep may groups be in groups.
const DEPTH_MAX: u32 = 50;

/// Builds one that becomes `max` bytes at most, over the signs of a text or, where it has classes of
/// ASCII, over its bytes; the error says what is wrong with it.
pub(crate) fn build(text: &str, max: usize, of_signs: bool) -> Result<Regex, String> {
    let size = Config::new().nfa_size_limit(Some(max)).onepass_size_limit(Some(max)).utf8_empty(of_signs);
    let words = syntax::Config::new().unicode(of_signs).utf8(of_signs).nest_limit(DEPTH_MAX);
    Regex::builder().configure(size).syntax(words).build(text).map_err(|why| {
        if why.size_limit().is_some() {
            return "the pattern becomes too large; repeat less in it".to_owned();
        }
        let source = why.source().map(ToString::to_string).unwrap_or_default();
        // What is wrong stands in the last line, below the pattern and a mark.
        let said = source.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("the pattern cannot be used: {said}")
    })
}

/// A regular expression over a path. It has no look-around and no references back, and
/// classes as `\w` are those of ASCII, which is all that a path as it is sent has.
#[derive(Debug, Clone)]
pub struct PathPattern {
    text: String,
    compiled: Regex,
}

impl PathPattern {
    /// Reads one; the error says what is wrong with it.
    pub fn try_new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        if text.len() > TEXT_MAX {
            return Err(format!("a pattern has {TEXT_MAX} bytes at most"));
        }
        let compiled = build(&text, SIZE_MAX, false)?;
        Ok(Self { text, compiled })
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is found anywhere in `path`.
    pub fn is_in(&self, path: &str) -> bool {
        self.compiled.is_match(path)
    }
}

impl PartialEq for PathPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathPattern {}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for PathPattern {
    fn schema_name() -> Cow<'static, str> {
        "PathPattern".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a regular expression, as `^/api/search$`" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::PathPattern;
    use hms_sync_hostile::Reader;

    #[test]
    fn a_pattern_is_found_anywhere_in_a_path() {
        for (pattern, path, found) in [
            ("^/api/search$", "/api/search", true),
            ("^/api/search$", "/api/search/more", false),
            ("search", "/api/search/more", true),
            (r"/items/\d+(/lines)?$", "/v2/items/17/lines", true),
            (r"/items/\w+$", "/v2/items/%C3%A4", false),
            ("(?i)^/API/", "/api/x", true),
            ("", "", true),
        ] {
            assert_eq!(PathPattern::try_new(pattern).unwrap().is_in(path), found, "{pattern} in {path}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        for (pattern, said) in [
            ("(", "unclosed group"),
            ("^/api/(?!search)", "look-around"),
            (r"(a)\1", "backreferences are not supported"),
            ("((a{999}){999}){999}", "becomes too large"),
            // It took a tenth of a second for a path of 2,000 bytes.
            ("(a*)*{0,900}a{2,}$", "becomes too large"),
            (&"a".repeat(1_001), "1000 bytes at most"),
            (&"(".repeat(400), "cannot be used"),
        ] {
            let why = PathPattern::try_new(pattern).unwrap_err();
            assert!(why.contains(said), "{pattern:.40}: {why}");
        }
    }

    #[test]
    fn hostile_patterns() {
        let path = format!("/{}", "a".repeat(2_000));
        Reader::new("patterns of paths")
            .sound([
                "^/api/(search|items)/[^/]+$",
                "(a*)*b",
                r"/v\d{1,3}/\w+(?:/lines)?",
                "(?i)/a.{0,99}a{2,}$",
            ])
            .words(["(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "^", "$", "\\b", "\\pL", "(?s)", "a"])
            .fewer(50_000)
            .texts(|text| PathPattern::try_new(text).map(|pattern| pattern.is_in(&path)).is_ok());
    }
}
