//! What is told of tests: to people, as JSON, and as `JUnit` XML for whoever runs them.

use crate::screen::{Screen, Tone};
use crate::test::compare::Mismatch;
use crate::test::{Played, Ran};
use crate::words::count;
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// For people: failures in full, then a line about all.
pub(crate) fn show(screen: Screen, played: &Played) {
    for ran in played.tests.iter().filter(|ran| !ran.passed()) {
        let mark = screen.paint(Tone::Bad, "failed");
        let place = if ran.line > 0 { format!(" ({}:{})", played.file, ran.line) } else { String::new() };
        let name = screen.paint(Tone::Head, &format!("{}: {}", ran.collection, ran.name));
        screen.out(&format!("{mark} {name}{}", screen.paint(Tone::Faint, &place)));
        screen.out(&failure_text(ran));
    }
    let passed = played.tests.iter().filter(|ran| ran.passed()).count();
    let tests = count(u64::try_from(passed).unwrap_or(u64::MAX), "test", "tests");
    let tone = if passed == played.tests.len() { Tone::Good } else { Tone::Plain };
    let left = played.all - played.tests.len();
    let left = if left == 0 { String::new() } else { format!(", {left} left out") };
    screen.out(&format!("{} passed in {:.2} s{left}", screen.paint(tone, &tests), played.took.as_secs_f64()));
}

/// What did not come as expected, and what happened.
pub(crate) fn failure_text(ran: &Ran) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    if let Some(why) = &ran.broke {
        line(&format!("  it could not be played: {why}"));
    }
    let mut of = "";
    let width = ran.mismatches.iter().map(|miss| miss.field.chars().count()).max().unwrap_or(0);
    for miss in &ran.mismatches {
        if miss.of != of {
            line(&format!("  {}", miss.of));
            of = &miss.of;
        }
        difference(miss, width, &mut line);
    }
    ran.parked.iter().for_each(|words| line(&format!("  set aside: {words}")));
    if !ran.timeline.is_empty() {
        line("  what happened");
    }
    ran.timeline.lines().for_each(|words| line(&format!("    {words}")));
    text
}

fn difference(miss: &Mismatch, width: usize, line: &mut impl FnMut(&str)) {
    line(&format!("    {:<width$}  expected {}", miss.field, miss.expected));
    line(&format!("    {:<width$}  found    {}", "", miss.found));
    if let Some(why) = &miss.why {
        line(&format!("    {:<width$}  because  {why}", ""));
    }
}

/// For programs.
pub(crate) fn json(played: &Played) -> Json {
    let test = |ran: &Ran| {
        json!({
            "collection": ran.collection, "name": ran.name, "line": ran.line, "passed": ran.passed(),
            "ms": millis(ran), "events": ran.events, "mismatches": ran.mismatches, "broke": ran.broke,
            "parked": ran.parked,
            "timeline": if ran.passed() { Json::Null } else { ran.timeline.clone().into() },
        })
    };
    json!({
        "sync": played.sync,
        "passed": played.tests.iter().filter(|ran| ran.passed()).count(),
        "failed": played.tests.iter().filter(|ran| !ran.passed()).count(),
        "left_out": played.all - played.tests.len(),
        "ms": (played.took.as_secs_f64() * 1e6).round() / 1e3,
        "tests": played.tests.iter().map(test).collect::<Vec<_>>(),
    })
}

fn millis(ran: &Ran) -> f64 {
    (ran.took.as_secs_f64() * 1e6).round() / 1e3
}

/// For continuous integration.
pub(crate) fn junit(played: &Played) -> String {
    let failures = played.tests.iter().filter(|ran| !ran.passed() && ran.broke.is_none()).count();
    let errors = played.tests.iter().filter(|ran| ran.broke.is_some()).count();
    let (tests, took) = (played.tests.len(), played.took.as_secs_f64());
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{took:.3}\"");
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let mut put = |line: std::fmt::Arguments<'_>| {
        let _always = writeln!(xml, "{line}");
    };
    let name = escaped(&played.sync);
    put(format_args!("<testsuites name=\"{name}\" {totals}>"));
    put(format_args!("  <testsuite name=\"{name}\" {totals}>"));
    for ran in &played.tests {
        let (class, name, file) = (escaped(&ran.collection), escaped(&ran.name), escaped(&played.file));
        let (line, took) = (ran.line, ran.took.as_secs_f64());
        let head = format!(
            "classname=\"{class}\" name=\"{name}\" file=\"{file}\" line=\"{line}\" time=\"{took:.3}\""
        );
        if ran.passed() {
            put(format_args!("    <testcase {head}/>"));
            continue;
        }
        let kind = if ran.broke.is_some() { "error" } else { "failure" };
        put(format_args!("    <testcase {head}>"));
        put(format_args!(
            "      <{kind} message=\"{}\">{}</{kind}>",
            escaped(&summary(ran)),
            escaped(&failure_text(ran))
        ));
        put(format_args!("    </testcase>"));
    }
    put(format_args!("  </testsuite>"));
    put(format_args!("</testsuites>"));
    xml
}

/// The first thing that went wrong, in a line.
fn summary(ran: &Ran) -> String {
    if let Some(why) = &ran.broke {
        return why.clone();
    }
    let first = ran.mismatches.first();
    first.map_or_else(String::new, |miss| {
        format!("{} {}: expected {}, found {}", miss.of, miss.field, miss.expected, miss.found)
    })
}

/// Text in XML 1.0: what has a meaning is written otherwise, what must not stand there is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_xml_loses_it() {
        assert_eq!(escaped("a<b> & \"c\"\u{1b}[2J\n\u{ffff}é"), "a&lt;b&gt; &amp; &quot;c&quot;[2J\né");
    }
}
