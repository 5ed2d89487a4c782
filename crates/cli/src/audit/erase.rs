//! `audit erase`: a record's personal fields are erased, and what is left to do is said.
//!
//! Takes no word back: whoever asks has said which record, and why.

use crate::args::EraseArgs;
use crate::exit::Failure;
use crate::screen::{Screen, Tone};
use crate::source::Source;
use hms_sync_management::one_line;
use std::path::Path;

pub(super) async fn erase(screen: Screen, file: &Path, options: &EraseArgs) -> Result<(), Failure> {
    let source = Source::open(file).await?;
    let done = source.erase(&options.record, &options.asks.by, &options.reason).await?;
    if options.asks.json {
        return screen.json(&done);
    }
    let fields: Vec<String> = done.fields.iter().map(|field| one_line(field)).collect();
    screen.out(&format!(
        "{} {} of {}: their key is destroyed, and they are closed",
        screen.paint(Tone::Good, "erased:"),
        fields.join(", "),
        one_line(&done.title)
    ));
    screen.out("the sides keep what they hold: have it erased there, too");
    Ok(())
}
