//! How many entries of an export a second are verified, and in how much memory.
//! `cargo run --release -p hms-sync-audit --example speed [entries]`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a tool for the one who tunes"
)]

use hms_sync_audit::{Auditor, Begin, Scope, Writer};
use hms_sync_model::{
    Actor, Body, Change, Dot, Edit, Event, EventId, FieldName, RecordId, SideName, Source, Stamp, Time,
    Value, VecMap,
};
use hms_sync_proof::{Checkpoint, Frontier, ManyProver, MemoryNodes, Signer, SigningKey, TreeHash};
use std::io::{BufReader, BufWriter};
use std::time::Instant;

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(100_000, |n| n.parse().unwrap());
    let path = std::env::temp_dir().join(format!("hms-sync-speed-{}.jsonl", std::process::id()));
    // In a process of its own, so that the memory is the verifier's.
    if std::env::args().nth(2).is_none() {
        make(&path, count);
        let bytes = std::fs::metadata(&path).unwrap().len();
        println!("{count} entries, {} bytes each", bytes / count);
        let this = std::env::current_exe().unwrap();
        std::process::Command::new(this).arg(count.to_string()).arg(&path).status().unwrap();
        std::fs::remove_file(&path).unwrap();
        return;
    }
    let mut auditor = Auditor::new();
    auditor.key(signer().verifier_key());
    let file = std::fs::File::open(std::env::args().nth(2).unwrap()).unwrap();
    let begun = Instant::now();
    let report = auditor.verify(BufReader::with_capacity(256 << 10, file), |_| {}).unwrap();
    let each = begun.elapsed().as_secs_f64() / report.entries as f64;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    println!("verified {:.0} entries/s, {:.2} us each; {peak}", 1.0 / each, each * 1e6);
}

fn signer() -> Signer {
    Signer::new("log.example/speed".parse().unwrap(), SigningKey::from_seed(&[1; 32]))
}

fn make(path: &std::path::Path, count: u64) {
    let (mut tree, mut nodes, mut payloads) = (Frontier::new(), MemoryNodes::default(), Vec::new());
    let mut last = vec![(0u64, EventId::default()); usize::try_from(count / 3 + 1).unwrap()];
    for seq in 1..=count {
        let n = usize::try_from(seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20).unwrap() % last.len();
        let before = last.get_mut(n).unwrap();
        let payload = rmp_serde::to_vec_named(&event(seq, n, before.0 + 1, before.1)).unwrap();
        let id = *blake3::hash(&payload).as_bytes();
        *before = (before.0 + 1, EventId(id));
        tree.append_with(TreeHash::leaf(&id), |at, hash| nodes.keep(at, hash)).unwrap();
        payloads.push(payload);
    }
    let signer = signer();
    let note = Checkpoint::new(signer.name().as_str(), tree.head()).unwrap().sign(&signer).unwrap();
    let keys = [signer.verifier_key()];
    let begin = Begin { origin: signer.name().as_str(), keys: &keys, scope: Scope::Whole, checkpoint: &note };
    let mut writer = Writer::begin(BufWriter::new(std::fs::File::create(path).unwrap()), &begin).unwrap();
    let mut many = ManyProver::new(count);
    for (payload, index) in payloads.iter().zip(0..) {
        writer.entry(payload, &many.prove(&nodes, index).unwrap()).unwrap();
    }
    writer.end().unwrap();
}

/// An edit of two fields, about 300 bytes.
fn event(seq: u64, n: usize, version: u64, prev: EventId) -> Event {
    let actor = Actor::side(SideName::try_new("clerk").unwrap());
    let change = |name: &str, after: &str| {
        (FieldName::try_new(name).unwrap(), Change { before: Value::Absent, after: after.into() })
    };
    let words = "An applicant asked for the hall to be open until midnight on both days";
    let edit = Edit {
        generation: 0,
        dot: Dot { actor: actor.clone(), n: version },
        context: [(actor, version.saturating_sub(1))].into_iter().collect(),
        but: VecMap::new(),
        changes: [change("status", "approved"), change("notes", words)].into_iter().collect(),
        deletes: false,
        stamp: Stamp::at(Time(1_700_000_000_000_000)),
        certain: true,
    };
    let body = Body::Edited { edit, id: None, tag: None, source: Source::Page, raw: None };
    let record = RecordId::try_new(format!("permit/{:013x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).unwrap();
    Event { seq, record, version, at: Time(1_700_000_000_000_000), prev, body }
}
