//! Blocks: entries of a table that follow each other, as they are packed into one
//! value. Nothing here touches the store.

/// Begins a block.
pub(super) const MAGIC: [u8; 4] = [0xf5, b'h', b'm', b'B'];
/// In place of the length of a value: the key is removed.
const REMOVED: u16 = u16::MAX;

/// A block being filled: for each entry the lengths of key and value, both u16, then both.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    pub(super) keys: u64,
}

impl Block {
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.bytes.is_empty() {
            self.first = key.to_vec();
        }
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(REMOVED - 1);
        self.bytes.extend_from_slice(&length(key).to_be_bytes());
        self.bytes.extend_from_slice(&value.map_or(REMOVED, length).to_be_bytes());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.last.clear();
        self.last.extend_from_slice(key);
        self.keys += 1;
    }
}

/// A key, and its value unless it is removed, as they lie in a block.
pub(super) type Lying<'a> = (&'a [u8], Option<&'a [u8]>);

/// The entry at `at` of a block, and where the next one begins.
pub(super) fn read_entry(block: &[u8], at: usize) -> Option<(Lying<'_>, usize)> {
    let (lengths, rest) = block.get(at..)?.split_first_chunk::<4>()?;
    let [a, b, c, d] = *lengths;
    let (key, value) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let (key, rest) = rest.split_at_checked(key.into())?;
    if value == REMOVED {
        return Some(((key, None), at + 4 + key.len()));
    }
    let value = rest.get(..value.into())?;
    Some(((key, Some(value)), at + 4 + key.len() + value.len()))
}

/// The last key of a block that begins at `first`, if all of it is entries whose keys ascend from
/// there: who forges one could otherwise have a key shown twice, or hide what follows. That some
/// are missing cannot be seen here.
pub(super) fn last_key<'a>(block: &'a [u8], first: &'a [u8]) -> Option<&'a [u8]> {
    let (mut last, mut at) = (None, 0);
    while at < block.len() {
        let ((key, _), next) = read_entry(block, at)?;
        if key < first || last.is_some_and(|last| key <= last) {
            return None;
        }
        (last, at) = (Some(key), next);
    }
    Some(last.unwrap_or(first))
}
