//! How long a change takes to reach the other side, by the clocks of the two
//! systems: from the user's edit at one to the write carried out at the other.

use hms_sync_doubles::Effect;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Edits whose way is measured. Each is the only one of its permit at its time.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    at_clerk: Vec<(String, i64)>,
    at_marshal: Vec<(String, i64)>,
}

impl Edits {
    /// A clerk is about to edit a permit.
    pub(crate) fn at_clerk(&mut self, permit: &str) {
        self.at_clerk.push((permit.to_owned(), now_us()));
    }

    /// The same for the marshal.
    pub(crate) fn at_marshal(&mut self, permit: &str) {
        self.at_marshal.push((permit.to_owned(), now_us()));
    }

    /// How long each took, ascending, in microseconds.
    pub(crate) fn delays(&self, clerk: &[Effect], marshal: &[Effect]) -> Vec<i64> {
        let mut delays = delays(&self.at_clerk, marshal);
        delays.extend(delays_at(&self.at_marshal, clerk));
        delays.sort_unstable();
        delays
    }
}

fn delays_at(edits: &[(String, i64)], effects: &[Effect]) -> Vec<i64> {
    delays(edits, effects)
}

fn delays(edits: &[(String, i64)], effects: &[Effect]) -> Vec<i64> {
    let mut of: HashMap<&str, Vec<i64>> = HashMap::new();
    for effect in effects {
        if let Some(permit) = &effect.natural {
            of.entry(permit).or_default().push(effect.at);
        }
    }
    let delay = |(permit, edited): &(String, i64)| {
        let at = of.get(permit.as_str())?.iter().find(|at| *at >= edited)?;
        Some(at - edited)
    };
    edits.iter().filter_map(delay).collect()
}

/// The value below which `share` of a hundred lie, of ascending values.
pub(crate) fn percentile(ascending: &[i64], share: usize) -> Option<i64> {
    let last = ascending.len().checked_sub(1)?;
    ascending.get((last * share).div_ceil(100)).copied()
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hms_sync_doubles::Operation;

    fn effect(permit: &str, at: i64) -> Effect {
        let (id, natural) = ("1".to_owned(), Some(permit.to_owned()));
        Effect { operation: Operation::Update, id, natural, key: None, body_hash: 0, at }
    }

    #[test]
    fn an_edit_is_measured_by_the_first_write_after_it() {
        let edits = [("a".to_owned(), 100), ("b".to_owned(), 100), ("c".to_owned(), 100)];
        let effects = [effect("a", 50), effect("b", 130), effect("a", 110), effect("a", 500)];
        assert_eq!(delays(&edits, &effects), [10, 30]);
    }

    #[test]
    fn percentiles_of_few() {
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 50), Some(51));
        assert_eq!(percentile(&hundred, 99), Some(100));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 50), None);
    }
}
