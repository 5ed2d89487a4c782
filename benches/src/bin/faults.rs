//! The first load under faults: what is lost, what is doubled, and how much
//! longer it takes than the fault itself makes it take. Each is loaded three times, in turns
//! with clean loads, but for those that the fault makes long; the median counts.

use hms_sync_benches::{Figures, Keys, Stage, Sync, Table, is_quick, median, now, say, seconds};
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};

/// The longest that one load may take before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it is looked how far a load has come.
const GLANCE: Duration = Duration::from_millis(20);
/// After the last record: so long without a write is the end.
const QUIET: Duration = Duration::from_millis(1_500);
const AWAY_MS: u32 = 5_000;
const REQUESTS_PER_SECOND: u32 = 500;
/// Loads of each kind, in turns: one alone differs from the next by a third.
const ROUNDS: usize = 3;

/// What happens to a load.
#[derive(Debug, Clone)]
enum Fault {
    None,
    /// The target misbehaves from the beginning.
    Always(Json),
    /// The target misbehaves once half of the records are there.
    Halfway(Json),
    /// Our process is killed at a third and at two thirds.
    Kills,
}

struct Case {
    name: &'static str,
    fault: Fault,
    keys: Keys,
    /// What a load takes at best under the fault, in seconds, given the time of
    /// a clean one and the time that a process needs to start.
    imposed: fn(records: f64, clean: f64, start: f64) -> f64,
}

impl Case {
    /// Whether the fault alone takes many times as long as a load: once tells enough then.
    fn is_long(&self) -> bool {
        (self.imposed)(10_000.0, 1.0, 0.0) > 2.0
    }
}

fn cases() -> Vec<Case> {
    let case = |name, fault, keys, imposed| Case { name, fault, keys, imposed };
    let unavailable = Fault::Always(json!({ "unavailable": 0.05 }));
    let away = Fault::Halfway(json!({ "down": "refused", "back_after_ms": AWAY_MS }));
    let lost = || Fault::Always(json!({ "lost": 0.02 }));
    let limit = Fault::Always(json!({ "rate_limit": REQUESTS_PER_SECOND }));
    vec![
        // One write in twenty is made again.
        case("5 % of writes answered 503", unavailable, Keys::Honoured, |_, clean, _| clean / 0.95),
        case("target gone for 5 s", away, Keys::Honoured, |_, clean, _| clean + f64::from(AWAY_MS) / 1_000.0),
        // One write in fifty is sent again, or looked for.
        case("2 % of answers lost, keys", lost(), Keys::Honoured, |_, clean, _| clean * 1.02),
        case("2 % of answers lost, look-ups", lost(), Keys::LookUpOnly, |_, clean, _| clean * 1.02),
        case("500 requests/s, 429 + Retry-After", limit, Keys::Honoured, |records, clean, _| {
            (records / f64::from(REQUESTS_PER_SECOND)).max(clean)
        }),
        case("our process killed twice", Fault::Kills, Keys::Honoured, |_, clean, start| clean + 2.0 * start),
    ]
}

/// What came of one load.
#[derive(Debug, Clone, Copy)]
struct Load {
    seconds: f64,
    lost: usize,
    doubled: usize,
    /// From the start of a process until it answered.
    start: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let records = if is_quick() { 2_000 } else { 10_000 };
    let asked: Vec<Case> = cases().into_iter().filter(|case| is_asked_for(case.name)).collect();
    let mut clean = Vec::new();
    let mut loads: Vec<Vec<Load>> = asked.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        say(&format!("round {} of {ROUNDS}: {records} records, no fault", round + 1))?;
        clean.push(load(&Fault::None, Keys::Honoured, records).await?);
        for (case, loads) in asked.iter().zip(&mut loads) {
            if round == 0 || !case.is_long() {
                say(&format!("  {}", case.name))?;
                loads.push(load(&case.fault, case.keys, records).await?);
            }
        }
    }
    let (seconds, start) = (middle(&clean, |load| load.seconds), middle(&clean, |load| load.start));
    let count = f64::from(u32::try_from(records)?);
    let mut table = Table::new(&["first load", "lost", "doubled", "s", "rounds", "imposed s", "over"]);
    table.row(&row("no fault", &clean, seconds));
    let mut slowest: f64 = 0.0;
    for (case, loads) in asked.iter().zip(&loads) {
        let imposed = (case.imposed)(count, seconds, start);
        slowest = slowest.max(middle(loads, |load| load.seconds) / imposed);
        table.row(&row(case.name, loads, imposed));
    }
    let all: Vec<Load> = clean.into_iter().chain(loads.into_iter().flatten()).collect();
    say("")?;
    table.say()?;
    let total = |what: fn(&Load) -> usize| u32::try_from(all.iter().map(what).sum::<usize>()).map(f64::from);
    let mut figures = Figures::new("faults");
    figures.at_most("lost_total", total(|load| load.lost)?, 0.0);
    figures.at_most("doubled_total", total(|load| load.doubled)?, 0.0);
    figures.at_most("slowest_over_imposed", slowest, 1.3);
    figures.raw("clean_seconds", seconds);
    figures.raw("records", count);
    figures.say()
}

