//! A record that is taken up, and a log that is put back from a backup: both begin new epochs, and
//! whatever comes first, no edit gets a name that another one had, and a later edit is a later one.

use super::scene::{RECOVERED, Scene, begun};
use crate::stage::{LOST, lose};
use hms_sync_changelog::Log;
use hms_sync_engine::{Plan, Reply, Wake};
use hms_sync_model::{Body, EventId};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What edits are called, and the events that say so.
type Names = BTreeMap<String, EventId>;

fn names(log: &Log) -> Names {
    let named = |(id, event): (EventId, hms_sync_model::Event)| match event.body {
        Body::Edited { edit, .. } => Some((format!("{} {}", edit.dot.actor, edit.dot.n), id)),
        _ => None,
    };
    log.events(1, usize::MAX).unwrap().into_iter().filter_map(named).collect()
}

/// Names that two different edits have.
fn twice(one: &Names, other: &Names) -> Vec<String> {
    let differs = |(name, id): (&String, &EventId)| one.get(name).is_some_and(|known| known != id);
    other.iter().filter(|(name, id)| differs((name, id))).map(|(name, _)| name.clone()).collect()
}

fn restoring(plan: &Arc<Plan>) -> Arc<Plan> {
    Arc::new(Plan { restored: true, ..Plan::clone(plan) })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Edits of both sides reach the other, each in its order, and then it is quiet.
fn goes_on(scene: &mut Scene) {
    scene.poll_all();
    assert_eq!(scene.has("a"), scene.has("b"));
    for (side, id, other, words) in
        [("a", "a1", "b", "of a"), ("b", "b1", "a", "of b"), ("a", "a1", "b", "last")]
    {
        scene.edit(side, id, words);
        assert_eq!(scene.has(other)[0]["note"], words);
    }
    scene.asked.clear();
    (0..3).for_each(|_| scene.poll_all());
    assert_eq!(scene.sent(), [""; 0]);
}

/// Opens a log that was put back: the first run reads, writes nothing, and ends.
fn put_back(scene: Scene, dir: &Path, plan: &Arc<Plan>) -> Scene {
    let mut scene = scene.on(dir, &restoring(plan));
    scene.run(Wake::Start);
    scene.poll_all();
    assert_eq!(scene.sent(), [""; 0]);
    let mut scene = scene.on(dir, plan);
    scene.run(Wake::Start);
    scene
}

#[test]
fn a_record_of_a_log_that_was_put_back_is_taken_up_in_an_epoch_of_its_own() {
    let (place, plan, scene) = begun(&["a", "b"], false, "b1");
    let mut scene = put_back(scene, &place.path().join("log"), &plan);
    // The first edits since are the ones that are lost.
    scene.edit("a", "a1", LOST);
    let given = names(scene.machine.log());
    assert!(given.contains_key("a#1000 1"), "{given:?}");
    let (world, now) = scene.close();
    lose(&place.path().join("log"), &place.path().join("new"), RECOVERED);
    let mut scene = Scene::open(&place.path().join("new"), &plan, world, now);
    scene.run(Wake::Start);
    assert!(scene.state().malformed.is_some());
    let left = names(scene.machine.log());
    assert!(!left.contains_key("a#1000 1"), "{left:?}");
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    goes_on(&mut scene);
    assert_eq!(twice(&given, &names(scene.machine.log())), [""; 0]);
    scene.assert_replayed(&plan);
}

#[test]
fn a_log_is_put_back_as_it_was_before_and_after_a_record_was_taken_up() {
    let (place, plan, scene) = begun(&["a", "b"], false, "b1");
    let (log, new) = (place.path().join("log"), place.path().join("new"));
    let backup = |name: &str| place.path().join(name);
    // Before anything was lost.
    let (world, now) = scene.close();
    copy(&log, &backup("whole"));
    let mut scene = Scene::open(&log, &plan, world, now);
    scene.run(Wake::Start);
    scene.edit("a", "a1", LOST);
    scene.edit("a", "a1", "third");
    let mut given = names(scene.machine.log());
    let (world, now) = scene.close();
    lose(&log, &new, RECOVERED);
    // While it was held.
    let mut scene = Scene::open(&new, &plan, world, now);
    scene.run(Wake::Start);
    let (world, now) = scene.close();
    copy(&new, &backup("held"));
    // When it had been taken up.
    let mut scene = Scene::open(&new, &plan, world, now);
    scene.run(Wake::Start);
    assert!(matches!(scene.take_up(), Reply::Made(_)));
    scene.edit("a", "a1", "fourth");
    let (mut world, mut now) = scene.close();
    copy(&new, &backup("taken up"));
    let mut scene = Scene::open(&new, &plan, world, now);
    scene.run(Wake::Start);
    goes_on(&mut scene);
    given.extend(names(scene.machine.log()));
    for (name, held) in [("whole", false), ("held", true), ("taken up", false)] {
        (world, now) = scene.close();
        let mut back = Scene::open(&backup(name), &plan, world, now);
        back.run(Wake::Stop);
        back = put_back(back, &backup(name), &plan);
        assert_eq!(back.state().malformed.is_some(), held, "{name}");
        if held {
            assert!(matches!(back.take_up(), Reply::Made(_)));
        }
        goes_on(&mut back);
        assert_eq!(twice(&given, &names(back.machine.log())), [""; 0], "{name}");
        // Each copy goes its own way from here: what it called its edits is not looked at again.
        (world, now) = back.close();
        scene = Scene::open(&new, &plan, world, now);
    }
}
