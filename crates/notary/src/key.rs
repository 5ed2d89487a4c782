//! The log's key in its file: the private key text of C2SP signed-note,
//! `PRIVATE+KEY+name+id+base64`, readable by its owner only.
//!
//! What never happens here: printing it, or leaving a copy of it in memory when it has
//! been read or written.

use crate::error::NotaryError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hms_sync_proof::{KeyName, SignatureType, Signer, SigningKey};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// What every key begins with.
const BEGIN: &str = "PRIVATE+KEY+";
/// The largest file that can hold a key.
const FILE_BYTES_MAX: u64 = 4_096;

/// Makes a key and writes it. The file must not be there.
pub(crate) fn make(path: &Path, name: &KeyName) -> Result<Signer, NotaryError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|why| NotaryError::Random { why: why.to_string() })?;
    let signer = Signer::new(name.clone(), SigningKey::from_seed(&seed));
    let bytes = Zeroizing::new([[SignatureType::Ed25519.number()].as_slice(), seed.as_slice()].concat());
    let coded = Zeroizing::new(STANDARD.encode(&*bytes));
    let id = signer.verifier_key().id();
    let text = Zeroizing::new(format!("{BEGIN}{name}+{id}+{}\n", *coded));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(NotaryError::io("make", path))?;
    file.write_all(text.as_bytes()).map_err(NotaryError::io("write", path))?;
    file.sync_all().map_err(NotaryError::io("sync", path))?;
    Ok(signer)
}

/// The key in a file; nothing if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Signer>, NotaryError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(NotaryError::io("open", path)(why)),
    };
    is_private(&file, path)?;
    let mut text = Zeroizing::new(String::with_capacity(512));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(NotaryError::io("read", path))?;
    parse(&text).map(Some).map_err(|why| NotaryError::NotAKey { path: path.to_owned(), why })
}

#[cfg(unix)]
fn is_private(file: &fs::File, path: &Path) -> Result<(), NotaryError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(NotaryError::io("look at", path))?.permissions().mode();
    if mode.trailing_zeros() >= 6 { Ok(()) } else { Err(NotaryError::OpenKey { path: path.to_owned() }) }
}

#[cfg(not(unix))]
fn is_private(_: &fs::File, _: &Path) -> Result<(), NotaryError> {
    Ok(())
}

fn parse(text: &str) -> Result<Signer, &'static str> {
    let rest =
        text.trim_end_matches('\n').strip_prefix(BEGIN).ok_or("it does not begin as a private key does")?;
    let mut parts = rest.splitn(3, '+');
    let (Some(name), Some(id), Some(coded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has no name, id and key");
    };
    let name: KeyName = name.parse().map_err(|_| "its name is none")?;
    let bytes = Zeroizing::new(STANDARD.decode(coded).map_err(|_| "the key in it is not base64")?);
    let Some((&number, seed)) = bytes.split_first() else { return Err("the key in it is empty") };
    if number != SignatureType::Ed25519.number() {
        return Err("it is a key of another kind: Ed25519 is wanted");
    }
    let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).map_err(|_| "an Ed25519 key has 32 bytes")?);
    let signer = Signer::new(name, SigningKey::from_seed(&seed));
    let fits = signer.verifier_key().id().to_string() == id;
    if fits { Ok(signer) } else { Err("its id is not that of its name and key") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_and_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let name: KeyName = "log.example/permits".parse().unwrap();
        assert!(read(&path).unwrap().is_none());
        let made = make(&path, &name).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().verifier_key(), made.verifier_key());
        assert!(make(&path, &name).is_err(), "it is never written over");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(read(&path), Err(NotaryError::OpenKey { .. })));
        }
    }

    #[test]
    fn the_example_of_others_is_read() {
        // golang.org/x/mod/sumdb/note, its tests' key.
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n";
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(parse(text).unwrap().verifier_key().to_string(), key);
    }

    #[test]
    fn what_is_no_key_is_refused_in_words() {
        let text = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        for (from, to, why) in [
            ("PRIVATE", "PUBLIC", "does not begin"),
            ("+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", "", "no name, id and key"),
            ("c74f20a3", "c74f20a4", "id is not that"),
            ("AYEK", "BIEK", "another kind"),
            ("KDFz", "KDF?", "not base64"),
            ("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", "AQID", "32 bytes"),
        ] {
            let found = parse(&text.replacen(from, to, 1)).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }
}
