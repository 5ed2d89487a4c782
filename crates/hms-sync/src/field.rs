//! A field of a collection: its type, its place on each side, and how it merges;
//! what stands below `fields.<field>` in YAML, under the same names.

use crate::resolve::Resolve;
use hms_sync_config::{Draft, DraftValue};
use hms_sync_mapping::Direction;
use serde_json::Value as Json;

/// A field.
#[derive(Debug, Clone)]
pub struct Field {
    pub(crate) name: String,
    pub(crate) keys: Draft,
}

/// What the elements of a set are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Text kept to the letter.
    String,
    /// Text for people.
    Text,
    /// Whole numbers.
    Integer,
    /// Exact decimal numbers.
    Decimal,
    /// True or false.
    Bool,
    /// Calendar days.
    Date,
    /// Instants.
    Datetime,
    /// Some of these.
    Enum(Vec<String>),
    /// Any JSON.
    Json,
}

impl Field {
    fn of_type(name: impl Into<String>, ty: &str) -> Self {
        Self { name: name.into(), keys: Draft::of("type", ty) }
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.keys.set(key, value);
        self
    }

    /// Text kept to the letter.
    pub fn string(name: impl Into<String>) -> Self {
        Self::of_type(name, "string")
    }

    /// Text for people: line ends and Unicode form do not count.
    pub fn text(name: impl Into<String>) -> Self {
        Self::of_type(name, "text")
    }

    /// A whole number of any size.
    pub fn integer(name: impl Into<String>) -> Self {
        Self::of_type(name, "integer")
    }

    /// An exact decimal number.
    pub fn decimal(name: impl Into<String>) -> Self {
        Self::of_type(name, "decimal")
    }

    /// True or false.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::of_type(name, "bool")
    }

    /// A calendar day.
    pub fn date(name: impl Into<String>) -> Self {
        Self::of_type(name, "date")
    }

    /// An instant.
    pub fn datetime(name: impl Into<String>) -> Self {
        Self::of_type(name, "datetime")
    }

    /// One of `values`: `type: enum` in YAML.
    pub fn enum_of<T: Into<String>>(name: impl Into<String>, values: impl IntoIterator<Item = T>) -> Self {
        Self::of_type(name, "enum").with("values", words(values))
    }

    /// A set; order does not count.
    pub fn set(name: impl Into<String>, of: Of) -> Self {
        let word = match &of {
            Of::String => "string",
            Of::Text => "text",
            Of::Integer => "integer",
            Of::Decimal => "decimal",
            Of::Bool => "bool",
            Of::Date => "date",
            Of::Datetime => "datetime",
            Of::Enum(_) => "enum",
            Of::Json => "json",
        };
        let set = Self::of_type(name, "set").with("of", word);
        match of {
            Of::Enum(values) => set.with("values", words(values)),
            _ => set,
        }
    }

    /// Any JSON, as one value.
    pub fn json(name: impl Into<String>) -> Self {
        Self::of_type(name, "json")
    }

    /// Where it is on a side: a path, or a [`Place`] that says more. A side on
    /// which it is not never sees it, and cannot lose it.
    #[must_use]
    pub fn at(mut self, side: impl Into<String>, place: impl Into<Place>) -> Self {
        let place: Place = place.into();
        self.keys.add(side, place.draft());
        self
    }

    /// How concurrent edits merge. As the collection says, if nothing is said here.
    #[must_use]
    pub fn resolve(self, resolve: Resolve) -> Self {
        self.with("resolve", resolve.draft())
    }

    /// The side whose word counts for every edit; others' edits are put back.
    #[must_use]
    pub fn owner(self, side: &str) -> Self {
        self.with("owner", side)
    }

    /// The same, but others may fill the field while the owner has nothing there.
    #[must_use]
    pub fn owner_unless_blank(self, side: &str) -> Self {
        let mut owner = Draft::of("side", side);
        owner.add("unless_blank", true);
        self.with("owner", owner)
    }

    /// That its values are personal: they are sealed wherever they are kept, and
    /// `hms-sync audit FILE erase RECORD` destroys the key that opens them.
    #[must_use]
    pub fn personal(self) -> Self {
        self.with("personal", true)
    }

    /// What does not count in its text: `trim`, `collapse`, `nfc`, `lower`, `upper`.
    #[must_use]
    pub fn normalize<'a>(self, steps: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("normalize", DraftValue::list(steps))
    }

    /// Values that only an operator can take out again.
    #[must_use]
    pub fn locks<T: Into<Json>>(self, values: impl IntoIterator<Item = T>) -> Self {
        self.with("locks", scalars(values))
    }
}

