//! The body of a write: which fields, around them what, in which format.

use crate::error::SpecError;
use crate::fill::{self, Filling, Lists, Names, form};
use crate::spec::{BodyFormat, BodyShape, BodySpec, FieldPath};
use crate::template::Compiled;
use crate::wire::JSON;
use hms_sync_connector::{Shaped, WriteRequest};
use http::HeaderValue;
use minijinja::Value;
use serde_json::{Map, Value as Json, json};

/// A body, set up.
#[derive(Debug)]
pub(crate) struct Body {
    fields: BodyShape,
    format: BodyFormat,
    wrap: FieldPath,
    add: Option<Filling>,
    /// All of it, where it is no JSON.
    text: Option<Compiled>,
    content_type: HeaderValue,
}

/// A body and its `Content-Type`.
pub(crate) type Written = (Vec<u8>, HeaderValue);

/// The version that a body names, and where.
pub(crate) type Version<'v> = Option<(&'v FieldPath, Json)>;

impl Body {
    /// `usual` are the fields that are sent if nothing is said.
    pub(crate) fn new(
        key: &str,
        spec: Option<&BodySpec>,
        usual: BodyShape,
        known: &[&str],
    ) -> Result<Self, SpecError> {
        let usual_spec = BodySpec::default();
        let spec = spec.unwrap_or(&usual_spec);
        let bad = |name: &str, why: &dyn std::fmt::Display| SpecError::new(format!("{key}.body.{name}"), why);
        let add = spec.add.as_ref().map(|tree| Filling::new(tree, known)).transpose();
        let add = add.map_err(|e| bad("add", &e))?;
        match (&add, spec.format) {
            (Some(Filling::List(_)) | None, BodyFormat::JsonPatch) => {}
            (Some(_), BodyFormat::JsonPatch) => return Err(bad("add", &"must be a list of operations")),
            (Some(Filling::Map(_)) | None, _) => {}
            (Some(_), _) if spec.wrap.parts().next() == Some("0") => {}
            (Some(_), _) => return Err(bad("add", &"must be a map")),
        }
        let text = spec.text.as_ref().map(|text| Compiled::whole(text.as_str(), known)).transpose();
        let text = text.map_err(|e| bad("text", &e))?;
        match (&text, spec.format) {
            (None, BodyFormat::Text) => return Err(bad("text", &"is what a body of this format is made of")),
            (Some(_), BodyFormat::Text) if add.is_some() || !spec.wrap.is_empty() => {
                return Err(bad("text", &"is all of the body: it goes with neither `wrap` nor `add`"));
            }
            (Some(_), BodyFormat::Text) | (None, _) => {}
            (Some(_), _) => return Err(bad("text", &"is for `format: text`")),
        }
        let usual_type = match spec.format {
            BodyFormat::Text => HeaderValue::from_static("text/plain; charset=utf-8"),
            BodyFormat::Json => JSON,
            BodyFormat::Form | BodyFormat::FormRepeated => {
                HeaderValue::from_static("application/x-www-form-urlencoded")
            }
            BodyFormat::MergePatch => HeaderValue::from_static("application/merge-patch+json"),
            BodyFormat::JsonPatch => HeaderValue::from_static("application/json-patch+json"),
        };
        let content_type = spec.content_type.as_ref().map_or(Ok(usual_type), HeaderValue::try_from);
        Ok(Self {
            fields: spec.fields.unwrap_or(usual),
            format: spec.format,
            wrap: spec.wrap.clone(),
            add,
            text,
            content_type: content_type
                .map_err(|_| bad("content_type", &"has characters that a header cannot carry"))?,
        })
    }

