//! From a checked configuration to what an engine runs on: its plan, its
//! connectors, and the routes its webhooks come in at.

use crate::error::SyncError;
use hms_sync_config::{Collection, CollectionSide, Config};
use hms_sync_connector::Connector;
use hms_sync_engine::{CollectionPlan, Guard, Plan, Retry, Shape, SidePlan};
use hms_sync_http::HttpConnector;
use hms_sync_management::HookRoute;
use hms_sync_model::{CollectionName, SideName, VecMap};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    let mut plan = Plan::new(config.sync.clone());
    let mut connectors = Connectors::new();
    for (name, side) in config.sides.iter() {
        let of_side = config.collections.iter().filter_map(|(collection, of)| {
            let part = of.sides.get(name)?;
            Some((collection.clone(), part.http.clone()))
        });
        let connector = HttpConnector::new(name, side.http.clone(), of_side.collect())
            .map_err(|why| SyncError::Side { side: name.to_string(), why: why.to_string() })?;
        connectors.insert(name.clone(), Arc::new(connector));
        let retry =
            Retry { max_attempts: side.retry.max_attempts, initial: side.retry.initial, max: side.retry.max };
        plan.sides.insert(name.clone(), SidePlan { in_flight_max: side.http.max_concurrency.into(), retry });
    }
    let mut hooks = Vec::new();
    for (name, of) in config.collections.iter() {
        plan.collections.insert(name.clone(), collection_plan(name, of, &connectors));
        for (side, part) in of.sides.iter() {
            let Some(hook) = &part.http.webhook else { continue };
            let Some(connector) = connectors.get(side).map(Arc::clone) else { continue };
            let (side, collection) = (side.clone(), name.clone());
            hooks.push(HookRoute { path: hook.path.clone(), side, collection, connector });
        }
    }
    Ok(Assembly { plan, connectors, hooks })
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
        };
        (side.clone(), plan)
    };
    let guard =
        Guard { max_deletes: of.guard.max_deletes, max_deletes_percent: of.guard.max_deletes_percent };
    CollectionPlan {
        identity: of.identity.clone(),
        rules: of.rules.clone(),
        sides: of.sides.iter().map(part).collect::<VecMap<_, _>>(),
        guard,
    }
}
