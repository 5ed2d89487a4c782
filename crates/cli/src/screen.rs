//! The only place that prints: lines, JSON, tables, failures. Colours follow
//! `NO_COLOR` and `CLICOLOR_FORCE`, else whether a person looks. A reader who
//! has had enough (`| head`) ends the command quietly.

use crate::exit::{Exit, Failure};
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use owo_colors::{OwoColorize, Style};
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Where a command's answer goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Whether standard output takes colours.
    colour: bool,
    /// Whether standard error does.
    colour_err: bool,
    /// Whether standard output is a terminal.
    watched: bool,
}

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// A headline.
    Head,
    /// Beside the matter.
    Faint,
    /// All is well.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// The first side, and the second, and hms-sync itself.
    One,
    Two,
    Own,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Head => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
            Self::Good => Style::new().green(),
            Self::Warn => Style::new().yellow(),
            Self::Bad => Style::new().red().bold(),
            Self::One => Style::new().cyan(),
            Self::Two => Style::new().magenta(),
            Self::Own => Style::new().blue(),
        }
    }
}

/// Whether a stream takes colours, by the conventions of no-color.org and
/// bixense.com/clicolors.
pub(crate) fn colours(is_terminal: bool, env: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    if set("NO_COLOR") {
        return false;
    }
    let forced = env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
    forced || is_terminal && env("TERM").is_none_or(|term| term != "dumb")
}

impl Screen {
    /// As this process was started.
    pub(crate) fn of_this_process() -> Self {
        let env = |name: &str| std::env::var(name).ok();
        Self {
            colour: colours(std::io::stdout().is_terminal(), env),
            colour_err: colours(std::io::stderr().is_terminal(), env),
            watched: std::io::stdout().is_terminal(),
        }
    }

    /// Whether a person watches the answer as it comes.
    pub(crate) fn is_watched(self) -> bool {
        self.watched
    }

    /// `text` in its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if self.colour && tone != Tone::Plain {
            text.style(tone.style()).to_string()
        } else {
            text.to_owned()
        }
    }

    /// One line, or several, of the answer. Ends the process if the reader has gone.
    pub(crate) fn out(self, text: &str) {
        if !self.told(text) {
            std::process::exit(0);
        }
    }

    /// The same, for commands that have something to clear away first: answers
    /// false if the reader has gone.
    #[expect(clippy::unused_self, reason = "whoever prints holds a screen")]
    pub(crate) fn told(self, text: &str) -> bool {
        writeln!(std::io::stdout().lock(), "{text}").is_ok()
    }

    /// The answer as JSON.
    pub(crate) fn json(self, answer: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(answer)
            .map_err(|why| Failure::new(Exit::Failed, format!("the answer is no JSON: {why}")))?;
        self.out(&text);
        Ok(())
    }

    /// One of several answers, as JSON in one line.
    pub(crate) fn json_line(self, answer: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(answer)
            .map_err(|why| Failure::new(Exit::Failed, format!("the answer is no JSON: {why}")))?;
        self.out(&text);
        Ok(())
    }

    /// A line beside the answer.
    #[expect(clippy::unused_self, reason = "what is said goes through the screen, also beside the answer")]
    pub(crate) fn note(self, text: &str) {
        // Nobody is left to tell if this fails.
        let _gone = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// What went wrong, and what to do.
    pub(crate) fn failure(self, failure: &Failure) {
        let paint = |tone: Tone, text: &str| {
            if self.colour_err { text.style(tone.style()).to_string() } else { text.to_owned() }
        };
        if !failure.error.is_empty() {
            self.note(&format!("{} {}", paint(Tone::Bad, "error:"), failure.error));
        }
        if let Some(hint) = &failure.hint {
            self.note(&format!("{} {hint}", paint(Tone::Warn, " hint:")));
        }
    }

    /// A table without lines under a head. Where the terminal is too narrow for it, each row becomes
    /// a few lines, one for each cell.
    pub(crate) fn table(self, head: &[&str], rows: Vec<Vec<(Tone, String)>>) {
        let width = if self.watched { Table::new().width() } else { None };
        self.out(&self.laid(head, &rows, width));
    }

    fn laid(self, head: &[&str], rows: &[Row], width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(head.iter().map(|name| Cell::new(name).fg(comfy_table::Color::DarkGrey)));
        for row in rows {
            table.add_row(row.iter().map(|(tone, text)| cell(*tone, text)));
        }
        let Some(width) = width else { return table.trim_fmt() };
        let whole = table.column_max_content_widths();
        if taken(&whole) > width.into() {
            let Some(least) = least(head, rows, &whole, width) else { return self.listed(head, rows) };
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            for (column, least) in table.column_iter_mut().zip(least) {
                // The room around what is in it counts as well.
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least + PADDING)));
            }
        }
        table.trim_fmt()
    }

    /// Rows one below the other: the first cell, then the others by name, as far as there is
    /// something in them.
    fn listed(self, head: &[&str], rows: &[Row]) -> String {
        let longest = head.iter().skip(1).map(|name| name.chars().count()).max().unwrap_or_default();
        let mut lines = Vec::new();
        for row in rows {
            let mut cells = head.iter().zip(row).map(|(name, (tone, text))| {
                // What needs no name does not stand under those that have one.
                let name = if name.is_empty() {
                    String::new()
                } else {
                    self.paint(Tone::Faint, &format!("{name:<longest$}  "))
                };
                (name, self.paint(*tone, &hms_sync_management::one_line(text)), text.is_empty())
            });
            lines.extend(cells.next().map(|(_, first, _)| first));
            let others = cells.filter(|(_, _, is_empty)| !is_empty);
            lines.extend(others.map(|(name, text, _)| format!("  {name}{text}")));
        }
        lines.join("\n")
    }
}

