//! `log take-up`: a record that is held because events of it are lost starts over from what
//! its sides show.
//!
//! Takes no word back: whoever asks has said which record, and why.

use crate::args::TakeUpArgs;
use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use crate::words::count;
use hms_sync_management::{Running, TakenUp, one_line};
use std::path::Path;

pub(super) async fn take_up(screen: Screen, file: &Path, options: &TakeUpArgs) -> Result<(), Failure> {
    let source = Source::open(file).await?;
    let done = source.take_up(&options.record, &options.asks.by, &options.reason).await?;
    if options.asks.json {
        return screen.json(&done);
    }
    let live = source.status().await?.running == Running::Live;
    lines(&done, live).iter().for_each(|line| screen.out(line));
    if !done.parked.is_empty() {
        let things = count(u64::try_from(done.parked.len()).unwrap_or(u64::MAX), "thing", "things");
        let (waits, hint) =
            (format!("{things} may have been done before, and waits for your word:"), "hms-sync parked");
        screen.out(&screen.paint(Tone::Warn, &waits));
        for item in &done.parked {
            screen.out(&format!("  {}: {}", item.lane, one_line(&item.words)));
        }
        screen.out(&format!("`{hint} FILE replay` or `discard`, with {} and --lane", one_line(&done.record)));
    }
    Ok(())
}

fn lines(done: &TakenUp, live: bool) -> [String; 2] {
    let when = if live { "now" } else { "when the sync runs" };
    [
        format!("taken up: {} (version {})", one_line(&done.title), done.version),
        format!("{when} it is read from {}, and only then anything is sent", done.unread.join(", ")),
    ]
}
