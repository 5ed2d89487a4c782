//! The connector to HTTP APIs, measured beside the plainest thing that does the
//! same work.

use hms_sync_benches::http::{
    BARE, FEED, Intake, Memory, Pages, Race, bare_server, feed_server, intake, memory, pages, race,
};
use hms_sync_benches::{Figures, Table, is_quick, median, say};

/// What the product has.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
struct Size {
    /// Records of a page, and rounds.
    pages: (usize, usize),
    /// Records that both read.
    race: usize,
    /// Records that are read to see what memory they take.
    memory: usize,
    /// Webhooks in a round, and rounds.
    intake: (usize, usize),
}

/// 32,000 records are 10 MB.
const FULL: Size = Size { pages: (32_000, 9), race: 100_000, memory: 1_000_000, intake: (20_000, 5) };
const QUICK: Size = Size { pages: (32_000, 3), race: 20_000, memory: 100_000, intake: (4_000, 3) };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let is = |word: &str| std::env::args().any(|given| given == word);
    if is(BARE) {
        return bare_server().await;
    }
    if is(FEED) {
        return feed_server().await;
    }
    let size = if is_quick() { &QUICK } else { &FULL };
    let mut figures = Figures::new("http");
    // Each part by itself, where only that is named.
    let all = !["pages", "reading", "memory", "webhooks"].into_iter().any(is);
    if all || is("pages") {
        let (records, rounds) = size.pages;
        say_pages(&pages(records, rounds).await?, &mut figures)?;
    }
    if all || is("reading") {
        say_race(&race(size.race).await?, size.race, &mut figures)?;
    }
    if all || is("memory") {
        say_memory(&memory(size.memory).await?, size.memory, &mut figures)?;
    }
    if all || is("webhooks") {
        let (messages, rounds) = size.intake;
        say_webhooks(&intake(messages, rounds).await?, &mut figures)?;
    }
    figures.say()
}

fn say_pages(pages: &Pages, figures: &mut Figures) -> anyhow::Result<()> {
    say("")?;
    let head = format!("a page of {:.1} MB, {} records", pages.megabytes, pages.records);
    let mut table = Table::new(&[&head, "ms", "rounds"]);
    let looked_up = vec![pages.looked_up];
    for (name, times) in [
        ("to get it", &pages.transfer),
        ("serde_json to a value, from memory", &pages.plain),
        ("hms-sync, got, taken apart, compared", &pages.ours),
        ("the same, nothing remembered of the records", &looked_up),
    ] {
        let all = times.iter().map(|time| format!("{:.1}", time * 1e3)).collect::<Vec<_>>().join(" ");
        table.row(&[name.to_owned(), format!("{:.1}", median(times) * 1e3), all]);
    }
    table.say()?;
    figures.at_least("page_vs_serde_json", pages.ratio(), 0.5);
    figures.raw("page_looked_up_vs_serde_json", pages.ratio_looked_up());
    Ok(())
}

fn say_race(race: &Race, records: usize, figures: &mut Figures) -> anyhow::Result<()> {
    say("")?;
    let mut table = Table::new(&["a collection read, pages of 1,000", "records", "records/s"]);
    for (name, rate) in [
        ("dlt, rest_api, merged by key into duckdb", race.dlt.merged),
        ("the same again, nothing changed", race.dlt.again),
        ("merged as by default, not by parquet files", race.dlt.defaults),
        ("dlt, rest_api, into files", race.dlt.files),
        ("of that, extract alone", race.dlt.extract),
        ("hms-sync, durable", race.ours),
        ("the same again, nothing changed", race.again),
        ("its connector alone, nothing kept", race.source),
    ] {
        table.row(&[name.to_owned(), records.to_string(), format!("{rate:.0}")]);
    }
    table.say()?;
    figures.at_least("vs_dlt", race.ours / race.dlt.merged, 20.0);
    figures.raw("vs_dlt_again", race.again / race.dlt.again);
    figures.raw("vs_dlt_defaults", race.ours / race.dlt.defaults);
    figures.raw("vs_dlt_files", race.ours / race.dlt.files);
    figures.raw("vs_dlt_extract", race.source / race.dlt.extract);
    figures.raw("read_per_second", race.ours);
    Ok(())
}

fn say_memory(memory: &Memory, records: usize, figures: &mut Figures) -> anyhow::Result<()> {
    say("")?;
    let mut table = Table::new(&["memory while a collection is read", "records", "MiB at most", "s"]);
    table.row(&[
        "a tenth".to_owned(),
        (records / 10).to_string(),
        format!("{:.1}", memory.at_tenth),
        String::new(),
    ]);
    let seconds = format!("{:.1}", memory.seconds);
    table.row(&["all".to_owned(), records.to_string(), format!("{:.1}", memory.peak), seconds]);
    table.say()?;
    figures.at_most("rss_growth_mb_1m", memory.peak - memory.at_tenth, 20.0);
    Ok(())
}

fn say_webhooks(intake: &Intake, figures: &mut Figures) -> anyhow::Result<()> {
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