type Row = Vec<(Tone, String)>;

/// The room around what is in a cell.
const PADDING: u16 = 2;
/// Words stand side by side in a column of so many characters at least.
const WORDS_MIN: u16 = 20;

/// What a table with columns of these widths takes.
fn taken(widths: &[u16]) -> u32 {
    widths.iter().map(|width| u32::from(*width) + u32::from(PADDING)).sum()
}

/// How narrow each column may become that no word in it is broken; nothing if that is too wide
/// as well.
fn least(head: &[&str], rows: &[Row], whole: &[u16], width: u16) -> Option<Vec<u16>> {
    let mut words = Table::new();
    words.set_header(head.iter().copied());
    for row in rows {
        words.add_row(row.iter().map(|(_, text)| text.split_whitespace().collect::<Vec<_>>().join("\n")));
    }
    let least = words.column_max_content_widths();
    let least: Vec<u16> =
        least.iter().zip(whole).map(|(word, whole)| (*word).max(WORDS_MIN).min(*whole)).collect();
    (taken(&least) <= width.into()).then_some(least)
}

fn cell(tone: Tone, text: &str) -> Cell {
    use comfy_table::{Attribute, Color};
    let cell = Cell::new(hms_sync_management::one_line(text));
    match tone {
        Tone::Plain => cell,
        Tone::Head => cell.add_attribute(Attribute::Bold),
        Tone::Faint => cell.fg(Color::DarkGrey),
        Tone::Good => cell.fg(Color::DarkGreen),
        Tone::Warn => cell.fg(Color::DarkYellow),
        Tone::Bad => cell.fg(Color::DarkRed),
        Tone::One => cell.fg(Color::DarkCyan),
        Tone::Two => cell.fg(Color::DarkMagenta),
        Tone::Own => cell.fg(Color::DarkBlue),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(terminal: bool, env: &[(&str, &str)], expect: bool) {
        let found = colours(terminal, |name| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(found, expect, "terminal {terminal}, {env:?}");
    }

    const ID: &str = "permit/2kq0x6m3v9c1d";
    const WHY: &str = "a person decides because nobody can tell which of the two came first";

    fn laid(width: Option<u16>, colour: bool, why: &str) -> String {
        let screen = Screen { colour, colour_err: false, watched: true };
        let row = |id: &str| {
            vec![(Tone::Head, id.to_owned()), (Tone::Plain, why.to_owned()), (Tone::Faint, id.to_owned())]
        };
        screen.laid(&["record", "why", "id"], &[row(ID), row("permit/2")], width)
    }

    #[test]
    fn no_word_of_a_table_is_broken_by_a_narrow_terminal() {
        assert_eq!(laid(None, false, WHY).lines().count(), 3);
        assert_eq!(laid(Some(200), false, WHY), laid(None, false, WHY));
        for width in 1..=200_u16 {
            let text = laid(Some(width), false, WHY);
            assert_eq!(text.matches(ID).count(), 2, "{width}: {text}");
            assert!(WHY.split(' ').all(|word| text.matches(word).count() >= 2), "{width}: {text}");
            let is_table = text.contains("record");
            assert_eq!(is_table, width >= 66, "{width}: {text}");
            if is_table {
                let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(longest <= width.into(), "{longest} in {width}: {text}");
            }
        }
        let narrow = format!("{ID}\n  why  late\n  id   {ID}\npermit/2\n  why  late\n  id   permit/2");
        assert_eq!(laid(Some(30), false, "late"), narrow);
        assert!(laid(Some(30), true, "late").contains("\u{1b}["));
        assert!(!laid(Some(30), false, "").contains("why"));
        let screen = Screen { colour: false, colour_err: false, watched: true };
        let row = ["clerk", "here", "permit"].map(|text| (Tone::Plain, text.to_owned())).to_vec();
        let unnamed = screen.laid(&["side", "", "collection"], &[row], Some(15));
        assert_eq!(unnamed, "clerk\n  here\n  collection  permit");
    }

    #[test]
    fn colours_follow_the_conventions() {
        check(true, &[], true);
        check(false, &[], false);
        check(true, &[("NO_COLOR", "1")], false);
        check(true, &[("NO_COLOR", "")], true);
        check(false, &[("CLICOLOR_FORCE", "1")], true);
        check(false, &[("CLICOLOR_FORCE", "0")], false);
        check(false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false);
        check(true, &[("TERM", "dumb")], false);
    }
}
