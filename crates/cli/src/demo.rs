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
use stage::Stage;
use std::time::Duration;

/// The whole story, however slow the machine.
const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) async fn demo(screen: Screen, options: &DemoArgs) -> Result<(), Failure> {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        played = tokio::time::timeout(PATIENCE, play(screen, options)) => {
            played.unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "the demo took too long")))
        }
        () = interrupted => Err(Failure::new(Exit::Interrupted, "interrupted")),
    }
}

async fn play(screen: Screen, options: &DemoArgs) -> Result<(), Failure> {
    let mut stage = Stage::set(screen).await?;
    let told = story::tell(&mut stage).await;
    if let Err(failure) = told {
        stage.explain_failure();
        return Err(failure);
    }
    let sound = summary::close(&mut stage).await?;
    if options.keep {
        stage.keep().await;
    }
    stage.strike().await?;
    if sound { Ok(()) } else { Err(Failure::new(Exit::Failed, "the demo found differences, see above")) }
}
