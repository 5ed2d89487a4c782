//! Tokens of any kind: one that we gave out for this listing, or words; and no place in a pass,
//! however it came to be, makes what goes on from it panic or ask elsewhere.

use super::super::marks::{Known, Learned};
use super::super::since::Mark;
use super::super::{Family, Listing, Setup};
use super::{read, written};
use crate::key::RecordKey;
use crate::paging::{Facts, Progress};
use crate::select::Lens;
use crate::spec::{BaseUrl, FieldPath, HttpSpec};
use crate::wire::Wire;
use hms_sync_connector::{Cursor, PageToken, ReadError, ReadRequest, Scope};
use hms_sync_hostile::Reader;
use hms_sync_model::{CollectionName, NativeId, Time};
use serde_json::{Value as Json, json};

const BASE: &str = "https://side.example/api";

fn base() -> BaseUrl {
    serde_json::from_value(json!(BASE)).unwrap()
}

fn lens() -> Lens {
    Lens::plain(RecordKey::at(FieldPath::dotted("id")))
}

fn listing(read: Json) -> Listing {
    let (base, family, spec) = (base(), Family::new(), serde_json::from_value(read).unwrap());
    Listing::new("permit.read", &spec, &lens(), Setup { base: &base, family: &family }).unwrap()
}

fn wire() -> Wire {
    let spec: HttpSpec = serde_json::from_value(json!({ "url": BASE })).unwrap();
    Wire::new(&spec).unwrap()
}

/// One for each way to cut a listing, and one that is read in slices of time.
fn listings() -> Vec<Listing> {
    let since = json!({ "cursor_field": "at", "start_time_option": { "field_name": "since" } });
    let sliced = json!({
        "cursor_field": "at", "start_datetime": "2026-01-01T00:00:00Z", "step": "1d", "lookback_window": "2s",
        "start_time_option": { "field_name": "since" }, "end_time_option": { "field_name": "until" },
    });
    let keyset = json!({ "after": "{{ cursor }}", "id": "{{ cursor_id }}" });
    let paginators = [
        (json!({ "type": "none" }), None, None),
        (json!({ "type": "offset", "page_size": 2 }), Some(&since), None),
        (json!({ "type": "page", "page_size": 2 }), Some(&since), None),
        (json!({ "type": "keyset", "page_size": 2, "key_field": "id" }), None, Some(keyset)),
        (json!({ "type": "link_header" }), None, None),
        (json!({ "type": "next_url" }), Some(&since), None),
        (json!({ "type": "cursor", "cursor_path": "next" }), Some(&sliced), None),
        (json!({ "type": "offset", "page_size": 2 }), Some(&sliced), None),
    ];
    let all = paginators.into_iter().map(|(paginator, since, parameters)| {
        let mut read = json!({ "path": "/p", "paginator": paginator });
        if let Some(since) = since {
            read["incremental_sync"] = since.clone();
        }
        if let Some(parameters) = parameters {
            read["request_parameters"] = parameters;
        }
        listing(read)
    });
    all.collect()
}

/// A page of two records, or of none.
fn page(listing: &Listing, n: u64, records: usize) -> Facts {
    let id = |k: usize| NativeId::try_new(format!("{n}-{k}")).ok();
    let record =
        |k: usize| json!({ "id": format!("{n}-{k}"), "at": format!("2026-02-0{}T10:00:00Z", k + 1) });
    let next = if listing.follow.is_address() { format!("{BASE}/p?page={n}") } else { format!("t{n}") };
    Facts {
        len: records,
        ids: (0..records).map(id).collect(),
        stamps: (0..records).map(|k| listing.since.as_ref()?.scale.of(&record(k))).collect(),
        total: Some(9),
        date: Some(Time(1_780_000_000_000_000)),
        next: (records > 0).then_some(next),
        ..Facts::default()
    }
}

/// When the passes begin: cases do not depend on the clock.
fn began() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap()
}

/// What comes after a page, as where it was read from a side.
fn turned(listing: &Listing, progress: &Progress, mut facts: Facts) -> Result<Option<Progress>, String> {
    facts.elapsed = super::super::elapsed(progress, began() + chrono::TimeDelta::seconds(3));
    listing.stop_where_known(progress, &mut facts)?;
    let scale = listing.since.as_ref().map(|since| &since.scale);
    let turn = listing.paging.turn(progress, &facts, scale)?;
    let _shown = progress.shown_before(&facts);
    let (cursor, next) = listing.beyond_slice(turn);
    listing.cursor(progress, cursor, next.is_none());
    Ok(next)
}

