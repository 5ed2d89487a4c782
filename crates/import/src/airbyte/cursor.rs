//! `incremental_sync`: how to ask for what changed only.

use super::added::{Added, What};
use super::errors::listed;
use super::refs::{BadRef, Part};
use super::words::{Said, argument};
use super::{Import, keys};
use crate::out::{Item, Out};

impl Import {
    /// The key of `read`; nothing if it cannot be said. What is `asked` carries the cursor, if
    /// no option does.
    pub(super) fn incremental(
        &mut self,
        given: &Part<'_>,
        of: &str,
        asked: &[Item],
        added: &[Added<'_>],
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
        let what = added.iter().find(|one| one.name() == Some(&field)).map(|one| &one.what);
        let field = match what {
            Some(What::Copy(way)) => Out::List(way.iter().map(Out::text).collect()),
            Some(What::Computed | What::Partition(_)) => {
                let instead = format!(
                    "left out: `{field}` is added by `AddFields` and in no record; each poll reads everything"
                );
                self.notes.lost(given.at, place, instead);
                return Ok(None);
            }
            Some(What::Again | What::Made(_)) | None => Out::Text(field),
        };
        self.known(given, &place, keys::CURSOR);
        let mut items = vec![Item::new(given.at, "cursor_field", field)];
        items.extend(self.start(given, &place, asked)?);
        items.extend(self.formats(given, &place)?);
        items.extend(self.other_formats(given, &place)?);
        items.extend(self.lookback(given, &place)?);
        items.extend(self.bounds(given, &place, names(asked, "cursor_end"))?);
        Ok(Some(Item::new(given.at, "incremental_sync", Out::Map(items))))
    }

    fn start(&mut self, given: &Part<'_>, place: &str, asked: &[Item]) -> Result<Option<Item>, BadRef> {
        let option = given.own("start_time_option")?.or(given.own("start_value_option")?);
        let client = given.word("is_client_side_incremental")?.is_some_and(|word| word == "true");
        let Some(option) = option else {
            let named = names(asked, "cursor");
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
        let said = self.option(&option, place)?;
        Ok(said.map(|said| Item::new(option.at, "start_time_option", said)))
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

    /// The forms in which records may have times, if that is not the one that the side is told.
    fn other_formats(&mut self, given: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let told = given.word("datetime_format")?;
        let mut formats = Vec::new();
        for format in listed(given, "cursor_datetime_formats")? {
            let Some(text) = self.plain(&format, place).filter(|text| Some(text) != told.as_ref()) else {
                continue;
            };
            match ours(&text) {
                Some(text) => formats.push(Out::Text(text)),
                None => {
                    let instead = format!("left out: we cannot read times as `{text}`");
                    self.notes.lost(format.at, format!("`cursor_datetime_formats` in {place}"), instead);
                }
            }
        }
        Ok((!formats.is_empty()).then(|| Item::new(given.at, "cursor_datetime_formats", Out::List(formats))))
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
    fn bounds(&mut self, given: &Part<'_>, place: &str, ends: bool) -> Result<Vec<Item>, BadRef> {
        let whole = "left out: a poll asks for everything since its cursor, up to now";
        let mut items = Vec::new();
        let end = given.own("end_time_option")?;
        if let Some(option) = &end {
            match self.option(option, &format!("`end_time_option` in {place}"))? {
                Some(value) => items.push(Item::new(option.at, "end_time_option", value)),
                None => self.notes.lost(option.at, format!("`end_time_option` in {place}"), whole),
            }
        }
        // A range that no request names the end of is not cut by Airbyte's requests either.
        let step =
            given.own("step")?.filter(|_| ends || items.iter().any(|item| item.key == "end_time_option"));
        if let Some(step) = &step {
            match self.length(step) {
                Some(span) => items.push(Item::new(step.at, "step", Out::Text(span))),
                None => self.notes.lost(step.at, format!("`step` in {place}"), whole),
            }
        }
        let is_cut = items.iter().any(|item| item.key == "step");
        if let Some(gap) = given.own("cursor_granularity")?.filter(|_| is_cut)
            && let Some(span) = self.length(&gap).filter(|span| span != "0s")
        {
            items.push(Item::new(gap.at, "cursor_granularity", Out::Text(span)));
        }
        if let Some(start) = given.own("start_datetime")?.or(given.own("start_value")?) {
            let start_text = self.beginning(&start, &format!("`start_datetime` in {place}"), is_cut)?;
            items.push(Item::new(start.at, "start_datetime", Out::Text(start_text)));
        }
        if let Some(end) = given.own("end_datetime")? {
            let ends = ends || items.iter().any(|item| item.key == "end_time_option");
            items.extend(self.end(&end, place, ends)?);
        }
        Ok(items)
    }

    /// From when on anything is read: what is made of choices and of the clock is for people to say.
    fn beginning(&mut self, part: &Part<'_>, place: &str, is_needed: bool) -> Result<String, BadRef> {
        let inner = part.own("datetime")?.unwrap_or_else(|| part.clone());
        let text = inner.text().unwrap_or_default();
        // Our `start_datetime` brings what is written into the form of the cursor itself.
        let bare = argument(&text, "format_datetime").map(|first| format!("{{{{ {first} }}}}"));
        if let Said::Plain(text) = self.variables.say(bare.as_deref().unwrap_or(&text), &inner) {
            return Ok(text);
        }
        let key = config_key(&text).unwrap_or_else(|| vec!["start_date".to_owned()]);
        let instead = if is_needed {
            "it is made of choices or of the clock: write a day or a time into the variable"
        } else {
            "it is made of choices or of the clock: write a day or a time into the variable; without it the first read takes everything"
        };
        self.notes.chose(inner.at, place, instead);
        Ok(self.variables.chosen(&key, "From when on records are read", is_needed))
    }

    /// Up to when: now, unless people say so.
    fn end(&mut self, part: &Part<'_>, place: &str, ends: bool) -> Result<Option<Item>, BadRef> {
        let inner = part.own("datetime")?.unwrap_or_else(|| part.clone());
        let text = inner.text().unwrap_or_default();
        let is_now = ["now_utc", "today_utc", "today_with_timezone"].iter().any(|word| text.contains(word));
        // Now stands in for what people may choose.
        let key = config_key(&text).filter(|way| way.last().is_some_and(|key| key.contains("end")));
        if let Some(key) = key.filter(|_| is_now && ends) {
            let instead = "people may choose it: write a day or a time into the variable; without it a poll reads up to now";
            self.notes.chose(inner.at, format!("`end_datetime` in {place}"), instead);
            let variable = self.variables.chosen(&key, "Up to when records are read", false);
            return Ok(Some(Item::new(inner.at, "end_datetime", Out::Text(variable))));
        }
        match self.variables.say(&text, &inner) {
            Said::Plain(text) if !is_now => Ok(Some(Item::new(inner.at, "end_datetime", Out::Text(text)))),
            _ if is_now && config_key(&text).is_none() => Ok(None),
            _ => {
                let instead = "left out: a poll reads up to now; set `end_datetime` to end before";
                self.notes.lost(inner.at, format!("`end_datetime` in {place}"), instead);
                Ok(None)
            }
        }
    }
}

/// Whether an expression in what is asked names it.
fn names(asked: &[Item], name: &str) -> bool {
    let in_text = |text: &str| {
        let parts = text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}"));
        let blocks = text.split("{%").skip(1).filter_map(|rest| rest.split_once("%}"));
        parts.chain(blocks).any(|(inside, _)| {
            let mut words = inside.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            words.any(|word| word == name || (name == "cursor" && word == "cursor_end"))
        })
    };
    let in_value = |value: &Out| match value {
        Out::Text(text) => in_text(text),
        Out::Map(items) | Out::Flow(items) => names(items, name),
        Out::List(of) => of.iter().any(|one| names(&[Item::own("", one.clone())], name)),
        Out::Plain(_) => false,
    };
    asked.iter().any(|item| in_value(&item.value))
}

/// The first key of the configuration that a text names.
fn config_key(text: &str) -> Option<Vec<String>> {
    let at = text.find("config")?;
    let rest = text.get(at..)?;
    super::terms::leading_way(rest, "config")
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
