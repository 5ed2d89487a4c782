//! Files that are not as they were written.

use crate::common::{filled, open, opens, record, seeded};
use hms_sync_vault::{Folder, MemoryFolder, Vault, VaultError};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::Field;
use tracing::span::{Attributes, Id, Record as Values};
use tracing::{Event, Metadata, Subscriber};

const HEAD: usize = 40;
const ENTRY: usize = 104;

fn changed(folder: &MemoryFolder, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = folder.contents().remove(name).unwrap();
    change(&mut bytes);
    folder.clone().create(name, &bytes).unwrap();
}

#[test]
fn a_table_cut_off_anywhere_keeps_the_keys_before() {
    for len in (HEAD..HEAD + 5 * ENTRY).step_by(13) {
        let folder = MemoryFolder::new();
        let (_, sealed) = filled(&folder, 5);
        changed(&folder, "table", |file| file.truncate(len));
        let vault = open(&folder, 2);
        let whole = (len - HEAD) / ENTRY;
        for n in 0..5 {
            assert_eq!(opens(&vault, &sealed, n), n < whole, "record {n} of a table of {len} bytes");
        }
        assert_eq!(folder.contents()["table"].len(), HEAD + whole * ENTRY);
    }
}

#[test]
fn a_flipped_bit_costs_one_key_at_most() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let folder = MemoryFolder::new();
        let (_, sealed) = filled(&folder, 5);
        let at = rng.usize(HEAD..HEAD + 5 * ENTRY);
        changed(&folder, "table", |file| file[at] ^= 1 << rng.u8(0..8));
        let vault = open(&folder, 2);
        let hit = (at - HEAD) / ENTRY;
        for n in (0..5).filter(|n| *n != hit) {
            assert!(opens(&vault, &sealed, n), "record {n}, bit of byte {at} flipped");
        }
        assert!(!opens(&vault, &sealed, hit));
        // New keys go behind whole ones, and are found again.
        let mut event = crate::common::with_phone(7);
        vault.seal(&mut event, &crate::common::personal()).unwrap();
        vault.flush().unwrap();
        open(&folder, 3).open_event(&mut event);
        assert_eq!(event, crate::common::with_phone(7));
    }
}

