//! Rows of values under a head of names.

use super::text;
use crate::spec::TextEncoding;
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// How the rows are written.
#[derive(Debug)]
pub(crate) struct Form {
    delimiter: u8,
    encoding: TextEncoding,
    nothing: Vec<String>,
}

impl Form {
    pub(super) fn new(delimiter: char, encoding: TextEncoding, nothing: &[String]) -> Result<Self, String> {
        let byte = u8::try_from(delimiter).ok().filter(|byte| byte.is_ascii() && !b"\"\r\n".contains(byte));
        let delimiter = byte.ok_or("`delimiter` must be one ASCII character, and no quote or line end")?;
        Ok(Self { delimiter, encoding, nothing: nothing.to_vec() })
    }
}

pub(super) fn parse(body: &[u8], form: &Form) -> Result<Json, String> {
    let text: Cow<'_, str> = match form.encoding {
        TextEncoding::Utf8 => text(body)?.into(),
        TextEncoding::Latin1 => body.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    };
    if text.trim_start().starts_with('<') {
        return Err(format!("the answer is HTML or XML instead of CSV: {}", crate::error::quote(body, 80)));
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(form.delimiter).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|e| words(&e))?.clone();
    let mut names = std::collections::HashSet::new();
    if let Some(twice) = head.iter().find(|name| !names.insert(*name)) {
        return Err(format!("the head of the CSV names {twice:.60?} twice"));
    }
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| words(&e))?;
        let member = |(name, value): (&str, &str)| {
            let nothing = form.nothing.iter().any(|text| text == value);
            (name.to_owned(), if nothing { Json::Null } else { Json::String(value.to_owned()) })
        };
        records.push(Json::Object(head.iter().zip(row.iter()).map(member).collect::<Map<_, _>>()));
    }
    Ok(Json::Array(records))
}

fn words(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos: Some(at), expected_len, len } => {
            format!("the row in line {} of the CSV has {len} values, its head {expected_len}", at.line())
        }
        _ => format!("the answer is not CSV: {}", error.to_string().escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Form, parse};
    use crate::spec::TextEncoding;
    use proptest::prelude::*;
    use serde_json::json;

    fn form(delimiter: char) -> Form {
        Form::new(delimiter, TextEncoding::Utf8, &["NULL".to_owned()]).unwrap()
    }

    #[test]
    fn rows_are_records() {
        let rows =
            parse("\u{feff}id;name\r\n1;\"a;b\r\n\"\"c\"\"\"\r\n2;NULL\n".as_bytes(), &form(';')).unwrap();
        assert_eq!(rows, json!([{ "id": "1", "name": "a;b\r\n\"c\"" }, { "id": "2", "name": null }]));
        assert_eq!(parse(b"id,name\n", &form(',')).unwrap(), json!([]));
        let latin = Form::new(',', TextEncoding::Latin1, &[]).unwrap();
        assert_eq!(parse(b"id\nM\xfcller\n", &latin).unwrap(), json!([{ "id": "Müller" }]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (body, said) in [
            (&b"id,name\n1,a\n2\n"[..], "line 3 of the CSV has 1 values, its head 2"),
            (b"id,id\n", "names \"id\" twice"),
            (b"<html>", "HTML or XML instead of CSV"),
            (b"id\nM\xfcller\n", "not UTF-8 at byte 4"),
        ] {
            let error = parse(body, &form(',')).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        Form::new('ü', TextEncoding::Utf8, &[]).unwrap_err();
        Form::new('"', TextEncoding::Utf8, &[]).unwrap_err();
    }

    proptest! {
        /// Whatever stands in a value comes back.
        #[test]
        fn values_come_back(rows in prop::collection::vec(("[^\0]{1,12}", "[^\0]{0,12}"), 1..8)) {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let mut body = "id,v\n".to_owned();
            for (id, value) in &rows {
                body.extend([quoted(id), ",".to_owned(), quoted(value), "\n".to_owned()]);
            }
            let none = Form::new(',', TextEncoding::Utf8, &[]).unwrap();
            let expected: Vec<_> = rows.iter().map(|(id, v)| json!({ "id": id, "v": v })).collect();
            prop_assert_eq!(parse(body.as_bytes(), &none).unwrap(), json!(expected));
        }
    }
}
