//! Large pages: taken apart, their records taken out and compared with what is known of
//! them, beside `serde_json`, which only makes a value of the same bytes.
//!
//! Ours is the connector and the machine as a sync has them, on a log on the disk. It gets
//! the page over HTTP from a process of its own; what that takes is measured by itself and
//! taken off.

use super::feed::Feed;
use crate::median;
use anyhow::{Context, bail, ensure};
use hms_sync_changelog::{Log, Options};
use hms_sync_connector::{Abilities, Connector, ReadRequest, Scope};
use hms_sync_engine::{
    CollectionPlan, CollectionSide, Effect, Guard, Machine, Now, Plan, Recreate, Shape, SidePlan, Wake,
};
use hms_sync_http::HttpConnector;
use hms_sync_model::{CollectionName, SideName, Time, VecMap};
use hms_sync_resolver::Rules;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two readings of everything, by the machine's time.
const APART: Duration = Duration::from_hours(1);

/// What a page costs, in seconds, in each round.
#[derive(Debug, Default)]
pub struct Pages {
    /// Of one page.
    pub megabytes: f64,
    /// Records in it.
    pub records: usize,
    /// To get it.
    pub transfer: Vec<f64>,
    /// `serde_json` alone, from memory.
    pub plain: Vec<f64>,
    /// Ours, the transfer included.
    pub ours: Vec<f64>,
    /// The same where nothing was remembered of the records, and each was compared with the log's.
    pub looked_up: f64,
}

impl Pages {
    /// How fast ours is beside `serde_json`, without the transfer.
    pub fn ratio(&self) -> f64 {
        median(&self.plain) / (median(&self.ours) - median(&self.transfer))
    }

    /// The same where each record is looked up.
    pub fn ratio_looked_up(&self) -> f64 {
        median(&self.plain) / (self.looked_up - median(&self.transfer))
    }
}

/// Reads a page of `records` records `rounds` times each way; they take turns.
pub async fn pages(records: usize, rounds: usize) -> anyhow::Result<Pages> {
    let feed = Feed::start().await?;
    let folder = super::folder()?;
    let url = format!("{}/records/{records}?offset=0&limit={records}", feed.url);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let body = client.get(&url).send().await?.error_for_status()?.bytes().await?;
    let mut all = Pages { records, ..Pages::default() };
    #[expect(clippy::cast_precision_loss, reason = "megabytes are few")]
    let megabytes = body.len() as f64 / 1e6;
    all.megabytes = megabytes;
    let mut reader = Reader::open(&feed, records, folder.path())?;
    reader.read_all().await.context("the first reading")?;
    all.looked_up = timed(reader.read_all()).await?;
    for _ in 0..rounds {
        all.transfer.push(
            timed(async {
                client.get(&url).send().await?.bytes().await?;
                Ok(())
            })
            .await?,
        );
        all.plain.push(
            timed(async {
                black_box(serde_json::from_slice::<Json>(&body)?);
                Ok(())
            })
            .await?,
        );
        all.ours.push(timed(reader.read_all()).await?);
    }
    Ok(all)
}