/// Nothing of either is touched: with the right one, all opens again.
#[test]
fn another_epoch_key_of_the_same_number_is_refused() {
    let (one, two) = (MemoryFolder::new(), MemoryFolder::new());
    let (_, sealed) = filled(&one, 3);
    let vault = open(&two, 99);
    vault.seal(&mut crate::common::with_phone(0), &crate::common::personal()).unwrap();
    vault.flush().unwrap();
    let (own, other) = (one.contents().remove("epoch").unwrap(), two.contents().remove("epoch").unwrap());
    one.clone().create("epoch", &other).unwrap();
    let before = one.contents();
    assert!(matches!(Vault::on(one.clone(), seeded(2)).unwrap_err(), VaultError::NoEpoch { epoch: 1 }));
    assert_eq!(one.contents(), before);
    // Nor does it count where the right one lies in the other slot.
    let both = [&other[..4096], &own[..4096]].concat();
    for epochs in [own, both] {
        one.clone().create("epoch", &epochs).unwrap();
        assert!((0..3).all(|n| opens(&open(&one, 2), &sealed, n)));
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused_in_words() {
    let opened = |change: &dyn Fn(&MemoryFolder)| {
        let folder = MemoryFolder::new();
        filled(&folder, 2);
        change(&folder);
        Vault::on(folder, seeded(1)).map(|_| ()).unwrap_err()
    };
    let remove = |name: &'static str| move |folder: &MemoryFolder| folder.clone().remove(name).unwrap();
    assert!(matches!(opened(&remove("epoch")), VaultError::NoEpoch { epoch: 1 }));
    assert!(matches!(opened(&remove("table")), VaultError::NoTable));
    let spoilt = |name: &'static str, at: usize| {
        move |folder: &MemoryFolder| changed(folder, name, |file| file[at] ^= 1)
    };
    let both = |folder: &MemoryFolder| changed(folder, "epoch", |file| (file[30], file[2_078]) = (1, 1));
    assert!(matches!(opened(&both), VaultError::NoEpoch { epoch: 1 }));
    let form = opened(&spoilt("table", 3)).to_string();
    assert_eq!(
        form,
        "the table of the keys is not what hms-sync writes: it begins otherwise, or is of a newer form"
    );
    assert!(matches!(opened(&spoilt("table", 20)), VaultError::Form { .. }));
}

/// The messages that are logged.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Subscriber for Told {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Values<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = event.metadata().level().to_string();
        event.record(&mut |field: &Field, value: &dyn Debug| line = format!("{line} {field}={value:?}"));
        self.0.lock().unwrap().push(line);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Nobody can tell what was never synced from what was damaged since: both are told.
#[test]
fn keys_that_are_lost_are_told() {
    let lines = |change: &dyn Fn(&mut Vec<u8>)| {
        let (folder, told) = (MemoryFolder::new(), Told::default());
        filled(&folder, 3);
        changed(&folder, "table", |file| change(file));
        tracing::subscriber::with_default(told.clone(), || drop(open(&folder, 2)));
        told.0.lock().unwrap().split_off(0)
    };
    assert_eq!(lines(&|_| {}), [""; 0]);
    let spoilt = |at: usize| move |file: &mut Vec<u8>| file[HEAD + at] ^= 1;
    for (lines, expected) in [
        (lines(&spoilt(0)), ["ERROR", "record keys are damaged", "keys=1"]),
        (lines(&spoilt(2 * ENTRY)), ["WARN", "the table of record keys ends in no whole entry", "bytes=104"]),
        (lines(&|file| file.truncate(HEAD + 2 * ENTRY + 50)), ["WARN", "is cut off there", "bytes=50"]),
    ] {
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(expected.iter().all(|words| lines[0].contains(words)), "{lines:?}");
    }
}

#[test]
fn ten_thousand_records_and_an_erasure_among_them() {
    let folder = MemoryFolder::new();
    let (vault, sealed) = filled(&folder, 10_000);
    let gone: Vec<_> = (0..10_000).step_by(100).map(record).collect();
    assert_eq!(vault.destroy(&gone).unwrap(), 100);
    assert_eq!(vault.destroy(&gone).unwrap(), 0);
    let vault = open(&folder, 2);
    assert_eq!(vault.len(), 9_900);
    for n in 0..10_000 {
        assert_eq!(opens(&vault, &sealed, n), n % 100 != 0, "record {n}");
    }
}

#[test]
fn one_bad_sector_of_the_epoch_file_costs_nothing() {
    for at in [3, 20, 40, 60, 2_048 + 40] {
        let folder = MemoryFolder::new();
        let (_, sealed) = filled(&folder, 2);
        changed(&folder, "epoch", |file| file[at] ^= 1);
        assert!((0..2).all(|n| opens(&open(&folder, 2), &sealed, n)), "byte {at}");
    }
}

/// Sealing goes on while an erasure waits for the disk.
#[test]
fn keys_made_while_others_are_destroyed_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open(&dir.path().join("keys")).unwrap();
    let seal = |vault: &Vault, n: usize| {
        let mut event = crate::common::with_phone(n);
        vault.seal(&mut event, &crate::common::personal()).unwrap();
        event
    };
    let mut sealed: Vec<_> = (0..100).map(|n| seal(&vault, n)).collect();
    vault.flush().unwrap();
    std::thread::scope(|scope| {
        let other = vault.clone();
        let destroying =
            scope.spawn(move || (0..20).for_each(|n| assert_eq!(other.destroy(&[record(n)]).unwrap(), 1)));
        while !destroying.is_finished() && sealed.len() < 20_000 {
            sealed.push(seal(&vault, sealed.len()));
        }
    });
    vault.flush().unwrap();
    let vault = Vault::open(&dir.path().join("keys")).unwrap();
    for n in 0..sealed.len() {
        assert_eq!(opens(&vault, &sealed, n), n >= 20, "record {n} of {}", sealed.len());
    }
}
