//! Why a side cannot be set up, and words for what it answers.

/// A spec that does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {reason}")]
pub struct SpecError {
    /// Which key, as `permit.update.path`.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SpecError {
    pub(crate) fn new(key: impl Into<String>, reason: impl ToString) -> Self {
        Self { key: key.into(), reason: reason.to_string() }
    }
}

/// The first `most` characters of what a side said, in one line that no
/// terminal obeys.
pub(crate) fn quote(body: &[u8], most: usize) -> String {
    let start = body.get(..most.saturating_mul(4)).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    let text = text.trim();
    let mut out = String::new();
    for c in text.chars().take(most) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if body.len() > start.len() || text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}
