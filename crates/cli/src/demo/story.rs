//! The story, act by act. Each waits for what it shows, as long as that may
//! take and no longer; nothing waits for time alone to pass.

use crate::demo::stage::Stage;
use crate::demo::timeline::Detail;
use crate::exit::{Exit, Failure};
use hms_sync_doubles::{Down, Kind, Operation};
use serde_json::{Value as Json, json};
use std::time::Instant;

/// Permits that the clerk has at the beginning.
const PERMITS: u64 = 200;
/// Users' edits on an ordinary morning, at each side.
const MORNING: u64 = 60;
/// Changes made while the marshal is down.
const WHILE_DOWN: u64 = 30;
/// Permits made while the process is killed in their middle.
const WHILE_KILLED: u64 = 100;
/// Edits made at each side while no process runs.
const WHILE_DEAD: u64 = 10;

/// How long an answer takes while the systems are far apart.
const FAR_MS: u64 = 150;

/// Plays it.
pub(crate) async fn tell(stage: &mut Stage) -> Result<(), Failure> {
    first_load(stage).await?;
    new_permit(stage).await?;
    reschedule(stage).await?;
    both_at_once(stage).await?;
    different_fields(stage).await?;
    morning(stage).await?;
    marshal_down(stage).await?;
    killed(stage).await
}

fn number(n: u64) -> String {
    format!("P-{n:06}")
}

fn id_of(record: &Json) -> Result<String, Failure> {
    match record.get("id") {
        Some(Json::String(id)) => Ok(id.clone()),
        Some(Json::Number(id)) => Ok(id.to_string()),
        _ => Err(Failure::new(Exit::Failed, "a record of the demo has gone")),
    }
}

fn refused(why: String) -> Failure {
    Failure::new(Exit::Failed, format!("a user's edit was refused: {why}"))
}

impl Stage {
    /// Lets every answer of both systems take its time, or not.
    fn far_apart(&self, far: bool) {
        for system in [&self.clerk, &self.marshal] {
            system.faults(|faults| faults.latency_ms = if far { FAR_MS } else { 0 });
        }
    }

    /// A clerk changes a permit.
    fn clerk_sets(&self, permit: &str, patch: &Json) -> Result<(), Failure> {
        self.clerk.update(&id_of(&self.permit(permit))?, patch).map_err(refused)
    }

    /// An inspector of the marshal's changes an inspection.
    fn marshal_sets(&self, permit: &str, patch: &Json) -> Result<(), Failure> {
        self.marshal.update(&id_of(&self.inspection(permit))?, patch).map_err(refused)
    }
}

fn is(record: &Json, field: &str, value: &str) -> bool {
    record.get(field).and_then(Json::as_str) == Some(value)
}

async fn first_load(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Every(50),
            "Two hundred permits become inspections",
            "The clerk has 200 permits, the marshal has nothing. The sync starts and reads both.",
        )
        .await;
    stage.clerk.seed_records(1, PERMITS);
    let began = Instant::now();
    let id = stage.start_sync()?;
    stage.told.line("sync", "", &format!("started, process {id}"));
    stage.until("200 inspections", |stage| stage.marshal.len() as u64 == PERMITS).await?;
    stage.connect().await?;
    stage.until_status("the first load to settle", |s| s.status.pending == 0).await?;
    let heard = |stage: &Stage| stage.told.counts().delivered as u64 >= PERMITS;
    stage.until("the sync to tell of each", heard).await?;
    let took = began.elapsed().as_secs_f64();
    stage.told.good(&format!("200 inspections in {took:.1} s, from the start of the process on"));
    Ok(())
}

async fn new_permit(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Each,
            "A new permit becomes an inspection within a second",
            "The clerk's system sends a webhook; the sync answers it once it is on disk.",
        )
        .await;
    let permit = number(PERMITS + 1);
    stage.told.line("clerk", &permit, "issues a new permit");
    stage.edits.at_clerk(&permit);
    let began = Instant::now();
    stage.clerk.create(&Kind::Clerk.sample(PERMITS + 1)).map_err(refused)?;
    stage.until("the new inspection", |stage| stage.marshal.find(&permit).len() == 1).await?;
    let took = began.elapsed().as_millis();
    stage.settle().await?;
    stage.told.good(&format!("at the marshal's after {took} ms"));
    Ok(())
}

