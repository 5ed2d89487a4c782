//! Measurements. Each is a program of the `benches` package, built for release,
//! that prints a table and, as its last line, one JSON object
//! `{"bench":NAME,"figures":{…}}`.

use crate::shell::{self, Outcome, cargo, say};
use anyhow::bail;

/// What there is to measure.
const BENCHES: &[(&str, &str)] = &[
    ("pipeline", "first load and single changes, against a bare client and a plain loop"),
    ("faults", "the first load under faults: lost, doubled, time over what the fault imposes"),
];

/// Runs one.
pub(crate) fn run_one(name: &str, rest: &[&str]) -> Outcome {
    // The sync under test and the doubles are processes of their own, so that they can be killed.
    shell::run(
        "build",
        &mut cargo(&[
            "build",
            "--release",
            "--quiet",
            "-p",
            "hms-sync-cli",
            "-p",
            "hms-sync-doubles",
            "-p",
            "hms-sync-benches",
        ]),
    )?;
    let mut args = vec!["run", "--release", "--quiet", "-p", "hms-sync-benches", "--bin", name, "--"];
    args.extend(rest);
    shell::run(name, &mut cargo(&args))
}

/// The `bench` chore.
pub(crate) fn run_named(name: &str, rest: &[&str]) -> Outcome {
    if BENCHES.iter().any(|(known, _)| *known == name) {
        return run_one(name, rest);
    }
    bail!("there is no bench {name:?}; see cargo xtask bench --list")
}

/// The `bench` chore with its words.
pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["--list"] | [] => {
            for (name, what) in BENCHES {
                say(&format!("{name:10} {what}\n"));
            }
            Ok(())
        }
        [name, rest @ ..] => run_named(name, rest),
    }
}
