//! The `hms-sync` command: runs a sync, answers questions about it, and plays
//! the demo. It decides nothing about records; every answer comes from the
//! management room's desk, in the process that runs the sync or, if none does,
//! from the change log.

mod args;
mod exit;
mod screen;
mod logging;
mod library;
mod client;
mod source;
mod words;
mod run;
mod restored;
mod check;
mod import;
mod discover;
mod test;
mod signals;
mod status;
mod subscribers;
mod record;
mod explain;
mod past;
mod conflicts;
mod links;
mod parked;
mod audit;
mod log;
mod demo;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use clap::{CommandFactory, Parser};
use std::process::ExitCode;
use std::time::Duration;

/// Memory comes and goes between the engine's thread and those that talk to sides.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::of_this_process();
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(obey(cli, screen));
            runtime.shutdown_timeout(Duration::from_secs(1));
            result
        }
        Err(why) => Err(Failure::new(Exit::Failed, format!("no threads to run on: {why}"))),
    };
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            screen.failure(&failure);
            failure.exit.into()
        }
    }
}

async fn obey(cli: Cli, screen: Screen) -> Result<(), Failure> {
    let filter = logging::filter_of(&cli);
    // The demo's picture is its own; only what goes wrong is logged into it.
    logging::start(cli.global.log_format, &filter);
    match cli.command {
        Command::Demo(options) => demo::demo(screen, &options).await,
        Command::Run(options) => run::run(screen, &options).await,
        Command::Check(options) => check::check(screen, &options).await,
        Command::Test(options) => test::test(screen, &options),
        Command::Status(options) => status::status(screen, &options).await,
        Command::History(options) => record::history(screen, &options).await,
        Command::Explain(options) => explain::explain(screen, &options).await,
        Command::AsOf(options) => past::as_of(screen, &options).await,
        Command::Diff(options) => past::diff(screen, &options).await,
        Command::Parked(options) => parked::parked(screen, &options).await,
        Command::Conflicts(options) => conflicts::conflicts(screen, &options).await,
        Command::Unlink(options) => links::unlink(screen, &options).await,
        Command::Relink(options) => links::relink(screen, &options).await,
        Command::Join(options) => links::join(screen, &options).await,
        Command::Subscribers(options) => subscribers::subscribers(screen, &options).await,
        Command::Poll(options) => status::poll(screen, &options).await,
        Command::Audit(options) => audit::audit(screen, &options).await,
        Command::Log(options) => log::log(screen, &options).await,
        Command::Import(options) => import::import(screen, &options),
        Command::Discover(options) => discover::discover(screen, &options).await,
        Command::Schema => screen.json(&library::schema()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "hms-sync", &mut script);
            screen.out(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}