/// Places that passes of a listing come to.
fn places(listing: &Listing) -> Vec<Progress> {
    let cursor = Cursor(json!({ "value": "2026-02-03T10:00:00Z" }).to_string());
    let scopes = [Scope::Everything, Scope::Since(cursor)];
    let starts = scopes.map(|scope| listing.start(&scope, began()));
    let mut all = Vec::from(starts.clone());
    for mut at in starts {
        for n in 0..3 {
            let Ok(Some(next)) = turned(listing, &at, page(listing, n, 2)) else { break };
            all.push(next.clone());
            at = next;
        }
    }
    all
}

fn words(why: &ReadError) -> String {
    let ReadError::Broken { reason } = why else { panic!("{why}") };
    assert!(reason.len() < 200 && reason.starts_with("GET /p: "), "{reason}");
    reason.clone()
}

/// What a token holds comes back only where nothing of it was changed, and only to the listing
/// that it is of.
#[test]
fn hostile_page_tokens() {
    let all = listings();
    let own: Vec<Vec<String>> = (all.iter())
        .map(|listing| places(listing).iter().map(|place| written(place).unwrap().0).collect())
        .collect();
    let known = |text: &str| own.iter().position(|tokens| tokens.iter().any(|token| token == text));
    Reader::new("page tokens")
        .sound(own.iter().flatten())
        .words(["{", "}", "\"at\":", "\"token\":\"", ",", "0", "9", "f", "\\u0000", ":"])
        .texts(|text| {
            let (token, known) = (PageToken(text.to_owned()), known(text));
            for (n, listing) in all.iter().enumerate() {
                let place = listing.place(&token, |progress: &Progress| progress.settings);
                assert_eq!(place.is_ok(), known == Some(n), "{place:?}");
                let _words = place.map_err(|why| words(&why));
            }
            known.is_some()
        });
}

/// The same below the tokens: a pass goes on from any place, or says why not.
#[test]
fn hostile_places_in_a_pass() {
    let (all, wire) = (listings(), wire());
    let own: Vec<Vec<String>> = (all.iter())
        .map(|listing| places(listing).iter().map(|place| serde_json::to_string(place).unwrap()).collect())
        .collect();
    let many = u64::try_from(all.len()).unwrap();
    Reader::new("places in a pass")
        .sound(own.iter().flatten())
        .sound(own.iter().flatten().map(|place| place.replace("\"Step\"", "{\"Return\":4294967295}")))
        .words([
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "null",
            "\"at\":",
            "\"key\":[\"",
            "\"token\":\"https://",
            "\"rest\":{",
            "\"from\":",
            "\"until\":",
            "\"moved\":\"Step\"",
            "{\"Return\":4294967295}",
            "{\"Again\":{\"then\":",
            "\"secs\":",
            "\"tail\":[",
            "\"overlap\":",
            "\"pages\":",
            "\"resets\":",
            "../",
            "@",
            "\\u0000",
            "\"elapsed\":{",
            "\"date\":",
            "\"top\":",
            "\"sure\":",
            "\"floor\":",
        ])
        .texts(|text| {
            let Ok(place) = serde_json::from_str::<Progress>(text) else { return false };
            let of = all.iter().position(|listing| listing.settings == place.settings);
            let of = of.unwrap_or_else(|| usize::try_from(place.settings % many).unwrap());
            let listing = &all[of];
            if let Ok(request) = listing.request(&wire, &place, (None, None), 2) {
                let url = request.url();
                assert!(url.as_str().starts_with(BASE) && url.username().is_empty(), "{url}");
            }
            for records in [2, 0] {
                let next = turned(listing, &place, page(listing, 7, records));
                let next = next.and_then(|next| match next {
                    Some(next) => turned(listing, &next, page(listing, 8, 2)),
                    None => Ok(None),
                });
                let _words = next.map_err(|why| assert!(why.len() < 2_000, "{why}"));
            }
            true
        });
}