async fn timed(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<f64> {
    let began = Instant::now();
    work.await?;
    Ok(began.elapsed().as_secs_f64())
}

fn connector(feed: &Feed, read: &Json) -> anyhow::Result<HttpConnector> {
    let permits = [(collection()?, serde_json::from_value(json!({ "read": read }))?)];
    Ok(HttpConnector::new(&side()?, serde_json::from_value(json!({ "url": feed.url }))?, permits.into())?)
}

/// Reads `records` records, `page` at a time, with the connector alone. Answers with records a second.
pub(super) async fn source(feed: &Feed, records: usize, page: usize) -> anyhow::Result<f64> {
    let connector = connector(
        feed,
        &json!({
            "path": format!("/records/{records}"),
            "record_selector": { "field_path": ["items"] },
            "paginator": { "type": "offset", "page_size": page },
        }),
    )?;
    let (began, mut after, mut ids) = (Instant::now(), None, BTreeSet::new());
    loop {
        let request = ReadRequest { collection: collection()?, scope: Scope::Everything, after };
        let page = connector.read(request).await?;
        ids.extend(page.records.into_iter().map(|seen| seen.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    ensure!(ids.len() == records, "{} of {records} records were read", ids.len());
    #[expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]
    let records = records as f64;
    Ok(records / began.elapsed().as_secs_f64())
}

/// A connector and a machine.
struct Reader {
    connector: HttpConnector,
    machine: Machine,
    log: Log,
    records: u64,
    mono: Time,
    began: Instant,
    asked: Option<(u64, ReadRequest)>,
}

fn side() -> anyhow::Result<SideName> {
    Ok(SideName::try_new("feed")?)
}

fn collection() -> anyhow::Result<CollectionName> {
    Ok(CollectionName::try_new("permit")?)
}

/// One side that is read in full each time.
fn plan() -> anyhow::Result<Arc<Plan>> {
    let reads = Abilities { read: true, ..Abilities::default() };
    let part = CollectionSide {
        poll_interval: Some(APART),
        full_interval: Some(APART),
        ..CollectionSide::new(reads, Shape::Document)
    };
    let of = CollectionPlan {
        identity: Vec::new(),
        rules: Rules::default(),
        sides: [(side()?, part)].into_iter().collect::<VecMap<_, _>>(),
        guard: Guard::default(),
        recreate: Recreate::default(),
        personal: BTreeSet::new(),
    };
    let mut plan = Plan::new("Pages");
    plan.sides.insert(side()?, SidePlan::default());
    plan.collections.insert(collection()?, of);
    Ok(Arc::new(plan))
}

impl Reader {
    fn open(feed: &Feed, records: usize, folder: &std::path::Path) -> anyhow::Result<Self> {
        let read = json!({
            "path": format!("/records/{records}"),
            "request_parameters": { "offset": "0", "limit": records.to_string() },
            "record_selector": { "field_path": ["items"] },
        });
        let connector = connector(feed, &read)?;
        let log = Log::open(&folder.join("data"), Options::default())?;
        let machine = Machine::open(plan()?, log.clone(), 1)?;
        let mut reader = Self {
            connector,
            machine,
            log,
            records: records as u64,
            mono: Time(1),
            began: Instant::now(),
            asked: None,
        };
        reader.step(Wake::Start)?;
        Ok(reader)
    }

    fn now(&self) -> Now {
        let ours = Time(i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX));
        let mono = Time(self.mono.0.saturating_add(ours.0));
        Now { wall: Time(mono.0.saturating_add(1_790_000_000_000_000)), mono }
    }

    fn step(&mut self, wake: Wake) -> anyhow::Result<()> {
        let mut saved = false;
        for effect in self.machine.step(wake, self.now())? {
            match effect {
                Effect::Append(events) => self.log.append(&events)?,
                Effect::Read { pass, request, .. } => self.asked = Some((pass, request)),
                Effect::Save((changes, upto)) => {
                    self.log.save_views(&changes, upto)?;
                    saved = true;
                }
                Effect::Tell(_) => {}
                other => bail!("a reader is to do {other:?}"),
            }
        }
        if saved { self.step(Wake::Saved) } else { Ok(()) }
    }

    /// One reading of everything, to its end.
    async fn read_all(&mut self) -> anyhow::Result<()> {
        let before = self.machine.status()?.counts.observations;
        if self.asked.is_none() {
            self.mono = self.mono.plus(APART);
            self.step(Wake::Timer)?;
        }
        let (pass, request) = self.asked.take().context("nothing is to be read")?;
        let result = self.connector.read(request).await;
        self.step(Wake::Page {
            side: side()?,
            collection: collection()?,
            pass,
            result: result.map(Into::into),
        })?;
        while self.machine.next_timer(self.now().mono).is_some_and(|at| at <= self.now().mono) {
            self.step(Wake::Timer)?;
        }
        let read = self.machine.status()?.counts.observations - before;
        ensure!(read == self.records, "{read} of {} records were read", self.records);
        Ok(())
    }
}
