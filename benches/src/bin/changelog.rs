//! The change log, measured: how fast events become durable, ours beside a bare
//! file (the limit) and three engines with the same events; and what a log costs
//! that has grown large.
//!
//! Engines take turns, so that a busy minute of the machine hits all alike; a
//! comparison is the middle one of those of the turns.

use hms_sync_benches::changelog::{Engine, Filled, Kept, Looked, Maker, ask, fill, look};
use hms_sync_benches::{Figures, Table, is_quick, median, say};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// What the product has.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records that the compared engines keep events of.
const RECORDS: usize = 10_000;

/// What is measured.
struct Size {
    /// Events in a group, groups of a turn, turns.
    groups: &'static [(usize, usize, usize)],
    /// Events of a small, a large and a very large log.
    logs: &'static [(&'static str, usize)],
}

const FULL: Size = Size {
    groups: &[(1, 400, 5), (64, 400, 7), (1_024, 60, 7)],
    logs: &[("100k", 100_000), ("1m", 1_000_000), ("3m", 3_000_000)],
};
const QUICK: Size = Size { groups: &[(1, 100, 3), (64, 80, 3), (1_024, 12, 3)], logs: &[("100k", 100_000)] };

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["fill", dir, events] => tell(&fill(Path::new(dir), events.parse()?, None)?),
        ["fill", dir, events, beside] => {
            tell(&fill(Path::new(dir), events.parse()?, Some(Path::new(beside)))?)
        }
        ["look", dir, rest @ ..] => tell(&look(Path::new(dir), rest == ["verify"])?),
        // One size of groups alone, for whoever tunes.
        ["compare", group, groups, turns] => {
            let rates = compare(&home()?, group.parse()?, groups.parse()?, turns.parse()?)?;
            Kept::ALL.iter().zip(rates).try_for_each(|(kept, rates)| {
                say(&format!("{:24} {:9.0} events/s  {rates:.0?}", kept.name(), median(&rates)))
            })
        }
        _ => measure(if is_quick() { &QUICK } else { &FULL }),
    }
}

fn tell(what: &impl serde::Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string(what)?)
}

fn measure(size: &Size) -> anyhow::Result<()> {
    let home = home()?;
    let mut figures = Figures::new("changelog");
    let mut table = Table::new(&["events a second", "groups of 1", "of 64", "of 1,024"]);
    let mut rows: Vec<Vec<String>> = Kept::ALL.iter().map(|kept| vec![kept.name().to_owned()]).collect();
    for &(group, groups, turns) in size.groups {
        say(&format!("groups of {group}"))?;
        let rates = compare(&home, group, groups, turns)?;
        for (row, rates) in rows.iter_mut().zip(&rates) {
            row.push(format!("{:.0}", median(rates)));
        }
        compared(&mut figures, group, &rates);
    }
    rows.iter().for_each(|row| table.row(row));
    let grown = grown(&home, size)?;
    say("")?;
    table.say()?;
    grown_table(&grown)?;
    grown_figures(&mut figures, &grown);
    figures.say()
}

/// The folder that is measured in: that of the workspace's target, and not one that
/// may lie in memory.
fn home() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().map_or_else(std::env::temp_dir, Path::to_owned))
}

/// Events a second of each engine in each turn.
fn compare(home: &Path, group: usize, groups: usize, turns: usize) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut maker = Maker::new(RECORDS);
    let mut engines: Vec<(TempDir, Box<dyn Engine>, Vec<f64>)> = Vec::new();
    for kept in Kept::ALL {
        let dir = tempfile::tempdir_in(home)?;
        let engine = kept.open(dir.path())?;
        engines.push((dir, engine, Vec::new()));
    }
    for _ in 0..turns {
        let groups = (0..groups).map(|_| maker.group(group)).collect::<Result<Vec<_>, _>>()?;
        for (_, engine, rates) in &mut engines {
            let begun = Instant::now();
            for group in &groups {
                engine.append(group)?;
            }
            rates.push(count(groups.len() * group) / begun.elapsed().as_secs_f64());
        }
    }
    Ok(engines.into_iter().map(|(_, _, rates)| rates).collect())
}

#[expect(clippy::cast_precision_loss, reason = "counts of events are far below 2^52")]
fn count(events: usize) -> f64 {
    events as f64
}

