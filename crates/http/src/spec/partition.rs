//! Collections that are listed parent by parent, or value by value.

use super::either::{self, Either};
use super::{FieldPath, ReadSpec, RequestOption};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// Of what a listing is made that there is one of for each parent, or for each of some values.
#[derive(Debug, Clone)]
pub enum PartitionRouter {
    /// One listing for each record of a parent.
    Substream(Box<SubstreamRouter>),
    /// One listing for each of these values.
    List(Box<ListRouter>),
    /// One listing for each combination.
    Product(Vec<PartitionRouter>),
}

/// One router, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum OneRouter {
    /// One listing for each record of a parent. Children of parents that are new are read from
    /// the beginning.
    #[serde(alias = "SubstreamPartitionRouter")]
    Substream(Box<SubstreamRouter>),
    /// One listing for each of these values.
    #[serde(alias = "ListPartitionRouter")]
    List(Box<ListRouter>),
}

/// One router, or several: then there is one listing for each combination of theirs.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "the schema is derived from it")]
enum Routers {
    /// One.
    One(OneRouter),
    /// Several.
    Several(Vec<OneRouter>),
}

impl JsonSchema for PartitionRouter {
    fn schema_name() -> Cow<'static, str> {
        "PartitionRouter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Routers::json_schema(generator)
    }
}

impl PartitionRouter {
    /// What is changed in how parents are listed.
    pub(super) fn each_parent(&mut self, change: &impl Fn(ParentStream) -> ParentStream) {
        match self {
            Self::Substream(router) => router.each_parent(change),
            Self::List(_) => {}
            Self::Product(all) => all.iter_mut().for_each(|router| router.each_parent(change)),
        }
    }
}

impl From<OneRouter> for PartitionRouter {
    fn from(one: OneRouter) -> Self {
        match one {
            OneRouter::Substream(router) => Self::Substream(router),
            OneRouter::List(router) => Self::List(router),
        }
    }
}

impl<'de> Deserialize<'de> for PartitionRouter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = PartitionRouter;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a partition router, or a list of them")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PartitionRouter, A::Error> {
                OneRouter::deserialize(MapAccessDeserializer::new(map)).map(Into::into)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PartitionRouter, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element::<OneRouter>()? {
                    all.push(one.into());
                }
                Ok(PartitionRouter::Product(all))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// One listing for each record of a parent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubstreamRouter {
    /// The parents: a collection of the same side, or how they are listed. Without it:
    /// `parent_stream_configs`.
    #[serde(default)]
    pub parent_stream: Option<ParentStream>,
    /// Where in a parent's record its key is. Default: `id`.
    #[serde(default = "id")]
    pub parent_key: FieldPath,
    /// What templates call it: `{{ stream_partition.<partition_field> }}`. Required with
    /// `parent_stream`.
    #[serde(default)]
    #[schemars(example = &"project")]
    pub partition_field: String,
    /// Parents of several kinds: there is a listing for each record of each. Default: of one kind.
    #[serde(default)]
    pub parent_stream_configs: Vec<ParentSpec>,
    /// More of a parent for templates of requests and of `add_fields`: `{{ stream_partition.extra_fields['owner.login'] }}`. Default: none.
    #[serde(default)]
    #[schemars(example = &["owner.login"])]
    pub extra_fields: Vec<FieldPath>,
    /// Where in a request the key goes, if not into a template. Of an export a header goes with each
    /// request to the side, and anything else with the one that begins it.
    #[serde(default)]
    pub request_option: Option<RequestOption>,
    /// Where in each child's record the key is put, unless something is there. Default: nowhere.
    #[serde(default)]
    #[schemars(example = &"project_id")]
    pub record_field: Option<FieldPath>,
}

