//! Many entries one after the other: who has verified those before needs little for the
//! next, accepts it where a proof of its own would be accepted, and nothing else.

use crate::model::{grown, ids};
use hms_sync_proof::{InclusionProof, ManyProver, ManyVerifier, ProofError, TreeHash};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_ascending_entries_are_proven_and_no_others(
        size in 1usize..300,
        picks in prop::collection::btree_set(0usize..300, 1..60),
        wrong in any::<prop::sample::Index>(),
    ) {
        let grown = grown(size);
        let head = grown.heads[size];
        let picks: Vec<usize> = picks.into_iter().filter(|at| *at < size).collect();
        prop_assume!(!picks.is_empty());
        let (mut prover, mut verifier) = (ManyProver::new(size as u64), ManyVerifier::new(head).unwrap());
        let wrong = wrong.index(picks.len());
        for (n, at) in picks.iter().enumerate() {
            let index = *at as u64;
            let path = prover.prove(&grown.nodes, index).unwrap();
            let whole = InclusionProof::prove(&grown.nodes, index, size as u64).unwrap();
            prop_assert_eq!(&whole.path[..path.len()], &path[..], "the lower part of the whole path");
            if n == wrong {
                let before = verifier.clone();
                let other = ids(301)[300];
                let expected = ProofError::Entry { index, size: size as u64, root: head.root };
                prop_assert_eq!(verifier.verify(index, &other, &path), Err(expected));
                if size > 1 {
                    let other = (index + 1) % size as u64;
                    prop_assert!(verifier.verify(other, &grown.ids[*at], &path).is_err());
                }
                let longer = [path.as_slice(), &[TreeHash::empty()]].concat();
                prop_assert!(verifier.verify(index, &grown.ids[*at], &longer).is_err());
                prop_assert_eq!(format!("{verifier:?}"), format!("{before:?}"), "nothing was learnt");
            }
            verifier.verify(index, &grown.ids[*at], &path).unwrap();
            prop_assert!(verifier.verify(index, &grown.ids[*at], &path).is_err(), "once");
        }
    }
}

#[test]
fn entries_without_a_gap_take_one_hash_each() {
    let grown = grown(1_024);
    let mut prover = ManyProver::new(1_024);
    let mut verifier = ManyVerifier::new(grown.heads[1_024]).unwrap();
    let mut hashes = 0;
    for (id, index) in grown.ids.iter().zip(0..) {
        let path = prover.prove(&grown.nodes, index).unwrap();
        hashes += path.len();
        verifier.verify(index, id, &path).unwrap();
    }
    assert_eq!(hashes, 1_023);
    assert!(matches!(prover.prove(&grown.nodes, 1_024), Err(hms_sync_proof::ProveError::Asked(_))));
}

#[test]
fn what_comes_twice_back_or_from_beyond_is_refused() {
    let grown = grown(20);
    let mut verifier = ManyVerifier::new(grown.heads[20]).unwrap();
    let mut prover = ManyProver::new(20);
    let path = prover.prove(&grown.nodes, 7).unwrap();
    verifier.verify(7, &grown.ids[7], &path).unwrap();
    for index in [0, 6, 7] {
        assert!(matches!(verifier.verify(index, &grown.ids[7], &path), Err(ProofError::Order { .. })));
        assert!(prover.clone().prove(&grown.nodes, index).is_err());
    }
    for index in [20, 21, u64::MAX] {
        assert!(matches!(verifier.verify(index, &grown.ids[7], &path), Err(ProofError::BeyondTree { .. })));
    }
    let mut none = ManyVerifier::new(grown.heads[0]).unwrap();
    assert!(none.verify(0, &grown.ids[0], &[]).is_err());
}
