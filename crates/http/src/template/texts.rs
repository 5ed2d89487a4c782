//! Airbyte's filters and functions over texts: `regex_search`, `hash`, `hmac`, `base64encode`,
//! `base64decode`, `base64binascii_decode`, `sanitize_url`, `camel_case_to_snake_case`.
//!
//! What a pattern may become is bounded, and looking for it takes fuel in proportion to it and to
//! the text; it never goes back over a text, and so never takes longer than that.

use super::times::{bad, is_nothing};
use crate::spec::pattern;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use minijinja::{Environment, Error, State, Value};
use regex_automata::meta::Regex;
use regex_automata::util::captures::Captures;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes that a pattern has.
const PATTERN_MAX: usize = 2_000;
/// The most bytes that one may become: `(a{999}){999}` is short.
const SIZE_MAX: usize = 256 << 10;
/// So many patterns are kept for the next record.
const KEPT: usize = 16;
/// Bytes of a pattern, as it has become, that it takes a step to build.
const BUILT_A_STEP: usize = 64;
/// Bytes of a pattern times bytes of a text that are looked at in a step.
const LOOKED_A_STEP: usize = 1 << 16;

/// Makes them known to templates.
pub(crate) fn teach(env: &mut Environment<'static>) {
    env.add_filter("regex_search", |state: &State<'_, '_>, value: Value, pattern: String| {
        if is_nothing(&value) {
            return Ok(String::new());
        }
        first_group(state, &value.to_string(), &pattern)
    });
    env.add_filter("base64encode", |value: Value| STANDARD.encode(value.to_string()));
    // What Airbyte calls so encodes.
    env.add_filter("base64binascii_decode", |value: Value| STANDARD.encode(value.to_string()));
    env.add_filter("base64decode", |value: Value| {
        let bytes = STANDARD.decode(value.to_string().trim());
        let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| bad("what `base64decode` was given is no text in base64".to_owned()))
    });
    env.add_filter("hash", |value: Value, kind: Option<String>, salt: Option<String>| {
        let text = value.to_string() + salt.as_deref().unwrap_or_default();
        hashed(kind.as_deref().unwrap_or("md5"), text.as_bytes())
    });
    env.add_filter("hmac", |value: Value, key: Value, kind: Option<String>| {
        if kind.as_deref().is_some_and(|kind| kind != "sha256") {
            return Err(bad("`hmac` knows sha256 alone".to_owned()));
        }
        let keyed = Hmac::<Sha256>::new_from_slice(key.to_string().as_bytes());
        let mut keyed = keyed.map_err(|_| bad("`hmac` cannot use that key".to_owned()))?;
        keyed.update(value.to_string().as_bytes());
        Ok(hex(&keyed.finalize().into_bytes()))
    });
    env.add_function("sanitize_url", |value: Value| {
        url::form_urlencoded::byte_serialize(value.to_string().as_bytes()).collect::<String>()
    });
    env.add_function("camel_case_to_snake_case", |value: Value| snake_case(&value.to_string()));
}

/// What the first group of a pattern holds where the text has it first; empty if there is none.
fn first_group(state: &State<'_, '_>, text: &str, pattern: &str) -> Result<String, Error> {
    let regex = pattern_of(state, pattern)?;
    let looked = text.len().saturating_mul(regex.memory_usage()) / LOOKED_A_STEP;
    state.consume_fuel(u64::try_from(looked).unwrap_or(u64::MAX))?;
    let mut found: Captures = regex.create_captures();
    regex.captures(text, &mut found);
    let Some(span) = found.get_group(1) else { return Ok(String::new()) };
    // A pattern that looks at bytes may end within a sign.
    let begin = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end);
    Ok(text.get(begin..end).unwrap_or_default().to_owned())
}

/// A pattern, built; those used last are kept.
fn pattern_of(state: &State<'_, '_>, pattern: &str) -> Result<Arc<Regex>, Error> {
    static BUILT: Mutex<Vec<(String, Arc<Regex>)>> = Mutex::new(Vec::new());
    let known = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, regex)) = known.iter().find(|(there, _)| there == pattern) {
        return Ok(Arc::clone(regex));
    }
    drop(known);
    let regex = Arc::new(build(pattern).map_err(bad)?);
    state.consume_fuel(u64::try_from(regex.memory_usage() / BUILT_A_STEP).unwrap_or(u64::MAX))?;
    let mut known = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= KEPT {
        known.remove(0);
    }
    known.push((pattern.to_owned(), Arc::clone(&regex)));
    Ok(regex)
}

