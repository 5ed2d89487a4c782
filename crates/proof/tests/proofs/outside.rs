//! Programs that we did not write accept ours, and ours accepts theirs: `ct-merkle`
//! and `tlog_tiles` for the tree and its proofs, `tlog_tiles` for checkpoints,
//! `signed_note` for notes and keys (with another Ed25519 underneath).

use crate::model::grown;
use crate::notes::{checkpoint, known, signer};
use ct_merkle::RootHash;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use hms_sync_proof::{ConsistencyProof, InclusionProof, Note, TreeHash, Trust};
use sha2::Sha256;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{Hash, HashReader, check_record, check_tree, prove_record, prove_tree};

const SIZE: usize = 40;
const ORIGIN: &str = "log.example/permits";

/// Their tree, in the order in which they store it.
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, places: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(places.iter().map(|place| self.0[*place as usize]).collect())
    }
}

fn theirs(path: &[TreeHash]) -> Vec<Hash> {
    path.iter().map(|hash| Hash(hash.0)).collect()
}

fn ours(path: &[Hash]) -> Vec<TreeHash> {
    path.iter().map(|hash| TreeHash(hash.0)).collect()
}

#[test]
fn tlog_tiles_has_the_same_roots_and_proofs() {
    let grown = grown(SIZE);
    let mut stored = Stored(Vec::new());
    for (id, n) in grown.ids.iter().zip(0..) {
        let hashes = tlog_tiles::stored_hashes(n, id, &stored).unwrap();
        stored.0.extend(hashes);
    }
    for (head, size) in grown.heads.iter().zip(0..) {
        let root = tlog_tiles::tree_hash(size, &stored).unwrap();
        assert_eq!(root.0, head.root.0);
        for (id, index) in grown.ids.iter().zip(0..size) {
            let proof = InclusionProof::prove(&grown.nodes, index, size).unwrap();
            check_record(&theirs(&proof.path), size, root, index, tlog_tiles::record_hash(id)).unwrap();
            let path = ours(&prove_record(size, index, &stored).unwrap());
            InclusionProof { index, path }.verify(id, head).unwrap();
        }
        for older in 1..=size {
            let before = grown.heads[older as usize];
            let proof = ConsistencyProof::prove(&grown.nodes, older, size).unwrap();
            check_tree(&theirs(&proof.path), size, root, older, Hash(before.root.0)).unwrap();
            let path = ours(&prove_tree(size, older, &stored).unwrap());
            ConsistencyProof { path }.verify(&before, head).unwrap();
        }
    }
}

#[test]
fn ct_merkle_has_the_same_roots_and_proofs() {
    let grown = grown(SIZE);
    let mut tree = MemoryBackedTree::<Sha256, [u8; 32]>::new();
    for (id, size) in grown.ids.iter().zip(1..=SIZE) {
        tree.push(*id);
        let (root, head) = (tree.root(), grown.heads[size]);
        assert_eq!(root.as_bytes().as_slice(), head.root.0);
        for (index, id) in grown.ids[..size].iter().enumerate() {
            let proof = InclusionProof::prove(&grown.nodes, index as u64, size as u64).unwrap();
            let their = ct_merkle::InclusionProof::try_from_bytes(proof.path_bytes()).unwrap();
            root.verify_inclusion(id, index as u64, &their).unwrap();
            let their = tree.prove_inclusion(index);
            InclusionProof::from_bytes(index as u64, their.as_bytes()).unwrap().verify(id, &head).unwrap();
        }
        for older in 1..=size {
            let before = grown.heads[older];
            let proof = ConsistencyProof::prove(&grown.nodes, older as u64, size as u64).unwrap();
            let their = ct_merkle::ConsistencyProof::try_from_bytes(proof.to_bytes()).unwrap();
            let old_root = RootHash::<Sha256>::new(before.root.0.into(), before.size);
            root.verify_consistency(&old_root, &their).unwrap();
            let their = tree.prove_consistency(size - older);
            ConsistencyProof::from_bytes(their.as_bytes()).unwrap().verify(&before, &head).unwrap();
        }
    }
}

#[test]
fn signed_note_and_tlog_tiles_accept_our_checkpoints() {
    let (log, witness) = (signer(ORIGIN, 1), signer("witness.example", 2));
    let key = log.verifier_key().to_string();
    for size in [0, 1, 7, 1 << 40] {
        let checkpoint = checkpoint(ORIGIN, size);
        let mut note = checkpoint.sign(&log).unwrap();
        note.add(witness.cosign(&checkpoint, 1_679_315_147).unwrap()).unwrap();
        let their = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
        let known = VerifierList::new(vec![Box::new(StandardVerifier::new(&key).unwrap())]);
        let (verified, unknown) = their.verify(&known).unwrap();
        assert_eq!((verified.len(), unknown.len()), (1, 1));
        let their = tlog_tiles::Checkpoint::from_bytes(their.text()).unwrap();
        assert_eq!((their.origin(), their.size()), (ORIGIN, size));
        assert_eq!(their.hash().0, checkpoint.head().root.0);
    }
}

#[test]
fn we_accept_their_checkpoints() {
    // A signer's key in the form of golang.org/x/mod/sumdb/note, of our seed.
    let log = signer(ORIGIN, 1);
    let key = log.verifier_key();
    let seed = "AQEB".repeat(11); // type 0x01, then 32 bytes 0x01
    let signer = StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{}+{seed}", key.id())).unwrap();
    let text = tlog_tiles::Checkpoint::new(ORIGIN, 7, Hash([7; 32]), "more\n").unwrap().to_bytes();
    let mut note = signed_note::Note::new(&text, &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let bytes = note.to_bytes();
    let opened = Trust::new(ORIGIN, [key.clone()], []).unwrap().open(&bytes).unwrap();
    let ours = checkpoint(ORIGIN, 7).with_extension("more").unwrap();
    assert_eq!(opened.checkpoint(), &ours);
    // Ed25519 leaves no choice: the very same bytes.
    assert_eq!(ours.sign(&log).unwrap().to_string().into_bytes(), bytes);
    Note::parse(&bytes).unwrap().verify(&known([key])).unwrap();
}