/// Where a field is on a side, and how it is written there.
#[derive(Debug, Clone)]
pub struct Place {
    keys: Draft,
    otherwise: Draft,
}

impl From<&str> for Place {
    fn from(path: &str) -> Self {
        Self::path(path)
    }
}

impl From<String> for Place {
    fn from(path: String) -> Self {
        Self::path(&path)
    }
}

impl Place {
    /// At `path`; dots go into objects: `location.address`.
    pub fn path(path: &str) -> Self {
        Self { keys: Draft::of("path", path), otherwise: Draft::new() }
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.keys.set(key, value);
        self
    }

    /// Which way the field goes. Both, if nothing is said.
    #[must_use]
    pub fn direction(self, direction: Direction) -> Self {
        let word = match direction {
            Direction::Both => "both",
            Direction::ToSide => "to_side",
            Direction::FromSide => "from_side",
        };
        self.with("direction", word)
    }

    /// The side's words for our values: ours to the left, the side's to the right.
    #[must_use]
    pub fn values<O: Into<String>, T: Into<Json>>(self, pairs: impl IntoIterator<Item = (O, T)>) -> Self {
        let mut values = Draft::new();
        for (ours, theirs) in pairs {
            values.add(ours, scalar(theirs));
        }
        self.with("values", values)
    }

    /// The side's word for our values that `values` does not list.
    #[must_use]
    pub fn otherwise_to(mut self, theirs: impl Into<Json>) -> Self {
        self.otherwise.set("to", scalar(theirs));
        self
    }

    /// The listed value of ours that words which `values` does not list are read as.
    #[must_use]
    pub fn otherwise_from(mut self, ours: impl Into<Json>) -> Self {
        self.otherwise.set("from", scalar(ours));
        self
    }

    /// How the side writes the value: a `strftime` pattern, `epoch_s`, `epoch_ms`,
    /// `text` or `number`.
    #[must_use]
    pub fn format(self, format: &str) -> Self {
        self.with("format", format)
    }

    /// Writes and reads it by a pair of expressions, each over one `value`. The samples are
    /// values of ours that must come back as they are.
    #[must_use]
    pub fn expressions<T: Into<Json>>(
        self,
        to: impl Into<String>,
        from: impl Into<String>,
        samples: impl IntoIterator<Item = T>,
    ) -> Self {
        let samples = DraftValue::list(samples.into_iter().map(scalar));
        self.with("to", to.into()).with("from", from.into()).with("samples", samples)
    }

    /// What the side holds instead of null.
    #[must_use]
    pub fn null_as(self, value: impl Into<Json>) -> Self {
        self.with("null_as", scalar(value))
    }

    /// That the side's edits fill the field only while the others leave it blank.
    #[must_use]
    pub fn fills_blank(self) -> Self {
        self.with("fills_blank", true)
    }

    fn draft(self) -> Draft {
        let Self { mut keys, otherwise } = self;
        if !otherwise.is_empty() {
            keys.add("otherwise", otherwise);
        }
        keys
    }
}

fn words<T: Into<String>>(values: impl IntoIterator<Item = T>) -> DraftValue {
    DraftValue::list(values.into_iter().map(Into::<String>::into))
}

fn scalar(value: impl Into<Json>) -> DraftValue {
    let json: Json = value.into();
    json.into()
}

/// Values of a field, as they stand in rules.
pub(crate) fn scalars<T: Into<Json>>(values: impl IntoIterator<Item = T>) -> DraftValue {
    DraftValue::list(values.into_iter().map(Into::<Json>::into))
}
