//! What expressions of minijinja are written with: policies, mappings, templates and questions to
//! answers are all made of these.

/// Its signs and filters; the names come from who reads them.
pub(crate) const WORDS: &[&str] = &[
    "|",
    "~",
    "**",
    "//",
    "%",
    "==",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "'",
    ".x",
    ",",
    ":",
    "none",
    "not ",
    "is ",
    "in ",
    "if ",
    "else ",
    "[1:]",
    "[::0]",
    "|batch(9)",
    "|float",
    "|format",
    "|indent",
    "|int",
    "|join",
    "|last",
    "|length",
    "|list",
    "|round(400)",
    "|sort",
    "|split",
    "|sum",
    "|tojson",
    "range(9999)",
];

/// The sign of a slice's step is turned, which has none there. That is noticed in builds for tests
/// alone, so cases with it are not shown.
pub(crate) const STEP: &str = "9223372036854775808";
