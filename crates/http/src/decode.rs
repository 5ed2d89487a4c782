//! Answers as JSON values, in whatever form they come. Hostile input: any bytes may
//! come. Their size is bounded by who read them, their depth here.

mod csv;
mod xml;

use crate::error::quote;
use crate::select;
use crate::spec;
use serde_json::Value as Json;

/// How deep an answer may nest.
const DEPTH_MAX: usize = 128;

/// What reads an answer.
#[derive(Debug, Default)]
pub(crate) enum Decoder {
    #[default]
    Json,
    Lines,
    Csv(csv::Form),
    Xml,
}

impl Decoder {
    /// The error says what is wrong.
    pub(crate) fn new(spec: &spec::Decoder) -> Result<Self, String> {
        Ok(match spec {
            spec::Decoder::Json => Self::Json,
            spec::Decoder::Jsonl => Self::Lines,
            spec::Decoder::Csv { delimiter, encoding, set_values_to_none } => {
                Self::Csv(csv::Form::new(*delimiter, *encoding, set_values_to_none)?)
            }
            spec::Decoder::Xml => Self::Xml,
        })
    }

    /// What a side is told that we like best.
    pub(crate) fn accepts(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson, application/jsonl, application/json;q=0.5",
            Self::Csv(_) => "text/csv, */*;q=0.5",
            Self::Xml => "application/xml, text/xml",
        }
    }

    pub(crate) fn is_xml(&self) -> bool {
        matches!(self, Self::Xml)
    }

    /// The error says what came instead, and where.
    pub(crate) fn parse(&self, body: &[u8]) -> Result<Json, String> {
        match self {
            Self::Json => select::parse(body),
            Self::Lines => lines(body),
            Self::Csv(form) => csv::parse(body, form),
            Self::Xml => xml::parse(body),
        }
    }
}

/// A JSON value on each line.
fn lines(body: &[u8]) -> Result<Json, String> {
    let mut records = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = serde_json::from_slice(line).map_err(|e| {
            let why = if e.is_eof() { "ends in the middle".to_owned() } else { format!("is not JSON ({e})") };
            format!("line {} of the answer {why}: {}", index + 1, quote(line, 80))
        })?;
        records.push(record);
    }
    Ok(Json::Array(records))
}

/// The body as text; the error says where it is none.
fn text(body: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(body)
        .map_err(|e| format!("the answer is not UTF-8 at byte {}: {}", e.valid_up_to(), quote(body, 80)))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Decoder;
    use crate::spec;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    fn decoder(spec: Json) -> Decoder {
        Decoder::new(&serde_json::from_value::<spec::Decoder>(spec).unwrap()).unwrap()
    }

    #[test]
    fn lines_of_json() {
        let lines = decoder(json!({ "type": "JsonlDecoder" }));
        assert_eq!(lines.parse(b"{\"a\":1}\r\n\n{\"a\":2}").unwrap(), json!([{ "a": 1 }, { "a": 2 }]));
        assert_eq!(lines.parse(b"").unwrap(), json!([]));
        let said = lines.parse(b"{\"a\":1}\n{\"a\":").unwrap_err();
        assert_eq!(said, "line 2 of the answer ends in the middle: {\"a\":");
        assert!(lines.parse(b"\n<html>").unwrap_err().starts_with("line 2 of the answer is not JSON"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_words(
            body in prop_oneof![prop::collection::vec(any::<u8>(), 0..120).boxed(),
                "[<>/a-c=\"'&;,#x0-9! \n\\[\\]{}:-]{0,60}".prop_map(String::into_bytes).boxed()],
        ) {
            for kind in ["json", "jsonl", "csv", "xml"] {
                if let Err(words) = decoder(json!({ "type": kind })).parse(&body) {
                    prop_assert!(!words.is_empty() && !words.chars().any(char::is_control), "{words:?}");
                }
            }
        }
    }
}
