//! Zip archives: each of their files as a value, read one after the other, in memory.
//!
//! The directory stands at an archive's end, so the archive is there as a whole, which is bounded as any
//! answer is, and has a bounded number of entries. All files together are no larger than an answer may be
//! once unpacked, and no more of the archive is unpacked than there is of it, so files that lie in one
//! another come to nothing.
//!
//! What never happens here: a file is written, a name is taken for a path, an archive in an archive is
//! read, a file is taken whose checksum is wrong.

use super::Documents;
use crate::error::quote;
use crate::wire::{all_of, gunzip, too_large_unpacked};
use ::zip::read::{ArchiveOffset, Config, ZipFileEntry};
use ::zip::{CompressionMethod, ZipArchive};
use serde_json::Value as Json;
use std::fmt::Display;
use std::io::Cursor;

/// The most entries of an archive, as many as files of an export.
const ENTRIES_MAX: usize = 10_000;

/// What an archive begins with: an entry, or the end of one that has none.
const STARTS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// What each entry of the directory begins with.
const ENTRY: &[u8] = b"PK\x01\x02";

type Archive<'b> = ZipArchive<Cursor<&'b [u8]>>;

/// Whether these bytes are an archive; no answer in another form begins so.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    STARTS.iter().any(|start| bytes.starts_with(start))
}

/// What `read` makes of each of the files, of at most `max` bytes in all. The error says what is wrong,
/// and with which file.
pub(super) fn files(
    body: &[u8],
    max: usize,
    read: impl Fn(&[u8]) -> Result<Json, String>,
) -> Result<Documents, String> {
    if !is_archive(body) {
        return Err(match quote(body, 80) {
            text if text.is_empty() => "the answer is empty where a zip file was expected".to_owned(),
            text => format!("the answer is no zip file: {text}"),
        });
    }
    let mut archive = opened(body)?;
    let (mut all, mut left, mut packed) = (Vec::new(), max, body.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|why| broken(&why))?;
        if entry.is_dir() {
            continue;
        }
        let name = quote(entry.name_raw(), 60);
        let told = |why: String| format!("`{name}` in the zip file {why}");
        readable(&entry).map_err(told)?;
        let size = usize::try_from(entry.compressed_size()).unwrap_or(usize::MAX);
        packed = packed.checked_sub(size).ok_or_else(|| told("lies in another file of it".to_owned()))?;
        let file = unpacked(&mut archive, index, left);
        let file = file.map_err(|why| told(format!("is cut off or broken: {why}")))?;
        let file = file.ok_or_else(|| too_large_unpacked(max))?;
        left = left.saturating_sub(file.len());
        if is_archive(&file) {
            return Err(told("is a zip file itself: archives in archives are not read".to_owned()));
        }
        all.push(read(&file).map_err(|why| told(format!("cannot be read: {why}")))?);
    }
    Ok(Documents { all, bytes: max - left })
}

/// An archive of a bounded number of entries, each with a name of its own.
fn opened(body: &[u8]) -> Result<Archive<'_>, String> {
    // Whatever an archive says, no more of these are read than there are.
    let entries = body.windows(ENTRY.len()).filter(|bytes| *bytes == ENTRY).take(ENTRIES_MAX + 1);
    if entries.count() > ENTRIES_MAX {
        return Err(format!("the answer is a zip file of more than {ENTRIES_MAX} entries"));
    }
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let archive = ZipArchive::with_config(config, Cursor::new(body)).map_err(|why| broken(&why))?;
    if archive.has_duplicate_names() {
        return Err("the answer is a zip file with two files of one name".to_owned());
    }
    Ok(archive)
}

/// The error says why a file is not read, whatever is in it.
fn readable(entry: &ZipFileEntry<'_>) -> Result<(), String> {
    if entry.encrypted() {
        return Err("is encrypted, which is not read".to_owned());
    }
    if entry.is_symlink() {
        return Err("is a link, which leads nowhere here".to_owned());
    }
    match entry.compression() {
        CompressionMethod::Stored | CompressionMethod::Deflated => Ok(()),
        other => {
            let other = quote(other.to_string().as_bytes(), 40);
            Err(format!("is packed by {other}; what is stored or deflated can be read"))
        }
    }
}

/// What is in a file, if that is no more than `max` bytes. One that was packed by gzip before is
/// unpacked too.
fn unpacked(archive: &mut Archive<'_>, index: usize, max: usize) -> Result<Option<Vec<u8>>, String> {
    let words = |why: &dyn Display| quote(why.to_string().as_bytes(), 160);
    let file = archive.by_index(index).map_err(|why| words(&why))?;
    match all_of(file, max).map_err(|why| words(&why))? {
        Some(file) => gunzip(file, max).map_err(|why| words(&why)),
        None => Ok(None),
    }
}

fn broken(why: &dyn Display) -> String {
    let why = quote(why.to_string().as_bytes(), 160);
    format!("the answer is a zip file that is cut off or broken: {why}")
}

#[cfg(test)]
pub(super) mod tests;
