//! A checkpoint is signed only of what is durable, continues the last one, and is durable
//! before it is shown; else the notary refuses, names what broke, and stays so.

use crate::common::{Office, copy};
use hms_sync_notary::{NotaryError, Refusal};
use hms_sync_proof::TreeHead;
use std::fs;

fn refused(office: &Office) -> Refusal {
    let before = fs::read(office.file("checkpoints")).unwrap();
    let Err(NotaryError::Refused(why)) = office.notary.sign(&office.log) else { panic!("it signed") };
    assert_eq!(fs::read(office.file("checkpoints")).unwrap(), before, "nothing was signed");
    assert_eq!(office.notary.status().trouble.unwrap(), why.to_string());
    why
}

#[test]
fn each_checkpoint_continues_the_one_before_also_over_restarts() {
    let mut office = Office::new();
    let mut heads: Vec<TreeHead> = Vec::new();
    for n in 0..12 {
        office.grow(n * 3, "some words");
        let signed = office.notary.sign(&office.log).unwrap();
        let shown = fs::read(office.file("checkpoint")).unwrap();
        assert_eq!(office.trust().open(&shown).unwrap().checkpoint().head(), &signed.head);
        assert_eq!(signed.head, office.log.tree_head());
        if let Some(last) = heads.last() {
            office.log.consistency(last.size, signed.head.size).unwrap().verify(last, &signed.head).unwrap();
        }
        heads.push(signed.head);
        if n % 3 == 0 {
            let disk = office.disk.clone();
            office = office.again(disk);
            assert_eq!(office.notary.last().unwrap(), signed);
        }
    }
    heads.dedup();
    assert_eq!(office.notary.checkpoints().unwrap(), heads);
    assert!(office.log.verify_against(&heads, |_| {}).unwrap().is_sound());
}

#[test]
fn what_is_not_durable_is_not_signed() {
    let office = Office::new();
    office.grow(10, "kept");
    let durable = office.log.tree_head();
    office.disk.fail_next_sync();
    let event = office.event("permit/0", crate::common::doubt("lost"));
    office.log.append(&[event]).unwrap_err();
    assert_eq!(office.notary.sign(&office.log).unwrap().head, durable);
}

#[test]
fn after_a_rollback_it_refuses_until_a_new_origin_is_begun_in_the_open() {
    let office = Office::new();
    office.grow(10, "kept");
    office.notary.sign(&office.log).unwrap();
    let backup = copy(&office.disk);
    office.grow(5, "lost");
    let signed = office.notary.sign(&office.log).unwrap();
    let (office, lost) = (office.again(copy(&backup)), signed.head.size);
    let now = lost - 5;
    assert_eq!(refused(&office), Refusal::RolledBack { now, signed: lost });
    // Neither as many nor more other events make it forget.
    for _ in 0..3 {
        office.grow(4, "others");
        let why = refused(&office);
        let rolled = office.log.head() < lost;
        assert_eq!(matches!(why, Refusal::RolledBack { .. }), rolled);
        assert_eq!(matches!(why, Refusal::Rewritten { .. }), !rolled);
    }
    let disk = office.disk.clone();
    let office = office.again(disk);
    assert!(matches!(refused(&office), Refusal::Rewritten { .. }));

    let anew = Some("log.example/anew".parse().unwrap());
    let change = office.notary.next_origin(&office.log, anew, "restored").unwrap();
    assert_eq!(change.last.as_ref().unwrap(), &signed.note.to_string(), "what broke is on record");
    office.record(change);
    office.notary.take_up(&office.log).unwrap();
    assert!(office.file("checkpoints").metadata().is_err(), "laid aside");
    // The configuration still has the old name, and is told so.
    let Err(NotaryError::Refused(why)) = office.notary.sign(&office.log) else { panic!() };
    assert!(matches!(why, Refusal::OtherOrigin { .. }));
}

