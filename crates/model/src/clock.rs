//! Who did what after what: actors, dots, version vectors.
//!
//! From dotted version vectors (Preguiça, Almeida et al., 2010). Counters are
//! per record and actor and start at 1; a dot is in a clock if its number is at
//! or below the clock's entry for its actor, because an actor's own past is
//! always part of what it has seen.

use crate::{InvalidName, SideName, TextRef, VecMap};
use serde::ser::SerializeMap;
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

    /// As [`str::parse`], sharing its text with one that was read lately.
    pub(crate) fn read(text: &str) -> Result<Self, InvalidName> {
        let named = text.bytes().any(|byte| byte == b'#') || text.starts_with('@');
        if named { text.parse() } else { SideName::read(text).map(Self::side) }
    }

    /// Whether this is how it is written.
    #[inline]
    fn is_written(&self, text: TextRef<'_>) -> bool {
        match (&self.author, self.epoch) {
            (Author::Side(side), 0) => side.as_str().as_bytes() == text.as_bytes(),
            _ => self.is_written_at_length(text),
        }
    }

    /// The same for all that do not merely have the name of a side.
    #[inline(never)]
    fn is_written_at_length(&self, text: TextRef<'_>) -> bool {
        let marked = text.as_bytes().iter().any(|byte| matches!(byte, b'@' | b'#'));
        marked && self.to_string() == text.as_str()
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
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Actor;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an actor")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Actor, E> {
                Actor::read(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
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
pub struct Clock(Option<Arc<[(Actor, u64)]>>);

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.entries();
        let mut map = serializer.serialize_map(Some(entries.len()))?;
        for (actor, n) in entries {
            map.serialize_entry(actor, n)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> serde::de::Visitor<'de> for Entries {
            type Value = Clock;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of actors and numbers")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Clock, A::Error> {
                let Some(first) = access.next_entry::<Actor, u64>()? else { return Ok(Clock::new()) };
                let Some(second) = access.next_entry()? else { return Ok(Clock(Some(Arc::new([first])))) };
                let mut entries = VecMap::new();
                entries.insert(first.0, first.1);
                entries.insert(second.0, second.1);
                while let Some((actor, n)) = access.next_entry()? {
                    entries.insert(actor, n);
                }
                Ok(Clock(Some(entries.into_iter().collect())))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Clock {
    /// A clock that has seen nothing.
    pub const fn new() -> Self {
        Self(None)
    }

    /// One that has seen one actor's edits up to the `n`-th.
    pub fn of(actor: Actor, n: u64) -> Self {
        if n == 0 { Self::new() } else { Self(Some(Arc::new([(actor, n)]))) }
    }

    /// In order of actor. They are few: whoever looks for one looks at each.
    fn entries(&self) -> &[(Actor, u64)] {
        self.0.as_deref().unwrap_or_default()
    }

    /// How many edits of `actor` it has seen.
    pub fn count(&self, actor: &Actor) -> u64 {
        self.entries().iter().find(|(known, _)| known == actor).map_or(0, |(_, n)| *n)
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
        if n == 0 {
            return;
        }
        let Some(entries) = &mut self.0 else {
            *self = Self::of(actor.clone(), n);
            return;
        };
        match entries.iter().position(|(known, _)| known >= actor) {
            Some(at) if entries.get(at).is_some_and(|(known, _)| known == actor) => {
                if entries.get(at).is_some_and(|(_, seen)| *seen < n)
                    && let Some((_, seen)) = Arc::make_mut(entries).get_mut(at)
                {
                    *seen = n;
                }
            }
            place => {
                let (before, after) = entries.split_at(place.unwrap_or(entries.len()));
                let new = std::iter::once((actor.clone(), n));
                *entries = before.iter().cloned().chain(new).chain(after.iter().cloned()).collect();
            }
        }
    }

    /// The place of an actor that it has seen, given as one is written.
    #[inline]
    pub fn place_of(&self, actor: TextRef<'_>) -> Option<usize> {
        self.entries().iter().position(|(known, _)| known.is_written(actor))
    }

    /// The actor at a place, in order of actor, and how many of its edits have been seen.
    pub fn at(&self, place: usize) -> Option<(&Actor, u64)> {
        self.entries().get(place).map(|(actor, n)| (actor, *n))
    }

    /// Takes in what the actor at a place did up to its `n`-th edit.
    #[inline]
    pub fn see_at(&mut self, place: usize, n: u64) {
        if let Some(entries) = &mut self.0
            && entries.get(place).is_some_and(|(_, seen)| *seen < n)
            && let Some((_, seen)) = Arc::make_mut(entries).get_mut(place)
        {
            *seen = n;
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

    /// Of all but those actors; the same entries, if none of them is there.
    #[must_use]
    pub fn without(&self, left_out: impl Fn(&Actor) -> bool) -> Self {
        let stay = self.entries().iter().filter(|(actor, _)| !left_out(actor));
        match stay.clone().count() {
            0 => Self::new(),
            all if all == self.len() => self.clone(),
            _ => Self(Some(stay.cloned().collect())),
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
        self.entries().iter().map(|(actor, n)| (actor, *n))
    }

    /// Whether it has seen nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many actors it has seen.
    pub fn len(&self) -> usize {
        self.entries().len()
    }
}

/// Entries for which room is made before they have come.
const ROOM_MAX: usize = 64;

impl FromIterator<(Actor, u64)> for Clock {
    fn from_iter<I: IntoIterator<Item = (Actor, u64)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let mut entries: Vec<(Actor, u64)> = Vec::with_capacity(pairs.size_hint().0.min(ROOM_MAX));
        for (actor, n) in pairs.filter(|(_, n)| *n > 0) {
            let at = entries.partition_point(|(known, _)| *known < actor);
            match entries.get_mut(at).filter(|(known, _)| *known == actor) {
                Some((_, seen)) => *seen = n.max(*seen),
                None => entries.insert(at, (actor, n)),
            }
        }
        Self((!entries.is_empty()).then(|| entries.into()))
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
