//! The main job, measured: the first load and single changes, ours beside a bare
//! client (the limit), the loop one writes first, and a bare proxy.
//!
//! Rounds are interleaved, so that a busy minute of the machine hits all alike.

use hms_sync_benches::{
    Double, Figures, Keys, Kind, Latencies, Proxy, Stage, Table, bare, changes, is_quick, median, now,
    one_by_one, rate, say,
};
use std::time::Duration;

/// Requests under way at once, as in the example's configuration.
const IN_FLIGHT: usize = 32;
/// The longest that one load may take.
const PATIENCE: Duration = Duration::from_mins(10);

struct Size {
    records: usize,
    rounds: usize,
    changes: usize,
    /// So many records, in so many of the rounds.
    many: Option<(usize, usize)>,
}

#[derive(Default)]
struct Measured {
    limit: Vec<f64>,
    straight: Vec<f64>,
    ours: Vec<f64>,
    ours_changes: Latencies,
    proxy_changes: Latencies,
    peak_rss: f64,
    many: Vec<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let size = if is_quick() {
        Size { records: 4_000, rounds: 2, changes: 100, many: None }
    } else {
        Size { records: 10_000, rounds: 7, changes: 100, many: Some((100_000, 3)) }
    };
    let mut measured = Measured::default();
    for round in 1..=size.rounds {
        say(&format!("round {round} of {}", size.rounds))?;
        measured.limit.push(limit(size.records).await?);
        let rate = ours(&size, &mut measured).await?;
        measured.ours.push(rate);
        measured.straight.push(straight(size.records).await?);
        measured.proxy_changes.extend(proxied(size.changes).await?);
        if let Some((many, _)) = size.many.filter(|(_, rounds)| round > size.rounds - rounds) {
            say(&format!("round {round}, {many} records"))?;
            let rate = large(many, &mut measured.peak_rss).await?;
            measured.many.push(rate);
        }
    }
    report(&size, &measured)
}

/// The bare client; answers records a second.
async fn limit(records: usize) -> anyhow::Result<f64> {
    let stage = Stage::set(records, Keys::Honoured).await?;
    let began = now();
    bare(&stage.clerk, &stage.marshal, IN_FLIGHT).await?;
    Ok(rate(records, began, all_there(&stage, records).await?))
}

/// The plain loop; answers records a second.
async fn straight(records: usize) -> anyhow::Result<f64> {
    let stage = Stage::set(records, Keys::Honoured).await?;
    let began = now();
    one_by_one(&stage.clerk, &stage.marshal).await?;
    Ok(rate(records, began, all_there(&stage, records).await?))
}

/// Ours: the first load, from the start of the process, then single changes.
async fn ours(size: &Size, measured: &mut Measured) -> anyhow::Result<f64> {
    let stage = Stage::set(size.records, Keys::Honoured).await?;
    let began = now();
    let mut sync = stage.sync()?;
    stage.marshal.until_listed(size.records, PATIENCE).await?;
    let rate = rate(size.records, began, all_there(&stage, size.records).await?);
    sync.ready().await?;
    // What follows a load (its last answers, the next polls) is not part of a change.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.hook(&sync).await?;
    measured.ours_changes.extend(changes(&stage.clerk, &stage.marshal, size.changes).await?);
    measured.peak_rss = measured.peak_rss.max(sync.peak_rss_mib()?);
    sync.stop().await?;
    Ok(rate)
}

/// Ours with many records; answers records a second.
async fn large(records: usize, peak_rss: &mut f64) -> anyhow::Result<f64> {
    let stage = Stage::set(records, Keys::Honoured).await?;
    let began = now();
    let sync = stage.sync()?;
    stage.marshal.until_listed(records, PATIENCE).await?;
    let rate = rate(records, began, all_there(&stage, records).await?);
    *peak_rss = peak_rss.max(sync.peak_rss_mib()?);
    sync.stop().await?;
    Ok(rate)
}

/// Single changes through the bare proxy.
async fn proxied(count: usize) -> anyhow::Result<Latencies> {
    let clerk = Double::start(Kind::Clerk, count, false).await?;
    let marshal = Double::start(Kind::Marshal, count, true).await?;
    let proxy = Proxy::start(&marshal).await?;
    clerk.hook(&proxy.url, "whsec_aG1zLXN5bmMtYmVuY2gtc2VjcmV0").await?;
    changes(&clerk, &marshal, count).await
}

/// When the last of `records` came; fails if not each is there once.
async fn all_there(stage: &Stage, records: usize) -> anyhow::Result<i64> {
    let made = stage.marshal.creates().await?;
    let (permits, doubled) = (made.permits, made.doubled);
    anyhow::ensure!(permits == records && doubled == 0, "{permits} of {records} came, {doubled} came twice");
    Ok(made.last)
}

fn report(size: &Size, measured: &Measured) -> anyhow::Result<()> {
    tables(size, measured)?;
    let (limit, straight, ours) =
        (median(&measured.limit), median(&measured.straight), median(&measured.ours));
    let over = |q| measured.ours_changes.percentile(q) - measured.proxy_changes.percentile(q);
    let mut figures = Figures::new("pipeline");
    figures.at_least("rate_vs_limit", ours / limit, 0.6);
    figures.at_least("rate_vs_loop", ours / straight, 3.0);
    figures.at_most("change_p50_ms_over_proxy", over(50), 3.0);
    figures.at_most("change_p99_ms_over_proxy", over(99), 15.0);
    figures.at_most("peak_rss_mb", measured.peak_rss, 150.0);
    if size.many.is_some() {
        let many = median(&measured.many);
        figures.at_least("rate_100k_vs_10k", many / ours, 0.8);
        figures.raw("rate_100k", many);
    }
    figures.raw("rate", ours);
    figures.raw("rate_limit", limit);
    figures.raw("rate_loop", straight);
    figures.raw("change_p50_ms", measured.ours_changes.percentile(50));
    figures.raw("change_p99_ms", measured.ours_changes.percentile(99));
    figures.raw("proxy_p50_ms", measured.proxy_changes.percentile(50));
    figures.raw("proxy_p99_ms", measured.proxy_changes.percentile(99));
    figures.say()
}

fn tables(size: &Size, measured: &Measured) -> anyhow::Result<()> {
    say("")?;
    let mut table = Table::new(&["first load", "records", "records/s", "rounds"]);
    let all = |rates: &[f64]| rates.iter().map(|rate| format!("{rate:.0}")).collect::<Vec<_>>().join(" ");
    let rows = [
        ("bare client, 32 in flight (limit)", size.records, &measured.limit),
        ("loop, one by one", size.records, &measured.straight),
        ("hms-sync, durable", size.records, &measured.ours),
    ];
    let many = size.many.map(|(many, _)| ("hms-sync, durable", many, &measured.many));
    for (name, records, rates) in rows.into_iter().chain(many) {
        table.row(&[name.to_owned(), records.to_string(), format!("{:.0}", median(rates)), all(rates)]);
    }
    table.say()?;
    say("")?;
    let mut table = Table::new(&["one change, edit to write", "p50 ms", "p99 ms"]);
    let both = [("bare proxy", &measured.proxy_changes), ("hms-sync, durable", &measured.ours_changes)];
    for (name, took) in both {
        let cell = |q| format!("{:.2}", took.percentile(q));
        table.row(&[name.to_owned(), cell(50), cell(99)]);
    }
    table.say()
}
