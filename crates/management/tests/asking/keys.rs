//! A change of the log's key goes on to its end, whoever still waits for it.

use crate::world::{World, record};
use futures_util::FutureExt;
use hms_sync_management::Desk;
use hms_sync_notary::{Notary, Settings};
use std::time::Duration;
use tempfile::TempDir;

async fn desk(world: &World) -> (TempDir, Desk) {
    let dir = tempfile::tempdir().unwrap();
    let notary = Notary::open(dir.path(), "Test", Settings::default(), &world.log).unwrap();
    let desk = world.desk().with_notary(Some(notary));
    desk.settle_keys().await.unwrap();
    (dir, desk)
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_cut_a_change_of_the_key_off() {
    let world = World::new();
    let (dir, desk) = desk(&world).await;
    let key = || desk.audit_status().unwrap().key;
    let old = key();
    // Asked once, then nobody waits any more.
    assert!(desk.rotate_key("every year").now_or_never().is_none());
    let changed = async {
        while key() == old {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed).await.unwrap();
    assert!(!dir.path().join("audit/key.next").exists());
    let (version, _) = world.log.last(&record("@log/keys")).unwrap().unwrap();
    assert_eq!(version, 2);
    // Nothing was left half done.
    desk.rotate_key("once more").await.unwrap();
}
