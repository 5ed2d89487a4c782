//! The demo: two small systems, a sync between them in a process of its own,
//! and a story played on all three, ending with everything compared.
//!
//! Nothing in it is staged: the systems are real HTTP servers, the process is
//! killed with SIGKILL, and what is shown is what the process tells and what the
//! systems themselves wrote down. A difference at the end is a failure.

mod timeline;
mod heard;
mod process;
mod stage;
mod story;
mod compare;
mod measure;
mod summary;

use crate::args::DemoArgs;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use crate::signals::Signals;
use stage::Stage;
use std::time::Duration;

/// The whole story, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) async fn demo(screen: Screen, options: &DemoArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut stage = Stage::set(screen).await?;
    let told = stage.told.clone();
    let ended = tokio::select! {
        played = play(&mut stage, options) => played,
        () = signals.next() => Err(Failure::new(Exit::Interrupted, "interrupted")),
        () = told.reader_gone() => Ok(()),
    };
    // First the process, if it is still there, then the folder that it works in.
    ended.and(stage.kill_sync().await)
}

async fn play(stage: &mut Stage, options: &DemoArgs) -> Result<(), Failure> {
    let too_long = |_| Err(Failure::new(Exit::Failed, "the demo took too long"));
    let sound = tokio::time::timeout(PATIENCE, perform(stage)).await.unwrap_or_else(too_long)?;
    if options.keep {
        stage.keep().await;
    }
    stage.strike().await?;
    if sound { Ok(()) } else { Err(Failure::new(Exit::Failed, "the demo found differences, see above")) }
}

/// Plays the story; answers whether all was well in the end.
async fn perform(stage: &mut Stage) -> Result<bool, Failure> {
    let told = story::tell(stage).await;
    if let Err(failure) = told {
        stage.explain_failure();
        return Err(failure);
    }
    summary::close(stage).await
}
