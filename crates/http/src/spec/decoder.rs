//! In which form records come.

use schemars::JsonSchema;
use serde::Deserialize;

/// In which form an answer comes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decoder {
    /// One JSON value.
    #[default]
    #[serde(alias = "JsonDecoder")]
    Json,
    /// A JSON value on each line.
    #[serde(alias = "JsonlDecoder", alias = "ndjson")]
    Jsonl,
    /// Rows under a head of names. All values are text.
    #[serde(alias = "CsvDecoder")]
    Csv {
        /// What stands between values. Default: `,`.
        #[serde(default = "comma")]
        delimiter: char,
        /// `utf-8` or `latin-1`. Default: `utf-8`.
        #[serde(default)]
        encoding: TextEncoding,
        /// Texts that mean that there is no value. Default: none.
        #[serde(default)]
        set_values_to_none: Vec<String>,
    },
    /// Elements as objects: attributes as `@name`, text beside others as `#text`, elements
    /// of one name as a list if there are several.
    #[serde(alias = "XmlDecoder")]
    Xml,
    /// A zip archive of files in one of these forms. Each is read as an answer of its own, and all
    /// make one list.
    #[serde(alias = "ZipfileDecoder")]
    Zip {
        /// In which form the files are; not `zip` again. Default: JSON.
        #[serde(default)]
        decoder: Box<Decoder>,
    },
}

fn comma() -> char {
    ','
}

/// How text is written in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum TextEncoding {
    /// As nearly everywhere.
    #[default]
    #[serde(rename = "utf-8", alias = "utf8", alias = "UTF-8")]
    Utf8,
    /// As some old systems write.
    #[serde(rename = "latin-1", alias = "latin1", alias = "iso-8859-1", alias = "ISO-8859-1")]
    Latin1,
}
