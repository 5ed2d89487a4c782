//! Histories, and exports of them.

use hms_sync_audit::{AuditError, Auditor, BadLine, Begin, Report, Scope, Writer};
use hms_sync_model::{Body, Event, EventId, RecordId, SideName, Time};
use hms_sync_proof::{
    Checkpoint, ConsistencyProof, Frontier, ManyProver, MemoryNodes, Note, RecordHead, Signer, SigningKey,
    TreeHash, TreeHead, VerifierKey,
};
use std::collections::HashMap;

pub(crate) const ORIGIN: &str = "log.example/permits";

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::new(ORIGIN.parse().unwrap(), SigningKey::from_seed(&[seed; 32]))
}

pub(crate) fn key() -> VerifierKey {
    signer(1).verifier_key()
}

/// A history with its tree.
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) nodes: MemoryNodes,
    pub(crate) heads: Vec<TreeHead>,
    pub(crate) signer: Signer,
}

/// What event `seq` says.
pub(crate) type Words<'a> = &'a dyn Fn(u64) -> String;

pub(crate) fn usual(seq: u64) -> String {
    format!("the {seq}. word \"ü\"\n")
}

/// Of so many events of four records in turn.
pub(crate) fn history(count: u64, words: Words<'_>) -> History {
    let mut last = HashMap::<RecordId, (u64, EventId)>::new();
    let mut made = Vec::new();
    for seq in 1..=count {
        let record = RecordId::try_new(format!("permit/{}", seq % 4)).unwrap();
        let (version, prev) = last.get(&record).copied().unwrap_or_default();
        let side = SideName::try_new("clerk").unwrap();
        let body = Body::Doubted { side, stale: false, id: None, words: words(seq), message: None };
        let at = Time(1_700_000_000_000_000 + i64::try_from(seq).unwrap());
        let event = Event { seq, record: record.clone(), version: version + 1, at, prev, body };
        let payload = rmp_serde::to_vec_named(&event).unwrap();
        last.insert(record, (version + 1, EventId(*blake3::hash(&payload).as_bytes())));
        made.push((event, payload));
    }
    let (events, payloads) = made.into_iter().unzip();
    grown(events, payloads, signer(1))
}

/// The tree over payloads, whatever they are.
pub(crate) fn grown(events: Vec<Event>, payloads: Vec<Vec<u8>>, signer: Signer) -> History {
    let (mut tree, mut nodes) = (Frontier::new(), MemoryNodes::default());
    let mut heads = vec![tree.head()];
    for payload in &payloads {
        let leaf = TreeHash::leaf(blake3::hash(payload).as_bytes());
        tree.append_with(leaf, |at, hash| nodes.keep(at, hash)).unwrap();
        heads.push(tree.head());
    }
    History { events, payloads, nodes, heads, signer }
}

impl History {
    pub(crate) fn size(&self) -> u64 {
        self.payloads.len() as u64
    }

    pub(crate) fn checkpoint(&self, size: u64) -> Note {
        Checkpoint::new(ORIGIN, self.heads[size as usize]).unwrap().sign(&self.signer).unwrap()
    }

    /// An export of these entries.
    pub(crate) fn export(&self, scope: Scope, seqs: impl IntoIterator<Item = u64>, older: &[u64]) -> String {
        let (mut out, size) = (Vec::new(), self.size());
        let (keys, checkpoint) = ([self.signer.verifier_key()], self.checkpoint(size));
        let begin = Begin { origin: ORIGIN, keys: &keys, scope: scope.clone(), checkpoint: &checkpoint };
        let mut writer = Writer::begin(&mut out, &begin).unwrap();
        for older in older {
            writer
                .consistency(*older, &ConsistencyProof::prove(&self.nodes, *older, size).unwrap().path)
                .unwrap();
        }
        let mut prover = ManyProver::new(size);
        for seq in seqs {
            let proof = prover.prove(&self.nodes, seq - 1).unwrap();
            writer.entry(&self.payloads[seq as usize - 1], &proof).unwrap();
        }
        if let Scope::Record(record) = scope {
            writer.record_head(&self.record_head(&record)).unwrap();
        }
        writer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    pub(crate) fn record_head(&self, record: &str) -> Note {
        let last = self.events.iter().rfind(|event| event.record.as_str() == record).unwrap();
        let event = *blake3::hash(&self.payloads[last.seq as usize - 1]).as_bytes();
        let (origin, record, version) = (ORIGIN.to_owned(), record.to_owned(), last.version);
        let tree = self.heads[self.size() as usize];
        RecordHead { origin, record, version, event, tree }.sign(&self.signer).unwrap()
    }

    pub(crate) fn whole(&self) -> String {
        self.export(Scope::Whole, 1..=self.size(), &[])
    }

    /// The whole history of a record.
    pub(crate) fn of_record(&self, n: u64, older: &[u64]) -> String {
        let seqs = (1..=self.size()).filter(|seq| seq % 4 == n);
        self.export(Scope::Record(format!("permit/{n}")), seqs, older)
    }
}

/// One who has the key.
pub(crate) fn auditor() -> Auditor {
    let mut auditor = Auditor::new();
    auditor.key(key());
    auditor
}

pub(crate) fn verify(export: &str) -> Result<Report, AuditError> {
    auditor().verify(export.as_bytes(), |_| {})
}

/// What is found in an export in which something is wrong.
#[track_caller]
pub(crate) fn bad(export: &str) -> BadLine {
    found(verify(export))
}

#[track_caller]
pub(crate) fn found(result: Result<Report, AuditError>) -> BadLine {
    match result {
        Err(AuditError::Bad(bad)) => *bad,
        other => panic!("{other:?}"),
    }
}
