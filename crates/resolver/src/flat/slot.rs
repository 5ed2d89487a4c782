//! Writing into a piece of memory that has been made long enough.

use super::{Mark, SHORT, SHORT_MAX, SIBLING};
use hms_sync_model::{TextRef, ValueRef};

/// Where to write.
pub(super) struct Slot<'a>(pub(super) &'a mut [u8]);

impl Slot<'_> {
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let (to, rest) = std::mem::take(&mut self.0).split_at_mut_checked(bytes.len())?;
        to.copy_from_slice(bytes);
        self.0 = rest;
        Some(())
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        let (to, rest) = std::mem::take(&mut self.0).split_first_chunk_mut()?;
        *to = bytes;
        self.0 = rest;
        Some(())
    }

    #[inline]
    pub(super) fn number(&mut self, n: u32) -> Option<()> {
        self.array(n.to_le_bytes())
    }

    /// A sibling with its head, whose values are to follow.
    #[inline]
    pub(super) fn sibling(&mut self, mark: &Mark, before: ValueRef<'_>, after: ValueRef<'_>) -> Option<()> {
        let len = SIBLING + value_len(after) + value_len(before);
        let mut head = [0; SIBLING];
        let mut to = Slot(&mut head);
        to.number(u32::try_from(len).ok()?)?;
        to.array([mark.place])?;
        to.number(mark.n)?;
        to.array(mark.high.to_le_bytes())?;
        to.number(mark.width)?;
        self.array(head)?;
        self.value(after)?;
        self.value(before)
    }

    fn text(&mut self, kind: u8, text: TextRef<'_>) -> Option<()> {
        self.array([kind])?;
        self.number(u32::try_from(text.len()).ok()?)?;
        self.put(text.as_bytes())
    }

    #[inline]
    pub(super) fn value(&mut self, value: ValueRef<'_>) -> Option<()> {
        match value {
            ValueRef::Absent => self.array([0]),
            ValueRef::Null => self.array([1]),
            ValueRef::Bool(b) => self.array([2 + u8::from(b)]),
            ValueRef::Number(text) => self.text(4, text),
            ValueRef::Date(day) => self.array([5]).and_then(|()| self.array(day.0.to_le_bytes())),
            ValueRef::Datetime(at) => self.array([6]).and_then(|()| self.array(at.0.to_le_bytes())),
            ValueRef::Json(text) => self.text(7, text),
            ValueRef::Text(text) if text.len() > SHORT_MAX => self.text(8, text),
            ValueRef::Text(text) => {
                self.array([SHORT + u8::try_from(text.len()).ok()?])?;
                self.put(text.as_bytes())
            }
        }
    }
}

/// How many bytes a value takes.
#[inline]
pub(super) fn value_len(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Absent | ValueRef::Null | ValueRef::Bool(_) => 1,
        ValueRef::Date(_) => 5,
        ValueRef::Datetime(_) => 9,
        ValueRef::Text(text) if text.len() <= SHORT_MAX => 1 + text.len(),
        ValueRef::Number(text) | ValueRef::Json(text) | ValueRef::Text(text) => 5 + text.len(),
    }
}
