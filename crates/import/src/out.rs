//! YAML as it is written: a tree in which each key knows the line it came from,
//! and a writer that tells in which line each key came to stand.

use hms_sync_config::At;
use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Out {
    /// Text, quoted where it must be.
    Text(String),
    /// A number, `true`, `false`, as it stands.
    Plain(String),
    List(Vec<Out>),
    Map(Vec<Item>),
    /// A map in one line.
    Flow(Vec<Item>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) value: Out,
    /// Where it came from; line 0 if from nowhere.
    pub(crate) from: At,
    /// Lines above it.
    pub(crate) comment: Option<String>,
}

impl Out {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn number(n: u64) -> Self {
        Self::Plain(n.to_string())
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) | Self::Plain(_) => false,
            Self::List(of) => of.is_empty(),
            Self::Map(of) | Self::Flow(of) => of.is_empty(),
        }
    }

    fn is_scalar(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Plain(_))
    }
}

impl Item {
    pub(crate) fn new(from: At, key: impl Into<String>, value: Out) -> Self {
        Self { key: key.into(), value, from, comment: None }
    }

    pub(crate) fn own(key: impl Into<String>, value: Out) -> Self {
        Self::new(At::default(), key, value)
    }

    pub(crate) fn said(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// Where a key came to stand: its line, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) line: usize,
    pub(crate) way: Vec<usize>,
}

/// The text, and where each key stands in it.
pub(crate) fn render(items: &[Item], first_line: usize) -> (String, Vec<Stand>) {
    let mut writer = Writer { text: String::new(), line: first_line, stands: Vec::new() };
    writer.map(items, 0, &mut Vec::new());
    (writer.text, writer.stands)
}

struct Writer {
    text: String,
    line: usize,
    stands: Vec<Stand>,
}

impl Writer {
    fn end(&mut self) {
        self.text.push('\n');
        self.line += 1;
    }

    fn indent(&mut self, depth: usize) {
        self.text.extend(std::iter::repeat_n("  ", depth));
    }

    fn map(&mut self, items: &[Item], depth: usize, way: &mut Vec<usize>) {
        for (index, item) in items.iter().enumerate() {
            if depth == 0 && index > 0 && !item.value.is_scalar() {
                self.end();
            }
            for line in item.comment.iter().flat_map(|text| text.lines()) {
                self.indent(depth);
                let _infallible = write!(self.text, "# {line}");
                self.end();
            }
            way.push(index);
            self.indent(depth);
            self.stands.push(Stand { line: self.line, way: way.clone() });
            let _infallible = write!(self.text, "{}:", scalar(&item.key));
            self.value(&item.value, depth, way);
            way.pop();
        }
    }

    /// A value behind its key.
    fn value(&mut self, value: &Out, depth: usize, way: &mut Vec<usize>) {
        match value {
            Out::Text(text) => {
                let _infallible = write!(self.text, " {}", scalar(text));
                self.end();
            }
            Out::Plain(text) => {
                let _infallible = write!(self.text, " {text}");
                self.end();
            }
            Out::List(of) if of.iter().all(Out::is_scalar) => {
                let of: Vec<String> = of.iter().map(flow).collect();
                let _infallible = write!(self.text, " [{}]", of.join(", "));
                self.end();
            }
            Out::List(of) => {
                self.end();
                for (index, one) in of.iter().enumerate() {
                    way.push(index);
                    self.element(one, depth + 1, way);
                    way.pop();
                }
            }
            Out::Map(items) if items.is_empty() => {
                self.text.push_str(" {}");
                self.end();
            }
            Out::Flow(_) => {
                let _infallible = write!(self.text, " {}", flow(value));
                self.end();
            }
            Out::Map(items) => {
                self.end();
                self.map(items, depth + 1, way);
            }
        }
    }

    /// An element of a list: a map begins beside its dash.
    fn element(&mut self, value: &Out, depth: usize, way: &mut Vec<usize>) {
        self.indent(depth);
        self.text.push('-');
        match value {
            Out::Map(items) if !items.is_empty() => {
                self.end();
                self.map(items, depth + 1, way);
            }
            other => self.value(other, depth, way),
        }
    }
}

fn flow(value: &Out) -> String {
    match value {
        Out::Text(text) => scalar(text),
        Out::Plain(text) => text.clone(),
        Out::List(of) => format!("[{}]", of.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Out::Map(items) | Out::Flow(items) => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{}: {}", scalar(&item.key), flow(&item.value))).collect();
            format!("{{ {} }}", items.join(", "))
        }
    }
}

/// Text as a scalar, in quotes unless it cannot be anything else.
fn scalar(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "nan" | "inf"
    );
    if begins && !word && text.chars().all(safe) && !text.ends_with('-') {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _infallible = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
