//! The connector to HTTP APIs, measured beside the plainest thing that does the
//! same work.

use hms_sync_benches::http::{Intake, bare_server, intake};
use hms_sync_benches::{Figures, Table, is_quick, median, say};

/// What the product has.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
struct Size {
    /// Webhooks in a round, and rounds.
    intake: (usize, usize),
}

const FULL: Size = Size { intake: (20_000, 5) };
const QUICK: Size = Size { intake: (4_000, 3) };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::args().any(|word| word == "bare-server") {
        return bare_server().await;
    }
    let size = if is_quick() { &QUICK } else { &FULL };
    let mut figures = Figures::new("http");
    say("webhooks")?;
    let (messages, rounds) = size.intake;
    webhooks(&intake(messages, rounds).await?, &mut figures)?;
    figures.say()
}

fn webhooks(intake: &Intake, figures: &mut Figures) -> anyhow::Result<()> {
    say("")?;
    let mut table = Table::new(&["webhooks taken in, 64 connections", "per second", "rounds"]);
    for (name, rates) in
        [("bare axum handler, keeps nothing", &intake.bare), ("hms-sync, durable before 200", &intake.ours)]
    {
        let all = rates.iter().map(|rate| format!("{rate:.0}")).collect::<Vec<_>>().join(" ");
        table.row(&[name.to_owned(), format!("{:.0}", median(rates)), all]);
    }
    table.say()?;
    figures.at_least("webhook_vs_bare", intake.ratio(), 0.4);
    figures.raw("webhooks_per_second", median(&intake.ours));
    figures.raw("bare_per_second", median(&intake.bare));
    Ok(())
}
