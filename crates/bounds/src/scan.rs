//! Where operators stand in a text, and what is put around them.
//!
//! A filter binds tighter than any operator, so one that is put behind the last sign of an
//! operand sees that operand and nothing else. What the text says is not changed by it.

use crate::guard::{ONE, SMALL};
use std::ops::Range;

/// A text with its guards.
#[derive(Debug, Clone, Default)]
pub struct Guarded {
    /// To be compiled.
    pub text: String,
    /// Where guards were put in, in bytes of the original, and how long they are.
    put: Vec<(usize, usize)>,
}

impl Guarded {
    /// The byte of the original that a byte of the text stands for.
    pub fn original(&self, byte: usize) -> usize {
        let mut before = 0;
        for (at, long) in &self.put {
            if byte < at + before + long {
                return byte.saturating_sub(before).min(*at);
            }
            before += long;
        }
        byte - before
    }
}

/// An expression with its guards.
pub fn expression(source: &str) -> Guarded {
    let mut scan = Scan::new(source);
    scan.region(0, "");
    scan.guarded()
}

/// A template with its guards.
pub fn template(source: &str) -> Guarded {
    let mut scan = Scan::new(source);
    for live in live(source) {
        let close = if is_statement(source, &live) { "%}" } else { "}}" };
        scan.region(live.start, close);
    }
    scan.guarded()
}

/// Where in a template something is worked out: what stands between `{{` and `}}`, `{%` and `%}`,
/// without these marks. What has no end goes on to that of the text.
pub fn live(source: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(open) = source.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        let rest = source.get(open..).unwrap_or_default();
        at = if rest.starts_with("{#") {
            rest.get(2..).and_then(|inner| inner.find("#}")).map_or(source.len(), |end| open + 2 + end)
        } else if let Some(end) = raw(rest) {
            open + end
        } else if rest.starts_with("{{") || rest.starts_with("{%") {
            let close = if rest.starts_with("{%") { "%}" } else { "}}" };
            let end = tokens(source, open + 2, close).1;
            found.push(open + 2..end);
            end
        } else {
            open + 1
        };
    }
    found
}

/// Whether a part that [`live`] found is between `{%` and `%}`.
pub fn is_statement(source: &str, live: &Range<usize>) -> bool {
    source.get(..live.start).is_some_and(|before| before.ends_with("{%"))
}

/// How far it is to what ends a text that is not read. A mark that is not closed ends none.
fn raw(rest: &str) -> Option<usize> {
    let body = mark(rest, "raw")?;
    let ends = |(at, _): (usize, &str)| Some(at + mark(rest.get(at..)?, "endraw")?);
    Some(rest.match_indices("{%").filter(|(at, _)| *at >= body).find_map(ends).unwrap_or(rest.len()))
}

/// How long a `{% word %}` is that a text begins with.
fn mark(text: &str, word: &str) -> Option<usize> {
    let inner = text.strip_prefix("{%")?.trim_start_matches(['-', '+']).trim_start();
    let after = inner.strip_prefix(word)?.trim_start();
    let after = after.strip_prefix(['-', '+']).unwrap_or(after).strip_prefix("%}")?;
    Some(text.len() - after.len())
}

fn is_name(sign: char) -> bool {
    sign == '_' || sign.is_alphanumeric()
}

/// What a sign or a word is to what stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, or the name of a filter, a test or a member.
    Name,
    /// A number.
    Number,
    /// A text.
    Text,
    Open,
    Close,
    /// `.`: what was begun goes on.
    Dot,
    Pipe,
    /// An operator, with what its operands must pass.
    Operator(&'static str),
    /// `not`, which may be a part of `not in`.
    Not,
    /// What ends an operand and is nothing else.
    Other,
}

/// An operand, as far as it was read.
#[derive(Debug, Clone, Copy, Default)]
struct Operand {
    /// What the operator before it wants.
    wanted: Option<&'static str>,
    /// It has gone through a filter.
    piped: bool,
    /// It is more than a number or a text as written.
    made: bool,
}

