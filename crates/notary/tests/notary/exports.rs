//! What is exported from a log verifies, with what an auditor has from elsewhere.

use crate::common::Office;
use hms_sync_audit::{Auditor, Range, Scope};
use hms_sync_changelog::EVENT_BYTES_MAX;
use hms_sync_notary::{Ask, ExportError};

fn export(office: &Office, scope: Scope, older: &[u64]) -> Result<Vec<u8>, ExportError> {
    let mut out = Vec::new();
    let fits = |event: &hms_sync_model::Event| event.seq % 3 == 1;
    office.notary.export(&office.log, &Ask { scope, fits: &fits, older }, &mut out)?;
    Ok(out)
}

#[test]
fn exports_of_every_scope_verify_and_continue_what_was_shown_before() {
    let office = Office::new();
    let mut notes = Vec::new();
    for _ in 0..6 {
        office.grow(40, "words");
        notes.push(office.notary.sign(&office.log).unwrap());
    }
    let mut auditor = Auditor::new();
    office.notary.keys().into_iter().for_each(|key| auditor.key(key));
    notes.iter().for_each(|note| auditor.older("old", note.note.to_string()));
    office.grow(5, "words");
    let scopes = [
        (Scope::Whole, 246),
        (Scope::Record("permit/1".into()), 80),
        (Scope::Record("@log/keys".into()), 1),
        (Scope::Range(Range { first: 7, last: 100 }), 94),
        (Scope::Part([("every".into(), "third".into())].into()), 82),
    ];
    for (scope, entries) in scopes {
        let file = export(&office, scope.clone(), &[]).unwrap();
        let report = auditor.verify(file.as_slice(), |_| {}).unwrap();
        assert_eq!((report.entries, report.size, &report.scope), (entries, 246, &scope));
        assert_eq!(report.older.len(), 6);
    }
    // A checkpoint of a size that is not on record is proven when it is asked for.
    let file = export(&office, Scope::Record("permit/0".into()), &[17]).unwrap();
    assert!(String::from_utf8(file).unwrap().contains("{\"consistency\":{\"older\":17,"));
    assert!(matches!(export(&office, Scope::Whole, &[999]), Err(ExportError::Older { .. })));
    let nobody = export(&office, Scope::Record("permit/77".into()), &[]);
    assert!(matches!(nobody, Err(ExportError::NoRecord { .. })));
}

#[test]
fn of_many_checkpoints_some_are_shown_to_be_continued() {
    let office = Office::new();
    for _ in 0..600 {
        office.grow(1, "w");
        office.notary.sign(&office.log).unwrap();
    }
    let file = String::from_utf8(export(&office, Scope::Record("permit/0".into()), &[]).unwrap()).unwrap();
    let shown = file.matches("{\"consistency\"").count();
    assert!((200..=256).contains(&shown), "{shown}");
}

#[test]
fn the_largest_event_that_a_log_takes_is_exported_and_verifies() {
    let office = Office::new();
    office.put("permit/0", crate::common::doubt(&"w".repeat(EVENT_BYTES_MAX - 300)));
    let file = export(&office, Scope::Whole, &[]).unwrap();
    let mut auditor = Auditor::new();
    office.notary.keys().into_iter().for_each(|key| auditor.key(key));
    assert_eq!(auditor.verify(file.as_slice(), |_| {}).unwrap().entries, 2);
}
