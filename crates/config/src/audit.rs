//! `audit:` at the top: under which name the log signs its checkpoints, how often, and who
//! countersigns them.

use crate::node::Node;
use crate::problem::Problems;
use crate::section::{self, Section};
use hms_sync_notary::{Settings, WitnessSettings};
use hms_sync_proof::{KeyName, SignatureType, VerifierKey};

/// The most witnesses.
const WITNESSES_MAX: usize = 16;

/// Reads `audit:`.
pub(crate) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<Settings> {
    let before = problems.count();
    let mut map = Section::open(node, "`audit`", problems)?;
    let mut settings = Settings::default();
    if let Some(node) = map.take("origin", problems) {
        settings.origin = section::parsed(node, "`origin`", problems);
        if settings.origin.as_ref().is_some_and(is_number) {
            problems.add(node.at, "`origin` must not be a number");
        }
    }
    if let Some(node) = map.take("every_events", problems) {
        let given = section::whole(node, "`every_events`", 1..=1_000_000_000, problems);
        settings.every_events = given.unwrap_or(settings.every_events);
    }
    if let Some(node) = map.take("every", problems) {
        settings.every = section::duration(node, "`every`", problems).unwrap_or(settings.every);
    }
    if let Some(node) = map.take("witnesses", problems) {
        let given = section::list(node, "`witnesses`", problems).unwrap_or_default();
        if given.len() > WITNESSES_MAX {
            problems.add(node.at, format!("a log has {WITNESSES_MAX} witnesses at most"));
        }
        for node in given {
            let read = witness(node, problems);
            let known =
                |other: &WitnessSettings| read.as_ref().is_some_and(|w| w.key.public() == other.key.public());
            if settings.witnesses.iter().any(known) {
                problems.add(node.at, "this witness is here twice");
            }
            settings.witnesses.extend(read);
        }
    }
    map.finish(problems);
    (problems.count() == before).then_some(settings)
}

/// A name that could be taken for a size.
fn is_number(name: &KeyName) -> bool {
    name.as_str().bytes().all(|byte| byte.is_ascii_digit())
}

fn witness(node: &Node, problems: &mut Problems<'_>) -> Option<WitnessSettings> {
    let mut map = Section::open(node, "a witness", problems)?;
    let key_node = map.require("key", problems);
    let key =
        key_node.and_then(|node| Some((node, section::parsed::<VerifierKey>(node, "`key`", problems)?)));
    let url_node = map.require("url", problems);
    let url = url_node.and_then(|node| Some((node, section::text(node, "`url`", problems)?)));
    map.finish(problems);
    let ((key_node, key), (url_node, url)) = key.zip(url)?;
    if key.kind() != SignatureType::CosignatureV1 {
        let hint = "a witness hands out a key of type 4 (cosignature/v1)";
        problems.add_hint(key_node.at, "`key` is not the key of a witness", hint);
        return None;
    }
    if !url.starts_with("https://") && !url.starts_with("http://") {
        problems.add_hint(url_node.at, "`url` must be an address", "as https://witness.example.org");
        return None;
    }
    Some(WitnessSettings { key, url: url.to_owned() })
}
