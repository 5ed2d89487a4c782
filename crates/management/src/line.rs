//! Text from outside, made safe for one line of a screen or a log.

use std::fmt::Display;

/// The longest value shown in a line, in characters.
const VALUE_MAX: usize = 80;

/// `text` in one line: what would move the cursor or change colours becomes a
/// blank, so that a record cannot paint on the screen of who looks at it.
pub fn one_line(text: &str) -> String {
    let unsafe_one =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if unsafe_one(c) { ' ' } else { c }).collect()
}

/// A value in a sentence, cut to what a line bears.
pub(crate) fn short(value: impl Display) -> String {
    let text = one_line(&value.to_string());
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_paint_on_the_screen() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\nc\u{202e}d"), "a [2Jb  c d");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "é".repeat(200);
        let cut = short(&long);
        assert_eq!(cut.chars().count(), VALUE_MAX + 1);
        assert!(cut.ends_with('…'));
        assert_eq!(short("kurz"), "kurz");
    }
}
