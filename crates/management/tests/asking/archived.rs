//! A log whose older events were archived and dropped: what is left is answered as before,
//! and of the rest it is said where it is.

use crate::past::{assert_stood, stood};
use crate::world::{World, written};
use hms_sync_audit::{Auditor, Range, Scope};
use hms_sync_changelog::LogError;
use hms_sync_management::{Desk, DeskError, Dropped, ExportAsk, LogQuery, StatsReport};
use hms_sync_model::Time;
use hms_sync_notary::{Notary, Settings};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const EVENTS: usize = 400;

fn until(last: u64) -> ExportAsk {
    ExportAsk { until: Some(last), ..ExportAsk::default() }
}

fn world(seed: u64, personal: bool) -> World {
    if personal { World::personal(seed, EVENTS) } else { World::random(seed, EVENTS) }
}

async fn signed(world: &World, place: &Path) -> (Desk, Notary) {
    let notary = Notary::open(place, "Test", Settings::default(), &world.log).unwrap();
    let desk = world.cramped_desk().with_notary(Some(notary.clone()));
    desk.settle_keys().await.unwrap();
    (desk, notary)
}

async fn archived(desk: &Desk, place: &Path, last: u64) -> PathBuf {
    let path = place.join(format!("to-{last}.jsonl"));
    desk.export(&until(last), File::create(&path).unwrap()).await.unwrap();
    path
}

/// The world after its first half was dropped, and nobody has looked at it since.
async fn dropped(seed: u64, personal: bool) -> (World, Dropped, Notary, TempDir) {
    let (world, place) = (world(seed, personal), tempfile::tempdir().unwrap());
    let (desk, notary) = signed(&world, place.path()).await;
    let path = archived(&desk, place.path(), EVENTS as u64 / 2).await;
    let dropped = desk.drop_archived(&path, "A. Clerk", "file 7").await.unwrap();
    if seed.is_multiple_of(2) {
        world.log.drop_views().unwrap();
    }
    (world, dropped, notary, place)
}

#[tokio::test]
async fn a_record_stood_as_before_as_far_as_the_log_goes() {
    for (seed, personal) in (0..4).flat_map(|seed| [(seed, false), (seed, true)]) {
        let (world, dropped, ..) = dropped(seed, personal).await;
        let (desk, cut) = (world.desk(), dropped.archived.last);
        let cut_at = world.events.iter().find(|(_, event)| event.seq == cut).unwrap().1.at;
        for of in world.records() {
            let mine = world.events.iter().filter(|(_, event)| event.record == of);
            let (gone, left): (Vec<_>, Vec<_>) = mine.partition(|(_, event)| event.seq <= cut);
            let times = gone.iter().chain(&left).map(|(_, event)| event.at);
            for at in times.chain([cut_at]) {
                let words = format!("seed {seed}, {of} at {}", at.0);
                if at >= cut_at || gone.is_empty() {
                    let state = world.fold(&of, |event| event.at <= at);
                    assert_stood(&stood(&desk, &of, at).await, &state, &words);
                } else {
                    let why = desk.as_of(of.as_str(), &written(at)).await.unwrap_err();
                    assert!(matches!(&why, DeskError::Archived { .. }), "{words}: {why:?}");
                    assert!(why.to_string().contains(&dropped.archived.file), "{why}");
                }
            }
            let history = desk.history(of.as_str(), 0, 1_000).await.unwrap();
            assert_eq!(history.archived.is_some(), !gone.is_empty(), "{history:?}");
            let told = history.events.iter().filter(|event| event.kind != "carried").map(|event| event.seq);
            assert!(told.eq(left.iter().map(|(_, event)| event.seq)));
            let why = desk.explain(of.as_str(), None, None).await.unwrap();
            assert_eq!(why.archived.is_some(), !gone.is_empty());
            let now = world.fold(&of, |_| true);
            assert_eq!(why.fields.len(), now.merged.field_names().count());
            let (first, last) = (gone.len(), gone.len() + left.len());
            desk.diff(of.as_str(), &format!("v{first}"), &format!("v{last}")).await.unwrap();
            if first > 1 {
                let why = desk.diff(of.as_str(), "v1", &format!("v{last}")).await.unwrap_err();
                assert!(matches!(why, DeskError::Archived { .. }), "{why:?}");
            }
        }
    }
}

#[tokio::test]
async fn lists_checks_and_exports_say_what_is_archived() {
    let (world, dropped, notary, _place) = dropped(1, false).await;
    let desk = world.desk().with_notary(Some(notary.clone()));
    let cut = dropped.archived.last;
    let page = desk.log_list(&LogQuery { limit: Some(1_000), ..LogQuery::default() }).await.unwrap();
    assert!(page.archived.unwrap().contains(&dropped.archived.file));
    assert!(page.events.iter().all(|event| event.seq > cut));
    let last = page.events.last().unwrap();
    assert_eq!(last.kind, "archived");
    assert!(last.words.contains("approved by A. Clerk, file 7"), "{}", last.words);
    let late = LogQuery { after: Some(cut), ..LogQuery::default() };
    assert_eq!(desk.log_list(&late).await.unwrap().archived, None);
    let stats = StatsReport::of(&world.log);
    assert_eq!((stats.archived, stats.events), (cut, world.log.head()));
    assert_eq!(stats.records, world.records().len() as u64);
    let found = desk.verify().await.unwrap();
    assert!(found.sound, "{found:?}");
    assert_eq!(found.archived, [dropped.archived]);
    // What is left can still be exported and proven, as a part.
    let mut auditor = Auditor::new();
    notary.keys().into_iter().for_each(|key| auditor.key(key));
    let place = tempfile::tempdir().unwrap();
    let (all, one) = (place.path().join("all"), place.path().join("one"));
    desk.export(&ExportAsk::default(), File::create(&all).unwrap()).await.unwrap();
    let record = Some("permit/a".to_owned());
    desk.export(&ExportAsk { record, ..ExportAsk::default() }, File::create(&one).unwrap()).await.unwrap();
    for path in [all, one] {
        let report = auditor.verify(fs::read(path).unwrap().as_slice(), |_| {}).unwrap();
        assert!(matches!(&report.scope, Scope::Part(part) if part["all but"].contains("archived")));
    }
}

