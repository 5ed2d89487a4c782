//! From a checked configuration to what an engine runs on: its plan, its
//! connectors, and the routes its webhooks come in at.

use crate::error::SyncError;
use crate::source::Job;
use hms_sync_config::{Collection, CollectionSide, Config, SchemaContract};
use hms_sync_connector::Connector;
use hms_sync_engine::{
    CollectionPlan, Contract, Guard, JobPlan, OnAltered, OnChange, OnMissing, Plan, Recreate, Retry, Shape,
    SidePlan,
};
use hms_sync_http::spec::HttpCollection;
use hms_sync_http::{HttpConnector, SpecError, SubscriberConnector};
use hms_sync_management::HookRoute;
use hms_sync_model::{CollectionName, SideName, VecMap};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Calls of one handler at once.
const CALLS_MAX: usize = 32;

/// Connectors by side.
pub type Connectors = BTreeMap<SideName, Arc<dyn Connector>>;

/// What an engine and its door run on.
#[derive(Debug)]
pub struct Assembly {
    /// What the engine is told to do.
    pub plan: Plan,
    /// Its sides.
    pub connectors: Connectors,
    /// Where webhooks come in.
    pub hooks: Vec<HookRoute>,
}

/// Puts together what a configuration asks for. Reaches no side.
pub fn assemble(config: &Config) -> Result<Assembly, SyncError> {
    assemble_with(config, &[])
}

/// The same, with jobs beside the collections.
pub(crate) fn assemble_with(config: &Config, jobs: &[Job]) -> Result<Assembly, SyncError> {
    let parts = parts(config, jobs)?;
    let mut plan = Plan::new(config.sync.clone());
    let mut connectors = Connectors::new();
    for (name, side) in config.sides.iter() {
        let connector = connector(name, side, &parts, &config.data_dir)
            .map_err(|why| SyncError::Side { side: name.to_string(), why: why.to_string() })?;
        connectors.insert(name.clone(), connector);
        let retry =
            Retry { max_attempts: side.retry.max_attempts, initial: side.retry.initial, max: side.retry.max };
        plan.sides.insert(name.clone(), SidePlan { in_flight_max: side.http.max_concurrency.into(), retry });
    }
    for (name, of) in config.collections.iter() {
        let sweeps = of.sides.iter().filter_map(|(side, part)| Some((side, part.sweep_interval?)));
        let contracts = of.sides.iter().filter_map(|(side, part)| Some((side, part.contract.as_ref()?)));
        plan.contracts.extend(contracts.map(|(side, said)| ((side.clone(), name.clone()), contract(said))));
        plan.sweeps.extend(sweeps.map(|(side, pace)| ((side.clone(), name.clone()), pace)));
        plan.collections.insert(name.clone(), collection_plan(name, of, &connectors));
    }
    for job in jobs {
        plan.collections.insert(job.collection.clone(), job_collection(job, &connectors));
        let (collection, retry) = (job.collection.clone(), job.retry);
        plan.jobs.insert(job.name.clone(), JobPlan { collection, in_flight_max: CALLS_MAX, retry });
    }
    let hooks = hooks(&parts, &connectors)?;
    Ok(Assembly { plan, connectors, hooks })
}

fn connector(
    name: &SideName,
    side: &hms_sync_config::Side,
    parts: &[Part<'_>],
    data_dir: &Path,
) -> Result<Arc<dyn Connector>, SpecError> {
    if let Some(secret) = &side.subscriber {
        return Ok(Arc::new(SubscriberConnector::new(name, &side.http, secret)?));
    }
    let of_side = parts.iter().filter(|part| part.side == name);
    let of_side = of_side.map(|part| (part.collection.clone(), part.http.clone())).collect();
    Ok(Arc::new(HttpConnector::new(name, side.http.clone(), of_side)?.keeping_tokens_in(data_dir)))
}

/// One side's requests of one collection.
struct Part<'c> {
    side: &'c SideName,
    collection: &'c CollectionName,
    http: &'c HttpCollection,
}

/// Those of collections and of jobs; no two may go by one name.
fn parts<'c>(config: &'c Config, jobs: &'c [Job]) -> Result<Vec<Part<'c>>, SyncError> {
    let mut parts = Vec::new();
    let mut owners: BTreeMap<&CollectionName, String> = BTreeMap::new();
    for (collection, of) in config.collections.iter() {
        owners.insert(collection, "a collection of the sync".to_owned());
        parts.extend(of.sides.iter().map(|(side, part)| Part { side, collection, http: &part.http }));
    }
    for job in jobs {
        let (collection, second) = (&job.collection, format!("what comes from {}", job.side));
        if let Some(first) = owners.insert(collection, second.clone()) {
            return Err(SyncError::Twice {
                what: format!("the collection name {collection}"),
                first,
                second,
            });
        }
        parts.push(Part { side: &job.side, collection, http: &job.http });
    }
    Ok(parts)
}

