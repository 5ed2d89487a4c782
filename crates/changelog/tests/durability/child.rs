//! The child: it keeps a log in a folder, and tells what it has been promised.

use crate::story::{Story, open, words};
use hms_sync_changelog::{Archived, Log, LogError};
use hms_sync_model::Time;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the folder, to whoever runs as a child.
const FOLDER: &str = "HMS_SYNC_CHILD_FOLDER";
/// Names the file that the child tells its story to; standard output if there is none.
pub(crate) const TOLD: &str = "RECORDER_TOLD";
/// What the child is to do: `sessions` of so many `rounds` of appends.
const PLAN: &str = "HMS_SYNC_CHILD_PLAN";

/// The round with a group that takes several batches, which are synced while the next is made.
const LARGE_ROUND: usize = 19;
const LARGE: usize = 800;

/// What a child is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) sessions: usize,
    pub(crate) rounds: usize,
    /// Whether groups are small.
    pub(crate) small: bool,
}

impl Plan {
    /// Events in the groups of one round, for ever. One takes several batches.
    fn groups(self) -> impl Iterator<Item = usize> {
        let groups: &[usize] = if self.small { &[1, 7, 2] } else { &[1, 2, 64, 5, 17, 1, 300, 8] };
        let large = (!self.small).then_some(LARGE_ROUND);
        let all = groups.iter().copied().cycle().enumerate();
        all.map(move |(n, some)| if large == Some(n) { LARGE } else { some })
    }

    /// The most events that it comes to.
    pub(crate) fn events(self) -> usize {
        // And in each session one event with which others are dropped.
        self.sessions * (self.groups().take(self.rounds).sum::<usize>() + 1) + 2
    }

    fn to_text(self) -> String {
        format!("{} {} {}", self.sessions, self.rounds, usize::from(self.small))
    }

    fn read(text: &str) -> Self {
        let numbers: Vec<usize> = text.split(' ').map(|number| number.parse().unwrap()).collect();
        Self { sessions: numbers[0], rounds: numbers[1], small: numbers[2] == 1 }
    }
}

/// The command that starts a child which does `plan` in `dir`.
pub(crate) fn command(dir: &Path, plan: Plan) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "child::keep_a_log", "--nocapture", "--quiet"]);
    command.env(FOLDER, dir).env(PLAN, plan.to_text()).env_remove("RUST_BACKTRACE");
    command
}

/// Where the child tells: each line is one write.
struct Told(File);

impl Told {
    fn open() -> Self {
        let path = std::env::var_os(TOLD).unwrap_or_else(|| "/dev/stdout".into());
        Self(OpenOptions::new().append(true).open(path).unwrap())
    }

    fn say(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

#[test]
#[ignore = "this is the child process, started by the other tests"]
fn keep_a_log() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let plan = Plan::read(&std::env::var(PLAN).unwrap());
    let mut told = Told::open();
    for session in 0..plan.sessions {
        if let Err(why) = keep(&dir, plan, &mut told, session % 2 == 0) {
            told.say(&format!("failed {}", words(&why)));
            return;
        }
    }
    told.say("done");
}

/// One session: opens, appends, saves views, and ends well, or just ends.
fn keep(dir: &Path, plan: Plan, told: &mut Told, well: bool) -> Result<(), LogError> {
    let log = open(dir)?;
    told.say(&format!("opened {}", log.head()));
    let mut story = Story::upto(log.head());
    let mut saved = Story::upto(log.views_upto());
    for (round, count) in plan.groups().take(plan.rounds).enumerate() {
        let done = append(&log, &mut story, count, told).and_then(|()| {
            if round == plan.rounds / 2 {
                drop_some(&log, &mut story, told)?;
            }
            if round % 3 == 1 {
                log.save_views(&story.changes_since(&saved), story.seq)?;
                saved = story.clone();
            }
            Ok(())
        });
        if let Err(why) = done {
            told.say(&format!("failed {}", words(&why)));
            return after_failure(&log, &mut story, told);
        }
    }
    if well { log.close() } else { Ok(()) }
}

fn append(log: &Log, story: &mut Story, count: usize, told: &mut Told) -> Result<(), LogError> {
    log.append(&story.take(count))?;
    told.say(&format!("ack {}", story.seq));
    Ok(())
}

/// Drops the older half of what is there, as if it were archived.
fn drop_some(log: &Log, story: &mut Story, told: &mut Told) -> Result<(), LogError> {
    let (dropped, head) = (log.dropped_upto(), log.head());
    let Some(last) = log.last_to_drop(dropped + (head - dropped) / 2)? else {
        return append(log, story, 1, told);
    };
    let root = log.prover().head(last)?.root.0;
    let (first, file) = (dropped + 1, format!("to-{last}.jsonl"));
    let range = Archived { first, last, at: Time(1), until: Time(1), hash: [7; 32], root, file };
    log.drop_archived(&range, &story.next())?;
    told.say(&format!("ack {}", story.seq));
    Ok(())
}

/// Whatever is asked of it now, it must refuse.
fn after_failure(log: &Log, story: &mut Story, told: &mut Told) -> Result<(), LogError> {
    let mut again = Story::upto(log.head());
    append(log, &mut again, 1, told).inspect_err(|_| told.say("refused"))?;
    append(log, story, 1, told)
}
