//! A reader that believes what it is told of a length is found. Alone in its process, as what one
//! test takes of memory counts for all.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hms_sync_hostile::Reader;
use std::hint::black_box;
use std::panic::catch_unwind;

/// So many items, of which the first comes with the number.
fn items(bytes: &[u8], room_max: usize) -> Option<Vec<u8>> {
    let (many, first) = bytes.split_first_chunk()?;
    let mut items = Vec::new();
    let many = usize::try_from(u32::from_be_bytes(*many)).ok()?;
    // Where the system has no such room to give, that is told by it.
    items.try_reserve_exact(many.min(room_max)).ok()?;
    items.extend_from_slice(first);
    (items.len() == many).then_some(items)
}

#[test]
fn whoever_makes_room_for_what_has_not_come_is_told() {
    let reader = || Reader::new("items").sound([[0, 0, 0, 1, 7]]).words([[0xff; 4]]).fewer(100_000);
    reader().bytes(|bytes| black_box(items(bytes, 64)).is_some());
    let why = catch_unwind(|| reader().bytes(|bytes| black_box(items(bytes, usize::MAX)).is_some()));
    let why = *why.unwrap_err().downcast::<String>().unwrap();
    assert!(why.starts_with("items: one of the cases 7:") && why.ends_with("makes too much room"), "{why}");
}
