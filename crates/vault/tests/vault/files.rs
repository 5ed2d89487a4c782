//! Files that are not as they were written.

use crate::common::{filled, open, opens, record, seeded};
use hms_sync_vault::{Folder, MemoryFolder, Vault, VaultError};

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

#[test]
fn another_epoch_key_opens_nothing() {
    let (one, two) = (MemoryFolder::new(), MemoryFolder::new());
    let (_, sealed) = filled(&one, 3);
    let vault = open(&two, 99);
    vault.seal(&mut crate::common::with_phone(0), &crate::common::personal()).unwrap();
    vault.flush().unwrap();
    let epoch = two.contents().remove("epoch").unwrap();
    one.clone().create("epoch", &epoch).unwrap();
    let vault = open(&one, 2);
    assert!((0..3).all(|n| !opens(&vault, &sealed, n)));
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
