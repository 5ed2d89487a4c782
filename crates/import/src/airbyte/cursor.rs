//! `incremental_sync`: how to ask for what changed only.

use super::refs::{BadRef, Part};
use super::words::{Said, argument};
use super::{Import, keys};
use crate::out::{Item, Out};

impl Import {
    /// The key of `read`; nothing if it cannot be said. `parameters` carry the cursor,
    /// or what names it.
    pub(super) fn incremental(
        &mut self,
        given: &Part<'_>,
        of: &str,
        parameters: &[Item],
    ) -> Result<Option<Item>, BadRef> {
        let place = format!("`incremental_sync` of {of}");
        if given.kind()?.starts_with("Custom") {
            self.notes.lost(given.at, place, "left out: it is code of Airbyte's; each poll reads everything");
            return Ok(None);
        }
        let cursor = given.get("cursor_field")?;
        let Some(field) = cursor.as_ref().and_then(|field| self.plain(field, &place)) else {
            self.notes.lost(
                given.at,
                place,
                "left out: it has no `cursor_field` of one name; each poll reads everything",
            );
            return Ok(None);
        };
        self.known(given, &place, keys::CURSOR);
        let mut items = vec![Item::new(given.at, "cursor_field", Out::Text(field))];
        items.extend(self.start(given, &place, parameters)?);
        items.extend(self.formats(given, &place)?);
        items.extend(self.lookback(given, &place)?);
        items.extend(self.bounds(given, &place)?);
        Ok(Some(Item::new(given.at, "incremental_sync", Out::Map(items))))
    }

    fn start(&mut self, given: &Part<'_>, place: &str, parameters: &[Item]) -> Result<Option<Item>, BadRef> {
        let option = given.own("start_time_option")?.or(given.own("start_value_option")?);
        let client = given.word("is_client_side_incremental")?.is_some_and(|word| word == "true");
        let Some(option) = option else {
            let named = parameters
                .iter()
                .any(|item| matches!(&item.value, Out::Text(text) if text.contains("cursor")));
            let feed = given.word("is_data_feed")?.is_some_and(|word| word == "true");
            if feed || client || !named {
                let key = if feed { "is_data_feed" } else { "is_client_side_incremental" };
                if !feed && !client {
                    let instead = "no request carries the cursor: each poll lists everything, and takes what is not older";
                    self.notes.chose(given.at, place, instead);
                }
                return Ok(Some(Item::new(given.at, key, Out::Plain("true".to_owned()))));
            }
            return Ok(None);
        };
        let Some(name) = option.own("field_name")?.or(option.own("field_path")?) else { return Ok(None) };
        let Some(name) = self.plain(&name, place) else { return Ok(None) };
        let into = option.word("inject_into")?.unwrap_or_default();
        let mut items = vec![Item::new(option.at, "field_name", Out::Text(name))];
        if !matches!(into.as_str(), "" | "request_parameter") {
            items.push(Item::new(option.at, "inject_into", Out::Text(into)));
        }
        Ok(Some(Item::new(option.at, "start_time_option", Out::Map(items))))
    }

    /// The form in which the side is told times.
    fn formats(&mut self, given: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let Some(format) = given.own("datetime_format")? else { return Ok(None) };
        let Some(text) = self.plain(&format, place) else { return Ok(None) };
        match ours(&text) {
            Some(text) => Ok(Some(Item::new(format.at, "datetime_format", Out::Text(text)))),
            None => {
                let instead = format!(
                    "left out: we cannot write times as `{text}`; they are sent as the side writes them"
                );
                self.notes.lost(format.at, format!("`datetime_format` in {place}"), instead);
                Ok(None)
            }
        }
    }

    fn lookback(&mut self, given: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let Some(window) = given.own("lookback_window")? else { return Ok(None) };
        match self.length(&window) {
            Some(span) => {
                Ok((span != "0s").then(|| Item::new(window.at, "lookback_window", Out::Text(span))))
            }
            None => {
                let instead = "left out: it is no length of time that is known now; our default holds (2s)";
                self.notes.lost(window.at, format!("`lookback_window` in {place}"), instead);
                Ok(None)
            }
        }
    }

    /// A length of time that is known now.
    fn length(&mut self, part: &Part<'_>) -> Option<String> {
        let text = part.text().unwrap_or_default();
        let said = match self.variables.say(&text, part) {
            Said::Plain(text) | Said::Template(text) | Said::Cannot(text) => text,
        };
        // `P${X_DAYS:-3}D`: what stands in for it is taken.
        let plain = match (said.split_once("${"), said.rsplit_once('}')) {
            (Some((before, rest)), Some((_, after))) => {
                let default =
                    rest.split_once(":-").and_then(|(_, rest)| rest.split_once('}')).map(|(d, _)| d);
                format!("{before}{}{after}", default.unwrap_or_default())
            }
            _ => said,
        };
        span(&plain)
    }