struct Scan<'s> {
    source: &'s str,
    put: Vec<(usize, &'static str)>,
}

impl<'s> Scan<'s> {
    fn new(source: &'s str) -> Self {
        Self { source, put: Vec::new() }
    }

    fn guarded(self) -> Guarded {
        let mut text = String::with_capacity(self.source.len() + self.put.len() * SMALL.len());
        let mut from = 0;
        for (at, guard) in &self.put {
            text.push_str(self.source.get(from..*at).unwrap_or_default());
            text.push_str(guard);
            from = *at;
        }
        text.push_str(self.source.get(from..).unwrap_or_default());
        Guarded { text, put: self.put.into_iter().map(|(at, guard)| (at, guard.len())).collect() }
    }

    /// Reads from `at` to what `close` says.
    fn region(&mut self, at: usize, close: &str) {
        let (tokens, _) = tokens(self.source, at, close);
        let is_statement = close == "%}";
        // `for a in b` is no question whether a is in b.
        let mut is_loop = is_statement && tokens.first().is_some_and(|first| self.word(first) == "for");
        let mut outer: Vec<Operand> = Vec::new();
        let mut operand = Operand::default();
        for (n, token) in tokens.iter().enumerate() {
            if n == 0 && is_statement && token.kind == Kind::Name {
                continue;
            }
            let next = tokens.get(n + 1).map_or(Kind::Other, |next| next.kind);
            match token.kind {
                Kind::Open => {
                    operand.made = true;
                    outer.push(operand);
                    operand = Operand::default();
                    continue;
                }
                Kind::Close => operand = outer.pop().unwrap_or_default(),
                Kind::Name => operand.made = true,
                Kind::Number | Kind::Text => {}
                Kind::Dot => continue,
                Kind::Pipe => {
                    operand.piped = true;
                    continue;
                }
                Kind::Operator(wanted) => {
                    // Not after `(` or `,`: there a sign says something else.
                    let is_binary = n > 0 && tokens.get(n - 1).is_some_and(Token::may_end);
                    let wanted = (is_binary && !wanted.is_empty()).then_some(wanted);
                    let is_sign = !is_binary && operand.wanted.is_some();
                    if !is_sign {
                        operand = Operand { wanted, ..Operand::default() };
                    }
                    continue;
                }
                Kind::Not => continue,
                Kind::Other => {
                    operand = Operand::default();
                    continue;
                }
            }
            let after = match next {
                Kind::Not => tokens.get(n + 2).map_or(Kind::Other, |token| token.kind),
                next => next,
            };
            let is_closed = token.kind == Kind::Close;
            match after {
                Kind::Open | Kind::Dot => {}
                Kind::Text if token.kind == Kind::Text => {}
                Kind::Pipe => {
                    if operand.piped || is_closed {
                        self.put.push((token.end, SMALL));
                    }
                }
                after => {
                    let in_head = is_loop && outer.is_empty();
                    is_loop &= !(in_head && after == Kind::Operator(SMALL));
                    let behind = match after {
                        Kind::Operator(wanted) if !in_head => wanted,
                        _ => "",
                    };
                    self.ended(operand, token.end, behind);
                    operand = Operand::default();
                }
            }
        }
    }

    /// An operand is over; `behind` is what the operator wants that comes next.
    fn ended(&mut self, operand: Operand, at: usize, behind: &'static str) {
        if !operand.made {
            return;
        }
        let before = operand.wanted.or(operand.piped.then_some(SMALL));
        // Who refuses lists weighs none.
        let second = !behind.is_empty() && (before.is_none() || behind == ONE) && before != Some(behind);
        self.put.extend(before.into_iter().chain(second.then_some(behind)).map(|guard| (at, guard)));
    }

