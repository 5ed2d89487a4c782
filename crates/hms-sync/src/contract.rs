//! What a side's records are to be, and what is done where they are not: what stands below
//! `schema_contract` in YAML, under the same names.

use hms_sync_config::{Draft, DraftValue, OnChange};

/// What is done when records are of another shape than the fields say:
/// [`Collection::schema_contract`](crate::Collection::schema_contract) for all sides,
/// [`Endpoint::schema_contract`](crate::Endpoint::schema_contract) for one.
#[derive(Debug, Clone, Default)]
pub struct SchemaContract(Draft);

impl SchemaContract {
    /// Nothing but what the other methods say.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same about everything.
    pub fn all(mode: OnChange) -> Self {
        Self::new().columns(mode).missing(mode).data_type(mode)
    }

    fn with(mut self, key: &str, value: impl Into<DraftValue>) -> Self {
        self.0.set(key, value);
        self
    }

    /// About members to which no field is mapped. Nobody looks for them, if nothing is said.
    #[must_use]
    pub fn columns(self, mode: OnChange) -> Self {
        self.with("columns", word(mode))
    }

    /// About fields that a whole record lacks. They are absent, if nothing is said.
    #[must_use]
    pub fn missing(self, mode: OnChange) -> Self {
        self.with("missing", word(mode))
    }

    /// About values that are not of their field's type. The record is parked, if nothing is said.
    #[must_use]
    pub fn data_type(self, mode: OnChange) -> Self {
        self.with("data_type", word(mode))
    }

    /// Members that are known although no field is mapped to them.
    #[must_use]
    pub fn known_fields<'a>(self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        self.with("known_fields", DraftValue::list(paths))
    }

    pub(crate) fn draft(self) -> Draft {
        self.0
    }
}

fn word(mode: OnChange) -> &'static str {
    match mode {
        OnChange::Evolve => "evolve",
        OnChange::Freeze => "freeze",
        OnChange::DiscardValue => "discard_value",
        OnChange::Park => "park",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use crate::{Api, Config, Endpoint, Field, Sync};

    /// The contracts of the two sides, said on the collection and on one of them.
    fn built() -> Config {
        let sync = Sync::init("Tasks")
            .api("hub", Api::http("http://127.0.0.1:1"))
            .api("desk", Api::http("http://127.0.0.1:2"));
        sync.collection("task")
            .identity(["no"])
            .schema_contract(SchemaContract::all(OnChange::Park).known_fields(["href"]))
            .side("hub", Endpoint::rest("/tasks"))
            .side("desk", Endpoint::rest("/tasks").modified("changed").schema_contract(desk()))
            .field(Field::string("no").at("hub", "no").at("desk", "no"))
            .check()
            .unwrap()
    }

    fn desk() -> SchemaContract {
        SchemaContract::new().columns(OnChange::Evolve).missing(OnChange::Freeze).known_fields(["geo.at"])
    }

    #[test]
    fn what_the_builder_says_is_what_yaml_says() {
        let yaml = "sync: Tasks
sides:
  hub: { connector: http, url: http://127.0.0.1:1 }
  desk: { connector: http, url: http://127.0.0.1:2 }
collections:
  task:
    identity: [no]
    schema_contract: { columns: park, missing: discard_row, data_type: park, known_fields: [href] }
    sides:
      hub: &rest
        fetch: { path: '/tasks/{{ id }}' }
        read: { path: /tasks }
        create: { method: POST, path: /tasks }
        update: { method: PATCH, path: '/tasks/{{ id }}' }
      desk:
        schema_contract: { columns: evolve, missing: freeze, known_fields: [geo.at] }
        modified: changed
        read: { path: /tasks }
        create: { method: POST, path: /tasks }
        update: { method: PATCH, path: '/tasks/{{ id }}' }
    fields:
      no: { type: string, hub: no, desk: no }
"
        .replace("&rest", "");
        let (built, read) = (built(), hms_sync_config::parse("x.yaml", &yaml, &|_| None).unwrap());
        let contracts = |config: &Config| {
            let of = config.collections.values().next().unwrap();
            of.sides
                .iter()
                .map(|(name, part)| (name.clone(), part.contract.clone().unwrap()))
                .collect::<Vec<_>>()
        };
        let ours = contracts(&built);
        assert_eq!(ours, contracts(&read));
        let desk = ours.iter().find(|(name, _)| name.as_str() == "desk").unwrap();
        assert_eq!((desk.1.columns, desk.1.data_type), (Some(OnChange::Evolve), OnChange::Park));
        let record = serde_json::json!({ "id": 1, "no": "1", "changed": "x", "href": "/", "geo": { "at": 1, "x": 2 } });
        assert_eq!(desk.1.known.strangers(&record), ["geo.x"]);
    }
}
