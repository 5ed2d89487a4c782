//! Two sides in step, each an API that misbehaves.

use crate::api::{Api, Moods};
use crate::world::World;

/// How the two are kept in step; each line replaces a part of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways {
    /// How changes at the clerk are learnt.
    pub(crate) learns: &'static str,
    /// More about each side's records.
    pub(crate) part: &'static str,
    /// More about each side.
    pub(crate) side: &'static str,
    /// More fields than `no` and `status`.
    pub(crate) fields: &'static str,
    /// How a single record is asked for; sides need not offer that.
    pub(crate) fetch: &'static str,
    /// What an update sends: `changed` or `whole`.
    pub(crate) body: &'static str,
}

/// Polls for changes, and lists everything from time to time.
pub(crate) const POLLS: &str = "read: { path: /items, record_selector: { field_path: [items] }, \
     paginator: { type: offset, page_size: 5 }, incremental_sync: { cursor_field: updated_at, \
     datetime_format: epoch_s, start_time_option: { field_name: since }, lookback_window: 10s }, \
     poll_interval: 5s, full_interval: 60s }";

impl Default for Ways {
    fn default() -> Self {
        Self {
            learns: POLLS,
            part: "",
            side: "",
            fields: "      note: { type: string, clerk: note, marshal: note }\n",
            fetch: "        fetch: { path: \"/items/{{ id }}\" }\n",
            body: "changed",
        }
    }
}

pub(crate) fn yaml(ways: Ways) -> String {
    let Ways { learns, part, side, fields, fetch, body } = ways;
    let means = |learns: &str| {
        format!(
            "        {learns}
{fetch}        lookup: {{ path: /items, request_parameters: {{ no: \"{{{{ identity.no }}}}\" }}, \
             record_selector: {{ field_path: [items] }} }}
        create: {{ method: POST, path: /items }}
        update: {{ method: PATCH, path: \"/items/{{{{ id }}}}\", body: {body} }}
        delete: {{ method: DELETE, path: \"/items/{{{{ id }}}}\" }}
{part}"
        )
    };
    let side = |n: usize| format!("{{ connector: http, url: \"URL{n}\"{side} }}");
    format!(
        "sync: Odd
sides:
  clerk: {}
  marshal: {}
collections:
  permit:
    identity: [no]
    resolve: last_writer_wins
    guard: {{ max_deletes: 3, max_deletes_percent: 50 }}
    sides:
      clerk:
{}      marshal:
{}    fields:
      no: {{ type: string, clerk: no, marshal: no }}
      status: {{ type: string, clerk: status, marshal: status }}
{fields}",
        side(0),
        side(1),
        means(learns),
        means(POLLS),
    )
}

/// Both, with what goes wrong on each.
pub(crate) async fn pair(seed: u64, ways: Ways, moods: [Moods; 2]) -> World {
    let [clerk, marshal] = moods;
    let apis = vec![Api::start(seed, clerk).await, Api::start(seed + 1, marshal).await];
    World::new(seed, &yaml(ways), apis)
}

/// Nothing goes wrong any more, but for what these systems are.
pub(crate) fn calm(world: &World) {
    for api in &world.apis {
        let mut state = api.state();
        let Moods { exclusive, ids_reused, if_match, keys, skew, .. } = state.moods.clone();
        state.moods = Moods { exclusive, ids_reused, if_match, keys, skew, ..Moods::default() };
        state.storm = None;
    }
}
