//! Who did what after what: actors, dots, version vectors.
//!
//! From dotted version vectors (Preguiça, Almeida et al., 2010). Counters are
//! per record and actor and start at 1; a dot is in a clock if its number is at
//! or below the clock's entry for its actor, because an actor's own past is
//! always part of what it has seen.

use crate::{InvalidName, SideName, VecMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Who made an edit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Author {
    /// Somebody or something on a side.
    Side(SideName),
    /// A person at hms-sync itself.
    Operator,
    /// Two records found to be one: the loser's values, entering the survivor.
    Join,
    /// hms-sync, writing down what all sides already agree on.
    Engine,
}

/// An author in one epoch. A side that is restored from a backup, or linked
/// anew, goes on in the next epoch, so that its counters are never issued twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// Who.
    pub author: Author,
    /// Which life of theirs, from 0.
    pub epoch: u32,
}

impl Actor {
    /// A side in its first epoch.
    pub fn side(side: SideName) -> Self {
        Self { author: Author::Side(side), epoch: 0 }
    }

    /// The side, if it is one.
    pub fn as_side(&self) -> Option<&SideName> {
        match &self.author {
            Author::Side(side) => Some(side),
            Author::Operator | Author::Join | Author::Engine => None,
        }
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side(side) => write!(f, "{side}"),
            Self::Operator => f.write_str("@operator"),
            Self::Join => f.write_str("@join"),
            Self::Engine => f.write_str("@engine"),
        }
    }
}

impl fmt::Display for Actor {
    /// `clerk`, or `clerk#2` past the first epoch.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.author)?;
        if self.epoch > 0 { write!(f, "#{}", self.epoch) } else { Ok(()) }
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Actor {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (name, epoch) = match text.rsplit_once('#') {
            Some((name, epoch)) => {
                let bad = InvalidName::Character { what: "epoch", found: '#' };
                (name, epoch.parse().map_err(|_| bad)?)
            }
            None => (text, 0),
        };
        let author = match name {
            "@operator" => Author::Operator,
            "@join" => Author::Join,
            "@engine" => Author::Engine,
            side => Author::Side(SideName::try_new(side)?),
        };
        Ok(Self { author, epoch })
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.author, self.epoch) {
            (Author::Side(side), 0) => serializer.serialize_str(side.as_str()),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One edit's name: the `n`-th of its actor on this record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who made it.
    pub actor: Actor,
    /// 1 for the actor's first edit of the record.
    pub n: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.actor, self.n)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A version vector: the set of dots that a state has seen.
///
/// Clones share their entries until one of them changes: the registers of a
/// record mostly say the same.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Clock(Option<Arc<VecMap<Actor, u64>>>);

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(entries) => entries.serialize(serializer),
            None => VecMap::<Actor, u64>::new().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = VecMap::<Actor, u64>::deserialize(deserializer)?;
        Ok(Self((!entries.is_empty()).then(|| Arc::new(entries))))
    }
}

impl Clock {
    /// A clock that has seen nothing.
    pub const fn new() -> Self {
        Self(None)
    }

    /// How many edits of `actor` it has seen.
    pub fn count(&self, actor: &Actor) -> u64 {
        self.0.as_ref().and_then(|entries| entries.get(actor)).copied().unwrap_or(0)
    }

    /// Whether it has seen `dot`.
    pub fn has(&self, dot: &Dot) -> bool {
        dot.n <= self.count(&dot.actor)
    }

    /// Whether it has seen all that `other` has.
    pub fn covers(&self, other: &Self) -> bool {
        self.same_as(other) || other.iter().all(|(actor, n)| n <= self.count(actor))
    }

    /// Takes in everything that `actor` did up to its `n`-th edit.
    pub fn see(&mut self, actor: &Actor, n: u64) {
        if n <= self.count(actor) {
            return;
        }
        let entries = Arc::make_mut(self.0.get_or_insert_default());
        match entries.get_mut(actor) {
            Some(seen) => *seen = (*seen).max(n),
            None => {
                entries.insert(actor.clone(), n);
            }
        }
    }

    /// Takes in everything that `other` has seen: the least upper bound.
    pub fn merge(&mut self, other: &Self) {
        if self.covers(other) {
            return;
        }
        if other.covers(self) {
            self.clone_from(other);
            return;
        }
        for (actor, n) in other.iter() {
            self.see(actor, n);
        }
    }

    /// Whether both are known to say the same because they share their entries.
    fn same_as(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// Shares the entries of `other` if both say the same.
    pub fn share(&mut self, other: &Self) {
        if !self.same_as(other) && self == other {
            self.clone_from(other);
        }
    }

    /// Both together.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        self.merge(other);
        self
    }

    /// What both have seen: the greatest lower bound.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        self.iter().map(|(actor, n)| (actor.clone(), n.min(other.count(actor)))).collect()
    }

    /// Actors and how many of their edits have been seen, in order of actor.
    pub fn iter(&self) -> impl Iterator<Item = (&Actor, u64)> {
        self.0.iter().flat_map(|entries| entries.iter()).map(|(actor, n)| (actor, *n))
    }

    /// Whether it has seen nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many actors it has seen.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |entries| entries.len())
    }
}

impl FromIterator<(Actor, u64)> for Clock {
    fn from_iter<I: IntoIterator<Item = (Actor, u64)>>(pairs: I) -> Self {
        let mut clock = Self::new();
        for (actor, n) in pairs {
            clock.see(&actor, n);
        }
        clock
    }
}

impl fmt::Display for Clock {
    /// `clerk:3 marshal:1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (actor, n)) in self.iter().enumerate() {
            write!(f, "{}{actor}:{n}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
