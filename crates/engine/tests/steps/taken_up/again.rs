//! What taking up does, and what it leaves to a person.

use super::scene::{Scene, damaged, damaged_of};
use crate::stage::{LOST, field, item, native, side};
use hms_sync_engine::{Command, Plan, Reply, ReplyTo, Wake};
use hms_sync_model::Released;
use serde_json::{Value as Json, json};
use std::sync::Arc;

#[test]
fn it_starts_over_from_what_its_sides_show_and_sends_nothing_before_they_are_read() {
    let (place, plan, mut world, now) = damaged(&["a", "b"], false);
    // While it is held, both sides are edited.
    world.get_mut("a").unwrap().get_mut("a1").unwrap()["status"] = "revoked".into();
    world.get_mut("b").unwrap().get_mut("b1").unwrap()["note"] = "of b".into();
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    scene.poll_all();
    assert!(scene.state().malformed.is_some());
    assert_eq!(scene.sent(), [""; 0]);
    let before = scene.state();
    let Reply::Made(version) = scene.take_up() else { panic!() };
    // Both were read, each in its way, before the first write left.
    let first_write = scene.asked.iter().position(|line| line.starts_with("update")).unwrap();
    for read in ["fetch a", "list b"] {
        let at = scene.asked.iter().position(|line| line == read);
        assert!(at.is_some_and(|at| at < first_write), "{read}: {:?}", scene.asked);
    }
    let state = scene.state();
    assert_eq!(state.malformed, None);
    for name in ["a", "b"] {
        let (part, old) = (state.sides.get(&side(name)).unwrap(), before.sides.get(&side(name)).unwrap());
        assert_eq!((part.epoch, part.unread), (old.epoch + 1, None), "{name}");
        assert_eq!(part.id, old.id);
        let actor = part.actor(&side(name));
        assert_eq!(state.merged.clock.count(&actor), 1, "{name}: {}", state.merged.clock);
    }
    assert!(state.merged.clock.covers(&before.merged.clock));
    // What they had differently is decided by the rules, as where records meet for the first time.
    let met = state.conflicts.get(&Some(field("status"))).unwrap();
    assert!(met.version > version, "{met:?}");
    scene.poll_all();
    assert_eq!(scene.has("a"), scene.has("b"));
    assert_eq!(scene.has("a")[0]["status"], "revoked");
    scene.asked.clear();
    for _ in 0..3 {
        scene.poll_all();
    }
    assert_eq!(scene.sent(), [""; 0]);
    // It is edited on and goes its way; the history has no gap but the one.
    scene.world.get_mut("b").unwrap().get_mut("b1").unwrap()["note"] = "later".into();
    scene.poll_all();
    assert_eq!(scene.has("a")[0]["note"], "later");
    scene.assert_replayed(&plan);
}

#[test]
fn a_crash_at_any_event_of_it_sends_nothing_unread() {
    for kept in 0..=2 {
        let (place, plan, world, now) = damaged(&["a", "b"], true);
        let dir = place.path().join("new");
        let mut scene = Scene::open(&dir, &plan, world, now);
        scene.run(Wake::Start);
        let record = scene.record();
        let command = Command::TakeUp { record, by: "jo".into(), reason: "disk 7".into() };
        let (events, _) = scene.step(Wake::Command { command, reply: ReplyTo(0) });
        // The handler is set aside first, then it is taken up.
        assert_eq!(events.len(), 2);
        if kept > 0 {
            scene.machine.log().append(&events[..kept]).unwrap();
        }
        let (world, now) = scene.close();
        let mut scene = Scene::open(&dir, &plan, world, now);
        scene.run(Wake::Start);
        if kept < 2 {
            assert!(scene.state().malformed.is_some(), "after {kept}");
            assert_eq!(scene.sent(), [""; 0], "after {kept}");
            assert!(matches!(scene.take_up(), Reply::Made(_)));
        }
        assert_eq!(scene.state().malformed, None);
        assert!(scene.asked.iter().any(|line| line == "fetch a"), "{:?}", scene.asked);
        scene.poll_all();
        // They had the same all the time.
        assert_eq!(scene.sent(), [""; 0], "after {kept}");
        assert!(scene.state().sides.values().all(|part| part.unread.is_none()));
        scene.assert_replayed(&plan);
    }
}

