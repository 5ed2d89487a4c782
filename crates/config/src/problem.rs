//! What is wrong with a config, for the person who wrote it: where, what, and
//! what to do, with the line it is about.
//!
//! Bounded: at most [`MAX_PROBLEMS`] are kept, snippets are cut to a screen's
//! width, and nothing that came from the environment is ever shown.

use std::fmt;

/// How many problems are collected before the rest is only counted.
pub const MAX_PROBLEMS: usize = 100;
/// The longest message, in characters: some repeat what the file says.
const MESSAGE_CHARS_MAX: usize = 1_500;
/// The widest snippet, in characters.
const WIDTH: usize = 100;

/// A place in a file. Both count from 1; 0 is "the file as a whole". In a draft
/// there are no lines, and the column counts its places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the caller named it.
    pub file: String,
    /// Counted from 1; 0 if it is about the file as a whole.
    pub line: usize,
    /// Counted from 1, in characters; 0 if it is about the file as a whole.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// The line in question with a caret below the place, two lines of text; of
    /// a draft, the dotted key.
    pub snippet: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(snippet) = &self.snippet {
            write!(f, "\n{snippet}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// All mistakes of one config, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigErrors {
    /// The mistakes, [`MAX_PROBLEMS`] at most.
    pub problems: Vec<Problem>,
    /// How many more there were.
    pub more: usize,
}

impl ConfigErrors {
    /// How many mistakes there are, those not listed included.
    pub fn count(&self) -> usize {
        self.problems.len() + self.more
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write!(f, "{problem}\n\n")?;
        }
        if self.more > 0 {
            write!(f, "and {} more\n\n", self.more)?;
        }
        write!(f, "{} {}", self.count(), if self.count() == 1 { "mistake" } else { "mistakes" })
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects problems while a config is read.
#[derive(Debug)]
pub(crate) struct Problems<'s> {
    file: &'s str,
    source: &'s str,
    /// Texts that came from the environment, with the names they came under.
    secrets: Vec<(String, String)>,
    /// The keys of a draft, in the order in which they were met.
    places: Vec<String>,
    found: Vec<Problem>,
    more: usize,
    said: usize,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(file: &'s str, source: &'s str) -> Self {
        let (secrets, places, found) = (Vec::new(), Vec::new(), Vec::new());
        Self { file, source, secrets, places, found, more: 0, said: 0 }
    }

    /// The place of a draft's key.
    pub(crate) fn place(&mut self, key: &str) -> At {
        self.places.push(key.to_owned());
        At { line: 0, column: self.places.len() }
    }

    /// From now on `value` is shown as `${name}`.
    pub(crate) fn hide(&mut self, name: &str, value: &str) {
        // Shorter ones would blot out unrelated text, and are no secrets.
        if value.len() >= 4 {
            self.secrets.push((value.to_owned(), format!("${{{name}}}")));
            self.secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        }
    }

    /// The place of a line and column of a text that begins at `at`, if it stands in the
    /// file as it is; else where it begins.
    pub(crate) fn inside(&self, at: At, text: &str, line: usize, column: usize) -> At {
        let wanted = text.lines().nth(line.saturating_sub(1)).map(str::trim_end).unwrap_or_default();
        let lines = self.source.lines().enumerate().skip(at.line.saturating_sub(1));
        let found = lines.take(text.lines().count() + 1).find_map(|(n, written)| {
            let from = if n + 1 == at.line { at.column.saturating_sub(1) } else { 0 };
            let skipped = written.char_indices().nth(from).map_or(written.len(), |(byte, _)| byte);
            let rest = written.get(skipped..)?;
            let before = rest.get(..rest.find(wanted)?)?.chars().count();
            Some(At { line: n + 1, column: from + before + column })
        });
        found.filter(|_| at.line > 0 && !wanted.is_empty()).unwrap_or(at)
    }

    pub(crate) fn add(&mut self, at: At, message: impl Into<String>) {
        self.push(at, message.into(), None);
    }

    pub(crate) fn add_hint(&mut self, at: At, message: impl Into<String>, hint: impl Into<String>) {
        self.push(at, message.into(), Some(hint.into()));
    }

    pub(crate) fn push(&mut self, at: At, message: String, hint: Option<String>) {
        self.said += 1;
        if self.found.len() >= MAX_PROBLEMS {
            self.more += 1;
            return;
        }
        let message = self.redact(message);
        let hint = hint.map(|hint| self.redact(hint));
        let snippet = self.snippet(at);
        let At { line, column } = if at.line > 0 { at } else { At::default() };
        let problem = Problem { file: self.file.to_owned(), line, column, message, hint, snippet };
        if !self.found.contains(&problem) {
            self.found.push(problem);
        }
    }

    fn redact(&self, text: String) -> String {
        let hidden = self.secrets.iter().fold(text, |text, (value, name)| text.replace(value, name));
        // One line that can be read, whatever was in the file.
        let mut line = hidden.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut told: String = line.by_ref().take(MESSAGE_CHARS_MAX).collect();
        if line.next().is_some() {
            told.push('…');
        }
        told
    }

    fn snippet(&self, at: At) -> Option<String> {
        if at.line == 0 {
            let key = self.places.get(at.column.checked_sub(1)?)?;
            return Some(format!("  in {}", self.redact(key.clone())));
        }
        let line = self.source.lines().nth(at.line.checked_sub(1)?)?;
        let before = at.column.saturating_sub(1);
        let start = before.saturating_sub(WIDTH - 20);
        let cropped = line.chars().skip(start).take(WIDTH);
        let text: String = cropped.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let number = at.line.to_string();
        let (gutter, indent) = (" ".repeat(number.len()), " ".repeat(before - start));
        Some(format!("  {number} | {}\n  {gutter} | {indent}^", text.trim_end()))
    }

    /// How many were said, those not kept included.
    pub(crate) fn count(&self) -> usize {
        self.said
    }

    pub(crate) fn into_errors(mut self) -> ConfigErrors {
        self.found.sort_by_key(|p| (p.line, p.column));
        ConfigErrors { problems: self.found, more: self.more }
    }
}

/// ``did you mean `x`?`` if one of `known` is near, else what is known.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let name: String = name.chars().take(64).collect();
    let steps = |known: &str| strsim::damerau_levenshtein(&name, known);
    let most = 1 + name.chars().count() / 4;
    let best = known.iter().filter(|known| steps(known) <= most).min_by_key(|known| steps(known));
    match best {
        Some(best) => format!("did you mean `{best}`?"),
        None if known.is_empty() => "nothing is known here".to_owned(),
        None => format!("known here: {}", listed(known)),
    }
}

/// `a, b, c`, cut after two dozen.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(24).map(|name| name.chars().take(64).collect()).collect();
    let rest = if names.len() > 24 { ", …" } else { "" };
    format!("{}{rest}", shown.join(", "))
}
