//! Listings that are read by skipping what was read: offsets and numbered pages.

use super::{Facts, Move, Paging, Progress, Style, Turn};

/// A listing may move away under us so often in one pass.
const MAX_RETURNS: u32 = 1_000;
/// Records by which a page is recognised in the one after it.
const TAIL: usize = 64;
/// One record in so many is asked for twice, and so many at most.
const OVERLAP_SHARE: usize = 20;
const OVERLAP_MAX: usize = 10;

impl Paging {
    /// Where to go back to if the page does not follow on what was read.
    pub(super) fn gap(&self, now: &Progress, marks: &[Option<u64>]) -> Option<(u64, u32)> {
        let row = match now.moved {
            Move::Step => 0,
            Move::Return(row) => row,
            Move::First | Move::Again { .. } => return None,
        };
        let follows = marks.iter().flatten().any(|mark| now.tail.contains(mark));
        if self.style != Style::Offset || now.at == 0 || now.tail.is_empty() || follows {
            return None;
        }
        let half = u64::try_from(self.asked / 2).unwrap_or(1).max(1);
        Some((now.at.saturating_sub(half << row.min(32)), row.saturating_add(1)))
    }

    /// Whether numbered pages are looked at twice: where polls go on from what was listed.
    /// What has no cursor is listed as a whole again anyhow.
    pub(super) fn looks_again(&self, now: &Progress, polled: bool) -> bool {
        self.style == Style::Numbered && now.at > 0 && polled
    }

    pub(super) fn ended(&self, now: &Progress, page: &Facts, marks: &[Option<u64>]) -> bool {
        if let (Some(more), false) = (page.more, self.style == Style::Whole) {
            return !more;
        }
        if self.style == Style::Whole || page.len == 0 {
            return true;
        }
        let len = u64::try_from(page.len).unwrap_or(u64::MAX);
        let asked = u64::try_from(self.asked).unwrap_or(u64::MAX);
        let seen = match self.style {
            Style::Offset => Some(now.at.saturating_add(len)),
            Style::Numbered if now.at == 0 || now.largest == self.asked => {
                Some(now.at.saturating_mul(asked).saturating_add(len))
            }
            Style::Numbered | Style::Keyset | Style::Token | Style::Whole => None,
        };
        let counted = seen.is_some() && page.total == seen;
        // Nothing but what it was to begin with.
        let nothing_new = now.moved == Move::Step && now.overlap > 0 && marks.len() == now.overlap && {
            let shown: Vec<u64> = marks.iter().flatten().copied().collect();
            !shown.is_empty() && now.tail.ends_with(&shown)
        };
        counted || nothing_new || page.len < self.asked && page.len < now.largest
    }

    /// On by skipping what was read, but for its last records.
    pub(super) fn stepped(&self, mut next: Progress, marks: &[Option<u64>]) -> Turn {
        next.moved = Move::Step;
        if self.style == Style::Numbered {
            next.at = next.at.saturating_add(1);
            return Turn::on(next);
        }
        if marks.is_empty() {
            // The side says that there is more, and showed nothing of it here.
            next.tail.clear();
            next.overlap = 0;
            next.at = next.at.saturating_add(u64::try_from(self.asked).unwrap_or(u64::MAX));
            return Turn::on(next);
        }
        // The first of those asked for again must be one that can be recognised.
        let wanted = (self.asked / OVERLAP_SHARE).clamp(1, OVERLAP_MAX).min(marks.len());
        let from = marks.iter().take(marks.len() - wanted + 1).rposition(Option::is_some);
        let from = from.filter(|_| self.asked > 1);
        next.overlap = from.map_or(0, |from| marks.len() - from);
        let start = marks.len() - next.overlap.clamp(0, marks.len()).max(TAIL.min(marks.len()));
        next.tail = from.map_or_else(Vec::new, |_| marks.iter().skip(start).flatten().copied().collect());
        next.at = next.at.saturating_add(u64::try_from(marks.len() - next.overlap).unwrap_or(0));
        Turn::on(next)
    }
}

pub(super) fn back(mut next: Progress, at: u64, row: u32) -> Result<Turn, String> {
    next.returns = next.returns.saturating_add(1);
    if next.returns > MAX_RETURNS {
        return Err(format!(
            "the listing moved {MAX_RETURNS} times while it was read; it is read again later"
        ));
    }
    next.at = at;
    next.moved = Move::Return(row);
    Ok(Turn::on(next))
}
