//! A double in a process of its own: `double clerk --port 0 --seed-records 1000`.
//!
//! Its URL is the first line it writes. It runs until it is ended, or until its
//! standard input closes if `--until-eof` is given, so that it never outlives
//! the bench that started it.

use hms_sync_doubles::{Double, Kind, Options};
use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: double clerk|marshal [--port N] [--seed N] [--seed-records N] \
                     [--unique true|false] [--idempotency true|false] [--until-eof]";

struct Arguments {
    kind: Kind,
    options: Options,
    records: u64,
    until_eof: bool,
}

fn arguments() -> Option<Arguments> {
    let mut given = std::env::args().skip(1);
    let kind = match given.next()?.as_str() {
        "clerk" => Kind::Clerk,
        "marshal" => Kind::Marshal,
        _ => return None,
    };
    let mut all = Arguments { kind, options: Options::of(kind), records: 0, until_eof: false };
    while let Some(name) = given.next() {
        if name == "--until-eof" {
            all.until_eof = true;
            continue;
        }
        let value = given.next()?;
        match name.as_str() {
            "--port" => all.options.port = value.parse().ok()?,
            "--seed" => all.options.seed = value.parse().ok()?,
            "--seed-records" => all.records = value.parse().ok()?,
            "--unique" => all.options.unique = value.parse().ok()?,
            "--idempotency" => all.options.idempotency = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(all)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        return told(writeln!(std::io::stderr(), "{USAGE}"), ExitCode::from(2));
    };
    let double = match Double::start(arguments.kind, arguments.options).await {
        Ok(double) => double,
        Err(error) => return told(writeln!(std::io::stderr(), "{error}"), ExitCode::FAILURE),
    };
    double.seed_records(1, arguments.records);
    if told(writeln!(std::io::stdout(), "{}", double.url()), ExitCode::SUCCESS) != ExitCode::SUCCESS {
        return ExitCode::FAILURE;
    }
    if arguments.until_eof {
        // Whatever ends the input ends us.
        let ended =
            tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await;
        return if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    std::future::pending().await
}

/// The exit code, unless nobody could be told.
fn told(written: std::io::Result<()>, code: ExitCode) -> ExitCode {
    written.map_or(ExitCode::FAILURE, |()| code)
}