async fn reschedule(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Each,
            "The marshal sets a date, and the clerk sees it",
            "The other way round: same record, other names, another form of time.",
        )
        .await;
    let permit = number(7);
    stage.told.line("marshal", &permit, "scheduledFor → 2026-12-01 09:30:00  inspector → Kim");
    stage.edits.at_marshal(&permit);
    stage.marshal_sets(&permit, &json!({ "scheduledFor": "2026-12-01 09:30:00", "inspector": "Kim" }))?;
    stage.until("the clerk to see the date", |stage| is(&stage.permit(&permit), "inspector", "Kim")).await?;
    stage.settle().await?;
    let at = stage.permit(&permit).get("inspection_at").map(crate::words::value).unwrap_or_default();
    stage.told.good(&format!("the clerk's inspection_at is {at}"));
    Ok(())
}

async fn both_at_once(stage: &mut Stage) -> Result<(), Failure> {
    stage.told.act(
        Detail::Each,
        "Both change one permit at once: revoked beats approved, on both sides",
        "Neither had seen the other's edit, so the configured rule decides; what lost is kept in the history.",
    ).await;
    let permit = number(13);
    // A network between them, so that nobody hears of the other in time.
    stage.far_apart(true);
    stage.told.line("clerk", &permit, "status → revoked");
    stage.told.line("marshal", &permit, "state → OK (approved)");
    stage.clerk_sets(&permit, &json!({ "status": "revoked" }))?;
    stage.marshal_sets(&permit, &json!({ "state": "OK" }))?;
    stage
        .until("both to hold revoked", |stage| {
            is(&stage.permit(&permit), "status", "revoked")
                && is(&stage.inspection(&permit), "state", "REVOKED")
                && stage.told.has_decided(&permit)
        })
        .await?;
    stage.settle().await?;
    stage.far_apart(false);
    stage.told.good("revoked at the clerk's, REVOKED at the marshal's");
    Ok(())
}

async fn different_fields(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Each,
            "Different fields of one permit, changed at once, both survive",
            "Merging is by field: nobody's work is lost because somebody else saved too.",
        )
        .await;
    let permit = number(21);
    stage.far_apart(true);
    stage.told.line("clerk", &permit, "notes → corner lot, gate code at the office");
    stage.told.line("marshal", &permit, "inspector → Abel");
    stage.clerk_sets(&permit, &json!({ "notes": "corner lot, gate code at the office" }))?;
    stage.marshal_sets(&permit, &json!({ "inspector": "Abel" }))?;
    stage
        .until("both edits to be on both sides", |stage| {
            is(&stage.permit(&permit), "inspector", "Abel")
                && is(&stage.inspection(&permit), "remarks", "corner lot, gate code at the office")
        })
        .await?;
    stage.settle().await?;
    stage.far_apart(false);
    stage.told.good("both sides have the notes and the inspector");
    Ok(())
}

async fn morning(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Every(20),
            "An ordinary morning: 120 edits, half of them on each side",
            "One after the other, each measured from the user's edit to the write at the other system.",
        )
        .await;
    for n in 0..MORNING {
        let (ours, theirs) = (number(31 + n), number(101 + n));
        let (note, name) = (format!("checked {n}"), format!("Inspector {n}"));
        stage.edits.at_clerk(&ours);
        stage.clerk_sets(&ours, &json!({ "notes": note }))?;
        stage.edits.at_marshal(&theirs);
        stage.marshal_sets(&theirs, &json!({ "inspector": name }))?;
        stage
            .until("an edit to arrive", |stage| {
                is(&stage.inspection(&ours), "remarks", &note)
                    && is(&stage.permit(&theirs), "inspector", &name)
            })
            .await?;
    }
    stage.settle().await?;
    stage.told.good("all 120 on the other side");
    Ok(())
}

