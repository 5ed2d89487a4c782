//! Which ids a pass has shown, as numbers (`views::hash_of`): enough to tell what a complete
//! listing did not show, and little enough to be kept of a million records, eight to ten
//! bytes each.
//!
//! What never happens here: an id that was shown counts as one that was not.

/// Links are kept apart by their first eight bits: each part stays small, and grows alone.
const PARTS: usize = 256;

/// A set of links that is filled once and asked afterwards.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// None before the first link comes.
    parts: Vec<Part>,
}

#[derive(Debug, Default, Clone)]
struct Part {
    links: Vec<u64>,
    /// How many of them stand in order, without doubles.
    sorted: usize,
}

impl Part {
    fn has(&self, link: u64) -> bool {
        let (sorted, late) = self.links.split_at_checked(self.sorted).unwrap_or((&[], &self.links));
        sorted.binary_search(&link).is_ok() || late.contains(&link)
    }
}

fn part_of(link: u64) -> usize {
    usize::try_from(link >> 56).unwrap_or(0)
}

impl Seen {
    /// Puts a link in.
    pub(crate) fn put(&mut self, link: u64) {
        if self.parts.is_empty() {
            self.parts.resize(PARTS, Part::default());
        }
        let Some(Part { links, .. }) = self.parts.get_mut(part_of(link)) else { return };
        if links.len() == links.capacity() {
            links.reserve_exact((links.len() / 4).max(4));
        }
        links.push(link);
    }

    /// Whether a link was put in. Quick after [`Seen::sort`].
    pub(crate) fn has(&self, link: u64) -> bool {
        self.parts.get(part_of(link)).is_some_and(|part| part.has(link))
    }

    /// Whether nothing was put in.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Makes the next questions quick.
    pub(crate) fn sort(&mut self) {
        for part in &mut self.parts {
            part.links.sort_unstable();
            part.links.dedup();
            part.sorted = part.links.len();
        }
    }
}

#[cfg(test)]
mod tests {
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
}
