//! Ids of every kind that is allowed come back, each with its own history; others are
//! refused in words before they come near the log.

use crate::common::{Maker, Place};
use hms_sync_model::{InvalidName, NativeId, RecordId};

#[test]
fn a_record_id_of_any_letters_keeps_its_own_history() {
    let long = "x".repeat(RecordId::MAX_LEN - 7);
    let ids =
        ["permit/é", "permit/e\u{301}", "permit/水🚒", "permit/ ", "permit/a", "permit/a b", "permit/a/b"];
    let mut ids: Vec<RecordId> = ids.iter().map(|id| RecordId::try_new(*id).unwrap()).collect();
    ids.push(RecordId::try_new(format!("permit/{long}")).unwrap());
    ids.push(RecordId::try_new(format!("permit/{}", &long[1..])).unwrap());
    for place in Place::both() {
        let (log, mut maker) = (place.open(), Maker::default());
        for _ in 0..40 {
            log.append(&ids.iter().map(|id| maker.next(id, 9).0).collect::<Vec<_>>()).unwrap();
        }
        log.close().unwrap();
        let log = place.open();
        for id in &ids {
            let history = log.history(id, 1, 1_000).unwrap();
            assert_eq!(history.len(), 40, "{id}");
            assert!(history.iter().all(|(_, event)| event.record == *id) && log.may_know(id));
        }
        let others = (0..1_000).map(|n| RecordId::try_new(format!("permit/other-{n}")).unwrap());
        assert!(others.filter(|other| log.may_know(other)).count() < 50, "most are known to be new");
        assert_eq!(log.records(None, 1_000).unwrap().len(), ids.len());
        assert_eq!(log.counts().unwrap()["permit"].records, ids.len() as u64);
        assert!(log.verify(|_| {}).unwrap().is_sound());
    }
}

#[test]
fn what_cannot_be_an_id_is_refused_in_words() {
    let words = |id: &str| RecordId::try_new(id).unwrap_err().to_string();
    assert_eq!(words(&"x".repeat(64 << 10)), "a record id may have 256 bytes at most, this one has 65536");
    assert_eq!(words("permit/a\0b"), "a record id must not contain '\\0'");
    assert_eq!(words(""), "a record id must not be empty");
    let native = NativeId::try_new("a\0b").unwrap_err();
    assert!(matches!(native, InvalidName::Character { found: '\0', .. }));
}
