//! How a record stood, and what differs: as a fold of the events up to there.

use crate::world::{World, rules, written};
use hms_sync_engine::RecordState;
use hms_sync_management::{AsOf, Desk};
use hms_sync_model::{RecordId, Time};
use hms_sync_resolver::Presence;
use serde_json::Value as Json;
use std::collections::BTreeMap;

const SEEDS: u64 = 12;

fn values(state: &RecordState) -> BTreeMap<String, Json> {
    let names = state.merged.field_names();
    names.map(|name| (name.to_string(), state.merged.value(&rules(), name).to_json())).collect()
}

fn presence(state: &RecordState) -> &'static str {
    match state.merged.presence(&rules()) {
        Presence::Unborn => "unborn",
        Presence::Present => "present",
        Presence::Deleted => "deleted",
        Presence::Undecided => "undecided",
    }
}

pub fn assert_stood(found: &AsOf, state: &RecordState, words: &str) {
    assert_eq!(found.version, state.version, "{words}");
    assert_eq!(found.presence, presence(state), "{words}");
    let fields: BTreeMap<String, Json> =
        found.fields.iter().map(|field| (field.field.clone(), field.value.clone())).collect();
    assert_eq!(fields, values(state), "{words}");
    assert_eq!(found.sides.len(), state.sides.len(), "{words}");
    for (part, (side, held)) in found.sides.iter().zip(state.sides.iter()) {
        assert_eq!(part.side, side.as_str(), "{words}");
        assert_eq!(part.id.is_some(), held.has_it(), "{words}");
        let holds = held.held.keys().map(|field| (field.to_string(), held.shown_of(field)));
        let holds = holds.filter(|(_, value)| *value != hms_sync_model::Value::Absent);
        let holds: BTreeMap<String, Json> = holds.map(|(field, value)| (field, value.to_json())).collect();
        assert_eq!(part.holds, holds, "{words}");
    }
}

pub async fn stood(desk: &Desk, of: &RecordId, at: Time) -> AsOf {
    desk.as_of(of.as_str(), &written(at)).await.unwrap()
}

#[tokio::test]
async fn a_record_stood_as_its_events_up_to_then_make_it() {
    let mut saved = 0;
    for seed in 0..SEEDS {
        let world = World::random(seed, 300);
        let desk = world.cramped_desk();
        saved += world.log.views(b"r", None, 10).unwrap().len();
        for of in world.records() {
            let times = world.events.iter().filter(|(_, event)| event.record == of);
            let mut times: Vec<i64> =
                times.flat_map(|(_, event)| [-1, 0, 1].map(|by| event.at.0 + by)).collect();
            times.dedup();
            for at in times.into_iter().map(Time) {
                let state = world.fold(&of, |event| event.at <= at);
                let found = stood(&desk, &of, at).await;
                assert_stood(&found, &state, &format!("seed {seed}, {of} at {}", at.0));
            }
        }
    }
    assert!(saved > 5, "of no long record a snapshot was used");
}

#[tokio::test]
async fn what_differs_makes_the_one_of_the_other() {
    let mut differences = 0;
    for seed in 0..SEEDS {
        let world = World::random(seed, 300);
        let (desk, mut rng) = (world.cramped_desk(), fastrand::Rng::with_seed(seed));
        for of in world.records() {
            let last = world.fold(&of, |_| true).version;
            for _ in 0..30 {
                let (a, b) = (rng.u64(0..=last), rng.u64(0..=last));
                let found = desk.diff(of.as_str(), &format!("v{a}"), &b.to_string()).await.unwrap();
                let [first, second] = [a, b].map(|n| world.fold(&of, |event| event.version <= n));
                let words = format!("seed {seed}, {of} from {a} to {b}: {found:?}");
                let mut changed = values(&first);
                for field in &found.fields {
                    differences += 1;
                    assert_ne!(field.before, field.after, "{words}");
                    assert_eq!(
                        changed.get(&field.field).cloned().unwrap_or_default(),
                        field.before.clone().unwrap_or_default(),
                        "{words}"
                    );
                    changed.insert(field.field.clone(), field.after.clone().unwrap_or_default());
                    let between = a.min(b) + 1..=a.max(b);
                    assert!(field.events.iter().all(|event| between.contains(&event.version)), "{words}");
                }
                let blank = |values: BTreeMap<String, Json>| {
                    values.into_iter().filter(|(_, value)| !value.is_null()).collect::<BTreeMap<_, _>>()
                };
                assert_eq!(blank(changed), blank(values(&second)), "{words}");
                assert_eq!(
                    (found.from.presence.as_str(), found.to.presence.as_str()),
                    (presence(&first), presence(&second))
                );
                assert_eq!((found.from.version, found.to.version), (a, b));
                assert_eq!(found.presence.is_empty(), presence(&first) == presence(&second), "{words}");
            }
        }
    }
    assert!(differences > 1_000, "{differences}");
}

#[tokio::test]
async fn times_and_versions_are_the_same_points() {
    let world = World::random(3, 200);
    let desk = world.desk();
    let of = world.records().remove(0);
    for (_, event) in world.events.iter().filter(|(_, event)| event.record == of) {
        let at = written(event.at);
        let version = world.fold(&of, |other| other.at <= event.at).version;
        let by_time = desk.diff(of.as_str(), &at, "now").await.unwrap();
        assert_eq!(by_time, desk.diff(of.as_str(), &format!("v{version}"), "now").await.unwrap());
    }
}

#[tokio::test]
async fn an_explanation_of_then_is_of_the_values_of_then() {
    for seed in 0..SEEDS {
        let world = World::random(seed, 200);
        let desk = world.desk();
        for of in world.records() {
            for (_, event) in world.events.iter().filter(|(_, event)| event.record == of).step_by(5) {
                let found = desk.explain(of.as_str(), None, Some(&written(event.at))).await.unwrap();
                let state = world.fold(&of, |other| other.at <= event.at);
                let told: BTreeMap<String, Json> =
                    found.stories.iter().map(|story| (story.field.clone(), story.value.clone())).collect();
                assert_eq!((found.version, told), (state.version, values(&state)), "seed {seed}, {of}");
                for story in &found.stories {
                    for value in story.values.iter().filter(|value| value.by != "hms-sync") {
                        let edit =
                            value.edit.as_ref().unwrap_or_else(|| panic!("seed {seed}, {of}: {story:?}"));
                        assert!(edit.version <= found.version, "{story:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let world = World::random(1, 50);
    let desk = world.desk();
    let of = world.records().remove(0);
    let name = of.as_str();
    let why = desk.as_of(name, "soon").await.unwrap_err();
    assert!(why.to_string().contains("soon") && why.hint().contains("2 h ago"), "{why}");
    let why = desk.diff(name, "v1", "v900").await.unwrap_err();
    assert!(why.to_string().contains("900") && why.hint().contains("v1 to v"), "{why} {}", why.hint());
    let why = desk.explain(name, Some("colour"), None).await.unwrap_err();
    assert!(why.hint().contains("status"), "{}", why.hint());
    let why = desk.as_of("@sync/clerk/permit", "now").await.unwrap_err();
    assert!(why.hint().contains("history"), "{}", why.hint());
    let found = stood(&desk, &of, Time(0)).await;
    assert_eq!((found.version, found.changed), (0, None));
    assert!(found.fields.is_empty() && found.sides.is_empty());
}
