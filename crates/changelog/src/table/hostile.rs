//! A table of which one value is not what was written, under a hash that is right: whoever can
//! write the file can make one. Each look ends, in words where need be, and no number that
//! stands there is believed.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::{Building, PARTS, Shape, Table, block, large_hash};
use crate::keys;
use crate::memory::{Memory, MemoryDisk};
use crate::pack;
use hms_sync_hostile::Reader;

const SHAPE: Shape = Shape { letter: b'v', name: "views", known_by: |key| key, fan_out: 3, block_bytes: 120 };

/// What a case says of its value, and what is made right in it.
const AS_IS: u8 = 0;
const BLOCK: u8 = 1;
const LIST: u8 = 2;
const LARGE: u8 = 3;

/// Two runs of a few blocks each, one entry in parts among them, and a removed one.
fn written() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let store = Memory::open(disk.clone()).unwrap();
    let table = Table::open(&store, SHAPE).unwrap();
    let end = |building: Building, upto| table.end(&store, building, upto).unwrap();
    for upto in 1..=2_u64 {
        let mut building = table.begin(12);
        let value = |n: u8| match (n, upto) {
            (4, 1) => Some(vec![n; 6_000]),
            (3, 2) => None,
            _ => Some(vec![n; 20]),
        };
        let entries = (0..12_u8).map(|n| Ok(([b'a', n], value(n))));
        assert!(table.write(&store, &mut building, entries, usize::MAX).unwrap());
        end(building, upto);
    }
    drop(store);
    disk
}

/// A case: what is made right, the length of the key, the key, the rest.
fn case(kind: u8, key: &[u8], rest: &[u8]) -> Vec<u8> {
    [&[kind, u8::try_from(key.len()).unwrap()], key, rest].concat()
}

fn sound(disk: &MemoryDisk) -> Vec<Vec<u8>> {
    let of = |(key, value): (Vec<u8>, Vec<u8>)| {
        if let Some(block) = pack::unpack(block::MAGIC, &key, &value) {
            return case(BLOCK, &key, &block.unwrap());
        }
        if key == keys::table(SHAPE.letter) {
            return case(LIST, &key, value.get(32..).unwrap());
        }
        case(AS_IS, &key, &value)
    };
    let parts = |key: &[u8]| key.get(10) == Some(&2);
    // Of what is in parts, what stands for it, and no part.
    disk.entries().into_iter().filter(|(key, _)| !parts(key)).map(of).collect()
}

fn entry(case: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let (&[kind, length], rest) = case.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_at_checked(length.into())?;
    let value = match kind {
        BLOCK => pack::compress(block::MAGIC, key, rest)?,
        LIST => [blake3::hash(rest).as_bytes(), rest].concat(),
        // So many parts, none of which is there but those that were.
        LARGE => [&PARTS, rest.get(..4)?, &large_hash(key, rest)].concat(),
        _ => rest.to_vec(),
    };
    Some((key, value))
}

#[test]
fn hostile_tables() {
    let disk = written();
    let kept = disk.entries();
    let large = kept.iter().find(|(_, value)| value.starts_with(&PARTS)).unwrap();
    let forged = case(LARGE, &large.0, &u32::MAX.to_be_bytes());
    let list = kept.iter().find(|(key, _)| *key == keys::table(SHAPE.letter)).unwrap();
    let run = list.1.get(40..40 + 49).unwrap().to_vec();
    // A run that is not there, said to hold as many keys as there can be.
    let mut huge = run.clone();
    huge.splice(0..17, [[0; 7].as_slice(), &[77, 0], &[0xff; 8]].concat());
    Reader::new("tables")
        .sound(sound(&disk))
        .words([
            &b"\xf5hmB"[..],
            &PARTS,
            b"\xff\xff",
            b"\x00\x02\xff\xff",
            &run,
            &huge,
            &huge.repeat(20),
            &forged,
        ])
        .fewer(40_000)
        .bytes(|case| {
            let Some((key, value)) = entry(case) else { return false };
            looked_through(MemoryDisk::forged(&kept, key, &value))
        });
}

/// Whether all of it can be read. Also what cannot is asked for, merged and written to.
fn looked_through(disk: MemoryDisk) -> bool {
    let store = Memory::open(disk).unwrap();
    let table = Table::open(&store, SHAPE).unwrap();
    let mut sound = table.is_as_stored(&store).unwrap();
    let (mut last, mut shown) = (Vec::new(), 0_usize);
    let each = table.each(&store, &[], None, None, |key, _| {
        assert!(shown == 0 || key > last.as_slice(), "a key comes twice, or too late");
        (last, shown) = (key.to_vec(), shown + 1);
        Ok(true)
    });
    sound &= each.is_ok() && shown >= 11;
    for n in 0..12_u8 {
        sound &= table.get(&store, &[b'a', n]).is_ok();
    }
    assert!(table.size().entries <= 1 << 20, "{:?}", table.size());
    // It goes on: more is written, and all is merged.
    for upto in 3..=6_u64 {
        let mut building = table.begin(1);
        let entries = [Ok(([b'b'], Some([7_u8; 9])))].into_iter();
        assert!(table.write(&store, &mut building, entries, usize::MAX).unwrap());
        table.end(&store, building, upto).unwrap();
        (0..100).find(|_| !table.tend(&store, 4).unwrap()).unwrap();
    }
    table.clear(&store).unwrap();
    assert_eq!(table.size().entries, 0);
    sound
}
