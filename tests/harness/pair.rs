//! Two doubles and a sync between them, in this process, from `tests/pair.yaml`.

use crate::wait::until;
use hms_sync::{Running, Sync};
use hms_sync_doubles::Double;
use hms_sync_engine::{CollectionStatus, Status};
use hms_sync_management::{ParkedFilter, ParkedItem};
use hms_sync_model::Released;
use serde_json::Value as Json;
use tempfile::TempDir;

/// A clerk, a marshal, and what keeps them in step.
#[derive(Debug)]
pub struct Pair {
    /// The County Clerk.
    pub clerk: Double,
    /// The Fire Marshal.
    pub marshal: Double,
    /// The sync.
    pub sync: Running,
    folder: TempDir,
}

impl Pair {
    /// Starts all, with so many permits at the clerk, and waits until the marshal has them.
    pub async fn start(permits: u64) -> Self {
        let pair = Self::begin(permits).await;
        pair.settle("the first load").await;
        pair
    }

    /// Starts all, and waits for nothing.
    pub async fn begin(permits: u64) -> Self {
        let clerk = Double::clerk().await.expect("a clerk");
        let marshal = Double::marshal().await.expect("a marshal");
        clerk.seed_records(1, permits);
        let marshal_url = marshal.url();
        Self::between(clerk, marshal, marshal_url).await
    }

    /// Starts a sync between two that are there; the marshal is reached by a URL of its own.
    pub async fn between(clerk: Double, marshal: Double, marshal_url: String) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let data = folder.path().join("data").display().to_string();
        let clerk_url = clerk.url();
        let env = move |name: &str| match name {
            "DATA_DIR" => Some(data.clone()),
            "CLERK_URL" => Some(clerk_url.clone()),
            "MARSHAL_URL" => Some(marshal_url.clone()),
            _ => None,
        };
        let sync = Sync::from_yaml(include_str!("../pair.yaml"), &env).await.expect("the sync starts");
        Self { clerk, marshal, sync, folder }
    }

    /// Stops the sync and starts it again, on the same log, from a config that was changed.
    pub async fn reconfigured(self, change: impl Fn(&str) -> String) -> Self {
        let Self { clerk, marshal, sync, folder } = self;
        sync.stop().await.expect("the sync stops");
        let data = folder.path().join("data").display().to_string();
        let (clerk_url, marshal_url) = (clerk.url(), marshal.url());
        let env = move |name: &str| match name {
            "DATA_DIR" => Some(data.clone()),
            "CLERK_URL" => Some(clerk_url.clone()),
            "MARSHAL_URL" => Some(marshal_url.clone()),
            _ => None,
        };
        let yaml = change(include_str!("../pair.yaml"));
        let sync = Sync::from_yaml(&yaml, &env).await.expect("the sync starts");
        Self { clerk, marshal, sync, folder }
    }

    /// Where the change log lies.
    pub fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// The sync at a glance.
    pub async fn status(&self) -> Status {
        self.sync.desk().status().await.expect("the sync answers").status
    }

    /// How a side's listing stands.
    pub async fn listing(&self, side: &str) -> CollectionStatus {
        let status = self.status().await;
        let side = status.sides.into_iter().find(|of| of.side == side).expect("a side of the pair");
        side.collections.into_iter().next().expect("its collection")
    }

    /// All that is parked.
    pub async fn parked(&self) -> Vec<ParkedItem> {
        self.sync.desk().parked(&ParkedFilter::default(), None, 500).await.expect("the sync answers").items
    }

    /// Releases what is parked of a record or a stream.
    pub async fn release(&self, record: &str, action: Released) -> usize {
        let filter = ParkedFilter { record: Some(record.to_owned()), ..ParkedFilter::default() };
        self.sync.desk().release(&filter, action).await.expect("something is parked").released
    }

    /// Waits until every permit at the clerk is at the marshal once and equal, and nothing is pending.
    pub async fn settle(&self, what: &str) {
        until(what, 20, || async {
            let idle = self.status().await.pending == 0;
            (idle
                && essence(&self.clerk.records(), "permit_no", "notes")
                    == essence(&self.marshal.records(), "permitId", "remarks"))
            .then_some(())
        })
        .await;
    }

    /// Waits until both sides have been read whole again, from now on.
    pub async fn full_round(&self) {
        // A pass under way now may have begun before; the second from now has not.
        for _ in 0..2 {
            for side in ["clerk", "marshal"] {
                let before = self.listing(side).await.last_read;
                self.sync.desk().poll(side, "permit", true).await.expect("a side of the pair");
                until("a pass begins", 20, || async {
                    (self.listing(side).await.last_read != before).then_some(())
                })
                .await;
            }
        }
    }
}

/// Number and notes of each record, in order.
fn essence(records: &[Json], number: &str, notes: &str) -> Vec<(String, String)> {
    let text =
        |record: &Json, field: &str| record.get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut all: Vec<_> = records.iter().map(|record| (text(record, number), text(record, notes))).collect();
    all.sort();
    all
}
