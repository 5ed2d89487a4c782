//! Measurements. Each is a program of the `benches` package, built for release,
//! that prints a table and, as its last line, one JSON object
//! `{"bench":NAME,"figures":{…}}`.

use crate::servers;
use crate::shell::{self, Outcome, cargo, say};
use anyhow::bail;

/// What there is to measure: a name, what for, and whether the sync under test and the
/// doubles are processes of their own, so that they can be killed.
const BENCHES: &[(&str, &str, bool)] = &[
    (RESOLVER, "merging beside automerge, loro, yrs and crdts; sizes of records; a million of them", false),
    ("pipeline", "first load and single changes, against a bare client and a plain loop", true),
    ("faults", "the first load under faults: lost, doubled, time over what the fault imposes", true),
    (
        "changelog",
        "durable appends beside sled, SQLite, fjall and a bare file; a log that has grown large",
        false,
    ),
    (HTTP, "pages beside serde_json, a collection beside dlt, memory, webhooks beside a bare handler", true),
];

/// The one that takes libraries which nothing else does: they are built for it alone.
const RESOLVER: &str = "resolver";

/// The one that runs dlt beside ours.
const HTTP: &str = "http";

/// Runs one.
fn run_one(name: &str, processes: bool, rest: &[&str]) -> Outcome {
    let features: &[&str] = if name == RESOLVER { &["--features", "peers"] } else { &[] };
    let mut build = vec!["build", "--release", "--quiet", "-p", "hms-sync-benches"];
    build.extend(features);
    if processes {
        build.extend(["-p", "hms-sync-cli", "-p", "hms-sync-doubles"]);
    }
    shell::run("build", &mut cargo(&build))?;
    let mut args = vec!["run", "--release", "--quiet", "-p", "hms-sync-benches"];
    args.extend(features);
    args.extend(["--bin", name, "--"]);
    args.extend(rest);
    let mut bench = cargo(&args);
    if name == HTTP {
        bench.env("HMS_SYNC_BENCH_PYTHON", servers::install_peers()?);
    }
    shell::run(name, &mut bench)
}

/// The `bench` chore.
fn run_named(name: &str, rest: &[&str]) -> Outcome {
    match BENCHES.iter().find(|(known, ..)| *known == name) {
        Some((name, _, processes)) => run_one(name, *processes, rest),
        None => bail!("there is no bench {name:?}; see cargo xtask bench --list"),
    }
}

/// The `bench` chore with its words.
pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["--list"] | [] => {
            for (name, what, _) in BENCHES {
                say(&format!("{name:10} {what}\n"));
            }
            Ok(())
        }
        [name, rest @ ..] => run_named(name, rest),
    }
}
