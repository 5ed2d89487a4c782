//! The conformance kit, on both doubles.

use crate::sides::{collection, id, of};
use hms_sync_connector::kit::{Sample, conformance};
use hms_sync_doubles::{BadStore, Double, Faults, Kind};
use serde_json::json;

fn sample(kind: Kind) -> Sample {
    let create = kind.sample(7_000);
    let (text, natural) = match kind {
        Kind::Clerk => ("notes", "permit_no"),
        Kind::Marshal => ("remarks", "permitId"),
    };
    Sample {
        identity: json!({ natural: create[natural] }),
        create,
        update: json!({ text: "changed" }),
        update_again: json!({ text: "changed again" }),
        unknown: id(if kind == Kind::Clerk { "999999" } else { "INS-999999" }),
        keys: "kit".to_owned(),
    }
}

#[tokio::test]
async fn kept_on_both_doubles() {
    for (double, promises) in [(Double::clerk().await, 17), (Double::marshal().await, 16)] {
        let double = double.unwrap();
        double.seed_records(1, 90);
        let kept = conformance(&of(&double), &collection(), &sample(double.kind())).await.unwrap();
        assert_eq!(kept.len(), promises, "{kept:#?}");
        assert_eq!((double.len(), double.doubled()), (90, 0));
    }
}

#[tokio::test]
async fn a_broken_promise_is_named() {
    let clerk = Double::clerk().await.unwrap();
    clerk.set_faults(Faults { store: Some(BadStore::KeepOld), ..Faults::default() });
    let broken = conformance(&of(&clerk), &collection(), &sample(Kind::Clerk)).await.unwrap_err();
    assert_eq!(broken.promise, "an updated record is read as it was written");
}
