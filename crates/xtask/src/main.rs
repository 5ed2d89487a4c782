//! Chores of the project: `cargo xtask test`, `bench`, `check`, `docs`.
//!
//! Each chore is one function that runs the tools a person would run by hand and
//! says which one failed. Nothing here is part of the product.

mod bench;
mod check;
mod servers;
mod shell;
mod sources;

use shell::Outcome;
use std::process::ExitCode;

const USAGE: &str = "\
chores of hms-sync

usage: cargo xtask <chore>

  test             everything CI runs: format, lints, layers, unit tests, laws and the faults
                   that they must notice, simulation, real servers, docs. Gets what the tests need.
  check            format, lints, layers and sources only
  hostile [N]      a million cases, or N, of hostile input for each of what reads from outside, also
                   for what is too slow to see so many in `test`
  docs             writes the reference of the configuration's keys from the types
  servers          gets the real servers the tests need, and nothing else
  bench NAME       pipeline | faults | changelog | http | resolver, with [--quick]; the last line is JSON
  bench --list     what there is to measure
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test(),
        ["check"] => check::all(),
        ["hostile"] => hostile("1000000"),
        ["hostile", cases] => hostile(cases),
        ["docs"] => docs(),
        ["servers"] => servers::install().map(|_| ()),
        ["bench", rest @ ..] => bench::run(rest),
        ["help" | "--help" | "-h"] => {
            shell::say(USAGE);
            Ok(())
        }
        _ => {
            shell::complain(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            shell::complain(&format!("xtask: {why:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The pages of `docs/reference` that follow from types. The test that compares
/// them writes them when it is told to.
fn docs() -> Outcome {
    let mut write = shell::cargo(&["test", "--quiet", "--package", "hms-sync-config", "--test", "reference"]);
    write.env("HMS_SYNC_WRITE_DOCS", "1");
    shell::run("reference of the configuration", &mut write)
}

/// Every test whose name says that it shows hostile input, in all crates.
fn hostile(cases: &str) -> Outcome {
    let mut tests = shell::cargo(&["test", "--workspace", "--all-targets", "--", "hostile_", "--nocapture"]);
    tests.env("HMS_SYNC_HOSTILE_CASES", cases);
    shell::run("hostile input", &mut tests)
}

/// Everything, cheapest first.
fn test() -> Outcome {
    let servers = servers::install()?;
    check::all()?;
    let mut tests = shell::cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]);
    tests.env("HMS_SYNC_SERVERS", &servers);
    shell::run("tests", &mut tests)?;
    for package in ["hms-sync-resolver", "hms-sync-engine"] {
        let of = ["test", "--package", package, "--features", "faults", "--test", "laws"];
        let mut teeth = shell::cargo(&[of.as_slice(), &["--", "mutants", "--nocapture"]].concat());
        shell::run("faults put back, and the laws that notice", &mut teeth)?;
    }
    let mut docs = shell::cargo(&["test", "--workspace", "--doc"]);
    shell::run("examples in the docs", &mut docs)
}
