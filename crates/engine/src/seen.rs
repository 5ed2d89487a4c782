//! Which ids a pass has shown, as numbers (`views::hash_of`): enough to tell what a complete
//! listing did not show, and little enough to be kept of millions of records, five bytes each.
//!
//! Of a number 48 bits are kept: of a million records shown, one in 280 million that are gone
//! counts as shown, until a process with another key looks.
//!
//! What never happens here: an id that was shown counts as one that was not. Nor does what is
//! kept move as it grows, for then it would take its room twice.

/// Links are kept apart by their first eight bits: each part stays small, and grows alone.
const PARTS: usize = 256;

/// Links for which a part makes room at once, at most; the first time for a sixteenth of that.
const ROOM: usize = 256;

/// What is kept of a link beside the number of its part, in the order of the links.
type Rest = [u8; 5];

/// A set of links that is filled once and asked afterwards.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// None before the first link comes.
    parts: Vec<Part>,
}

#[derive(Debug, Default, Clone)]
struct Part {
    /// In order, without doubles.
    sorted: Vec<Rest>,
    /// Those that came since, in portions that are full but for the last.
    late: Vec<Vec<Rest>>,
}

impl Part {
    fn put(&mut self, rest: Rest) {
        if let Some(last) = self.late.last_mut().filter(|last| last.len() < last.capacity()) {
            return last.push(rest);
        }
        let room = ROOM >> 4_usize.saturating_sub(self.late.len());
        let mut portion = Vec::with_capacity(room);
        portion.push(rest);
        self.late.push(portion);
    }

    fn has(&self, rest: Rest) -> bool {
        self.sorted.binary_search(&rest).is_ok() || self.late.iter().any(|portion| portion.contains(&rest))
    }

    fn sort(&mut self) {
        let more = self.late.iter().map(Vec::len).sum();
        self.sorted.reserve_exact(more);
        self.sorted.extend(std::mem::take(&mut self.late).into_iter().flatten());
        self.sorted.sort_unstable();
        self.sorted.dedup();
    }
}

/// The part that a link belongs to, and what is kept of it there.
fn split(link: u64) -> (usize, Rest) {
    let [part, rest @ .., _, _] = link.to_be_bytes();
    (usize::from(part), rest)
}

impl Seen {
    /// Puts a link in.
    pub(crate) fn put(&mut self, link: u64) {
        if self.parts.is_empty() {
            self.parts.resize(PARTS, Part::default());
        }
        let (part, rest) = split(link);
        if let Some(part) = self.parts.get_mut(part) {
            part.put(rest);
        }
    }

    /// Whether a link was put in. Quick after [`Seen::sort`].
    pub(crate) fn has(&self, link: u64) -> bool {
        let (part, rest) = split(link);
        self.parts.get(part).is_some_and(|part| part.has(rest))
    }

    /// Whether nothing was put in.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Makes the next questions quick.
    pub(crate) fn sort(&mut self) {
        self.parts.iter_mut().for_each(Part::sort);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests may panic")]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn it_has_what_a_set_has() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..50 {
            let (mut seen, mut set) = (Seen::default(), HashSet::new());
            // Few different ones, so that many come twice, and all in few parts.
            let mut draw = || random.u64(0..500) << 48;
            for n in 0..round * 20 {
                let link = draw();
                seen.put(link);
                set.insert(link);
                if n % 37 == 0 {
                    seen.sort();
                }
                assert!(seen.has(link));
            }
            for asked in (0..500).map(|n| n << 48) {
                assert_eq!(seen.has(asked), set.contains(&asked), "{asked:x} in round {round}");
            }
            assert_eq!(seen.is_empty(), set.is_empty());
        }
    }

    /// Once a part that grew moved as a whole, and for that moment took its room twice.
    #[test]
    fn what_is_kept_is_five_bytes_a_link_and_does_not_move() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut part = Part::default();
        for n in 0..40 * ROOM {
            let first = part.late.first().map(Vec::as_ptr);
            let (_, rest) = split(random.u64(..));
            part.put(rest);
            assert!(first.is_none_or(|first| part.late[0].as_ptr() == first));
            let room: usize = part.late.iter().map(|portion| portion.capacity() * size_of::<Rest>()).sum();
            assert!(room <= 5 * (n + ROOM), "{room} bytes of {n} links");
        }
        part.sort();
        assert!(part.late.is_empty() && part.sorted.capacity() == 40 * ROOM);
    }
}
