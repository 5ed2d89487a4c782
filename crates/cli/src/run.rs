//! `run`: keeps the sides in step until it is told to stop.
//!
//! The first Ctrl-C (or SIGTERM) begins nothing new and waits for what is under
//! way; the second ends at once, which loses nothing that was acknowledged.

use crate::args::RunArgs;
use crate::exit::{Exit, Failure};
use crate::library;
use crate::screen::{Screen, Tone};
use crate::signals::Signals;
use hms_sync_engine::{Happening, Watcher, What};
use serde_json::{Map, Value as Json, json};
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::sync::watch;

pub(crate) async fn run(screen: Screen, options: &RunArgs) -> Result<(), Failure> {
    let config = library::load(&options.file)?;
    if options.restored {
        return crate::restored::preview(screen, config).await;
    }
    let hooks = library::hook_paths(&config);
    let name = config.sync.clone();
    let mut stops = stops(options.stop_with_stdin)?;
    let watcher: Option<Watcher> =
        options.events.then(|| -> Watcher { Arc::new(|happening: &Happening| print(happening)) });
    let running = library::start(config, watcher).await?;
    announce(screen, &name, running.management_url(), &hooks);
    let engine = running.engine().clone();
    tokio::select! {
        () = stopped(&mut stops, 1) => {}
        ended = engine.ended() => {
            let error = ended.err().map_or_else(|| "the sync ended by itself".to_owned(), |why| crate::exit::in_one_line(&why));
            return Err(Failure::new(Exit::Store, error)
                .hint("what was acknowledged is safe; see the lines above, then start it again"));
        }
    }
    screen.note("stopping: what is under way is finished first; once more to end at once");
    tokio::select! {
        result = running.stop() => result.map_err(|why| library::start_failure(&why))?,
        () = stopped(&mut stops, 2) => {
            return Err(Failure::new(Exit::Interrupted, "ended at once")
                .hint("nothing that was acknowledged is lost; the next start takes up where this ended"));
        }
    }
    screen.note("stopped");
    Ok(())
}

fn announce(screen: Screen, name: &str, url: &str, hooks: &[String]) {
    let name = screen.paint(Tone::Head, name);
    screen.note(&format!("{name} runs; management at {url}"));
    for path in hooks {
        screen.note(&format!("webhooks at {url}{path}"));
    }
}

/// Counts the requests to stop.
fn stops(with_stdin: bool) -> Result<watch::Receiver<u32>, Failure> {
    let (tell, told) = watch::channel(0);
    let tell = Arc::new(tell);
    let signals = Signals::listen()?;
    let heard = Arc::clone(&tell);
    tokio::spawn(async move {
        let mut signals = signals;
        loop {
            signals.next().await;
            heard.send_modify(|n| *n += 1);
        }
    });
    if with_stdin {
        // A thread of its own: a read cannot be called off, and must not hold up the end.
        std::thread::spawn(move || {
            let (mut stdin, mut rest) = (std::io::stdin().lock(), [0; 256]);
            while stdin.read(&mut rest).is_ok_and(|n| n > 0) {}
            tell.send_modify(|n| *n += 1);
        });
    }
    Ok(told)
}

async fn stopped(stops: &mut watch::Receiver<u32>, times: u32) {
    // The sender lives as long as the process.
    let _gone = stops.wait_for(|n| *n >= times).await;
}

/// One thing that happened, as a JSON line on standard output.
fn print(happening: &Happening) {
    let line = event_json(happening).to_string();
    // Whoever listened may have gone; the sync goes on.
    let _gone = writeln!(std::io::stdout().lock(), "{line}");
}

/// `{"at": …, "record": …, "kind": …, "words": …}` and what the kind adds.
fn event_json(happening: &Happening) -> Json {
    let fields = |map: &hms_sync_model::FieldMap| -> Json {
        map.iter().map(|(field, value)| (field.to_string(), value.to_json())).collect::<Map<_, _>>().into()
    };
    let (kind, more) = match &happening.what {
        What::Appeared { side, linked, fields: map } => {
            ("appeared", json!({ "side": side, "linked": linked, "fields": fields(map) }))
        }
        What::Edited { side, fields: map } => ("edited", json!({ "side": side, "fields": fields(map) })),
        What::Deleted { side } => ("deleted", json!({ "side": side })),
        What::Decided { field, winner, losers, reason } => {
            let losers = losers.iter().map(|(by, value)| json!({ "by": by, "value": value.to_json() }));
            let losers = losers.collect::<Vec<_>>();
            (
                "decided",
                json!({
                    "field": field, "value": winner.to_json(), "losers": losers,
                    "rule": reason.name(), "reason": reason.to_string(),
                }),
            )
        }
        What::Chosen { by, fields: map, deletes } => {
            ("chosen", json!({ "by": by, "fields": fields(map), "deletes": deletes }))
        }
        What::Delivered { side, operation, fields: map, after_us } => (
            "delivered",
            json!({ "side": side, "operation": operation.as_str(), "fields": fields(map), "after_us": after_us }),
        ),
        What::Delayed { side, reason, wait_ms } => {
            ("delayed", json!({ "side": side, "reason": reason, "wait_ms": wait_ms }))
        }
        What::Parked { lane, reason } => ("parked", json!({ "lane": lane, "reason": reason })),
        What::SideAway { side, reason } => ("side_away", json!({ "side": side, "reason": reason })),
        What::SideBack { side } => ("side_back", json!({ "side": side })),
        What::ReadFailed { side, collection, reason } => {
            ("read_failed", json!({ "side": side, "collection": collection, "reason": reason }))
        }
        What::Unreadable { side, collection, reason } => {
            ("unreadable", json!({ "side": side, "collection": collection, "reason": reason }))
        }
        What::SchemaChanged { side, collection, reason } => {
            ("schema_changed", json!({ "side": side, "collection": collection, "reason": reason }))
        }
        What::Listed { side, collection, records } => {
            ("listed", json!({ "side": side, "collection": collection, "records": records }))
        }
        What::Retold { side, told, left_out, words } => {
            ("retold", json!({ "side": side, "told": told, "left_out": left_out, "ended": words }))
        }
        What::Sent { side, request } => ("sent", json!({ "side": side, "request": request })),
        What::Handled { job } => ("handled", json!({ "job": job })),
        What::Joined { into } => ("joined", json!({ "into": into })),
        What::TakenUp { by, unread } => ("taken_up", json!({ "by": by, "unread": unread })),
        What::Erased { fields } => ("erased", json!({ "fields": fields })),
    };
    let mut line = json!({
        "at": happening.at.to_string(), "record": happening.record, "kind": kind,
        "words": happening.what.to_string(),
    });
    if let (Json::Object(line), Json::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}
