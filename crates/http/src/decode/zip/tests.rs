//! Archives: sound ones, and such as are made to do harm.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use super::{ENTRIES_MAX, files};
use crate::decode::{Documents, parse};
use ::zip::CompressionMethod;
use ::zip::write::{SimpleFileOptions, ZipWriter};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value as Json, json};
use std::io::{Cursor, Write};

const MAX: usize = 1 << 20;

/// Where an archive says how many entries there are and how long their list is, from its end.
const COUNTS: usize = 14;

fn archive(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in files {
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

pub(crate) fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    archive(files, CompressionMethod::Stored)
}

pub(crate) fn deflated(files: &[(&str, &[u8])]) -> Vec<u8> {
    archive(files, CompressionMethod::Deflated)
}

fn read(archive: &[u8], max: usize) -> Result<Vec<Json>, String> {
    files(archive, max, parse).map(|Documents { all, .. }| all)
}

fn refused(archive: &[u8]) -> String {
    read(archive, MAX).unwrap_err()
}

/// Puts other bytes wherever these are.
fn instead(mut archive: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut places = 0;
    for at in 0..=archive.len() - from.len() {
        if archive[at..].starts_with(from) {
            archive[at..at + to.len()].copy_from_slice(to);
            places += 1;
        }
    }
    assert!(places > 0);
    archive
}

/// Sets the field of two bytes there, in the head before each file and in the list of all.
fn field(mut archive: Vec<u8>, of_file: usize, of_list: usize, value: [u8; 2]) -> Vec<u8> {
    for at in 0..archive.len() - 4 {
        for (begin, field) in [(b"PK\x03\x04", of_file), (b"PK\x01\x02", of_list)] {
            if archive[at..].starts_with(begin) {
                archive[at + field..at + field + 2].copy_from_slice(&value);
            }
        }
    }
    archive
}

/// The archive of one file with that file in its list so many times, numbered where its name has five
/// digits.
fn listed(archive: &[u8], times: u16) -> Vec<u8> {
    let begin = archive.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let end = archive.windows(4).position(|four| four == b"PK\x05\x06").unwrap();
    let (files, list, end) = (&archive[..begin], &archive[begin..end], &archive[end..]);
    let mut end = end.to_vec();
    let at = end.len() - COUNTS;
    let length = u32::try_from(list.len()).unwrap() * u32::from(times);
    end[at..at + 2].copy_from_slice(&times.to_le_bytes());
    end[at + 2..at + 4].copy_from_slice(&times.to_le_bytes());
    end[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
    let numbered = |number: u16| {
        let mut entry = list.to_vec();
        entry[46..51].copy_from_slice(format!("{number:05}").as_bytes());
        entry
    };
    let list: Vec<u8> = (0..times).flat_map(numbered).collect();
    [files.to_vec(), list, end].concat()
}

#[test]
fn each_file_is_read_whatever_it_is_called() {
    let rows: &[(&str, &[u8])] =
        &[("a.json", b"[1]"), ("sub/", b""), ("sub/b", b"{\"x\":2}"), ("../../etc/c", b"3")];
    for archive in [stored(rows), deflated(rows)] {
        assert_eq!(read(&archive, MAX).unwrap(), [json!([1]), json!({ "x": 2 }), json!(3)]);
    }
    // None of two is passed over.
    let twice = instead(stored(&[("a1", b"1"), ("a2", b"2")]), b"a2", b"a1");
    assert_eq!(refused(&twice), "the answer is a zip file with two files of one name");
    assert_eq!(read(&stored(&[]), MAX).unwrap(), [] as [Json; 0]);
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(b"[7]").unwrap();
    assert_eq!(read(&stored(&[("a.json.gz", &packer.finish().unwrap())]), MAX).unwrap(), [json!([7])]);
}

#[test]
fn all_files_together_are_bounded() {
    let blank = |many: usize| [vec![b' '; many], b"1".to_vec()].concat();
    let bomb = deflated(&[("a", &blank(64 << 20))]);
    assert!(bomb.len() < 100 << 10);
    let said = "the answer is larger than 1048576 bytes once unpacked (`max_body_bytes`)";
    assert_eq!(refused(&bomb), said);
    // What an archive says of a size is not believed.
    let liar = instead(bomb, &((64_u32 << 20) | 1).to_le_bytes(), &1_u32.to_le_bytes());
    assert!(refused(&liar).starts_with("`a` in the zip file is cut off or broken"));
    let half = blank(600 << 10);
    assert_eq!(read(&deflated(&[("a", &half)]), MAX).unwrap(), [json!(1)]);
    assert_eq!(refused(&deflated(&[("a", &half), ("b", &half)])), said);
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&blank(2 << 20)).unwrap();
    assert_eq!(refused(&stored(&[("a.gz", &packer.finish().unwrap())])), said);
}

#[test]
fn files_that_lie_in_one_another_and_too_many_of_them_are_refused() {
    let one = stored(&[("00000", &[vec![b' '; 500 << 10], b"1".to_vec()].concat())]);
    assert_eq!(read(&listed(&one, 1), MAX).unwrap(), [json!(1)]);
    let said = files(&listed(&one, 5_000), 1 << 40, parse).unwrap_err();
    assert_eq!(said, "`00001` in the zip file lies in another file of it");
    let most = u16::try_from(ENTRIES_MAX).unwrap();
    let empty = stored(&[("00000/", b"")]);
    assert_eq!(read(&listed(&empty, most), MAX).unwrap(), [] as [Json; 0]);
    let said = refused(&listed(&empty, most + 1));
    assert_eq!(said, "the answer is a zip file of more than 10000 entries");
}

#[test]
fn what_is_not_read_is_told_with_its_name() {
    let one = || stored(&[("a\u{1b}[2Jb", b"[1]")]);
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("a\u{1b}[2Jb", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    for (archive, said) in [
        (field(one(), 6, 8, [1, 0]), "is encrypted, which is not read"),
        (link.finish().unwrap().into_inner(), "is a link, which leads nowhere here"),
        (field(one(), 8, 10, [14, 0]), "is packed by"),
        (stored(&[("a\u{1b}[2Jb", &stored(&[]))]), "is a zip file itself: archives in archives"),
        (instead(one(), b"[1]", b"[2]"), "is cut off or broken: Invalid checksum"),
        (stored(&[("a\u{1b}[2Jb", b"<html>")]), "cannot be read: the answer is HTML instead of JSON"),
    ] {
        let why = refused(&archive);
        assert!(why.contains(said) && why.starts_with(r"`a\u{1b}[2Jb` in the zip file "), "{why}");
    }
}

/// At whatever byte it ends, and whatever comes instead.
#[test]
fn what_is_no_whole_archive_is_an_error() {
    let whole = deflated(&[("a.json", b"[1, 2, 3, 4]"), ("b.json", b"[5]")]);
    for end in 0..whole.len() {
        let why = refused(&whole[..end]);
        let told = ["is empty where a zip file", "is no zip file", "is a zip file that is cut off or broken"];
        assert!(told.iter().any(|told| why.contains(told)), "{end}: {why}");
    }
    assert_eq!(refused(b"<html>no</html>"), "the answer is no zip file: <html>no</html>");
}