/// Ours against each of the others, turn by turn.
fn compared(figures: &mut Figures, group: usize, rates: &[Vec<f64>]) {
    let [raw, ours, plain, sqlite, fjall] = rates else { return };
    let versus =
        |other: &[f64]| median(&ours.iter().zip(other).map(|(ours, other)| ours / other).collect::<Vec<_>>());
    let least = |name, value, wanted: Option<f64>, figures: &mut Figures| match wanted {
        Some(wanted) => figures.at_least(&format!("{name}_{group}"), value, wanted),
        None => figures.raw(&format!("{name}_{group}"), value),
    };
    let [for_plain, for_sqlite, for_limit] = match group {
        64 => [Some(1.5), Some(1.0), Some(0.3)],
        1_024 => [Some(2.5), Some(1.0), None],
        _ => [None; 3],
    };
    least("vs_plain_sled", versus(plain), for_plain, figures);
    least("vs_sqlite", versus(sqlite), for_sqlite, figures);
    least("vs_fjall", versus(fjall), None, figures);
    least("vs_limit", versus(raw), for_limit, figures);
    figures.raw(&format!("rate_{group}"), median(ours));
}

/// A log of some size.
struct Grown {
    name: &'static str,
    events: usize,
    filled: Filled,
    looked: Looked,
}

/// Each log filled, closed, and looked into.
fn grown(home: &Path, size: &Size) -> anyhow::Result<Vec<Grown>> {
    let mut all = Vec::new();
    let mut dirs = Vec::new();
    for &(name, events) in size.logs {
        say(&format!("a log of {events} events"))?;
        let (dir, beside) = (tempfile::tempdir_in(home)?, tempfile::tempdir_in(home)?);
        let count = events.to_string();
        let path = |dir: &TempDir| dir.path().to_string_lossy().into_owned();
        let (at, by) = (path(&dir), path(&beside));
        let filled = match name {
            "3m" => ask(&["fill", &at, &count, &by])?,
            _ => ask(&["fill", &at, &count])?,
        };
        let looked = ask(&["look", &at, "verify"])?;
        all.push(Grown { name, events, filled, looked });
        dirs.push((name, dir));
    }
    again(&mut all, &dirs)?;
    Ok(all)
}

/// Histories once more by turns, for they are compared between logs.
fn again(all: &mut [Grown], dirs: &[(&'static str, TempDir)]) -> anyhow::Result<()> {
    if all.len() < 2 {
        return Ok(());
    }
    let mut took: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    let mut opened = took.clone();
    for _ in 0..5 {
        for ((_, dir), (took, opened)) in dirs.iter().zip(took.iter_mut().zip(&mut opened)) {
            let looked: Looked = ask(&["look", &dir.path().to_string_lossy()])?;
            took.push(looked.history_p50_us);
            opened.push(looked.open_s);
        }
    }
    for (grown, (took, opened)) in all.iter_mut().zip(took.iter().zip(&opened)) {
        grown.looked.history_p50_us = median(took);
        grown.looked.open_s = median(opened);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "bytes are far below 2^52")]
fn disk_vs_payload(filled: &Filled) -> f64 {
    filled.disk as f64 / filled.payload.max(1) as f64
}

fn grown_figures(figures: &mut Figures, all: &[Grown]) {
    let find = |name: &str| all.iter().find(|grown| grown.name == name);
    let (small, large, very) = (find("100k"), find("1m"), find("3m"));
    if let Some(Grown { filled, looked, .. }) = large {
        figures.at_most("peak_rss_mb_1m", filled.peak_rss_mib.max(looked.peak_rss_mib), 250.0);
        figures.at_most("disk_vs_payload", disk_vs_payload(filled), 2.5);
        figures.at_most("reopen_s_1m", looked.open_s, 0.5);
        figures.at_most("history_p50_us_1m", looked.history_p50_us, 250.0);
    }
    if let Some(Grown { looked, .. }) = large.or(small) {
        figures.at_least("verify_events_per_s", looked.verify_rate.unwrap_or(f64::NAN), 300_000.0);
    }
    if let (Some(small), Some(very)) = (small, very) {
        let turns: Vec<f64> = very.filled.turns.iter().map(|(small, large)| large / small).collect();
        figures.at_least("rate_3m_vs_100k", median(&turns), 0.67);
        figures.at_most("history_3m_vs_100k", very.looked.history_p50_us / small.looked.history_p50_us, 1.5);
    }
}

fn grown_table(all: &[Grown]) -> anyhow::Result<()> {
    say("")?;
    let headings = [
        "a log of",
        "events/s",
        "MiB at most",
        "disk vs payload",
        "open s",
        "history p50 us",
        "p99 us",
        "verify/s",
    ];
    let mut table = Table::new(&headings);
    for Grown { events, filled, looked, .. } in all {
        table.row(&[
            events.to_string(),
            format!("{:.0}", filled.rate),
            format!("{:.0}", filled.peak_rss_mib.max(looked.peak_rss_mib)),
            format!("{:.2}", disk_vs_payload(filled)),
            format!("{:.3}", looked.open_s),
            format!("{:.0}", looked.history_p50_us),
            format!("{:.0}", looked.history_p99_us),
            format!("{:.0}", looked.verify_rate.unwrap_or(f64::NAN)),
        ]);
    }
    table.say()
}
