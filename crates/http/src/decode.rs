//! Answers as JSON values, in whatever form they come. Hostile input: any bytes may
//! come. Their size is bounded by who read them, their depth here.

mod csv;
mod json;
mod xml;

use crate::error::quote;
use crate::spec;
pub(crate) use json::{parse, read};
use serde_json::Value as Json;

/// How many lists, objects or elements may stand in one another in an answer or a webhook, in
/// whatever form it comes.
pub(crate) const DEPTH_MAX: usize = 64;

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
            Self::Json => parse(body),
            Self::Lines => json::lines(body),
            Self::Csv(form) => csv::parse(body, form),
            Self::Xml => xml::parse(body),
        }
    }
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
    use crate::select::records;
    use crate::spec::{self, FieldPath};
    use hms_sync_hostile::Reader;
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

    /// Answers of a kind: what cannot be read is told in words that no terminal obeys.
    fn hostile(kind: &str, sound: &[&str], words: &[&str]) {
        let reader = Reader::new(kind).sound(sound).words(words);
        let (decoder, path) = (decoder(json!({ "type": kind })), FieldPath::dotted("a.*.b"));
        reader.bytes(|body| match decoder.parse(body) {
            Ok(json) => {
                let all = records(json.clone(), None, decoder.is_xml());
                let some = records(json, Some(&path), decoder.is_xml());
                [all, some].into_iter().filter_map(Result::err).for_each(|words| told(&words));
                true
            }
            Err(words) => {
                told(&words);
                false
            }
        });
    }

    fn told(words: &str) {
        assert!(!words.is_empty() && !words.chars().any(char::is_control), "{words:?}");
    }

    const JSON: [&str; 4] = [
        r#"{"a":[{"b":[{"id":"7","n":1.50}]}],"total":9007199254740993}"#,
        r#"[{"id":7,"t":"a\u00fc\ud83d\ude92\n"},null,true]"#,
        r#"{"items":[],"next":null}"#,
        r#"[[[[{"id":-0.1e-7}]]]]"#,
    ];
    const JSON_WORDS: [&str; 16] = [
        "{", "}", "[", "]", ":", ",", "\"", "null", "true", "\"id\":", "\"a\":[", "{\"b\":", "\\u",
        "\\ud800", "1e9", "\n",
    ];

    #[test]
    fn hostile_answers_of_json() {
        hostile("json", &JSON, &JSON_WORDS);
    }

    #[test]
    fn hostile_answers_of_lines() {
        let lines = ["{\"id\":1}\r\n\n{\"id\":2}", "{\"a\":[{\"b\":[1]}]}\n[]\n7", "null\n"];
        hostile("jsonl", &lines, &JSON_WORDS);
    }

    #[test]
    fn hostile_answers_of_rows() {
        let rows = ["id,n\r\n1,\"a,\"\"b\"\"\r\n\"\r\n2,c\n", "\u{feff}id\n1\n2\n3\n", "id,n\n"];
        hostile("csv", &rows, &["\"", "\"\"", ",", ";", "\n", "\r\n", "id", "<", "\u{feff}"]);
    }

    #[test]
    fn hostile_answers_of_elements() {
        let elements = [
            "<?xml version=\"1.0\"?>\n<!-- x --><r n=\"2 &amp; 3\"><p id=\"1\">a &lt;b&#x21;<![CDATA[<c>]]></p><q/></r>",
            "<a><s:b xmlns:s='DAV:'>1</s:b><s:b>2</s:b></a>",
        ];
        let words = [
            "<",
            ">",
            "/>",
            "</",
            "<a>",
            "</a>",
            "<a/>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?",
            "?>",
            "&",
            ";",
            "&#",
            "&#x",
            "&lt;",
            "=",
            "'",
            "xmlns:",
            "<!DOCTYPE a [<!ENTITY b \"c\">]>",
            "&b;",
        ];
        hostile("xml", &elements, &words);
    }
}
