//! `log`: the change log as a whole. Each action has a file of its own below;
//! here is only the way to it.

mod stats;

use crate::args::{LogAction, LogArgs};
use crate::exit::Failure;
use crate::screen::Screen;

pub(crate) async fn log(screen: Screen, options: &LogArgs) -> Result<(), Failure> {
    match options.action {
        LogAction::Stats { json } => stats::stats(screen, &options.file, json).await,
    }
}
