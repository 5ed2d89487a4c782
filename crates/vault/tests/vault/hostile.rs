//! Key files of any content: opened, or refused in words; and whatever they hold, no record is
//! sealed under another one's key, and what is sealed after them opens again.
//!
//! A case is the three files with marks between them, the epoch file without its zeros. Of every
//! second one the checks are made right again, as damage by chance alone would stop at them.

use crate::common::{field, filled, open, personal, record, seeded, with_phone};
use hms_sync_hostile::Reader;
use hms_sync_model::{Body, Event, KeyId, Value};
use hms_sync_vault::{Folder, MemoryFolder, Vault};

const HEAD: usize = 40;
const ENTRY: usize = 104;
/// Half a slot of the epoch file: the key stands there once.
const COPY: usize = 2_048;
/// What of it is not zero.
const SAID: usize = 88;
const MARK: &[u8] = b"\n====\n";
const NAMES: [&str; 3] = ["table", "epoch", "table.new"];
const RECORDS: usize = 3;

/// The files of a folder as a case.
fn packed(repairs: bool, folder: &MemoryFolder) -> Vec<u8> {
    let files = folder.contents();
    let file = |name: &str| match files.get(name) {
        Some(file) if name == "epoch" => file.chunks(COPY).flat_map(|half| &half[..SAID]).copied().collect(),
        file => file.cloned().unwrap_or_default(),
    };
    [vec![u8::from(repairs)], NAMES.map(file).join(MARK)].concat()
}

/// The folder that a case is of.
fn unpacked(case: &[u8]) -> MemoryFolder {
    let mut folder = MemoryFolder::new();
    let (repairs, mut rest) =
        case.split_first().map_or((false, case), |(first, rest)| (first % 2 == 1, rest));
    for name in NAMES {
        let end = rest.windows(MARK.len()).position(|window| window == MARK).unwrap_or(rest.len());
        let mut file = rest[..end].to_vec();
        rest = rest.get(end + MARK.len()..).unwrap_or_default();
        if repairs {
            repair(name, &mut file);
        }
        if name == "epoch" {
            file = file.chunks(SAID).flat_map(|half| [half, &[0; COPY][half.len()..]].concat()).collect();
        }
        if !file.is_empty() {
            folder.create(name, &file).unwrap();
        }
    }
    folder
}

/// Makes the checks of a file right.
fn repair(name: &str, file: &mut [u8]) {
    if name == "epoch" {
        return file.chunks_exact_mut(SAID).for_each(|copy| check(copy, &[], 56));
    }
    if let Some((head, entries)) = file.split_at_mut_checked(HEAD) {
        check(head, &[], 24);
        entries.chunks_exact_mut(ENTRY).for_each(|entry| check(entry, &head[16..24], ENTRY - 8));
    }
}

/// Behind so many bytes stands the hash of them, and of what is to come `before`.
fn check(bytes: &mut [u8], before: &[u8], said: usize) {
    let (said, own) = bytes.split_at_mut(said);
    let hash = blake3::hash(&[before, &*said].concat());
    own.copy_from_slice(&hash.as_bytes()[..own.len()]);
}

/// Which key the phone number of an event is sealed under.
fn key_of(event: &Event) -> Option<KeyId> {
    let Body::Edited { edit, .. } = &event.body else { return None };
    match &edit.changes.get(&field("phone"))?.after {
        Value::Sealed(sealed) => Some(sealed.key()),
        _ => None,
    }
}

/// Seals the number of record `n`, and says under which key.
fn seal(vault: &Vault, n: usize) -> (Event, KeyId) {
    let mut event = with_phone(n);
    vault.seal(&mut event, &personal()).unwrap();
    let key = key_of(&event).unwrap();
    (event, key)
}

/// What files are made from: whole ones, an erasure that was cut off before and after its new
/// table took the old one's place, and a table in which one record goes by the key of another.
fn sound(repairs: bool) -> (Vec<Vec<u8>>, Vec<(Event, KeyId)>) {
    let whole = MemoryFolder::new();
    let (vault, events) = filled(&whole, RECORDS);
    let mut all = vec![packed(repairs, &whole)];
    for end in [3, 5] {
        let cut = MemoryFolder::new();
        let (vault, _) = filled(&cut, RECORDS);
        cut.end_after(end);
        vault.destroy(&[record(RECORDS - 1)]).unwrap_err();
        cut.crash(1);
        all.push(packed(repairs, &cut));
    }
    vault.destroy(&[record(RECORDS - 1)]).unwrap();
    all.push(packed(repairs, &whole));
    let mut swapped = all[0].clone();
    let name = 1 + HEAD + ENTRY;
    swapped.copy_within(name..name + 16, name + ENTRY);
    all.push(swapped);
    let keys = events.into_iter().map(|event| (key_of(&event).unwrap(), event));
    (all, keys.map(|(key, event)| (event, key)).collect())
}

#[test]
fn hostile_key_files() {
    let (plain, known) = sound(false);
    let (repaired, _) = sound(true);
    let names: Vec<_> = plain[0][1 + HEAD..].chunks_exact(ENTRY).map(|entry| &entry[..24]).collect();
    let words = [MARK, b"hms-sync keys 1\n", b"hms-sync epoch 1", &[0, 0, 0, 0, 0, 0, 0, 2], &[0; 88]];
    Reader::new("key files")
        .sound(plain.iter().chain(&repaired))
        .words(words.into_iter().chain(names))
        .bytes(|case| {
            let folder = unpacked(case);
            let vault = match Vault::on(folder.clone(), seeded(1)) {
                Ok(vault) => vault,
                Err(why) => {
                    let words = why.in_one_line();
                    assert!(words.len() < 500 && words.contains("key") && !words.contains('\n'), "{words}");
                    return false;
                }
            };
            let mut opened = false;
            let mut next = Vec::new();
            for (n, (sealed, own)) in known.iter().enumerate() {
                let mut event = sealed.clone();
                vault.open_event(&mut event);
                let whole = event == with_phone(n);
                assert!(whole || key_of(&event) == Some(*own), "{event:?}");
                opened |= whole;
                let (event, key) = seal(&vault, n);
                assert!(key == *own || known.iter().all(|(_, other)| *other != key), "the key of another");
                assert!(key == *own || !whole, "a key that opens is not used");
                next.push(event);
            }
            vault.flush().unwrap();
            let vault = open(&folder, 2);
            for (n, mut event) in next.into_iter().enumerate() {
                vault.open_event(&mut event);
                assert_eq!(event, with_phone(n));
            }
            opened
        });
}