/// `\b`, `\w` and `(?i)` are those of ASCII: a pattern that has them looks at bytes.
fn build(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_MAX {
        return Err(format!("a pattern has {PATTERN_MAX} bytes at most"));
    }
    let build = |of_signs| pattern::build(text, SIZE_MAX, of_signs);
    build(true).or_else(|_| build(false))
}

/// MD5 and SHA-1 tell texts apart, as Airbyte's `hash` is used; nobody must trust them.
fn hashed(kind: &str, bytes: &[u8]) -> Result<String, Error> {
    Ok(match kind {
        "md5" => hex(&Md5::digest(bytes)),
        "sha1" => hex(&Sha1::digest(bytes)),
        "sha224" => hex(&Sha224::digest(bytes)),
        "sha256" => hex(&Sha256::digest(bytes)),
        "sha384" => hex(&Sha384::digest(bytes)),
        "sha512" => hex(&Sha512::digest(bytes)),
        _ => {
            let known = "md5, sha1, sha224, sha256, sha384 and sha512";
            return Err(bad(format!("`hash` knows {known}, and not {kind:.20?}")));
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

/// `customReportID` as `custom_report_id`.
fn snake_case(text: &str) -> String {
    let signs: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    for (at, sign) in signs.iter().enumerate() {
        let near = |at: Option<usize>| at.and_then(|at| signs.get(at));
        let before = near(at.checked_sub(1));
        let begins_word = before.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
            || before.is_some() && near(at.checked_add(1)).is_some_and(char::is_ascii_lowercase);
        if sign.is_ascii_uppercase() && begins_word {
            out.push('_');
        }
        out.extend(sign.to_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::super::Compiled;
    use minijinja::context;

    fn filled(text: &str, long: &str) -> Result<String, String> {
        let compiled = Compiled::text(text, &["long"]).map_err(|why| why.to_string())?;
        compiled.fill(&context! { long }).map(Into::into).map_err(|why| why.to_string())
    }

    #[test]
    fn texts_are_looked_through_and_encoded() {
        for (text, comes_to) in [
            ("{{ '<https://h/x?page=12>' | regex_search('[?&]page=([0-9]+)') }}", "12"),
            (
                "{{ 'Issues are Disabled here' | regex_search('(?i)\\\\b(issues) are disabled\\\\b') }}",
                "Issues",
            ),
            ("{{ 'aßb' | regex_search('(?i)A(.)') }}", "ß"),
            ("{{ 'a' | regex_search('b') }}{{ 'a' | regex_search('a') }}", ""),
            ("{{ ['a/x', 'b'] | map('regex_search', '^([^/]+)/') | select | list }}", "['a']"),
            ("{{ 'id:ß' | base64encode }} {{ 'aWQ6w58=' | base64decode }}", "aWQ6w58= id:ß"),
            (
                "{{ 'a' | hash('sha256', 'b') }}",
                "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603",
            ),
            // The test vectors of RFC 1321 and RFC 3174.
            ("{{ 'message digest' | hash }}", "f96b697d7cb7938d525a2f31aaf161d0"),
            ("{{ 'ab' | hash('sha1', 'c') }}", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("{{ 'a' | hmac('key') }}", "780c3db4ce3de5b9e55816fba98f590631d96c075271b26976238d5f4444219b"),
            ("{{ sanitize_url('https://h/a b?c') }}", "https%3A%2F%2Fh%2Fa+b%3Fc"),
            ("{{ camel_case_to_snake_case('customReportID2Day_x') }}", "custom_report_id2_day_x"),
        ] {
            assert_eq!(filled(text, "").unwrap(), comes_to, "{text}");
        }
        let long = "a".repeat(4_000_000);
        for (text, told) in [
            ("{{ 'a' | regex_search('(') }}", "the pattern cannot be used: unclosed group"),
            ("{{ 'a' | regex_search('(?=a)') }}", "the pattern cannot be used"),
            ("{{ 'a' | regex_search('(a{999}){999}') }}", "the pattern becomes too large"),
            ("{{ long | regex_search('(a+)+b') }}", "fuel"),
            (
                "{{ 'a' | hash('crc32') }}",
                "`hash` knows md5, sha1, sha224, sha256, sha384 and sha512, and not \"crc32\"",
            ),
            ("{{ 'a' | hmac('b', 'md5') }}", "`hmac` knows sha256 alone"),
            ("{{ '?' | base64decode }}", "is no text in base64"),
        ] {
            let why = filled(text, &long).unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }
}
