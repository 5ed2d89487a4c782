//! Exact decimal numbers: fees, counts, ids that are digits.
//!
//! A number is kept as its canonical text (`-12.5`: no plus, no leading or
//! trailing zeros, no exponent), so `10`, `10.0` and `1e1` are one value, and
//! an integer beyond 2^53 stays what it was. Arithmetic is not done here; order
//! and equality are exact.

use serde::{Deserialize, Deserializer, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Why a text is no decimal number of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not digits with an optional sign, point and exponent.
    #[error("not a number")]
    NotANumber,
    /// More than [`Decimal::MAX_DIGITS`] digits, written out without an exponent.
    #[error("a number may have {} digits at most", Decimal::MAX_DIGITS)]
    TooLong,
}

/// A decimal number in canonical text.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Decimal(Arc<str>);

impl Decimal {
    /// The most digits a number may have when it is written out; a zero before the point is none.
    pub const MAX_DIGITS: usize = 200;

    /// Reads `-12.50`, `+3`, `1e3`, `.5`. The cost is bounded by [`Self::MAX_DIGITS`],
    /// whatever the exponent says.
    pub fn parse(text: &str) -> Result<Self, InvalidDecimal> {
        use InvalidDecimal::{NotANumber, TooLong};
        if Self::is_canonical(text) {
            return Ok(Self(text.into()));
        }
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i32>().map_err(|_| NotANumber)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty()
            || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return Err(NotANumber);
        }
        if digits(whole, fraction) > Self::MAX_DIGITS {
            return Err(TooLong);
        }
        let all: String = [whole, fraction].concat();
        let point = i64::try_from(whole.len()).map_err(|_| TooLong)? + i64::from(exponent);
        let significant = all.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self("0".into()));
        }
        let dropped = i64::try_from(all.len() - significant.len()).map_err(|_| TooLong)?;
        Self::place(negative, significant.trim_end_matches('0'), point - dropped)
    }

    /// Writes `digits` with the point after the `point`-th of them.
    fn place(negative: bool, digits: &str, point: i64) -> Result<Self, InvalidDecimal> {
        let max = i64::try_from(Self::MAX_DIGITS).unwrap_or(i64::MAX);
        let count = i64::try_from(digits.len()).map_err(|_| InvalidDecimal::TooLong)?;
        if point > max || count - point > max {
            return Err(InvalidDecimal::TooLong);
        }
        let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or(0));
        let body = if point <= 0 {
            format!("0.{}{digits}", zeros(-point))
        } else if point >= count {
            format!("{digits}{}", zeros(point - count))
        } else {
            let at = usize::try_from(point).unwrap_or(0);
            let (whole, fraction) = digits.split_at(at);
            format!("{whole}.{fraction}")
        };
        Ok(Self(if negative { format!("-{body}").into() } else { body.into() }))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text is the canonical one of a number.
    pub fn is_canonical(text: &str) -> bool {
        let rest = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
        let sound = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let lean = sound(whole) && (whole == "0" || !whole.starts_with('0'));
        let exact = fraction.is_none_or(|fraction| sound(fraction) && !fraction.ends_with('0'));
        lean && exact && text != "-0" && digits(whole, fraction.unwrap_or_default()) <= Self::MAX_DIGITS
    }

    /// Whether there is nothing after the point.
    pub fn is_integer(&self) -> bool {
        !self.0.contains('.')
    }

    /// Sign, digits before the point, digits after it.
    fn parts(&self) -> (bool, &str, &str) {
        let (negative, rest) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, &*self.0),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        (negative, whole, fraction)
    }
}

/// How many digits count against [`Decimal::MAX_DIGITS`].
fn digits(whole: &str, fraction: &str) -> usize {
    let whole = if whole == "0" { 0 } else { whole.len() };
    whole + fraction.len()
}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self(n.to_string().into())
    }
}

