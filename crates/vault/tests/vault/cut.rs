//! A power cut after any operation: the old state whole, or the new one, and after
//! opening no trace of an epoch key that is not in use.

use crate::common::{filled, open, opens, personal, record, with_phone};
use hms_sync_model::Event;
use hms_sync_vault::{MemoryFolder, Vault};

/// What is kept of what was not synced: nothing, all, and some of it.
const WAYS: u64 = 12;

fn holds(folder: &MemoryFolder, bytes: &[u8]) -> bool {
    folder.contents().values().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

/// The epoch keys that lie in the folder, in whatever state.
fn epoch_keys(folder: &MemoryFolder) -> Vec<Vec<u8>> {
    let file = folder.contents().get("epoch").cloned().unwrap_or_default();
    let key = |slot: &[u8]| [24, 2_072].map(|at| slot[at..at + 32].to_vec());
    let mut keys: Vec<Vec<u8>> =
        file.chunks(4096).flat_map(key).filter(|key| key.iter().any(|b| *b != 0)).collect();
    keys.dedup();
    keys
}

/// Everybody but those erased opens; of those, the key is there or not.
fn survivors_open(vault: &Vault, sealed: &[Event], erased: &[usize]) {
    for n in (0..sealed.len()).filter(|n| !erased.contains(n)) {
        assert!(opens(vault, sealed, n), "record {n} opens no more");
    }
}

#[test]
fn an_erasure_cut_off_anywhere_is_not_begun_or_can_be_finished() {
    let (mut cuts, mut olds, mut news) = (0, 0, 0);
    for end in 0.. {
        let mut done = false;
        for way in 0..WAYS {
            let folder = MemoryFolder::new();
            let (vault, sealed) = filled(&folder, 8);
            let old_key = epoch_keys(&folder).remove(0);
            let gone = [record(2), record(5)];
            folder.end_after(end);
            done = vault.destroy(&gone).is_ok();
            drop(vault);
            folder.crash(way);
            let vault = open(&folder, 11);
            survivors_open(&vault, &sealed, &[2, 5]);
            let left = [2, 5].map(|n| opens(&vault, &sealed, n));
            assert_eq!(left[0], left[1], "half of an erasure");
            assert!(!(done && left[0]), "what was answered is done");
            *(if left[0] { &mut olds } else { &mut news }) += 1;
            assert_eq!(epoch_keys(&folder).len(), 1, "after {end} operations, kept {way}");
            assert_eq!(holds(&folder, &old_key), left[0], "after {end} operations, kept {way}");
            assert!(!folder.contents().contains_key("table.new"));
            // Asked again, it ends the same.
            vault.destroy(&gone).unwrap();
            assert!(!holds(&folder, &old_key));
            let vault = open(&folder, 12);
            survivors_open(&vault, &sealed, &[2, 5]);
            assert!(!opens(&vault, &sealed, 2) && !opens(&vault, &sealed, 5));
            cuts += 1;
        }
        if done {
            break;
        }
    }
    assert!(cuts > 80 && olds > 20 && news > 20, "{cuts} cuts, {olds} old, {news} new");
}

#[test]
fn keys_that_were_flushed_survive_a_cut_at_any_later_operation() {
    for end in 0.. {
        let mut done = false;
        for way in 0..WAYS {
            let folder = MemoryFolder::new();
            folder.end_after(end);
            let vault = open(&folder, 3);
            let mut sealed: Vec<Event> = (0..6).map(with_phone).collect();
            let mut flushed = 0;
            for group in sealed.chunks_mut(2) {
                group.iter_mut().for_each(|event| vault.seal(event, &personal()).unwrap());
                if vault.flush().is_err() {
                    break;
                }
                flushed += 2;
            }
            done = flushed == 6;
            drop(vault);
            folder.crash(way);
            let vault = open(&folder, 4);
            for n in 0..flushed {
                assert!(opens(&vault, &sealed, n), "record {n} after {end} operations, kept {way}");
            }
            // And it goes on from there.
            let mut next = with_phone(9);
            vault.seal(&mut next, &personal()).unwrap();
            vault.flush().unwrap();
            open(&folder, 5).open_event(&mut next);
            assert_eq!(next, with_phone(9));
        }
        if done {
            return;
        }
    }
}

/// A sync that failed may have lost what it was to keep: nothing is built on it.
#[test]
fn after_an_error_no_more_keys_are_kept() {
    let folder = MemoryFolder::new();
    let (vault, _) = filled(&folder, 1);
    let mut event = with_phone(1);
    vault.seal(&mut event, &personal()).unwrap();
    folder.end_after(1);
    assert!(vault.flush().is_err());
    folder.end_after(1_000);
    let (flushed, destroyed) = (vault.flush(), vault.destroy(&[record(0)]));
    assert!(flushed.unwrap_err().to_string().contains("since an earlier error"));
    assert!(destroyed.is_err());
    assert!(open(&folder, 8).has(&record(0)));
}
