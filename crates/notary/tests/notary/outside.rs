//! Programs that we did not write accept what a real log hands out: `signed_note` its
//! checkpoints, `tlog_tiles` these and its proofs.

use crate::common::Office;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Hash, check_record, check_tree};

fn theirs(path: &[hms_sync_proof::TreeHash]) -> Vec<Hash> {
    path.iter().map(|hash| Hash(hash.0)).collect()
}

#[test]
fn checkpoints_and_proofs_of_a_real_log_are_accepted() {
    let office = Office::new();
    let mut older = Vec::new();
    for n in 1..8 {
        office.grow(n * 11, "words");
        let signed = office.notary.sign(&office.log).unwrap();
        let bytes = std::fs::read(office.file("checkpoint")).unwrap();
        let key = StandardVerifier::new(&office.notary.status().key.unwrap()).unwrap();
        let note = signed_note::Note::from_bytes(&bytes).unwrap();
        let (known, unknown) = note.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
        assert_eq!((known.len(), unknown.len()), (1, 0));
        let text = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
        assert_eq!((text.origin(), text.size()), ("log.example/permits", signed.head.size));
        assert_eq!(text.hash().0, signed.head.root.0);
        let (size, root) = (text.size(), *text.hash());
        for (id, event) in office.log.events(1, usize::MAX).unwrap() {
            let proof = office.log.inclusion(event.seq, size).unwrap();
            check_record(&theirs(&proof.path), size, root, event.seq - 1, tlog_tiles::record_hash(&id.0))
                .unwrap();
        }
        for (before, hash) in &older {
            let proof = office.log.consistency(*before, size).unwrap();
            check_tree(&theirs(&proof.path), size, root, *before, *hash).unwrap();
        }
        older.push((size, root));
    }
}