/// Where webhooks come in; no two at one place.
fn hooks(parts: &[Part<'_>], connectors: &Connectors) -> Result<Vec<HookRoute>, SyncError> {
    let mut hooks: Vec<HookRoute> = Vec::new();
    for part in parts {
        let (Some(hook), Some(connector)) = (&part.http.webhook, connectors.get(part.side)) else { continue };
        if let Some(other) = hooks.iter().find(|other| other.path == hook.path) {
            return Err(SyncError::Twice {
                what: format!("the webhook path {}", hook.path),
                first: format!("{} on {}", other.collection, other.side),
                second: format!("{} on {}", part.collection, part.side),
            });
        }
        hooks.push(HookRoute {
            path: hook.path.clone(),
            side: part.side.clone(),
            collection: part.collection.clone(),
            connector: Arc::clone(connector),
        });
    }
    Ok(hooks)
}

fn contract(said: &SchemaContract) -> Contract {
    let mode = |mode| match mode {
        hms_sync_config::OnChange::Evolve => OnChange::Evolve,
        hms_sync_config::OnChange::Freeze => OnChange::Freeze,
        hms_sync_config::OnChange::DiscardValue => OnChange::DiscardValue,
        hms_sync_config::OnChange::Park => OnChange::Park,
    };
    Contract {
        columns: said.columns.map(mode),
        missing: mode(said.missing),
        data_type: mode(said.data_type),
        known: said.known.clone(),
    }
}

/// A job's collection has one side, and its records are taken whole.
fn job_collection(job: &Job, connectors: &Connectors) -> CollectionPlan {
    let connector = connectors.get(&job.side);
    let abilities = connector.map(|connector| connector.abilities(&job.collection)).unwrap_or_default();
    let plain = hms_sync_engine::CollectionSide::new(abilities, Shape::Document);
    let part = hms_sync_engine::CollectionSide { poll_interval: job.interval, ..plain };
    CollectionPlan::new([(job.side.clone(), part)])
}

fn collection_plan(name: &CollectionName, of: &Collection, connectors: &Connectors) -> CollectionPlan {
    let part = |(side, part): (&SideName, &CollectionSide)| {
        let connector = connectors.get(side);
        let plan = hms_sync_engine::CollectionSide {
            abilities: connector.map(|connector| connector.abilities(name)).unwrap_or_default(),
            shape: Shape::Fields(part.map.clone()),
            poll_interval: part.poll_interval,
            full_interval: part.full_interval,
            settle_window: part.settle_window,
            on_altered: match part.on_altered {
                hms_sync_config::OnAltered::KeepOurs => OnAltered::KeepOurs,
                hms_sync_config::OnAltered::TakeTheirs => OnAltered::TakeTheirs,
                hms_sync_config::OnAltered::Park => OnAltered::Park,
            },
            on_missing: match part.on_missing {
                hms_sync_config::OnMissing::Deleted => OnMissing::Deleted,
                hms_sync_config::OnMissing::Recreate => OnMissing::Recreate,
                hms_sync_config::OnMissing::Park => OnMissing::Park,
                hms_sync_config::OnMissing::Unlink => OnMissing::Unlink,
            },
            read_back: part.read_back,
            filled_by_listing: connector.map_or_else(Vec::new, |connector| {
                let places = connector.filled_by_listing(name);
                places.iter().flat_map(|place| part.map.fields_at(place)).cloned().collect()
            }),
        };
        (side.clone(), plan)
    };
    let guard = Guard {
        max_deletes: of.guard.max_deletes,
        max_deletes_percent: of.guard.max_deletes_percent,
        max_regressions: of.guard.max_regressions,
        max_regressions_percent: of.guard.max_regressions_percent,
    };
    CollectionPlan {
        identity: of.identity.clone(),
        rules: of.rules.clone(),
        sides: of.sides.iter().map(part).collect::<VecMap<_, _>>(),
        guard,
        recreate: if of.revives { Recreate::Revive } else { Recreate::Fresh },
        personal: of.personal.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use std::path::Path;

    /// A start asks whether the plan is the one of the last: a plan must read the same each time.
    #[test]
    fn a_plan_reads_the_same_each_time() {
        for name in ["permit-sync", "one-way"] {
            let path = format!("{}/../../docs/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
            let read = || {
                let config = hms_sync_config::load(Path::new(&path), &|_| None);
                format!("{:?}", assemble(&config.unwrap()).unwrap().plan)
            };
            let first = read();
            assert!(first.len() > 1_000);
            assert_eq!(first, read(), "{name}");
        }
    }
}