    /// Whether it names `name` in what it adds.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.add.as_ref().is_some_and(|add| add.uses(name))
            || self.text.as_ref().is_some_and(|text| text.uses(name))
    }

    /// The members around the fields, from the outside.
    pub(crate) fn wrap(&self) -> &FieldPath {
        &self.wrap
    }

    /// Whether the fields of the record are sent with it.
    pub(crate) fn has_fields(&self) -> bool {
        self.fields != BodyShape::None
    }

    /// `leaf` says whether a field of its own stands at a path of the record.
    pub(crate) fn write(
        &self,
        request: &WriteRequest,
        names: &Names,
        text: &Value,
        version: Version<'_>,
        leaf: impl Fn(&[String]) -> bool,
    ) -> Result<Option<Written>, String> {
        if let Some(body) = &self.text {
            let body = body.fill(text).map_err(|why| format!("`body.text`: {why}"))?;
            return Ok(Some((body.into_owned().into_bytes(), self.content_type.clone())));
        }
        let fields = match self.fields {
            BodyShape::Changed => Some(&request.changed),
            BodyShape::Whole => Some(&request.whole),
            BodyShape::None => None,
        };
        if fields.is_none() && self.add.is_none() && version.is_none() {
            return Ok(None);
        }
        let plain = self.wrap.is_empty() && self.add.is_none() && version.is_none();
        let nothing = Shaped::from(Json::Object(Map::new()));
        let added = self.add.as_ref().map(|add| add.fill(names, text)).transpose();
        let added = added.map_err(|why| format!("`body.add`: {why}"))?;
        let fields = fields.unwrap_or(&nothing);
        let bytes = match self.format {
            BodyFormat::Json | BodyFormat::MergePatch if plain => fields.text().as_bytes().to_vec(),
            BodyFormat::Json | BodyFormat::MergePatch => bytes(&self.whole(fields, version, added))?,
            BodyFormat::Form => form(&self.whole(fields, version, added), Lists::Bracketed).into_bytes(),
            BodyFormat::FormRepeated => {
                form(&self.whole(fields, version, added), Lists::Repeated).into_bytes()
            }
            BodyFormat::JsonPatch => bytes(&self.operations(fields, version, added, leaf))?,
            // Made above.
            BodyFormat::Text => Vec::new(),
        };
        Ok(Some((bytes, self.content_type.clone())))
    }

    fn whole(&self, fields: &Json, version: Version<'_>, added: Option<Json>) -> Json {
        let mut fields = fields.clone();
        if let Some((path, version)) = version {
            fill::merge(&mut fields, fill::wrap(path.parts().collect::<Vec<_>>().into_iter(), version));
        }
        let mut body = fill::wrap(self.wrap.parts().collect::<Vec<_>>().into_iter(), fields);
        if let Some(added) = added {
            fill::merge(&mut body, added);
        }
        body
    }

    /// RFC 6902. A test of the version comes first: if it fails, nothing is done.
    fn operations(
        &self,
        fields: &Json,
        version: Version<'_>,
        added: Option<Json>,
        leaf: impl Fn(&[String]) -> bool,
    ) -> Json {
        let root: String = self.wrap.parts().map(escaped).collect();
        let mut all = Vec::new();
        if let Some((path, version)) = version {
            let path: String = path.parts().map(escaped).collect();
            all.push(json!({ "op": "test", "path": format!("{root}{path}"), "value": version }));
        }
        if let Some(Json::Array(added)) = added {
            all.extend(added);
        }
        each(&mut Vec::new(), fields, &leaf, &mut |path, value| {
            let path: String = path.iter().map(|part| escaped(part)).collect();
            all.push(json!({ "op": "add", "path": format!("{root}{path}"), "value": value }));
        });
        Json::Array(all)
    }
}

/// Calls with each field of a record and its path.
fn each(
    path: &mut Vec<String>,
    json: &Json,
    leaf: &impl Fn(&[String]) -> bool,
    call: &mut impl FnMut(&[String], &Json),
) {
    match json {
        Json::Object(members) if !leaf(path) && (path.is_empty() || !members.is_empty()) => {
            for (name, member) in members {
                path.push(name.clone());
                each(path, member, leaf, call);
                path.pop();
            }
        }
        value => call(path, value),
    }
}

fn escaped(part: &str) -> String {
    format!("/{}", part.replace('~', "~0").replace('/', "~1"))
}

fn bytes(json: &Json) -> Result<Vec<u8>, String> {
    serde_json::to_vec(json).map_err(|e| format!("the record is no JSON: {e}"))
}