impl From<u64> for Decimal {
    fn from(n: u64) -> Self {
        Self(n.to_string().into())
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((na, wa, fa), (nb, wb, fb)) = (self.parts(), other.parts());
        let size = || wa.len().cmp(&wb.len()).then_with(|| wa.cmp(wb)).then_with(|| fa.cmp(fb));
        match (na, nb) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, InvalidDecimal};
    use hms_sync_hostile::Reader;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        Decimal::parse(text).map_or_else(|e| e.to_string(), |d| d.to_string())
    }

    /// What was taken in once is read from the log again.
    #[test]
    fn the_longest_numbers_are_read_back() {
        for text in ["1e-200", "-12e-200", "1e199", "12345e195", "1.5e-199"] {
            let number = Decimal::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert!(Decimal::is_canonical(number.as_str()), "{text}");
            let bytes = rmp_serde::to_vec(&number).unwrap_or_default();
            assert_eq!(rmp_serde::from_slice::<Decimal>(&bytes).ok(), Some(number), "{text}");
        }
        for text in ["1e-201", "1e200", "12e-201", &format!("0.{}", "1".repeat(201)), &"1".repeat(201)] {
            assert_eq!(Decimal::parse(text), Err(InvalidDecimal::TooLong), "{text}");
        }
    }

    #[test]
    fn hostile_decimals() {
        let other = Decimal::from(7_i64);
        Reader::new("decimals")
            .sound(["-12.50", "120e-1", ".5", "9007199254740993", "1.5E-3", "+0010.00"])
            .words(["e", "E", "-", "+", ".", "0", "99999", "e9999", "e-9999"])
            .texts(|text| {
                let Ok(number) = Decimal::parse(text) else { return false };
                assert!(Decimal::is_canonical(number.as_str()), "{number}");
                assert_eq!(Decimal::parse(number.as_str()).as_ref(), Ok(&number));
                assert_eq!(number.cmp(&other), other.cmp(&number).reverse());
                true
            });
    }

    #[test]
    fn one_text_for_one_number() {
        for (given, kept) in [
            ("10", "10"),
            ("10.0", "10"),
            ("1e1", "10"),
            ("+0010.00", "10"),
            ("-0", "0"),
            ("0.000", "0"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-12.50", "-12.5"),
            ("9007199254740993", "9007199254740993"),
            ("1.5E-3", "0.0015"),
            ("120e-1", "12"),
        ] {
            assert_eq!(canonical(given), kept, "{given}");
        }
    }

    #[test]
    fn refuses_what_is_no_number_and_what_would_be_huge() {
        for text in ["", ".", "-", "1e", "e5", "1.2.3", "٣", "NaN", "1 ", "0x10"] {
            assert_eq!(Decimal::parse(text), Err(InvalidDecimal::NotANumber), "{text}");
        }
        for text in ["1e1000000000", "1e-1000000000", &"9".repeat(201)] {
            assert_eq!(Decimal::parse(text), Err(InvalidDecimal::TooLong), "{text}");
        }
    }

    proptest! {
        /// Order is the order of the numbers, also across signs and lengths.
        #[test]
        fn orders_as_integers_do(a: i64, b: i64, shift in 0u32..6) {
            let text = |n: i64| format!("{n}e-{shift}");
            let (x, y) = (Decimal::parse(&text(a)).unwrap(), Decimal::parse(&text(b)).unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn what_is_canonical_reads_as_itself(text in "-?[0-9]{0,4}(\\.[0-9]{0,3})?") {
            let read = Decimal::parse(&text);
            prop_assert_eq!(Decimal::is_canonical(&text), read.is_ok_and(|d| d.as_str() == text));
        }

        #[test]
        fn canonical_is_a_fixpoint(text in "[-+]?[0-9]{0,12}(\\.[0-9]{0,12})?(e-?[0-9]{1,2})?") {
            if let Ok(d) = Decimal::parse(&text) {
                prop_assert_eq!(Decimal::parse(d.as_str()).unwrap(), d);
            }
        }
    }
}