async fn marshal_down(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Every(10),
            "The marshal goes down; changes pile up; it comes back",
            "Nothing is lost, nothing comes twice, and the clerk never waits.",
        )
        .await;
    stage.marshal.faults(|faults| faults.down = Some(Down::Refused));
    stage.told.line("marshal", "", "refuses connections");
    for n in 0..WHILE_DOWN {
        if n % 3 == 0 {
            stage.clerk.create(&Kind::Clerk.sample(PERMITS + 2 + n / 3)).map_err(refused)?;
        } else {
            stage.clerk_sets(&number(31 + n), &json!({ "status": "approved" }))?;
        }
    }
    stage.told.line("clerk", "", "20 edits and 10 new permits meanwhile");
    let wanted = usize::try_from(WHILE_DOWN).unwrap_or(usize::MAX);
    let away = |s: &hms_sync_management::StatusReport| {
        s.status.pending >= wanted && s.status.sides.iter().any(|side| side.side == "marshal" && side.away)
    };
    let status = stage.until_status("the changes to pile up", away).await?;
    stage.told.line("sync", "", &format!("{} records wait for the marshal", status.status.pending));
    stage.marshal.faults(|faults| faults.down = None);
    stage.told.line("marshal", "", "is up again");
    stage.until("everything to arrive", |stage| stage.marshal.len() == stage.clerk.len()).await?;
    stage.settle().await?;
    stage.told.good("everything has arrived, nothing twice");
    Ok(())
}

async fn killed(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .told
        .act(
            Detail::Every(25),
            "The sync is killed in the middle of its work, and started again",
            "kill -9 while 100 new permits are on their way; people go on working on both sides.",
        )
        .await;
    // A network between the two, so that much is under way at any moment.
    stage.marshal.faults(|faults| faults.latency_ms = 20);
    let first = PERMITS + 1_000;
    let before = stage.marshal.len();
    stage.told.line("clerk", &number(first), "issues 100 permits");
    stage.clerk.seed_records(first, WHILE_KILLED);
    stage.until("some of them to arrive", |stage| stage.marshal.len() >= before + 15).await?;
    stage.kill_sync().await?;
    let arrived = stage.marshal.len() - before;
    stage.told.line("sync", "", &format!("killed (SIGKILL) when {arrived} of 100 had arrived"));
    for n in 0..WHILE_DEAD {
        stage.clerk_sets(&number(61 + n), &json!({ "status": "denied" }))?;
        stage.marshal_sets(&number(171 + n), &json!({ "remarks": "seen on site" }))?;
    }
    stage.told.line("clerk", "", "10 edits meanwhile");
    stage.told.line("marshal", "", "10 edits meanwhile");
    stage.marshal.faults(|faults| faults.latency_ms = 0);
    let id = stage.start_sync()?;
    stage.told.line("sync", "", &format!("started again, process {id}"));
    stage.connect().await?;
    stage
        .until("both sides to be equal", |stage| {
            stage.marshal.len() == stage.clerk.len()
                && crate::demo::compare::differences(&stage.clerk.records(), &stage.marshal.records())
                    .is_empty()
        })
        .await?;
    stage.settle().await?;
    let effects = stage.marshal.effects();
    let made = effects.iter().filter(|effect| effect.operation == Operation::Create);
    let made = made.filter(|effect| effect.natural.as_deref() >= Some(number(first).as_str())).count();
    if made == usize::try_from(WHILE_KILLED).unwrap_or(usize::MAX) {
        stage.told.good("all 100 are there, each made once");
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("100 permits were made {made} times at the marshal's")))
}

impl Stage {
    /// Waits until the sync has nothing left to do.
    async fn settle(&mut self) -> Result<(), Failure> {
        self.until_status("the sync to have nothing left to do", |s| s.status.pending == 0).await.map(drop)
    }
}
