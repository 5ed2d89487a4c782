//! An event in full, as JSON for the API: the same content as on disk, under
//! readable names. A field that is absent is left out; `null` means null.

use hms_sync_model::{
    Body, Clock, Edit, Event, FieldMap, FieldResult, Lane, Parked, Released, Request, Source, Value, VecMap,
    WebhookMessage,
};
use serde_json::{Map, Value as Json, json};

/// Everything an event's body says.
pub(crate) fn detail(event: &Event) -> Json {
    match &event.body {
        Body::Edited { edit, id, tag, source, raw } => {
            let raw = raw.map(|hash| hash.to_string());
            edited(edit, json!({ "id": id, "tag": tag, "raw": raw }), source)
        }
        Body::Intended { side, operation, fields, clock } => json!({
            "side": side, "operation": operation.as_str(), "fields": values(fields), "clock": seen(clock),
        }),
        Body::Applied { side, of, id, tag, results, whole } => json!({
            "side": side, "of": of, "id": id, "tag": tag, "whole": whole,
            "results": results.iter().map(|(field, r)| (field.to_string(), result(r))).collect::<Map<_, _>>(),
        }),
        Body::Failed { side, of, failure, words } => {
            json!({ "side": side, "of": of, "failure": failure, "words": words })
        }
        Body::Confirmed { side, clock, tag, but } => {
            json!({ "side": side, "clock": seen(clock), "tag": tag, "but": but })
        }
        Body::Doubted { side, stale, id, message, words } => {
            json!({ "side": side, "stale": stale, "id": id, "webhook": message, "words": words })
        }
        Body::Parked { lane, parked } => {
            let Parked { reason, words, attempts, fields, clock, given_up: _ } = parked;
            json!({
                "lane": of(lane), "reason": reason, "words": words, "attempts": attempts, "fields": fields,
                "clock": seen(clock),
            })
        }
        Body::Released { lane, action } => {
            let action = match action {
                Released::Replay => "replay",
                Released::Discard => "discard",
                Released::PushOurs => "push_ours",
                Released::TakeTheirs => "take_theirs",
            };
            json!({ "lane": of(lane), "action": action })
        }
        Body::Unlinked { .. }
        | Body::Linked { .. }
        | Body::Joined { .. }
        | Body::Follows { .. }
        | Body::Restored { .. } => ties(&event.body),
        Body::Queued { job, request } => {
            let Request { target, method, path, body, key } = request;
            json!({ "job": job, "target": target, "method": method, "path": path, "body": body, "key": key })
        }
        Body::Handled { job, clock } => json!({ "job": job, "clock": seen(clock) }),
        Body::HandlerFailed { job, words } => json!({ "job": job, "words": words }),
        Body::Cursor { side, cursor, listed, next } => {
            json!({ "side": side, "cursor": cursor, "listed": listed, "next": next })
        }
        Body::Received { message } => json!({ "message": message }),
        Body::Signing { key, before, words, last } => {
            json!({ "key": key, "before": before, "words": words, "last": last })
        }
        Body::Carried { upto, state, sealed, fields } => json!({
            "upto": upto, "bytes": state.0.len(), "sealed": sealed.is_some(), "sealed_fields": fields,
        }),
        Body::Archived { first, last, file, hash, root, by, reason } => json!({
            "first": first, "last": last, "file": file, "hash": hash.to_string(), "root": root.to_string(),
            "by": by, "reason": reason,
        }),
        Body::TakenUp { by, reason, sides, unread, identity } => json!({
            "by": by, "reason": reason, "sides": sides, "unread": unread, "identity": identity,
        }),
        Body::Erased { of, by, reason, fields } => {
            json!({ "record": of, "by": by, "reason": reason, "fields": fields })
        }
    }
}

/// Which native record is whose.
fn ties(body: &Body) -> Json {
    match body {
        Body::Unlinked { side, apart } => {
            let apart =
                apart.as_ref().map(|apart| json!({ "id": apart.id, "by": apart.by, "reason": apart.reason }));
            json!({ "side": side, "apart": apart })
        }
        Body::Linked { side, id, fields, by, reason } => {
            json!({ "side": side, "id": id, "fields": values(fields), "by": by, "reason": reason })
        }
        Body::Joined { into, gone, by, reason } => {
            json!({ "into": into, "gone": gone, "by": by, "reason": reason })
        }
        Body::Restored { last } => json!({ "last": last }),
        Body::Follows { of } => json!({ "of": of }),
        _ => Json::Null,
    }
}

fn edited(edit: &Edit, mut detail: Json, source: &Source) -> Json {
    let changes = edit.changes.iter().map(|(field, change)| {
        let mut both = Map::new();
        put(&mut both, "before", &change.before);
        put(&mut both, "after", &change.after);
        (field.to_string(), Json::Object(both))
    });
    let but = edit.but.iter().map(|(field, clock)| (field.to_string(), seen(clock)));
    let rest = json!({
        "by": edit.actor().to_string(),
        "dot": edit.dot.to_string(),
        "generation": edit.generation,
        "had_seen": seen(&edit.context),
        "had_seen_but": but.collect::<Map<_, _>>(),
        "changes": changes.collect::<Map<_, _>>(),
        "deletes": edit.deletes,
        "not_before": (edit.stamp.low != hms_sync_model::Time::MIN).then(|| edit.stamp.low.to_string()),
        "not_after": edit.stamp.high.to_string(),
        "certain": edit.certain,
        "source": origin(source),
    });
    if let (Json::Object(detail), Json::Object(rest)) = (&mut detail, rest) {
        detail.extend(rest);
    }
    detail
}

fn put(map: &mut Map<String, Json>, key: &str, value: &Value) {
    if !matches!(value, Value::Absent) {
        map.insert(key.to_owned(), value.to_json());
    }
}

fn values(fields: &FieldMap) -> Json {
    let mut map = Map::new();
    for (field, value) in fields.iter() {
        put(&mut map, field.as_str(), value);
    }
    Json::Object(map)
}

fn seen(clock: &Clock) -> Json {
    let pairs: VecMap<String, u64> = clock.iter().map(|(actor, n)| (actor.to_string(), n)).collect();
    json!(pairs)
}

fn of(lane: &Lane) -> Json {
    match lane {
        Lane::Side(side) => json!({ "side": side }),
        Lane::Job(job) => json!({ "job": job }),
        Lane::Request(version) => json!({ "request": version }),
    }
}

fn origin(source: &Source) -> Json {
    match source {
        Source::Page => json!("page"),
        Source::Webhook(message) => json!({ "webhook": message.as_ref().map(WebhookMessage::id) }),
        Source::Answer => json!("answer"),
        Source::Fetch => json!("fetch"),
        Source::Missing => json!("missing"),
        Source::Operator => json!("operator"),
        Source::Person { by, reason } => json!({ "by": by, "reason": reason }),
        Source::Engine => json!("engine"),
    }
}

fn result(result: &FieldResult) -> Json {
    match result {
        FieldResult::Taken => json!("taken"),
        FieldResult::Reformatted(value) => json!({ "reformatted": value.to_json() }),
        FieldResult::Altered(value) => json!({ "altered": value.to_json() }),
        FieldResult::NotKept => json!("not_kept"),
    }
}
