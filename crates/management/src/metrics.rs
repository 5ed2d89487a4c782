//! The status in numbers, for whoever watches many syncs: the text of `GET /metrics`, in the
//! form of `OpenMetrics` 1.0, which Prometheus reads.
//!
//! What never happens here: a record's id, or anything else that grows with the records, in a
//! label.

use hms_sync_engine::{CollectionStatus, SideStatus, Status};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What the answer calls itself.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// One page of numbers.
struct Numbers(Registry);

impl Numbers {
    /// A number that goes up and down, once for each set of labels.
    fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, i64)>) {
        let family = Family::<Labels, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    /// A number that only goes up while the process lives.
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// The text for a status.
pub(crate) fn text(status: &Status) -> Result<String, std::fmt::Error> {
    let labels = [("sync".into(), status.sync.clone().into())];
    let mut numbers = Numbers(Registry::with_prefix_and_labels("hms_sync", labels.into_iter()));
    at_a_glance(&mut numbers, status);
    since_the_start(&mut numbers, status);
    of_sides(&mut numbers, &status.sides);
    of_collections(&mut numbers, &status.sides);
    let mut text = String::new();
    encode(&mut text, &numbers.0)?;
    Ok(text)
}

fn at_a_glance(numbers: &mut Numbers, status: &Status) {
    let one = |value| [(Labels::new(), value)];
    numbers.gauge("log_events", "Events in the change log", one(number(status.events)));
    numbers.gauge("pending_records", "Records with something to be done", one(number(status.pending)));
    numbers.gauge("parked_items", "Items that wait for a person", one(number(status.parked)));
    let state = |name: &str, count| (vec![("state", name.to_owned())], number(count));
    let conflicts = [state("open", status.conflicts.open), state("decided", status.conflicts.decided)];
    let help =
        "Conflicts that go on: open ones wait for a person, of decided ones the losers are still there";
    numbers.gauge("conflicts", help, conflicts);
}

fn since_the_start(numbers: &mut Numbers, status: &Status) {
    let counts = &status.counts;
    let all = [
        ("observations", "Records looked at", counts.observations),
        ("unreadable_records", "Records of pages that could not be read", counts.unreadable),
        ("discarded_values", "Values passed over as the schema contract says", counts.discarded),
        ("edits", "Edits taken in", counts.edits),
        ("conflicts_met", "Fields where concurrent edits met", counts.conflicts),
        ("wrong_times", "Times of a last change that cannot be", counts.wrong_times),
        ("stale_reads", "Reads that may have been older than a write of ours", counts.stale_reads),
        ("writes", "Requests sent to write", counts.writes),
        ("delivered", "Writes and requests carried out", counts.delivered),
        ("retries", "Tries that came to nothing", counts.retries),
        ("items_parked", "Items set aside", counts.parked),
        ("webhooks", "Webhooks taken in", counts.webhooks),
        ("duplicate_webhooks", "Webhooks that had been taken in before", counts.duplicate_webhooks),
        ("repairs", "Edits that a read found and no webhook had told", counts.repairs),
        ("handled", "Handler calls that ended well", counts.handled),
        ("events", "Events written", counts.events),
    ];
    for (name, help, value) in all {
        numbers.counter(name, &format!("{help}, since the process started"), value);
    }
}

fn of_sides(numbers: &mut Numbers, sides: &[SideStatus]) {
    let mut each = |name: &str, help: &str, value: fn(&SideStatus) -> i64| {
        let values = sides.iter().map(|side| (vec![("side", side.side.clone())], value(side)));
        numbers.gauge(name, help, values);
    };
    each("side_away", "1 if the side cannot be reached", |side| i64::from(side.away));
    each("side_in_flight", "Requests under way", |side| number(side.in_flight));
    each("side_ready_records", "Records ready to be delivered to the side", |side| number(side.ready));
}

fn of_collections(numbers: &mut Numbers, sides: &[SideStatus]) {
    let all = || sides.iter().flat_map(|side| side.collections.iter().map(move |of| (side, of)));
    let labels = |side: &SideStatus, of: &CollectionStatus| {
        vec![("side", side.side.clone()), ("collection", of.collection.clone())]
    };
    let mut each = |name: &str, help: &str, value: fn(&CollectionStatus) -> Option<i64>| {
        numbers.gauge(name, help, all().filter_map(|(side, of)| Some((labels(side, of), value(of)?))));
    };
    each("collection_listed", "1 if everything has been read once", |of| Some(i64::from(of.listed)));
    each("collection_trouble", "1 if it cannot be read", |of| Some(i64::from(of.trouble.is_some())));
    let help = "1 if deletes or changes of the side wait for a person";
    each("collection_held", help, |of| Some(i64::from(of.held.is_some())));
    let help = "When the last read began, in seconds since 1970; missing before the first";
    each("collection_last_read_timestamp_seconds", help, |of| {
        let at = chrono::DateTime::parse_from_rfc3339(of.last_read.as_deref()?).ok()?;
        Some(at.timestamp())
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::*;
    use hms_sync_engine::Counts;
    use serde_json::json;

    fn status() -> Status {
        let collections = json!([
            { "collection": "permit", "listed": true, "cursor": null, "last_read": "2026-11-26T10:00:00.5Z",
              "trouble": null, "held": "deletes wait" },
            { "collection": "fee", "listed": false, "cursor": null, "last_read": null, "trouble": null,
              "held": null },
        ]);
        let side = json!({
            "side": "clerk \"A\"", "away": true, "in_flight": 0, "ready": 4, "collections": collections,
        });
        let counts = Counts { conflicts: 7, ..Counts::default() };
        serde_json::from_value(json!({
            "sync": "Permits", "events": 9, "sides": [side], "pending": 5, "parked": 2,
            "conflicts": { "open": 1, "decided": 3 }, "counts": counts,
        }))
        .unwrap()
    }

    #[test]
    fn a_status_is_told_in_numbers() {
        let text = text(&status()).unwrap();
        for line in [
            "# TYPE hms_sync_conflicts gauge",
            "hms_sync_conflicts{sync=\"Permits\",state=\"open\"} 1",
            "hms_sync_conflicts{sync=\"Permits\",state=\"decided\"} 3",
            "hms_sync_conflicts_met_total{sync=\"Permits\"} 7",
            "hms_sync_parked_items{sync=\"Permits\"} 2",
            "hms_sync_side_away{sync=\"Permits\",side=\"clerk \\\"A\\\"\"} 1",
            "hms_sync_side_ready_records{sync=\"Permits\",side=\"clerk \\\"A\\\"\"} 4",
            "hms_sync_collection_held{sync=\"Permits\",side=\"clerk \\\"A\\\"\",collection=\"permit\"} 1",
            "hms_sync_collection_last_read_timestamp_seconds{sync=\"Permits\",side=\"clerk \\\"A\\\"\",collection=\"permit\"} 1795687200",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
        }
        let unread = text.lines().filter(|line| line.contains("last_read") && line.contains("fee"));
        assert_eq!(unread.count(), 0, "{text}");
    }
}
