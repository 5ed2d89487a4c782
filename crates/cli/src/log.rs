//! `log`: the change log as a whole. Each action has a file of its own below;
//! here is only the way to it.

mod archive;
mod compact;
mod list;
mod recover;
mod stats;
mod take_up;

use crate::args::{LogAction, LogArgs};
use crate::exit::Failure;
use crate::screen::Screen;

pub(crate) async fn log(screen: Screen, options: &LogArgs) -> Result<(), Failure> {
    match &options.action {
        LogAction::List(wanted) => list::list(screen, &options.file, wanted).await,
        LogAction::Stats { json } => stats::stats(screen, &options.file, *json).await,
        LogAction::Archive(archive) => archive::archive(screen, &options.file, archive).await,
        LogAction::Compact { into, json } => compact::compact(screen, &options.file, into, *json).await,
        LogAction::TakeUp(wanted) => take_up::take_up(screen, &options.file, wanted).await,
        LogAction::Recover(with) => recover::recover_log(screen, &options.file, with).await,
    }
}