fn middle(loads: &[Load], what: fn(&Load) -> f64) -> f64 {
    median(&loads.iter().map(what).collect::<Vec<_>>())
}

fn row(name: &str, loads: &[Load], imposed: f64) -> [String; 7] {
    let sum = |what: fn(&Load) -> usize| loads.iter().map(what).sum::<usize>().to_string();
    let seconds = middle(loads, |load| load.seconds);
    let rounds: Vec<String> = loads.iter().map(|load| format!("{:.2}", load.seconds)).collect();
    [
        name.to_owned(),
        sum(|load| load.lost),
        sum(|load| load.doubled),
        format!("{seconds:.2}"),
        rounds.join(" "),
        format!("{imposed:.2}"),
        format!("{:.2}", seconds / imposed),
    ]
}

/// With `--only WORDS`, whether a fault's name has those words.
fn is_asked_for(name: &str) -> bool {
    let mut args = std::env::args().skip_while(|arg| arg != "--only").skip(1);
    args.next().is_none_or(|words| name.contains(&words))
}

/// One first load under a fault.
async fn load(fault: &Fault, keys: Keys, records: usize) -> anyhow::Result<Load> {
    let stage = Stage::set(records, keys).await?;
    if let Fault::Always(faults) = fault {
        stage.marshal.faults(faults).await?;
    }
    let by = Instant::now() + PATIENCE;
    let (began, started) = (now(), Instant::now());
    let mut sync = stage.sync()?;
    sync.ready().await?;
    let start = started.elapsed().as_secs_f64();
    match fault {
        Fault::None | Fault::Always(_) => {}
        Fault::Halfway(faults) => {
            until(&stage, records / 2, by).await;
            stage.marshal.faults(faults).await?;
        }
        Fault::Kills => {
            for third in [1, 2] {
                until(&stage, records * third / 3, by).await;
                sync = again(sync, &stage).await?;
            }
        }
    }
    let ended = until(&stage, records, by).await;
    quiet(&stage).await?;
    let made = stage.marshal.creates().await?;
    let lost = records.saturating_sub(made.permits);
    if !ended || lost > 0 {
        say(&format!("  {lost} of {records} are missing; the sync's last lines:\n{}", stage.log_tail()))?;
    }
    let took = if ended { seconds(began, made.last) } else { PATIENCE.as_secs_f64() };
    sync.stop().await?;
    Ok(Load { seconds: took, lost, doubled: made.doubled, start })
}

async fn again(sync: Sync, stage: &Stage) -> anyhow::Result<Sync> {
    sync.kill().await?;
    stage.sync()
}

/// Waits until the target has so many permits; answers false if that takes too long.
async fn until(stage: &Stage, permits: usize, by: Instant) -> bool {
    while Instant::now() < by {
        if stage.marshal.permits().await.is_some_and(|there| there >= permits) {
            return true;
        }
        tokio::time::sleep(GLANCE).await;
    }
    false
}

/// Waits until nothing has been written for a while: what comes too late would be a double.
async fn quiet(stage: &Stage) -> anyhow::Result<()> {
    let mut before = stage.marshal.effects().await?;
    loop {
        tokio::time::sleep(QUIET).await;
        let after = stage.marshal.effects().await?;
        if after == before {
            return Ok(());
        }
        before = after;
    }
}