    /// Where the first read begins, and how a range is cut: where we have the word, it is
    /// the same one.
    fn bounds(&mut self, given: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        let mut items = Vec::new();
        for (key, ours, instead) in [
            (
                "start_datetime",
                "start_datetime",
                "the first read takes everything that the side lists, however old",
            ),
            (
                "start_value",
                "start_datetime",
                "the first read takes everything that the side lists, however old",
            ),
            (
                "end_time_option",
                "end_time_option",
                "left out: a poll asks for everything since its cursor, up to now",
            ),
            ("step", "step", "left out: a poll asks for everything since its cursor, up to now"),
        ] {
            let Some(part) = given.own(key)? else { continue };
            let place = format!("`{key}` in {place}");
            match self.bound(key, &part, &place)?.filter(|_| has("IncrementalSync", ours)) {
                Some(value) => items.push(Item::new(part.at, ours, value)),
                None if key.starts_with("start") => self.notes.chose(part.at, place, instead),
                None => self.notes.lost(part.at, place, instead),
            }
        }
        Ok(items)
    }

    fn bound(&mut self, key: &str, part: &Part<'_>, place: &str) -> Result<Option<Out>, BadRef> {
        match key {
            "step" => Ok(self.length(part).map(Out::Text)),
            "end_time_option" => {
                let Some(name) = part.own("field_name")? else { return Ok(None) };
                let Some(name) = self.plain(&name, place) else { return Ok(None) };
                Ok(Some(Out::Map(vec![Item::new(part.at, "field_name", Out::Text(name))])))
            }
            _ => {
                let inner = part.own("datetime")?.unwrap_or_else(|| part.clone());
                // Our `start_datetime` brings what is written into the form of the cursor itself.
                let bare = |text: String| match argument(&text, "format_datetime") {
                    Some(first) => format!("{{{{ {first} }}}}"),
                    None => text,
                };
                match inner.text().map(bare).map(|text| self.variables.say(&text, &inner)) {
                    Some(Said::Plain(text)) => Ok(Some(Out::Text(text))),
                    _ => Ok(None),
                }
            }
        }
    }
}

/// Whether a type of ours has a key.
pub(super) fn has(ty: &str, key: &str) -> bool {
    hms_sync_config::schema().pointer(&format!("/$defs/{ty}/properties/{key}")).is_some()
}

/// A form of times as ours: Python's `%f` are microseconds.
fn ours(format: &str) -> Option<String> {
    match format {
        "%s" => return Some("epoch_s".to_owned()),
        "%ms" => return Some("epoch_ms".to_owned()),
        "%epoch_microseconds" => return Some("epoch_us".to_owned()),
        _ => {}
    }
    let (mut out, mut rest) = (String::new(), format);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix("_ms") {
            out.push_str("%3f");
            rest = after;
            continue;
        }
        let letter = after.chars().next()?;
        out.push_str(match letter {
            'Y' => "%Y",
            'm' => "%m",
            'd' => "%d",
            'H' => "%H",
            'M' => "%M",
            'S' => "%S",
            'I' => "%I",
            'p' => "%p",
            'y' => "%y",
            'b' => "%b",
            'B' => "%B",
            'a' => "%a",
            'A' => "%A",
            'j' => "%j",
            'f' => "%6f",
            'z' => "%z",
            'Z' => "%Z",
            '%' => "%%",
            _ => return None,
        });
        rest = after.get(letter.len_utf8()..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// An ISO 8601 duration as ours: `P3DT2H` is `3d 2h`.
fn span(text: &str) -> Option<String> {
    let rest = text.trim().strip_prefix('P')?;
    let (days, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut seconds: u64 = 0;
    for (part, units) in [
        (days, &[('Y', 31_536_000), ('M', 2_592_000), ('W', 604_800), ('D', 86_400)][..]),
        (time, &[('H', 3_600), ('M', 60), ('S', 1)][..]),
    ] {
        let mut number = String::new();
        for c in part.chars() {
            if c.is_ascii_digit() {
                number.push(c);
                continue;
            }
            let (_, each) = units.iter().find(|(unit, _)| *unit == c)?;
            seconds = number.parse::<u64>().ok()?.checked_mul(*each)?.checked_add(seconds)?;
            number.clear();
        }
        if !number.is_empty() {
            return None;
        }
    }
    Some(match seconds {
        0 => "0s".to_owned(),
        n if n % 86_400 == 0 => format!("{}d", n / 86_400),
        n if n % 3_600 == 0 => format!("{}h", n / 3_600),
        n if n % 60 == 0 => format!("{}m", n / 60),
        n => format!("{n}s"),
    })
}

#[cfg(test)]
mod tests {
    use super::{ours, span};

    #[test]
    fn times_and_durations() {
        assert_eq!(ours("%Y-%m-%dT%H:%M:%S.%fZ").as_deref(), Some("%Y-%m-%dT%H:%M:%S.%6fZ"));
        assert_eq!(ours("%s").as_deref(), Some("epoch_s"));
        assert_eq!(ours("%epoch_microseconds").as_deref(), Some("epoch_us"));
        assert_eq!(ours("%Y-%m-%dT%H:%M:%S.%_msZ").as_deref(), Some("%Y-%m-%dT%H:%M:%S.%3fZ"));
        assert_eq!(ours("%s_as_float"), None);
        assert_eq!(span("P3DT2H").as_deref(), Some("74h"));
        assert_eq!(span("PT90S").as_deref(), Some("90s"));
        assert_eq!(span("P0D").as_deref(), Some("0s"));
        assert_eq!(span("P99999999999999999999D"), None);
        assert_eq!(span("3 days"), None);
    }
}
