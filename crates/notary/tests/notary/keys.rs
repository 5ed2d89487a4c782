//! A new key signs when the log has an event about it, and not before; a change that was
//! cut off ends the same when it is taken up again.

use crate::common::{Office, settings};
use hms_sync_changelog::{Log, MemoryDisk};
use hms_sync_notary::{LastSigned, Notary, NotaryError, Settings, last_signed};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

#[test]
fn the_first_key_is_one_whatever_is_cut_off_on_the_way() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), MemoryDisk::new());
    let log = Log::on(disk.clone()).unwrap();
    let open = || Notary::open(dir.path(), "Permits", settings(), &log).unwrap();
    assert!(matches!(open().sign(&log), Err(NotaryError::NoKey)));
    let first = open().first_key(&log).unwrap().unwrap();
    // The process ended before the event was there: the same key is asked for again.
    let notary = open();
    assert_eq!(notary.first_key(&log).unwrap().unwrap(), first);
    assert!(matches!(notary.take_up(&log), Err(NotaryError::NoKey)), "the log does not name it");
    let office = Office { dir, disk, log: log.clone(), notary };
    office.record(first.clone());
    drop(log);
    // It ended before the key was taken up.
    let disk = office.disk.clone();
    let office = office.again(disk);
    assert_eq!(office.notary.first_key(&office.log).unwrap(), None);
    assert_eq!(office.notary.status().key, Some(first.key));
    office.notary.sign(&office.log).unwrap();
    assert_eq!(office.notary.first_key(&office.log).unwrap(), None);
}

#[test]
fn a_rotated_key_continues_the_same_history() {
    let office = Office::new();
    office.grow(9, "words");
    let before = office.notary.sign(&office.log).unwrap();
    let old = office.notary.status().key.unwrap();
    let change = office.notary.next_key("every year").unwrap();
    assert!(matches!(office.notary.next_key("again"), Err(NotaryError::Changing)));
    assert_eq!((change.before.as_ref(), &change.last), (Some(&old), &None));
    office.record(change.clone());
    office.notary.take_up(&office.log).unwrap();
    let after = office.notary.sign(&office.log).unwrap();
    assert_eq!(office.notary.status().key, Some(change.key.clone()));
    let both = office.trust();
    both.open(before.note.to_string().as_bytes()).unwrap();
    assert_eq!(both.open(after.note.to_string().as_bytes()).unwrap().log()[0].key.to_string(), change.key);
    assert_eq!(office.notary.checkpoints().unwrap(), [before.head, after.head]);
    let disk = office.disk.clone();
    let office = office.again(disk);
    assert_eq!(office.notary.keys().len(), 2);
    office.grow(2, "more");
    office.notary.sign(&office.log).unwrap();
}

#[test]
fn a_change_that_no_event_names_is_dropped() {
    let office = Office::new();
    let old = office.notary.status().key;
    office.notary.next_key("cut off").unwrap();
    let disk = office.disk.clone();
    let office = office.again(disk);
    assert_eq!(office.notary.first_key(&office.log).unwrap(), None);
    assert!(!office.file("key.next").exists());
    assert_eq!(office.notary.status().key, old);
    office.notary.next_key("given up").unwrap();
    assert!(office.notary.give_up(&office.log).unwrap());
    assert!(!office.file("key.next").exists());
    office.notary.next_key("once more").unwrap();
}

#[test]
fn a_key_that_the_log_names_is_not_given_up() {
    let office = Office::new();
    let change = office.notary.next_key("an error was answered and the event is there").unwrap();
    office.record(change.clone());
    assert!(!office.notary.give_up(&office.log).unwrap());
    office.notary.take_up(&office.log).unwrap();
    assert_eq!(office.notary.status().key, Some(change.key));
    office.notary.sign(&office.log).unwrap();
}

#[test]
fn between_two_origins_nothing_is_signed() {
    let office = Office::with(Settings::default());
    office.grow(3, "words");
    office.notary.sign(&office.log).unwrap();
    office.record(office.notary.next_origin(&office.log, None, "anew").unwrap());
    // It is cut off after the old checkpoints were laid aside.
    fs::remove_file(office.file("checkpoint")).unwrap();
    fs::create_dir(office.file("checkpoint")).unwrap();
    assert!(matches!(office.notary.take_up(&office.log), Err(NotaryError::Io { .. })));
    office.grow(1, "more");
    office.notary.sign(&office.log).unwrap_err();
    assert!(!office.file("checkpoints").exists(), "the old key signed into the new record");
    assert!(matches!(office.notary.next_key("again"), Err(NotaryError::Changing)));
    // The next checkpoint ends the change first.
    fs::remove_dir(office.file("checkpoint")).unwrap();
    let signed = office.notary.sign(&office.log).unwrap();
    assert_eq!(office.notary.checkpoints().unwrap(), [signed.head]);
    office.notary.next_key("again").unwrap();
}