#[tokio::test]
async fn the_next_archive_begins_where_the_last_one_ended() {
    let (world, dropped, notary, place) = dropped(2, true).await;
    let (desk, first) = (world.desk().with_notary(Some(notary.clone())), dropped.archived.last + 1);
    let path = archived(&desk, place.path(), 360).await;
    let mut auditor = Auditor::new();
    notary.keys().into_iter().for_each(|key| auditor.key(key));
    let report = auditor.verify(fs::read(&path).unwrap().as_slice(), |_| {}).unwrap();
    let Scope::Range(Range { first: found, last }) = report.scope else { panic!("{report:?}") };
    assert_eq!(found, first);
    desk.drop_archived(&path, "A. Clerk", "file 8").await.unwrap();
    world.log.drop_views().unwrap();
    assert_eq!(world.log.archived().len(), 2);
    let desk = world.desk();
    for of in world.records() {
        let (_, event) = world.events.last().unwrap();
        let at = Time(event.at.0 + 1);
        assert_stood(&stood(&desk, &of, at).await, &world.fold(&of, |_| true), of.as_str());
    }
    assert!(world.log.verify(|_| {}).unwrap().is_sound());
    assert!(last < world.log.head());
}

#[tokio::test]
async fn only_what_is_whole_and_approved_is_dropped() {
    let (world, place) = (world(3, false), tempfile::tempdir().unwrap());
    let (desk, _notary) = signed(&world, place.path()).await;
    let path = archived(&desk, place.path(), 200).await;
    let bytes = fs::read(&path).unwrap();
    for (by, reason) in [("", "file 7"), ("A. Clerk", " "), ("A. Clerk", &"x".repeat(600))] {
        assert!(matches!(desk.drop_archived(&path, by, reason).await, Err(DeskError::Invalid { .. })));
    }
    // What stands before the first entry is partly for people, and nobody checks it.
    let entries = bytes.windows(9).position(|some| some == b"{\"entry\":").unwrap();
    for at in (entries..bytes.len()).step_by(bytes.len() / 23) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        desk.drop_archived(&path, "A. Clerk", "file 7").await.unwrap_err();
    }
    fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    desk.drop_archived(&path, "A. Clerk", "file 7").await.unwrap_err();
    let whole = place.path().join("whole");
    desk.export(&ExportAsk::default(), File::create(&whole).unwrap()).await.unwrap();
    desk.drop_archived(&whole, "A. Clerk", "file 7").await.unwrap_err();
    assert_eq!(world.log.dropped_upto(), 0);
    assert!(world.log.events(1, 1).unwrap()[0].1.seq == 1);
    // Nor is there an archive of nothing, or of events twice.
    for ask in [until(0), ExportAsk { before: Some("2000-01-01".to_owned()), ..ExportAsk::default() }] {
        let why = desk.export(&ask, Vec::new()).await.unwrap_err();
        assert!(why.to_string().contains("nothing to archive"), "{why}");
    }
    fs::write(&path, &bytes).unwrap();
    desk.drop_archived(&path, "A. Clerk", "file 7").await.unwrap();
    desk.drop_archived(&path, "A. Clerk", "file 7").await.unwrap_err();
    assert!(matches!(world.log.event(1), Err(LogError::Damaged { .. })));
}

/// The values of a record as the desk tells them now.
async fn told(desk: &Desk, of: &str) -> (Vec<serde_json::Value>, String) {
    let report = desk.record(of).await.unwrap();
    let fields = report.fields.iter().map(|field| serde_json::to_value(&field.value).unwrap());
    (fields.collect(), report.presence)
}

#[tokio::test]
async fn an_erasure_after_a_drop_leaves_what_it_leaves_without_one() {
    for seed in 0..4 {
        let (kept, (dropped, _, notary, place)) = (world(seed, true), dropped(seed, true).await);
        let file = fs::read_to_string(place.path().join("to-200.jsonl")).unwrap();
        let notes = file.lines().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line.pointer("/entry/event/b/E/e/f/note").cloned()
        });
        let notes: Vec<_> = notes.collect();
        let is_open = |note: &serde_json::Value| note.to_string().contains("\"t\":");
        assert!(notes.len() > 5 && !notes.iter().any(is_open), "{notes:?}");
        for of in dropped.records() {
            for world in [&kept, &dropped] {
                world.desk().erase(of.as_str(), "A. Clerk", "file 9").await.unwrap();
                world.log.drop_views().unwrap();
            }
            let [a, b] = [told(&kept.desk(), of.as_str()).await, told(&dropped.desk(), of.as_str()).await];
            assert_eq!(a, b, "seed {seed}, {of}");
            assert!(!dropped.vault().has(&of));
        }
        let desk = dropped.desk().with_notary(Some(notary));
        assert!(desk.verify().await.unwrap().sound);
        // The archive is as whole as it was, and nobody can read what was personal in it.
        let mut auditor = Auditor::new();
        desk.audit_status().unwrap().key.into_iter().for_each(|key| auditor.key(key.parse().unwrap()));
        auditor.verify(file.as_bytes(), |_| {}).unwrap();
    }
}
