//! What a log says of a record is taken from that log only, and is never a checkpoint,
//! as no checkpoint is ever it.

use crate::notes::{checkpoint, signer};
use hms_sync_proof::{Checkpoint, RecordHead, TreeHash, TreeHead, Trust};

const ORIGIN: &str = "log.example/permits";

fn head(origin: &str, record: &str) -> RecordHead {
    let tree = TreeHead { size: 40, root: TreeHash([3; 32]) };
    RecordHead { origin: origin.to_owned(), record: record.to_owned(), version: 7, event: [9; 32], tree }
}

fn trust(origin: &str, seed: u8) -> Trust {
    Trust::new(origin, [signer(origin, seed).verifier_key()], []).unwrap()
}

#[test]
fn what_is_signed_is_read_back() {
    let said = head(ORIGIN, "permit/2kq0 ü");
    let note = said.sign(&signer(ORIGIN, 1)).unwrap().to_string();
    assert_eq!(trust(ORIGIN, 1).open_record(note.as_bytes()), Ok(said));
    trust(ORIGIN, 2).open_record(note.as_bytes()).unwrap_err();
    trust("log.example/other", 1).open_record(note.as_bytes()).unwrap_err();
    assert!(head(ORIGIN, "two\nlines").sign(&signer(ORIGIN, 1)).is_err());
    assert!(head("other", "permit/1").sign(&signer(ORIGIN, 1)).is_err());
}

#[test]
fn it_is_no_checkpoint_whatever_the_names() {
    // Names chosen to look like a checkpoint's lines.
    let root = TreeHash([3; 32]).to_string();
    for origin in [ORIGIN, "12345", "hms-sync/record-head/v1"] {
        for record in ["permit/1", root.as_str(), "7"] {
            let note = head(origin, record).sign(&signer(origin, 1)).unwrap().to_string();
            for asked in [origin, "hms-sync/record-head/v1"] {
                trust(asked, 1).open(note.as_bytes()).unwrap_err();
            }
            assert!(head(origin, record).to_string().parse::<Checkpoint>().is_err());
        }
    }
    let note = checkpoint(ORIGIN, 7).sign(&signer(ORIGIN, 1)).unwrap().to_string();
    trust(ORIGIN, 1).open_record(note.as_bytes()).unwrap_err();
    let origin = "hms-sync/record-head/v1";
    let note = checkpoint(origin, 7).sign(&signer(origin, 1)).unwrap().to_string();
    trust(origin, 1).open_record(note.as_bytes()).unwrap_err();
}

#[test]
fn no_changed_byte_passes() {
    let note = head(ORIGIN, "permit/1").sign(&signer(ORIGIN, 1)).unwrap().to_string().into_bytes();
    let trust = trust(ORIGIN, 1);
    let said = trust.open_record(&note).unwrap();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut changed = note.clone();
            changed[at] ^= 1 << bit;
            assert!(trust.open_record(&changed).is_err(), "byte {at}, bit {bit}");
        }
        assert!(trust.open_record(&note[..at]).is_err());
    }
    assert_eq!(said.to_string().parse::<RecordHead>(), Ok(said));
}