/// One kind of parents, where there are several.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParentSpec {
    /// The parents: a collection of the same side, or how they are listed.
    #[serde(alias = "stream")]
    pub parent_stream: ParentStream,
    /// Where in a parent's record its key is. Default: `id`.
    #[serde(default = "id")]
    pub parent_key: FieldPath,
    /// What templates call it: `{{ stream_partition.<partition_field> }}`.
    #[schemars(example = &"project")]
    pub partition_field: String,
    /// More of a parent for templates of requests and of `add_fields`: `{{ stream_partition.extra_fields['owner.login'] }}`. Default: none.
    #[serde(default)]
    #[schemars(example = &["owner.login"])]
    pub extra_fields: Vec<FieldPath>,
    /// Where in a request the key goes, if not into a template.
    #[serde(default)]
    pub request_option: Option<RequestOption>,
    /// Where in each child's record the key is put, unless something is there. Default: as the
    /// router says.
    #[serde(default)]
    #[schemars(example = &"project_id")]
    pub record_field: Option<FieldPath>,
}

impl SubstreamRouter {
    /// Each kind of parents; the error says what is missing, or there twice.
    pub fn parents(&self) -> Result<Vec<ParentSpec>, &'static str> {
        match (&self.parent_stream, self.parent_stream_configs.as_slice()) {
            (None, []) => Err("needs `parent_stream`, or several in `parent_stream_configs`"),
            (Some(_), [_, ..]) => Err("has both `parent_stream` and `parent_stream_configs`; one is enough"),
            (Some(parent_stream), []) => Ok(vec![ParentSpec {
                parent_stream: parent_stream.clone(),
                parent_key: self.parent_key.clone(),
                partition_field: self.partition_field.clone(),
                extra_fields: self.extra_fields.clone(),
                request_option: self.request_option.clone(),
                record_field: self.record_field.clone(),
            }]),
            (None, several) => {
                let own = |spec: &ParentSpec| ParentSpec {
                    record_field: spec.record_field.clone().or_else(|| self.record_field.clone()),
                    ..spec.clone()
                };
                Ok(several.iter().map(own).collect())
            }
        }
    }

    /// What is changed in how each kind of parents is listed.
    pub(super) fn each_parent(&mut self, change: impl Fn(ParentStream) -> ParentStream) {
        self.parent_stream = self.parent_stream.take().map(&change);
        for spec in &mut self.parent_stream_configs {
            spec.parent_stream = change(spec.parent_stream.clone());
        }
    }
}

/// One listing for each of some values.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRouter {
    /// The values: texts or whole numbers. One text, as a variable of the environment is, has
    /// commas between them.
    #[serde(deserialize_with = "values")]
    #[schemars(with = "Listed", example = &["north", "south"])]
    pub values: Vec<serde_json::Value>,
    /// What templates call it: `{{ stream_partition.<partition_field> }}`.
    #[serde(alias = "cursor_field")]
    #[schemars(example = &"region")]
    pub partition_field: String,
    /// Where in a request the value goes, if not into a template.
    #[serde(default)]
    pub request_option: Option<RequestOption>,
    /// Where in each record the value is put, unless something is there. Default: nowhere.
    #[serde(default)]
    #[schemars(example = &"region")]
    pub record_field: Option<FieldPath>,
}

/// Where parents come from.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum ParentStream {
    /// A collection of the same side that has a `read`.
    Collection(String),
    /// A listing that is not kept in step.
    Listing(Box<ReadSpec>),
}

impl<'de> Deserialize<'de> for ParentStream {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a collection of the same side, or a listing as in `read`";
        Ok(match either::read(deserializer, expected)? {
            Either::Word(name) => Self::Collection(name),
            Either::Map(read) => Self::Listing(Box::new(read)),
        })
    }
}

/// Values as they may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is asked for")]
enum Listed {
    List(Vec<serde_json::Value>),
    Text(String),
}

fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<serde_json::Value>, D::Error> {
    struct Read;
    impl<'de> Visitor<'de> for Read {
        type Value = Vec<serde_json::Value>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of values, or a text with commas between them")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
            Ok(values.map(Into::into).collect())
        }
        fn visit_i64<E: Error>(self, n: i64) -> Result<Self::Value, E> {
            Ok(vec![n.into()])
        }
        fn visit_u64<E: Error>(self, n: u64) -> Result<Self::Value, E> {
            Ok(vec![n.into()])
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = seq.next_element()? {
                values.push(value);
            }
            Ok(values)
        }
    }
    deserializer.deserialize_any(Read)
}

fn id() -> FieldPath {
    FieldPath::dotted("id")
}
