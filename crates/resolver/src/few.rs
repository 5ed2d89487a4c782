//! A list that mostly holds one: that one lies in it, and only several take memory of
//! their own. A record has a list for each field, and few fields have concurrent values.

use std::ops::Deref;

/// None, one or several, in the order in which they were put in.
#[derive(Debug, Clone)]
pub(crate) enum Few<T> {
    One(Option<T>),
    Many(Vec<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::One(None)
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut all: Vec<T>) -> Self {
        if all.len() > 1 { Self::Many(all) } else { Self::One(all.pop()) }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Self::One(one) => one.as_slice(),
            Self::Many(all) => all,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T> Few<T> {
    /// Puts one in before the `at`-th, or at the end.
    pub(crate) fn insert(&mut self, at: usize, new: T) {
        match std::mem::take(self) {
            Self::One(None) => *self = Self::One(Some(new)),
            Self::One(Some(old)) => {
                *self = Self::Many(if at == 0 { vec![new, old] } else { vec![old, new] });
            }
            Self::Many(mut all) => {
                all.insert(at.min(all.len()), new);
                *self = Self::Many(all);
            }
        }
    }

    /// Keeps those for which `keep` answers true.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        match self {
            Self::One(one) => drop(one.take_if(|one| !keep(one))),
            Self::Many(all) => {
                all.retain(keep);
                if all.len() < 2 {
                    *self = Self::One(all.pop());
                }
            }
        }
    }

    /// All of them, in a list of its own.
    pub(crate) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => one.into_iter().collect(),
            Self::Many(all) => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Few;
    use proptest::prelude::*;

    proptest! {
        /// It answers as a vector does, whatever the calls.
        #[test]
        fn agrees_with_a_vector(calls in prop::collection::vec((any::<bool>(), 0_usize..4, 0_u8..4), 0..60)) {
            let (mut few, mut all) = (Few::default(), Vec::new());
            for (inserts, at, value) in calls {
                if inserts {
                    few.insert(at, value);
                    all.insert(at.min(all.len()), value);
                } else {
                    few.retain(|one| *one != value);
                    all.retain(|one| *one != value);
                }
                prop_assert_eq!(&*few, all.as_slice());
                prop_assert_eq!(&few, &Few::from(all.clone()));
                prop_assert_eq!(few.clone().into_vec(), all.clone());
            }
        }
    }
}
