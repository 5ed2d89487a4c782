//! Answers as JSON values, in whatever form they come. Hostile input: any bytes may
//! come. Their size is bounded by who read them, their depth here.

mod csv;
mod json;
mod xml;
mod zip;

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
    /// Files in one of the other forms.
    Zip(Box<Decoder>),
}

/// What is in an answer.
#[derive(Debug)]
pub(crate) struct Documents {
    /// The values: one, but for an archive, which has as many as it has files.
    pub(crate) all: Vec<Json>,
    /// How many bytes they were made of, once unpacked.
    pub(crate) bytes: usize,
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
            spec::Decoder::Zip { decoder } => match Self::new(decoder)? {
                Self::Zip(_) => return Err("`zip` in `zip`: archives in archives are not read".to_owned()),
                inner => Self::Zip(Box::new(inner)),
            },
        })
    }

    /// What a side is told that we like best.
    pub(crate) fn accepts(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson, application/jsonl, application/json;q=0.5",
            Self::Csv(_) => "text/csv, */*;q=0.5",
            Self::Xml => "application/xml, text/xml",
            Self::Zip(_) => "application/zip, */*;q=0.5",
        }
    }

    pub(crate) fn is_xml(&self) -> bool {
        match self {
            Self::Xml => true,
            Self::Zip(inner) => inner.is_xml(),
            Self::Json | Self::Lines | Self::Csv(_) => false,
        }
    }

    /// All that is in an answer, of at most `max` bytes once unpacked. The error says what came
    /// instead, and where.
    pub(crate) fn documents(&self, body: &[u8], max: usize) -> Result<Documents, String> {
        match self {
            Self::Zip(inner) => zip::files(body, max, |file| inner.one(file)),
            _ if zip::is_archive(body) => {
                Err("the answer is a zip file: `decoder: { type: zip }` reads what is in it".to_owned())
            }
            _ => Ok(Documents { all: vec![self.one(body)?], bytes: body.len() }),
        }
    }

    /// The same where it is one value.
    pub(crate) fn parse(&self, body: &[u8], max: usize) -> Result<Json, String> {
        let mut all = self.documents(body, max)?.all;
        match (all.pop(), all.len()) {
            (Some(one), 0) => Ok(one),
            (last, more) => {
                let many = more + usize::from(last.is_some());
                Err(format!("the answer is a zip file of {many} files, where one is expected"))
            }
        }
    }

    fn one(&self, body: &[u8]) -> Result<Json, String> {
        match self {
            Self::Json => parse(body),
            Self::Lines => json::lines(body),
            Self::Csv(form) => csv::parse(body, form),
            Self::Xml => xml::parse(body),
            Self::Zip(_) => Err("archives in archives are not read".to_owned()),
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
    use super::{Decoder, zip};
    use crate::select::records;
    use crate::spec::{self, FieldPath};
    use hms_sync_hostile::Reader;
    use serde_json::{Value as Json, json};

    /// So large may an answer be once it is unpacked.
    const MAX: usize = 1 << 20;

    fn decoder(spec: Json) -> Decoder {
        Decoder::new(&serde_json::from_value::<spec::Decoder>(spec).unwrap()).unwrap()
    }

    #[test]
    fn lines_of_json() {
        let lines = decoder(json!({ "type": "JsonlDecoder" }));
        let parse = |body: &[u8]| lines.parse(body, MAX);
        assert_eq!(parse(b"{\"a\":1}\r\n\n{\"a\":2}").unwrap(), json!([{ "a": 1 }, { "a": 2 }]));
        assert_eq!(parse(b"").unwrap(), json!([]));
        let said = parse(b"{\"a\":1}\n{\"a\":").unwrap_err();
        assert_eq!(said, "line 2 of the answer ends in the middle: {\"a\":");
        assert!(parse(b"\n<html>").unwrap_err().starts_with("line 2 of the answer is not JSON"));
    }

    #[test]
    fn an_archive_is_told_from_what_is_in_it() {
        let archive = zip::tests::stored(&[("a.csv", b"id\n1\n"), ("b.csv", b"id\n2\n")]);
        let csv = decoder(json!({ "type": "csv" }));
        assert!(csv.parse(&archive, MAX).unwrap_err().contains("`decoder: { type: zip }` reads"));
        let zipped = decoder(json!({ "type": "ZipfileDecoder", "decoder": { "type": "CsvDecoder" } }));
        assert_eq!(zipped.documents(&archive, MAX).unwrap().all.len(), 2);
        let said = zipped.parse(&archive, MAX).unwrap_err();
        assert_eq!(said, "the answer is a zip file of 2 files, where one is expected");
        let one = zip::tests::stored(&[("a.csv", b"id\n1\n")]);
        assert_eq!(zipped.parse(&one, MAX).unwrap(), json!([{ "id": "1" }]));
        let twice = json!({ "type": "zip", "decoder": { "type": "zip" } });
        let twice = serde_json::from_value::<spec::Decoder>(twice).unwrap();
        assert!(Decoder::new(&twice).unwrap_err().contains("archives in archives"));
    }

    #[test]
    fn hostile_answers_of_archives() {
        let rows: &[(&str, &[u8])] = &[("a.json", b"[{\"id\":1}]"), ("b/", b""), ("b/c.json", b"[]")];
        let sound = [zip::tests::stored(rows), zip::tests::deflated(rows), zip::tests::stored(&[])];
        let words: [&[u8]; 12] = [
            b"PK\x01\x02",
            b"PK\x03\x04",
            b"PK\x05\x06",
            b"PK\x06\x06",
            b"PK\x06\x07",
            b"PK\x07\x08",
            b"\x00\x00",
            b"\xff\xff",
            b"\xff\xff\xff\xff",
            b"\x01\x00",
            b"\x08\x00",
            b"\x1f\x8b",
        ];
        let decoder = decoder(json!({ "type": "zip" }));
        shown(Reader::new("zip").sound(sound).words(words), &decoder);
    }

    /// Answers of a kind: what cannot be read is told in words that no terminal obeys.
    fn hostile(kind: &str, sound: &[&str], words: &[&str]) {
        shown(Reader::new(kind).sound(sound).words(words), &decoder(json!({ "type": kind })));
    }

    fn shown(reader: Reader, decoder: &Decoder) {
        let path = FieldPath::dotted("a.*.b");
        reader.bytes(|body| match decoder.documents(body, MAX) {
            Ok(found) => {
                assert!(found.bytes <= MAX, "{found:?}");
                for json in found.all {
                    let all = records(json.clone(), None, decoder.is_xml());
                    let some = records(json, Some(&path), decoder.is_xml());
                    [all, some].into_iter().filter_map(Result::err).for_each(|words| told(&words));
                }
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