/// A cursor that comes back from the change log as any text: a pass begins, and goes on, whatever
/// it says, and asks nobody else.
#[test]
fn hostile_cursors() {
    let run = json!({ "type": "none" });
    let last_run = listing(json!({ "path": "/p", "paginator": run, "incremental_sync": {
        "cursor": "last_run", "lookback_window": "2s", "start_time_option": { "field_name": "since" },
    } }));
    let (all, wire) = (listings().into_iter().chain([last_run]).collect::<Vec<_>>(), wire());
    let marks =
        r#"{"partitions":{"own":{"0123456789abcdef":7},"rest":"fedcba9876543210","shared":9,"run":7}}"#;
    let values = ["2026-02-03T10:00:00Z", "2026-02-03", "1795000000123"];
    Reader::new("cursors")
        .sound(values.map(|value| json!({ "value": value }).to_string()))
        .sound([r#"{"value":1795000000123}"#, r#"{"run":1780000000000000}"#, marks])
        .words([
            "{",
            "}",
            "[",
            "\"",
            ":",
            "\"value\":",
            "\"run\":",
            "\"partitions\":",
            "null",
            "-",
            "e9",
            "é",
        ])
        .words(["9223372036854775807", "-9223372036854775808", "+262142-12-31T23:59:59Z", "\"rest\":\"é"])
        .fewer(80_000)
        .texts(|text| {
            let scope = Scope::Since(Cursor(text.to_owned()));
            let mut taken = false;
            for listing in &all {
                let place = listing.start(&scope, began());
                taken |= place.since;
                if let Ok(request) = listing.request(&wire, &place, (None, None), 2) {
                    assert!(request.url().as_str().starts_with(BASE), "{}", request.url());
                }
                let next = turned(listing, &place, page(listing, 7, 2));
                let _words = next.map_err(|why| assert!(why.len() < 2_000, "{why}"));
            }
            let Ok(Mark::Partitions(marks)) = serde_json::from_str(text) else { return taken };
            let known = Known::new(marks);
            let met = ["0123456789abcdef", "fedcba9876543210"].map(str::to_owned);
            let learned = Learned { met: met.into(), ..Learned::default() };
            known.midway(&learned);
            for since in all.iter().filter_map(|listing| listing.since.as_ref()) {
                known.at_end(&learned, &since.scale);
            }
            true
        });
}

#[test]
fn a_token_of_another_paginator_is_told() {
    let all = listings();
    for (n, of) in all.iter().enumerate() {
        let token = written(&of.start(&Scope::Everything, chrono::Utc::now())).unwrap();
        for (m, other) in all.iter().enumerate().filter(|(m, _)| *m != n) {
            let why = other.place(&token, |progress: &Progress| progress.settings).unwrap_err();
            assert!(words(&why).contains("settings were changed; it begins anew"), "{n} {m}: {why}");
        }
    }
}

/// A place that passes over records would have what it leaves out taken for gone.
#[test]
fn a_token_that_was_bent_is_told() {
    let of = listing(json!({ "path": "/p", "paginator": { "type": "offset", "page_size": 2 } }));
    let token = written(&of.start(&Scope::Everything, chrono::Utc::now())).unwrap();
    let bent = PageToken(token.0.replace("\"at\":0", "\"at\":5"));
    assert_ne!(bent, token);
    let why = of.place(&bent, |progress: &Progress| progress.settings).unwrap_err();
    assert_eq!(words(&why), "GET /p: a page token that is not ours");
}

/// Of a kind of parents that there is none of, the pass does not end as if all were read.
#[tokio::test]
async fn a_token_of_parents_that_are_no_more_ends_no_pass() {
    let kind = |name: &str| {
        json!({
            "parent_stream": { "path": format!("/{name}") }, "parent_key": "id", "partition_field": name,
        })
    };
    let router = json!({ "type": "substream", "parent_stream_configs": [kind("a"), kind("b")] });
    let of = listing(json!({
        "path": "/{{ stream_partition.a }}{{ stream_partition.b }}/p", "partition_router": router,
    }));
    let collection = CollectionName::try_new("permit").unwrap();
    for parents in ["2:", "x:", "18446744073709551616:"] {
        let place = json!({ "settings": of.settings, "began": 1, "parents": parents });
        let after = Some(written(&place).unwrap());
        let request = ReadRequest { collection: collection.clone(), scope: Scope::Everything, after };
        let why = of.page(&wire(), &lens(), request).await.unwrap_err();
        assert!(matches!(&why, ReadError::Broken { reason } if reason.contains("2 kinds")), "{why}");
    }
}

#[test]
fn what_is_written_is_read() {
    for place in [json!({}), json!({ "at": 7, "token": "é\u{0}" })] {
        assert_eq!(read::<Json>(&written(&place).unwrap()), Some(place));
    }
    for text in ["", "{}", "0123456789abcdef", "0123456789abcdef{}", "000000000000000é{}"] {
        assert_eq!(read::<Json>(&PageToken(text.to_owned())), None);
    }
}