    fn word(&self, token: &Token) -> &'s str {
        self.source.get(token.from..token.end).unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    from: usize,
    end: usize,
}

impl Token {
    fn may_end(&self) -> bool {
        matches!(self.kind, Kind::Name | Kind::Number | Kind::Text | Kind::Close | Kind::Not)
    }
}

/// The signs and words from `at` to `close`, and where they end.
fn tokens(source: &str, mut at: usize, close: &str) -> (Vec<Token>, usize) {
    let mut all: Vec<Token> = Vec::new();
    let mut depth = 0_usize;
    if !close.is_empty() && source.get(at..).is_some_and(|rest| rest.starts_with(['-', '+'])) {
        at += 1;
    }
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let inner = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        if depth == 0 && !close.is_empty() && inner.starts_with(close) {
            return (all, at);
        }
        let is_member = all.last().is_some_and(|last| last.kind == Kind::Dot);
        let (kind, long) = token(rest, is_member);
        match kind {
            Some(Kind::Open) => depth += 1,
            Some(Kind::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some(kind) = kind {
            // What stands right behind the name of a test is what it asks about.
            let is_word = matches!(kind, Kind::Operator(_) | Kind::Not) && rest.starts_with(is_name);
            let kind = if is_word && is_test(source, &all) { Kind::Name } else { kind };
            all.push(Token { kind, from: at, end: at + long });
        }
        at += long;
    }
    (all, source.len())
}

/// Whether the last of these is the name of a test.
fn is_test(source: &str, tokens: &[Token]) -> bool {
    let word = |token: &Token| source.get(token.from..token.end).unwrap_or_default();
    let mut before = tokens.iter().rev();
    if before.next().is_none_or(|last| last.kind != Kind::Name) {
        return false;
    }
    let mut before = before.peekable();
    while before.next_if(|token| token.kind == Kind::Dot).is_some() {
        before.next();
    }
    before.next_if(|token| token.kind == Kind::Not);
    before.next().is_some_and(|token| token.kind == Kind::Other && word(token) == "is")
}

/// What `rest` begins with, and how long that is.
fn token(rest: &str, is_member: bool) -> (Option<Kind>, usize) {
    let Some(first) = rest.chars().next() else { return (None, 0) };
    let one = first.len_utf8();
    let all = |is: fn(char) -> bool| rest.find(|sign| !is(sign)).unwrap_or(rest.len());
    match first {
        ' ' | '\t' | '\r' | '\n' => (None, one),
        '\'' | '"' => (Some(Kind::Text), text(rest, first)),
        '0'..='9' => (Some(Kind::Number), number(rest, is_member)),
        sign if is_name(sign) => {
            let long = all(is_name);
            let kind = match rest.get(..long).unwrap_or_default() {
                _ if is_member => Kind::Name,
                "in" => Kind::Operator(SMALL),
                "not" => Kind::Not,
                "and" | "or" | "if" | "else" | "is" => Kind::Other,
                _ => Kind::Name,
            };
            (Some(kind), long)
        }
        '(' | '[' | '{' => (Some(Kind::Open), one),
        ')' | ']' | '}' => (Some(Kind::Close), one),
        '.' => (Some(Kind::Dot), one),
        '|' => (Some(Kind::Pipe), one),
        '~' | '+' => (Some(Kind::Operator(SMALL)), one),
        '*' if rest.starts_with("**") => (Some(Kind::Operator("")), 2),
        '*' => (Some(Kind::Operator(ONE)), one),
        '/' if rest.starts_with("//") => (Some(Kind::Operator("")), 2),
        '-' | '/' | '%' => (Some(Kind::Operator("")), one),
        _ => (Some(Kind::Other), one),
    }
}

fn text(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip(1) {
        match sign {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            sign if sign == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `12`, `1_000`, `0x1f`, `1.5e-7`; behind a dot, a whole one.
fn number(rest: &str, is_member: bool) -> usize {
    let bytes = rest.as_bytes();
    let while_in = |from: usize, is: fn(&u8) -> bool| {
        from + bytes.iter().skip(from).take_while(|byte| is(byte) || **byte == b'_').count()
    };
    match bytes.get(1) {
        Some(b'x' | b'X') if bytes.first() == Some(&b'0') => return while_in(2, u8::is_ascii_hexdigit),
        Some(b'b' | b'B' | b'o' | b'O') if bytes.first() == Some(&b'0') => {
            return while_in(2, u8::is_ascii_digit);
        }
        _ => {}
    }
    let power = |at: usize| {
        let is_sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        let is_power = matches!(bytes.get(at), Some(b'e' | b'E'));
        is_power.then(|| while_in(at + 1 + usize::from(is_sign), u8::is_ascii_digit))
    };
    let mut at = while_in(0, u8::is_ascii_digit);
    if bytes.get(at) == Some(&b'.') && !is_member {
        let after = bytes.get(at + 1);
        let is_member_of = after.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        if !is_member_of
            || power(at + 1).is_some_and(|end| bytes.get(end - 1).is_some_and(u8::is_ascii_digit))
        {
            at = while_in(at + 1, u8::is_ascii_digit);
        }
    }
    power(at).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::{expression, template};

    #[test]
    fn operands_have_their_guards() {
        for (source, guarded) in [
            ("value * 100", "value|__one  * 100"),
            ("1e-5 * -value.a[0](1)", "1e-5 * -value.a[0](1)|__one "),
            ("a * b * c", "a|__one  * b|__one  * c|__one "),
            ("'a-' ~ value", "'a-' ~ value|__sml "),
            ("a ~ b * c", "a|__sml  ~ b|__sml |__one  * c|__one "),
            ("x|list|join('')", "x|list|__sml |join('')|__sml "),
            ("[x]|join", "[x]|__sml |join|__sml "),
            ("a not in b and c is not none", "a|__sml  not in b|__sml  and c is not none"),
            ("f(*a, **b)", "f(*a, **b)"),
            ("(a + b)[0] - 'in * ~'", "(a|__sml  + b|__sml )[0] - 'in * ~'"),
            ("{'a': x * 2}", "{'a': x|__one  * 2}"),
        ] {
            assert_eq!(expression(source).text, guarded, "{source}");
        }
        for (source, guarded) in [
            ("a * b {{- a * 2 -}} {# {{ a * 2 }} #}", "a * b {{- a|__one  * 2 -}} {# {{ a * 2 }} #}"),
            (
                "{% for a in b %}{{ a ~ 1 }}{% endfor %}",
                "{% for a in b|__sml  %}{{ a|__sml  ~ 1 }}{% endfor %}",
            ),
            ("{% raw %}{{ a * 2 }}{% endraw %}{{a*2}}", "{% raw %}{{ a * 2 }}{% endraw %}{{a|__one *2}}"),
            ("{#} {{ a ~ 1 }} #}{{ a ~ 1 }}", "{#} {{ a ~ 1 }} #}{{ a|__sml  ~ 1 }}"),
            (
                "{% raw %}{{{% endraw %% {{ a ~ 1 }}{% endraw -%}{{ a ~ 1 }}",
                "{% raw %}{{{% endraw %% {{ a ~ 1 }}{% endraw -%}{{ a|__sml  ~ 1 }}",
            ),
            ("{{ {'a': {'b': x * 2}} }}", "{{ {'a': {'b': x|__one  * 2}} }}"),
        ] {
            assert_eq!(template(source).text, guarded, "{source}");
        }
    }

    #[test]
    fn places_are_those_of_the_original() {
        let source = "a * b ~ c.x";
        let guarded = expression(source);
        let at = |sign: char| guarded.original(guarded.text.find(sign).unwrap_or_default());
        assert_eq!([at('a'), at('*'), at('~'), at('x')], [0, 2, 6, 10]);
    }
}
