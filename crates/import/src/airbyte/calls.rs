//! What expressions call: methods, filters and functions that templates of ours have too.

/// Methods that templates of requests have too.
const OURS: [&str; 34] = [
    "get",
    "strftime",
    "isoformat",
    "timestamp",
    "total_seconds",
    "upper",
    "lower",
    "islower",
    "isupper",
    "isspace",
    "isdigit",
    "isnumeric",
    "isalnum",
    "isalpha",
    "isascii",
    "strip",
    "lstrip",
    "rstrip",
    "replace",
    "title",
    "split",
    "splitlines",
    "capitalize",
    "count",
    "find",
    "rfind",
    "startswith",
    "endswith",
    "join",
    "keys",
    "values",
    "items",
    "append",
    "extend",
];

/// Filters that templates of requests have too.
const FILTERS: [&str; 51] = [
    "safe",
    "escape",
    "e",
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace",
    "length",
    "count",
    "dictsort",
    "items",
    "reverse",
    "trim",
    "join",
    "split",
    "lines",
    "default",
    "d",
    "round",
    "abs",
    "int",
    "float",
    "attr",
    "first",
    "last",
    "min",
    "max",
    "sort",
    "list",
    "string",
    "bool",
    "batch",
    "slice",
    "sum",
    "indent",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "map",
    "groupby",
    "unique",
    "chain",
    "zip",
    "format",
    "regex_search",
    "base64encode",
    "base64decode",
    "base64binascii_decode",
    "hmac",
];

/// The hashes that our `hash` knows.
const HASHES: [&str; 6] = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];

/// Words that look at the clock.
pub(super) const CLOCK: [&str; 4] = ["now_utc(", "today_utc(", "today_with_timezone(", "day_delta("];

/// The reason if any of these is called.
pub(super) fn refuse(inside: &str, words: &[&str]) -> Result<(), String> {
    let called = words.iter().find(|word| inside.contains(**word));
    called.map_or(Ok(()), |word| {
        Err(format!("it calls `{}`, which we have no word for", word.trim_end_matches('(')))
    })
}

/// A method of Python's that is called and that we do not have.
pub(super) fn method(text: &str) -> Option<&str> {
    let unknown =
        |(name, after): &(&str, &str)| !name.is_empty() && !OURS.contains(name) && after.starts_with('(');
    behind(text, '.').map(name).find(unknown).map(|(name, _)| name)
}

/// A filter that is asked for and that we do not have.
pub(super) fn filter(text: &str) -> Option<&str> {
    let mut names = behind(text, '|').map(|rest| name(rest.trim_start()));
    let unknown = |(name, after): &(&str, &str)| match *name {
        "" => false,
        "hash" => !hashes(after),
        name => !FILTERS.contains(&name),
    };
    names.find(unknown).map(|(name, _)| name)
}

/// Whether arguments of `hash` begin with one that ours knows; without any it is MD5.
fn hashes(arguments: &str) -> bool {
    let Some(first) = arguments.trim_start().strip_prefix('(').map(str::trim_start) else { return true };
    let quoted = first.strip_prefix(['\'', '"']).unwrap_or_default();
    HASHES.iter().any(|kind| quoted.strip_prefix(kind).is_some_and(|rest| rest.starts_with(['\'', '"'])))
}

/// What follows each of a sign that stands in no quotes.
fn behind(text: &str, sign: char) -> impl Iterator<Item = &str> {
    let mut quote = None;
    text.char_indices().filter_map(move |(at, c)| {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c == sign => return text.get(at + c.len_utf8()..),
            (Some(_) | None, _) => {}
        }
        None
    })
}

/// The name that a text begins with, which may be empty, and what follows it.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
