//! The resolver, measured: edits taken in beside automerge, loro, yrs and crdts, what a
//! record takes when it is kept, and whether many records cost more each than few.
//!
//! Libraries take turns, so that a busy minute of the machine hits all alike; a
//! comparison is the middle one of those of the turns.

use hms_sync_benches::resolver::{Contest, Library, Order, Ours, Run, Style, Work, settled_bytes};
use hms_sync_benches::{Figures, Table, is_quick, median, say};

/// What the product has.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Edits of each record.
const EACH: usize = 20;

/// What is measured.
struct Size {
    /// Records of the comparison.
    records: usize,
    /// Turns in which all take part, and further ones of the fast ones.
    turns: [usize; 2],
    /// Few and many records, for what each costs.
    few_many: [usize; 2],
}

const FULL: Size = Size { records: 10_000, turns: [1, 6], few_many: [10_000, 1_000_000] };
const QUICK: Size = Size { records: 1_000, turns: [1, 4], few_many: [10_000, 200_000] };

/// The names of the fast ones, of which many turns can be had.
const FAST: &[&str] = &["hms-sync", "crdts", "yrs"];
/// Those that keep what loses.
const KEEP_LOSERS: &[&str] = &["crdts", "automerge", "loro"];

/// One library's results, turn by turn.
#[derive(Default)]
struct Results {
    one: Vec<f64>,
    batched: Vec<f64>,
    read: Vec<f64>,
    bytes: f64,
    converged: bool,
    random: bool,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let ["ours", times] = words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        return alone(times.parse()?);
    }
    let size = if is_quick() { &QUICK } else { &FULL };
    let work = Work::new(size.records, EACH);
    say(&format!("{} records, {} edits, two replicas", work.records, work.edits.len()))?;
    let contests = contests(&work)?;
    let results = compare(&contests, &work, size)?;
    let mut figures = Figures::new("resolver");
    table(&contests, &results)?;
    compared(&mut figures, &contests, &results);
    let settled = settled_bytes(&work)?;
    sizes(&mut figures, &contests, &results, settled);
    drop(contests);
    let cost = few_and_many(size)?;
    figures.at_most("cost_1m_vs_10k", cost, 1.3);
    figures.say()
}

/// Ours by itself, for whoever tunes.
fn alone(times: usize) -> anyhow::Result<()> {
    let work = Work::new(10_000, EACH);
    let ours = contest(Ours::new()?, &work)?;
    for _ in 0..times {
        let one = ours.run(&work, orders(1), Style::OneByOne)?;
        let batched = ours.run(&work, orders(1), Style::Batched)?;
        say(&format!("{:.0} {:.0} edits/s, {:.0} bytes", one.rate, batched.rate, one.bytes))?;
    }
    say(&format!("{:.0} bytes settled", settled_bytes(&work)?))
}

fn contest<L: Library + 'static>(library: L, work: &Work) -> anyhow::Result<Box<dyn Contest>> {
    let messages = library.messages(work)?;
    Ok(Box::new((library, messages)))
}

#[cfg(feature = "peers")]
fn contests(work: &Work) -> anyhow::Result<Vec<Box<dyn Contest>>> {
    use hms_sync_benches::resolver::{Automerge, Crdts, Loro, Yrs};
    Ok(vec![
        contest(Ours::new()?, work)?,
        contest(Crdts, work)?,
        contest(Yrs, work)?,
        contest(Loro, work)?,
        contest(Automerge, work)?,
    ])
}

#[cfg(not(feature = "peers"))]
fn contests(work: &Work) -> anyhow::Result<Vec<Box<dyn Contest>>> {
    Ok(vec![contest(Ours::new()?, work)?])
}

fn orders(turn: u64) -> [Order; 2] {
    [Order::Interleaved(turn * 2 + 1), Order::Interleaved(turn * 2 + 2)]
}

