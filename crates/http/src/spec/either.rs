//! A key that is a word in the plain case and a map where more is to be said.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// What stood there.
#[derive(Debug)]
pub(super) enum Either<W, M> {
    Word(W),
    Map(M),
}

/// Reads a word or a map. `expected` says what can stand there.
pub(super) fn read<'de, D, W, M>(deserializer: D, expected: &'static str) -> Result<Either<W, M>, D::Error>
where
    D: Deserializer<'de>,
    W: Deserialize<'de>,
    M: Deserialize<'de>,
{
    deserializer.deserialize_any(Reader { expected, what: PhantomData })
}

struct Reader<W, M> {
    expected: &'static str,
    what: PhantomData<(W, M)>,
}

impl<'de, W: Deserialize<'de>, M: Deserialize<'de>> Visitor<'de> for Reader<W, M> {
    type Value = Either<W, M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        W::deserialize(text.into_deserializer()).map(Either::Word)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Either::Map)
    }
}
