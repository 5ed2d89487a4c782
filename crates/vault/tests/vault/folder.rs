//! On the real file system: who may read it, and that it comes back.

use crate::common::{personal, record, with_phone};
use hms_sync_vault::Vault;
use std::os::unix::fs::PermissionsExt;

#[test]
fn only_the_owner_may_look() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let vault = Vault::open(&keys).unwrap();
    vault.flush().unwrap();
    assert!(!keys.exists(), "nothing is made before there is a key to keep");
    let mut event = with_phone(1);
    vault.seal(&mut event, &personal()).unwrap();
    vault.flush().unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys), 0o700);
    assert_eq!([mode(&keys.join("epoch")), mode(&keys.join("table"))], [0o600, 0o600]);
    Vault::open(&keys).unwrap().open_event(&mut event);
    assert_eq!(event, with_phone(1));
}

#[test]
fn an_erasure_on_the_disk_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("keys");
    let vault = Vault::open(&keys).unwrap();
    let mut sealed: Vec<_> = (0..5).map(with_phone).collect();
    sealed.iter_mut().for_each(|event| vault.seal(event, &personal()).unwrap());
    vault.flush().unwrap();
    let epoch = std::fs::read(keys.join("epoch")).unwrap();
    vault.destroy(&[record(3)]).unwrap();
    let after = std::fs::read(keys.join("epoch")).unwrap();
    assert!(!after.windows(32).any(|window| window == &epoch[24..56]));
    let vault = Vault::open(&keys).unwrap();
    assert!((0..5).all(|n| crate::common::opens(&vault, &sealed, n) == (n != 3)));
}