fn compare(contests: &[Box<dyn Contest>], work: &Work, size: &Size) -> anyhow::Result<Vec<Results>> {
    let mut all: Vec<Results> =
        contests.iter().map(|_| Results { converged: true, ..Results::default() }).collect();
    let [slow, fast] = size.turns;
    for turn in 0..slow + fast {
        for (contest, results) in contests.iter().zip(&mut all) {
            if turn >= slow && !FAST.contains(&contest.name()) {
                continue;
            }
            let orders = orders(u64::try_from(turn)?);
            let one = contest.run(work, orders, Style::OneByOne)?;
            let batched = contest.run(work, orders, Style::Batched)?;
            results.one.push(one.rate);
            results.batched.push(batched.rate);
            results.read.push(one.rate_read);
            results.bytes = one.bytes;
            results.converged &= one.converged && batched.converged;
        }
    }
    for (contest, results) in contests.iter().zip(&mut all) {
        let Run { converged, .. } =
            contest.run(work, [Order::Random(1), Order::Random(2)], Style::OneByOne)?;
        results.random = converged;
    }
    Ok(all)
}

fn table(contests: &[Box<dyn Contest>], results: &[Results]) -> anyhow::Result<()> {
    let headings =
        ["", "edits/s one by one", "and read once", "batched", "bytes a record", "converge", "in any order"];
    let mut table = Table::new(&headings);
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for (contest, of) in contests.iter().zip(results) {
        table.row(&[
            contest.name().to_owned(),
            format!("{:.0}", median(&of.one)),
            format!("{:.0}", median(&of.read)),
            format!("{:.0}", median(&of.batched)),
            format!("{:.0}", of.bytes),
            word(of.converged),
            word(of.random),
        ]);
    }
    table.say()
}

/// How much faster ours is, turn by turn.
fn versus(ours: &[f64], other: &[f64]) -> f64 {
    median(&ours.iter().zip(other).map(|(ours, other)| ours / other).collect::<Vec<_>>())
}

fn compared(figures: &mut Figures, contests: &[Box<dyn Contest>], results: &[Results]) {
    let Some(ours) = results.first() else { return };
    for (contest, of) in contests.iter().zip(results).skip(1) {
        let (one, batched) = (versus(&ours.one, &of.one), versus(&ours.batched, &of.batched));
        let name = contest.name();
        match name {
            "crdts" => {
                figures.at_least("vs_crdts", one, 3.0);
                figures.at_least("vs_crdts_batched", batched, 2.0);
            }
            "yrs" => {
                figures.at_least("vs_yrs", one, 8.0);
                figures.raw("vs_yrs_batched", batched);
            }
            _ => {
                figures.raw(&format!("vs_{name}"), one);
                figures.raw(&format!("vs_{name}_batched"), batched);
            }
        }
        figures.raw(&format!("vs_{name}_and_read_once"), versus(&ours.read, &of.read));
        figures.raw(&format!("{name}_converges_in_any_order"), f64::from(of.random));
    }
    figures.raw("edits_per_s", median(&ours.one));
    figures.raw("edits_per_s_batched", median(&ours.batched));
    figures.raw("converges", f64::from(ours.converged && ours.random));
}

fn sizes(figures: &mut Figures, contests: &[Box<dyn Contest>], results: &[Results], settled: f64) {
    let others = || contests.iter().zip(results).skip(1);
    let smallest = |keeping: bool| {
        let of = others().filter(|(contest, _)| !keeping || KEEP_LOSERS.contains(&contest.name()));
        of.map(|(_, of)| of.bytes).fold(f64::NAN, f64::min)
    };
    let Some(ours) = results.first() else { return };
    if results.len() > 1 {
        figures.at_most("bytes_vs_smallest_keeping_losers", ours.bytes / smallest(true), 0.6);
        figures.at_most("bytes_settled_vs_smallest", settled / smallest(false), 0.75);
    }
    figures.raw("bytes", ours.bytes);
    figures.raw("bytes_settled", settled);
}

/// What an edit costs with many records, over what it costs with few.
fn few_and_many(size: &Size) -> anyhow::Result<f64> {
    let [few, many] = size.few_many;
    let cost = |records: usize, times: usize| -> anyhow::Result<f64> {
        // Three edits a record are enough to see what records cost.
        let work = Work::new(records, 3);
        let ours = contest(Ours::new()?, &work)?;
        let mut rates = Vec::new();
        for turn in 0..times {
            rates.push(ours.run(&work, orders(u64::try_from(turn)?), Style::Batched)?.rate);
        }
        Ok(1.0 / median(&rates))
    };
    Ok(cost(many, 3)? / cost(few, 9)?)
}
