//! The end of the story: everything compared, the history checked, a few figures.

use crate::demo::compare::{differences, done_twice};
use crate::demo::measure::percentile;
use crate::demo::stage::Stage;
use crate::demo::timeline::Detail;
use crate::exit::Failure;
use crate::screen::Tone;
use crate::words::{count, grouped};
use hms_sync_management::{StatusReport, Verified};

/// How often both sides are read after all is equal, to see that nothing echoes.
const READS: usize = 2;
/// Most differences that are shown.
const SHOWN_MAX: usize = 20;

/// Compares, checks, counts. Answers whether all is well.
pub(crate) async fn close(stage: &mut Stage) -> Result<bool, Failure> {
    stage
        .told
        .act(
            Detail::Every(usize::MAX),
            "Both sides compared, record by record",
            "Read from the systems themselves and from what they wrote down about every request.",
        )
        .await;
    let echoes = stage.read_on(READS).await?;
    let (clerk, marshal) = (stage.clerk.effects(), stage.marshal.effects());
    let mut wrong = differences(&stage.clerk.records(), &stage.marshal.records());
    wrong.extend(done_twice("clerk", &clerk));
    wrong.extend(done_twice("marshal", &marshal));
    let client = stage.client().await?;
    let status: StatusReport = client.get("/api/status", &[]).await?;
    let verified: Verified = client.get("/api/verify", &[]).await?;
    wrong.extend(verified.problem.map(|problem| format!("the change log is damaged: {problem}")));
    if status.status.parked > 0 {
        wrong.push(format!("{} were set aside", count(status.status.parked as u64, "thing", "things")));
    }
    if echoes > 0 {
        wrong.push(format!(
            "after all was equal, reading both sides {READS} times more led to {echoes} writes"
        ));
    }
    for difference in wrong.iter().take(SHOWN_MAX) {
        stage.told.plain(Tone::Bad, &format!("          ✗ {difference}"));
    }
    if wrong.len() > SHOWN_MAX {
        stage.told.plain(Tone::Bad, &format!("          … and {} more", wrong.len() - SHOWN_MAX));
    }
    if wrong.is_empty() {
        let records = count(stage.clerk.len() as u64, "permit", "permits");
        stage.told.good(&format!("{records} on both sides, each the same; nothing lost, nothing done twice"));
        stage.told.good(&format!(
            "{} in the change log, every hash and chain checked",
            count(verified.events, "event", "events")
        ));
    }
    if echoes == 0 {
        stage.told.good(&format!("both sides read {READS} times more, and nothing was left to write"));
    }
    figures(stage, verified.events, &stage.edits.delays(&clerk, &marshal), clerk.len() + marshal.len());
    Ok(wrong.is_empty())
}

fn figures(stage: &Stage, events: u64, delays: &[i64], writes: usize) {
    let counts = stage.told.counts();
    let ms = |share| {
        percentile(delays, share)
            .map_or_else(|| "-".to_owned(), |us| format!("{}.{} ms", us / 1_000, us % 1_000 / 100))
    };
    let rows = [
        ("events", grouped(events)),
        ("writes", grouped(writes as u64)),
        ("conflicts decided", counts.decided.to_string()),
        ("retries", counts.retries.to_string()),
        (
            "change → delivered",
            format!("{} median, {} at the 99th percentile, of {}", ms(50), ms(99), delays.len()),
        ),
    ];
    stage.told.plain(Tone::Plain, "");
    for (name, value) in rows {
        let name = stage.told.screen().paint(Tone::Faint, &format!("{name:>22}"));
        stage.told.plain(Tone::Plain, &format!("{name}  {value}"));
    }
}
