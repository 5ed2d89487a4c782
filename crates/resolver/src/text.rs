//! Three-way merge of texts, line by line.
//!
//! Both texts are compared with what both started from; changes of different
//! lines are taken together, changes of the same or of adjoining lines are not
//! decided here. Bounded: texts of more than [`LINES_MAX`] lines are not merged.

/// The most lines a text may have to be merged.
pub(crate) const LINES_MAX: usize = 2_000;

/// For each line of `base`, the line of `other` it is kept as (longest common
/// subsequence over what is left after the common head and tail).
fn matches(base: &[&str], other: &[&str]) -> Vec<Option<usize>> {
    let head = base.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (rest_b, rest_o) = (base.get(head..).unwrap_or_default(), other.get(head..).unwrap_or_default());
    let tail = rest_b.iter().rev().zip(rest_o.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut kept: Vec<Option<usize>> = (0..head).map(Some).collect();
    let mid_b = rest_b.get(..rest_b.len() - tail).unwrap_or_default();
    let mid_o = rest_o.get(..rest_o.len() - tail).unwrap_or_default();
    kept.extend(common(mid_b, mid_o).into_iter().map(|at| at.map(|at| at + head)));
    kept.extend((0..tail).map(|at| Some(other.len() - tail + at)));
    kept
}

fn common(a: &[&str], b: &[&str]) -> Vec<Option<usize>> {
    let width = b.len() + 1;
    let mut length = vec![0u16; (a.len() + 1) * width];
    let at = |length: &[u16], i: usize, j: usize| length.get(i * width + j).copied().unwrap_or(0);
    for (i, x) in a.iter().enumerate().rev() {
        for (j, y) in b.iter().enumerate().rev() {
            let best = if x == y {
                at(&length, i + 1, j + 1) + 1
            } else {
                at(&length, i + 1, j).max(at(&length, i, j + 1))
            };
            if let Some(cell) = length.get_mut(i * width + j) {
                *cell = best;
            }
        }
    }
    let (mut kept, mut j) = (Vec::with_capacity(a.len()), 0);
    for (i, x) in a.iter().enumerate() {
        while j < b.len() && b.get(j) != Some(x) && at(&length, i, j + 1) == at(&length, i, j) {
            j += 1;
        }
        if b.get(j) == Some(x) && at(&length, i, j) == at(&length, i + 1, j + 1) + 1 {
            kept.push(Some(j));
            j += 1;
        } else {
            kept.push(None);
        }
    }
    kept
}

/// Both changes together, or nothing if they touch each other.
pub(crate) fn merge(base: &str, ours: &str, theirs: &str) -> Option<String> {
    let (b, o, t): (Vec<&str>, Vec<&str>, Vec<&str>) =
        (base.split('\n').collect(), ours.split('\n').collect(), theirs.split('\n').collect());
    if b.len().max(o.len()).max(t.len()) > LINES_MAX {
        return None;
    }
    let (in_o, in_t) = (matches(&b, &o), matches(&b, &t));
    let (mut merged, mut from_o, mut from_t, mut from_b) = (Vec::<&str>::new(), 0, 0, 0);
    // Lines that all three have hold the texts together; between two of them lies a chunk.
    let anchors = (0..b.len()).filter_map(|i| Some((i, (*in_o.get(i)?)?, (*in_t.get(i)?)?)));
    for (i, x, y) in anchors.chain([(b.len(), o.len(), t.len())]) {
        let (base, ours, theirs) = (b.get(from_b..i)?, o.get(from_o..x)?, t.get(from_t..y)?);
        if ours == base || ours == theirs {
            merged.extend(theirs);
        } else if theirs == base {
            merged.extend(ours);
        } else {
            return None;
        }
        merged.extend(b.get(i));
        (from_b, from_o, from_t) = (i + 1, x + 1, y + 1);
    }
    Some(merged.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn changes_of_different_lines_are_taken_together() {
        let merged = merge("a\nb\nc\nd\ne", "A\nb\nc\nd\ne", "a\nb\nc\nd\nE\nf");
        assert_eq!(merged.as_deref(), Some("A\nb\nc\nd\nE\nf"));
        assert_eq!(merge("a\nb\nc", "a\nc", "a\nb\nc\nd").as_deref(), Some("a\nc\nd"));
        assert_eq!(merge("", "x", "").as_deref(), Some("x"));
    }

    #[test]
    fn changes_of_one_line_are_not_decided() {
        assert_eq!(merge("a\nb\nc", "a\nX\nc", "a\nY\nc"), None);
        assert_eq!(merge("a\nb\nc", "a\nX\nc", "a\nX\nc").as_deref(), Some("a\nX\nc"));
    }

    #[test]
    fn order_of_the_two_makes_no_difference_and_nothing_panics() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let mut text = |n: usize| -> String {
                let lines: Vec<&str> =
                    (0..rng.usize(0..n)).map(|_| ["a", "b", "c", ""][rng.usize(0..4)]).collect();
                lines.join("\n")
            };
            let (base, ours, theirs) = (text(6), text(6), text(6));
            assert_eq!(
                merge(&base, &ours, &theirs),
                merge(&base, &theirs, &ours),
                "{base:?} {ours:?} {theirs:?}"
            );
            assert_eq!(merge(&base, &base, &theirs).as_deref(), Some(&*theirs));
        }
    }
}