#[test]
fn what_may_have_been_done_waits_for_a_person() {
    let (place, plan, world, now) = damaged(&["a", "b"], true);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.world.get_mut("a").unwrap().get_mut("a1").unwrap()["note"] = "fourth".into();
    scene.poll_all();
    assert!(!scene.sent().iter().any(|line| line.starts_with("call")));
    let parked = scene.machine.parked(None, 10).unwrap();
    let [parked] = parked.try_into().unwrap();
    assert_eq!((parked.lane.as_str(), parked.reason.as_str()), ("notify", "unknown"));
    let command = Command::Release { record: scene.record(), lane: None, action: Released::Replay };
    assert_eq!(scene.run(Wake::Command { command, reply: ReplyTo(0) }), [Reply::Count(1)]);
    assert_eq!(scene.sent(), ["call notify"]);
}

#[test]
fn a_side_that_cannot_be_read_gets_all_of_it_once_the_others_were() {
    let (place, plan, mut world, now) = damaged(&["a", "c"], false);
    world.get_mut("a").unwrap().get_mut("a1").unwrap()["note"] = "fourth".into();
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.poll_all();
    let all = json!({ "no": "1", "note": "fourth", "status": "approved" });
    assert_eq!(scene.sent(), [format!("update c {all}")]);
    scene.assert_replayed(&plan);
}

#[test]
fn a_record_that_one_side_no_longer_has_is_a_delete_that_met_an_edit() {
    let (place, plan, mut world, now) = damaged(&["a", "b"], false);
    world.get_mut("b").unwrap().clear();
    world.get_mut("b").unwrap().insert("b9".into(), json!({ "no": "9", "status": "approved" }));
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.poll_all();
    // The edit wins, as the rules say: it is made again where it was deleted.
    let notes: Vec<&Json> = scene.has("b").into_iter().filter(|doc| doc["no"] == "1").collect();
    assert_eq!(notes, scene.has("a").into_iter().filter(|doc| doc["no"] == "1").collect::<Vec<_>>());
    assert_eq!(notes.len(), 1, "{:?}", scene.world);
}

#[test]
fn one_that_is_linked_by_its_identity_alone_is_found_in_a_listing() {
    // With the outcome of the create its link to b is lost: the record is known on a alone.
    let (place, plan, world, now) = damaged_of(&["a", "b"], false, LOST);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    assert_eq!(scene.state().sides.get(&side("b")).and_then(|part| part.id.clone()), None);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.run(Wake::Start);
    scene.poll_all();
    assert_eq!((scene.has("a").len(), scene.has("b").len()), (1, 1), "{:?}", scene.world);
    assert_eq!(scene.state().sides.get(&side("b")).unwrap().id, Some(native(LOST)));
    assert_eq!(scene.sent(), [""; 0]);
    scene.assert_replayed(&plan);
}

#[test]
fn what_is_not_held_or_has_nothing_to_be_read_is_refused_in_words() {
    let (place, plan, world, now) = damaged(&["a", "b"], false);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    let Reply::Refused(why) = scene.take_up() else { panic!() };
    assert!(why.contains("is not held"), "{why}");

    let (place, plan, world, now) = damaged(&["a", "c"], false);
    let mut blind = Plan::clone(&plan);
    blind.collections.get_mut(&item()).unwrap().sides.remove(&side("a"));
    let mut scene = Scene::open(&place.path().join("new"), &Arc::new(blind), world, now);
    scene.run(Wake::Start);
    let Reply::Refused(why) = scene.take_up() else { panic!() };
    assert!(why.contains("can be read"), "{why}");
}
