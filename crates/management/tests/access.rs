//! The access file as whoever can write the data folder may leave it there: reading it ends,
//! whatever stands in its place.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use hms_sync_management::{ACCESS_FILE, Access};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What reading it comes to, in a time that ends.
fn read_in_time(dir: &Path) -> String {
    let (dir, (tell, told)) = (dir.to_owned(), mpsc::channel());
    thread::spawn(move || tell.send(Access::read(&dir).unwrap_err().to_string()));
    told.recv_timeout(Duration::from_secs(30)).expect("reading it does not end")
}

#[test]
fn what_is_no_file_of_that_size_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(ACCESS_FILE);
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert_eq!(read_in_time(dir.path()), "it is no file");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    assert_eq!(read_in_time(dir.path()), "it is no file");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(read_in_time(dir.path()), "it is no file");
    fs::remove_dir(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(read_in_time(dir.path()), "it is too large");
}

/// The file of another sync tells where that one is, and so does a link to it.
#[test]
fn a_link_to_a_sound_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = dir.path().join("theirs.json");
    fs::write(&theirs, r#"{"url":"http://127.0.0.1:1","token":"t","pid":7,"instance":"i"}"#).unwrap();
    let path = dir.path().join(ACCESS_FILE);
    fs::copy(&theirs, &path).unwrap();
    assert!(Access::read(dir.path()).unwrap().is_some());
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&theirs, &path).unwrap();
    assert_eq!(read_in_time(dir.path()), "it is no file");
}
