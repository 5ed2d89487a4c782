//! The only place that prints: lines, JSON, tables, failures. Colours follow
//! `NO_COLOR` and `CLICOLOR_FORCE`, else whether a person looks. A reader who
//! has had enough (`| head`) ends the command quietly.

use crate::exit::{Exit, Failure};
use comfy_table::{Cell, ContentArrangement, Table, presets};
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

    /// A table without lines; the first row is its head.
    pub(crate) fn table(self, head: &[&str], rows: Vec<Vec<(Tone, String)>>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(head.iter().map(|name| Cell::new(name).fg(comfy_table::Color::DarkGrey)));
        for row in rows {
            table.add_row(row.into_iter().map(|(tone, text)| cell(tone, &text)));
        }
        self.out(&table.trim_fmt());
    }
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
