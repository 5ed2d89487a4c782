//! `test`: the tests in a configuration, played with the real engine against simulated
//! sides, in simulated time. Reaches nothing and leaves nothing behind.

mod play;
mod compare;
mod report;

use crate::args::TestArgs;
use crate::exit::{Exit, Failure};
use crate::library;
use crate::screen::Screen;
use crate::words::count;
use compare::Mismatch;
use hms_sync_config::TestCase;
use hms_sync_engine::Plan;
use hms_sync_model::CollectionName;
use std::time::{Duration, Instant};

/// One test that was played.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) collection: String,
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) line: usize,
    pub(crate) took: Duration,
    /// What did not come as expected.
    pub(crate) mismatches: Vec<Mismatch>,
    /// Why it could not be played to its end.
    pub(crate) broke: Option<String>,
    /// What was set aside on the way.
    pub(crate) parked: Vec<String>,
    /// What happened, for who looks for the reason.
    pub(crate) timeline: String,
    /// How many events its log has.
    pub(crate) events: u64,
}

impl Ran {
    pub(crate) fn passed(&self) -> bool {
        self.mismatches.is_empty() && self.broke.is_none()
    }
}

/// All tests that were played.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) sync: String,
    pub(crate) file: String,
    pub(crate) tests: Vec<Ran>,
    /// How many there are.
    pub(crate) all: usize,
    pub(crate) took: Duration,
}

pub(crate) fn test(screen: Screen, options: &TestArgs) -> Result<(), Failure> {
    let config = library::load(&options.file)?;
    let collections = config.collections.iter();
    let all: Vec<(CollectionName, TestCase)> =
        collections.flat_map(|(name, of)| of.tests.iter().map(|case| (name.clone(), case.clone()))).collect();
    if all.is_empty() {
        return Err(Failure::new(Exit::Failed, format!("{} has no tests", options.file.display()))
            .hint("they stand below `tests` of a collection: see docs/testing.md"));
    }
    let plan = library::plan(config)?;
    let (count, chosen) = (all.len(), chosen(all, &options.names)?);
    let began = Instant::now();
    let tests = chosen.iter().map(|(collection, case)| one(&plan, collection, case)).collect();
    let (sync, file) = (plan.name.clone(), options.file.display().to_string());
    let played = Played { sync, file, tests, all: count, took: began.elapsed() };
    if let Some(path) = &options.junit {
        std::fs::write(path, report::junit(&played)).map_err(|why| {
            Failure::new(Exit::Failed, format!("{} cannot be written: {why}", path.display()))
        })?;
    }
    if options.json {
        screen.json(&report::json(&played))?;
    } else {
        report::show(screen, &played);
    }
    ended(&played)
}

fn ended(played: &Played) -> Result<(), Failure> {
    let failed = played.tests.iter().filter(|ran| !ran.passed()).count();
    if failed == 0 {
        return Ok(());
    }
    let failed = count(u64::try_from(failed).unwrap_or(u64::MAX), "test", "tests");
    Err(Failure::new(Exit::Failed, format!("{failed} of {} failed", played.tests.len())))
}

/// Those that are named, or else those that say `only`, or else all.
fn chosen(
    all: Vec<(CollectionName, TestCase)>,
    names: &[String],
) -> Result<Vec<(CollectionName, TestCase)>, Failure> {
    let named = |case: &TestCase, name: &String| case.name.contains(name.as_str());
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|(_, case)| named(case, name))) {
        return Err(Failure::new(Exit::Failed, format!("no test has {unknown:?} in its name"))
            .hint("without a name all tests are played"));
    }
    let only = names.is_empty() && all.iter().any(|(_, case)| case.only);
    let wanted = |case: &TestCase| {
        if names.is_empty() { !only || case.only } else { names.iter().any(|name| named(case, name)) }
    };
    Ok(all.into_iter().filter(|(_, case)| wanted(case)).collect())
}

fn one(plan: &Plan, collection: &CollectionName, case: &TestCase) -> Ran {
    let began = Instant::now();
    let played = play::play(plan, collection, case);
    Ran {
        collection: collection.to_string(),
        name: case.name.clone(),
        line: case.line,
        took: began.elapsed(),
        mismatches: played.mismatches,
        broke: played.broke,
        parked: played.parked,
        timeline: played.timeline,
        events: played.events,
    }
}