#[test]
fn who_signs_all_the_time_signs_under_one_origin_or_the_other() {
    let office = Office::with(Settings::default());
    for _ in 0..10 {
        office.record(office.notary.next_origin(&office.log, None, "anew").unwrap());
        let (done, signed) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    office.grow(1, "words");
                    office.notary.sign(&office.log).unwrap();
                    signed.store(true, SeqCst);
                }
            });
            while !signed.load(SeqCst) {
                std::thread::yield_now();
            }
            let taken = office.notary.take_up(&office.log);
            done.store(true, SeqCst);
            taken.unwrap();
        });
        office.notary.sign(&office.log).unwrap();
        office.notary.checkpoints().unwrap();
    }
}

#[test]
fn a_key_that_is_gone_or_none_is_told_and_never_made_anew() {
    let office = Office::new();
    office.notary.sign(&office.log).unwrap();
    let whole = fs::read(office.file("key")).unwrap();
    let junk: [(&str, &[u8]); 2] = [("is not the log's key", b"junk\n"), ("no key yet", b"")];
    let mut office = office;
    for (words, bytes) in junk {
        fs::remove_file(office.file("key")).unwrap();
        if !bytes.is_empty() {
            fs::write(office.file("key"), bytes).unwrap();
            std::process::Command::new("chmod").arg("600").arg(office.file("key")).status().unwrap();
        }
        let disk = office.disk.clone();
        office = office.again(disk);
        let first = office.notary.first_key(&office.log);
        let signed = office.notary.sign(&office.log);
        assert!(first.is_err() && signed.is_err());
        let said = format!("{} {:?}", first.unwrap_err(), office.notary.status().trouble);
        assert!(said.contains(words), "{said}");
        fs::write(office.file("key"), &whole).unwrap();
    }
}

#[test]
fn of_a_log_that_does_not_open_the_last_checkpoint_counts_if_the_log_signed_it() {
    let office = Office::new();
    office.grow(9, "words");
    let old = office.notary.status().key.unwrap();
    let signed = office.notary.sign(&office.log).unwrap().head.size;
    let dir = office.dir.path();
    let is = |named: &[&String], size: u64, doubt: &str| {
        let named: Vec<String> = named.iter().copied().cloned().collect();
        let LastSigned { size: found, doubt: why } = last_signed(dir, &named);
        assert_eq!(found, size);
        assert_eq!(why.is_some(), !doubt.is_empty(), "{why:?}");
        assert!(why.unwrap_or_default().contains(doubt));
    };
    is(&[], signed, "");
    // The key has changed, and nothing was signed since: the log's own events name the old one.
    let change = office.notary.next_key("every year").unwrap();
    office.record(change.clone());
    office.notary.take_up(&office.log).unwrap();
    is(&[&old, &change.key], signed, "");
    is(&[], 0, "known");
    // That of another log is not by any of them.
    let other = Office::new();
    other.grow(40, "words");
    other.notary.sign(&other.log).unwrap();
    for name in ["checkpoint", "checkpoints"] {
        fs::copy(other.file(name), office.file(name)).unwrap();
    }
    is(&[&old, &change.key], 0, "known");
    // Nothing but its size is another one.
    let new = office.notary.sign(&office.log);
    assert!(new.is_ok(), "{new:?}");
    let note = fs::read_to_string(office.file("checkpoint")).unwrap();
    let size = note.lines().nth(1).unwrap();
    fs::write(office.file("checkpoint"), note.replacen(size, "999999", 1)).unwrap();
    fs::remove_file(office.file("checkpoints")).unwrap();
    is(&[&old], 0, "signature");
    fs::remove_file(office.file("key")).unwrap();
    is(&[&old], 0, "key");
    // Where none is on record nothing is said, and nothing is made.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(last_signed(empty.path(), &[]), LastSigned::default());
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}
