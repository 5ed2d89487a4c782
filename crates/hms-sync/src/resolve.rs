//! How concurrent edits merge: `resolve` in YAML, under the same names.

use crate::field::scalars;
use hms_sync_config::{Draft, DraftValue};
use serde_json::Value as Json;

/// One policy, or several of which the first that can decide does.
#[derive(Debug, Clone)]
pub struct Resolve(Vec<Draft>);

impl Resolve {
    fn policy(name: &str, arguments: DraftValue) -> Self {
        Self(vec![Draft::of(name, arguments)])
    }

    fn named(name: &str) -> Self {
        Self::policy(name, DraftValue::null())
    }

    /// The edit that was made last.
    pub fn last_writer_wins() -> Self {
        Self::named("last_writer_wins")
    }

    /// The edit that was made first.
    pub fn first_writer_wins() -> Self {
        Self::named("first_writer_wins")
    }

    /// The first of these sides that made one of the edits.
    pub fn prefer<'a>(sides: impl IntoIterator<Item = &'a str>) -> Self {
        Self::policy("prefer", DraftValue::list(sides))
    }

    /// The strongest value, the first named being the strongest.
    pub fn precedence<T: Into<Json>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::policy("precedence", scalars(values))
    }

    /// The largest value, blanks aside.
    pub fn max() -> Self {
        Self::named("max")
    }

    /// The smallest value, blanks aside.
    pub fn min() -> Self {
        Self::named("min")
    }

    /// For sets: each element merges by itself; added here and removed there, it stays.
    pub fn union() -> Self {
        Self::policy("union", "add_wins".into())
    }

    /// For sets: the same, but added here and removed there, an element goes.
    pub fn union_remove_wins() -> Self {
        Self::policy("union", "remove_wins".into())
    }

    /// For whole numbers: what each side added is summed up.
    pub fn counter() -> Self {
        Self::named("counter")
    }

    /// For texts: the changes of both, where they do not touch.
    pub fn merge_text() -> Self {
        Self::named("merge_text")
    }

    /// What an expression over `siblings` comes to, in minijinja's language:
    /// `siblings | map(attribute='value') | max`.
    pub fn expression(source: &str) -> Self {
        Self::policy("expression", source.into())
    }

    /// Each side keeps its own until a person has chosen.
    pub fn manual() -> Self {
        Self::named("manual")
    }

    /// Beside `precedence`: values that only an operator can take out again, the
    /// same as `locks` of the field.
    #[must_use]
    pub fn sticky<T: Into<Json>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.set("sticky", scalars(values));
        }
        self
    }

    /// What decides where this cannot.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.0.extend(next.0);
        self
    }

    /// As it would stand in YAML.
    pub(crate) fn draft(self) -> DraftValue {
        DraftValue::list(self.0)
    }
}