#[test]
fn under_a_made_up_name_a_new_origin_signs_on() {
    let office = Office::with(hms_sync_notary::Settings::default());
    office.grow(10, "kept");
    let first = office.notary.sign(&office.log).unwrap();
    let name = office.notary.keys()[0].name().to_string();
    assert!(name.starts_with("Permits/") && name.len() == 20, "{name}");
    let office = office.again(hms_sync_changelog::MemoryDisk::new());
    office.grow(3, "anew");
    assert!(matches!(refused(&office), Refusal::RolledBack { .. }));
    let change = office.notary.next_origin(&office.log, None, "the disk was lost").unwrap();
    office.record(change);
    office.notary.take_up(&office.log).unwrap();
    let signed = office.notary.sign(&office.log).unwrap();
    assert_ne!(office.notary.keys()[0].name().to_string(), name);
    assert_eq!(office.notary.checkpoints().unwrap(), [signed.head]);
    let aside = fs::read_dir(office.dir.path().join("audit")).unwrap();
    let mut aside =
        aside.map(|file| file.unwrap().path()).filter(|path| path.to_string_lossy().contains("checkpoints-"));
    let old = fs::read_to_string(aside.next().unwrap()).unwrap();
    assert!(old.contains(&first.note.to_string()));
}

#[test]
fn a_checkpoint_that_was_cut_short_is_none_and_the_next_is_whole() {
    let office = Office::new();
    for _ in 0..3 {
        office.grow(4, "words");
        office.notary.sign(&office.log).unwrap();
    }
    let (all, last) =
        (fs::read(office.file("checkpoints")).unwrap(), fs::read(office.file("checkpoint")).unwrap());
    let heads = office.notary.checkpoints().unwrap();
    let begin = all.len() - last.len() - 1;
    let mut office = office;
    for at in begin..all.len() {
        // The power went while the last was written: nobody was shown it.
        fs::write(office.file("checkpoints"), &all[..at]).unwrap();
        let earlier = office.trust();
        fs::remove_file(office.file("checkpoint")).unwrap();
        let disk = office.disk.clone();
        office = office.again(disk);
        assert_eq!(office.notary.status().size, Some(heads[1].size), "cut at {at}");
        let signed = office.notary.sign(&office.log).unwrap();
        assert_eq!(office.notary.checkpoints().unwrap(), heads);
        earlier.open(signed.note.to_string().as_bytes()).unwrap();
        assert_eq!(fs::read(office.file("checkpoints")).unwrap(), all, "Ed25519 signs the same the same way");
    }
}

#[test]
fn a_record_of_checkpoints_that_is_damaged_stops_signing() {
    let office = Office::new();
    office.grow(4, "words");
    office.notary.sign(&office.log).unwrap();
    office.grow(4, "words");
    let disk = office.disk.clone();
    for name in ["checkpoint", "checkpoints"] {
        let whole = fs::read(office.file(name)).unwrap();
        for at in (0..whole.len() - 2).step_by(7) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(office.file(name), &changed).unwrap();
            let notary = hms_sync_notary::Notary::open(
                office.dir.path(),
                "Permits",
                office.notary.settings().clone(),
                &office.log,
            );
            let notary = notary.unwrap();
            let signed = notary.sign(&office.log);
            assert!(
                matches!(signed, Err(NotaryError::Refused(Refusal::Unknown { .. }))),
                "{name} {at}: {signed:?}"
            );
            fs::write(office.file(name), &whole).unwrap();
        }
    }
    office.again(disk).notary.last().unwrap();
}

#[test]
fn an_origin_that_the_log_has_or_had_is_never_begun_again() {
    let office = Office::new();
    let begin = |name: Option<&str>| {
        office.notary.next_origin(&office.log, name.map(|name| name.parse().unwrap()), "anew")
    };
    // The configured name is the present one: it would be no new history.
    for name in [None, Some("log.example/permits")] {
        let Err(why) = begin(name) else { panic!("{name:?} was begun again") };
        assert!(why.to_string().contains("\"log.example/permits\"") && why.to_string().contains("--origin"));
    }
    office.record(begin(Some("log.example/anew")).unwrap());
    office.notary.take_up(&office.log).unwrap();
    for name in [None, Some("log.example/permits"), Some("log.example/anew")] {
        assert!(matches!(begin(name), Err(NotaryError::UsedOrigin { .. })), "{name:?}");
    }
    assert!(!office.file("key.next").exists());
    begin(Some("log.example/third")).unwrap();
}
