//! What auditors ask for: checkpoints, keys, exports, and whether the log is sound.
//!
//! What never happens here: an event about a key that is not durable before the key is
//! used, or a whole export in memory.

use crate::answers::{ArchivedEvents, CheckpointReport, LostEvents, Verified};
use crate::desk::{Desk, beside};
use crate::error::DeskError;
use chrono::{DateTime, NaiveDate, NaiveTime};
use hms_sync_audit::{Scope, Selection};
use hms_sync_changelog::Log;
use hms_sync_engine::{Command, side_of};
use hms_sync_model::{Body, Event, FieldName, RecordId, SideName, Time};
use hms_sync_notary::{Ask, KeyChange, Notary, NotaryError, NotaryStatus, Signed, named_keys};
use hms_sync_proof::{KeyName, TreeHead};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// Events of a record read at once.
const PAGE_EVENTS: usize = 256;

/// What is to be exported. Everything, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportAsk {
    /// The whole history of one record, by any of its names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Events written at or after this time (RFC 3339, or a day).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Events written before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Events about one side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// Events about one field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Sizes of older checkpoints that it is to show itself to continue, with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<String>,
    /// An archive: all events that are still in the log and were written before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// An archive: all events that are still in the log up to this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// Which events belong to a part.
#[derive(Debug, Clone, Default)]
struct Filter {
    record: Option<String>,
    from: Option<Time>,
    to: Option<Time>,
    side: Option<SideName>,
    field: Option<FieldName>,
}

impl Filter {
    fn of(ask: &ExportAsk, record: Option<String>) -> Result<Self, DeskError> {
        let side = ask.side.as_deref().map(SideName::try_new).transpose().map_err(|why| invalid(&why))?;
        let field = ask.field.as_deref().map(FieldName::try_new).transpose().map_err(|why| invalid(&why))?;
        let time = |text: &Option<String>| text.as_deref().map(time).transpose();
        Ok(Self { record, from: time(&ask.from)?, to: time(&ask.to)?, side, field })
    }

    fn fits(&self, event: &Event) -> bool {
        self.record.as_ref().is_none_or(|record| event.record.as_str() == record)
            && self.from.is_none_or(|from| event.at >= from)
            && self.to.is_none_or(|to| event.at < to)
            && self.side.as_ref().is_none_or(|side| side_of(&event.body) == Some(side))
            && self.field.as_ref().is_none_or(|field| is_about(&event.body, field))
    }
}

fn invalid(why: &impl std::fmt::Display) -> DeskError {
    let hint = "see docs/cli.md for what an export may be asked for".to_owned();
    DeskError::Invalid { why: why.to_string(), hint }
}

/// Whether an event changes or carries a field.
fn is_about(body: &Body, field: &FieldName) -> bool {
    match body {
        Body::Edited { edit, .. } => edit.changes.contains_key(field),
        Body::Intended { fields, .. } => fields.contains_key(field),
        Body::Applied { results, .. } => results.contains_key(field),
        Body::Parked { parked, .. } => parked.fields.contains(field),
        _ => false,
    }
}

/// A time as RFC 3339, or a day, which begins at midnight UTC.
fn time(text: &str) -> Result<Time, DeskError> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Time::from_chrono(at.to_utc()));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d");
    let day =
        day.map_err(|_| invalid(&format!("{text:?} is no time: write 2026-01-31 or 2026-01-31T08:00:00Z")))?;
    Ok(Time::from_chrono(day.and_time(NaiveTime::MIN).and_utc()))
}

/// What is said of each part of a question, for the export's head.
fn selection(ask: &ExportAsk) -> Selection {
    let parts = [
        ("record", &ask.record),
        ("from", &ask.from),
        ("to", &ask.to),
        ("side", &ask.side),
        ("field", &ask.field),
    ];
    parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}

/// What is asked for, where some of it was lost.
fn but_the_lost(ask: &ExportAsk) -> Scope {
    let mut parts = selection(ask);
    parts.insert("all but".to_owned(), "what is archived, or a recovery has found lost".to_owned());
    Scope::Part(parts)
}

/// Whether events of a record were lost before one that is there. Reads all of them.
fn has_gap(log: &Log, record: &RecordId) -> Result<bool, DeskError> {
    let mut next = 1;
    loop {
        let page = log.history(record, next, PAGE_EVENTS)?;
        if page.is_empty() {
            return Ok(false);
        }
        for (_, event) in page {
            if event.version != next {
                return Ok(true);
            }
            next = next.saturating_add(1);
        }
    }
}

impl Desk {
    /// With somebody who signs.
    #[must_use]
    pub fn with_notary(mut self, notary: Option<Notary>) -> Self {
        self.notary = notary;
        self
    }

    pub(crate) fn signs(&self) -> Result<Notary, DeskError> {
        self.notary.clone().ok_or(DeskError::NoNotary)
    }

    /// The log's key, its last checkpoint, and why it signs no more if that is so.
    pub fn audit_status(&self) -> Option<NotaryStatus> {
        self.notary.as_ref().map(Notary::status)
    }

    /// At a start: the first key, and what a crash left of a change. What goes wrong is
    /// told in the status and stops nothing.
    pub async fn settle_keys(&self) -> Result<(), DeskError> {
        let (notary, log) = (self.signs()?, self.log()?);
        let of = notary.clone();
        let first = beside(move || Ok(of.first_key(&log)?)).await?;
        match first {
            Some(change) => self.change_key(notary, change).await,
            None => Ok(()),
        }
    }

    /// Records a change of the key, then takes the new one up. Where nobody can say whether it
    /// is recorded, because the sync has stopped, the next start finds out.
    async fn change_key(&self, notary: Notary, change: KeyChange) -> Result<(), DeskError> {
        let KeyChange { key, before, words, last } = change;
        let said = self.command(Command::Signing { key, before, words, last }).await;
        let log = self.log()?;
        beside(move || match said {
            Ok(_) => Ok(notary.take_up(&log)?),
            Err(why @ DeskError::Refused { .. }) if notary.give_up(&log)? => Err(why),
            Err(why) => notary.take_up(&log).map_err(|_| why),
        })
        .await
    }

    /// Makes another key and changes to it. Goes on to the end though nobody waits for it.
    async fn change(
        &self,
        prepare: impl FnOnce(&Notary, &Log) -> Result<KeyChange, NotaryError> + Send + 'static,
    ) -> Result<NotaryStatus, DeskError> {
        let (desk, notary, log) = (self.clone(), self.signs()?, self.log()?);
        let done = tokio::spawn(async move {
            let of = notary.clone();
            let change = beside(move || Ok(prepare(&of, &log)?)).await?;
            desk.change_key(notary.clone(), change).await?;
            desk.checkpoint().await?;
            Ok(notary.status())
        });
        done.await.map_err(|why| DeskError::CutOff { why: why.to_string() })?
    }

    /// Signs the log as it is now.
    pub async fn checkpoint(&self) -> Result<CheckpointReport, DeskError> {
        let (notary, log) = (self.signs()?, self.log()?);
        let Signed { head, note } = beside(move || Ok(notary.sign(&log)?)).await?;
        Ok(CheckpointReport { size: head.size, root: head.root.to_string(), note: note.to_string() })
    }

    /// Another key under the same origin, and a checkpoint signed with it.
    pub async fn rotate_key(&self, words: &str) -> Result<NotaryStatus, DeskError> {
        let words = words.to_owned();
        self.change(move |notary, _| notary.next_key(&words)).await
    }

    /// Another origin: what was signed until now is continued no more, and the log says so.
    pub async fn new_origin(&self, origin: Option<&str>, words: &str) -> Result<NotaryStatus, DeskError> {
        let origin = origin.map(str::parse::<KeyName>).transpose().map_err(|why| invalid(&why))?;
        let words = words.to_owned();
        self.change(move |notary, log| notary.next_origin(log, origin, &words)).await
    }

    /// Writes an export. Answers how many entries it has.
    pub async fn export(&self, ask: &ExportAsk, out: impl Write + Send + 'static) -> Result<u64, DeskError> {
        let (notary, log) = (self.signs()?, self.log()?);
        let record = match &ask.record {
            Some(name) => Some(self.find(name).await?.to_string()),
            None => None,
        };
        let filter = Filter::of(ask, record.clone())?;
        let older = ask.older.iter().flat_map(|sizes| sizes.split(',')).map(str::parse::<u64>);
        let mut older: Vec<u64> = older.collect::<Result<_, _>>().map_err(|why| invalid(&why))?;
        let range = crate::archive::range_of(&log, ask)?;
        // Where a range ends, the tree is shown to be a beginning of what is signed.
        older.extend(range.map(|range| range.last));
        let only_record = ask.from.is_none() && ask.to.is_none() && ask.side.is_none() && ask.field.is_none();
        let scope = match record {
            _ if range.is_some() => {
                if !only_record || record.is_some() {
                    return Err(invalid(&"an archive holds all events of its range"));
                }
                range.map_or(Scope::Whole, Scope::Range)
            }
            Some(record) if only_record => {
                let (log, of) =
                    (log.clone(), RecordId::try_new(record.as_str()).map_err(|why| invalid(&why))?);
                let has_gap = beside(move || has_gap(&log, &of)).await?;
                if has_gap { but_the_lost(ask) } else { Scope::Record(record) }
            }
            // What was lost cannot be shown, and so what is left is not the whole.
            None if only_record && log.lost()?.is_empty() && log.dropped_upto() == 0 => Scope::Whole,
            None if only_record => but_the_lost(ask),
            _ => Scope::Part(selection(ask)),
        };
        beside(move || {
            let fits = |event: &Event| filter.fits(event);
            Ok(notary.export(&log, &Ask { scope, fits: &fits, older: &older }, out)?)
        })
        .await
    }

    /// Checks the whole log, beside whatever goes on: by itself, and against every checkpoint
    /// on record.
    pub async fn verify(&self) -> Result<Verified, DeskError> {
        self.verify_against(Vec::new()).await
    }

    /// The same, and against these checkpoints, whose signatures are the caller's to check.
    pub async fn verify_against(&self, checkpoints: Vec<TreeHead>) -> Result<Verified, DeskError> {
        let (log, notary) = (self.log()?, self.notary.clone());
        beside(move || Verified::of(&log, notary.as_ref(), checkpoints)).await
    }
}

impl Verified {
    /// Checks every event of a log, its index and its tree, against the checkpoints on record
    /// and those that were given. Blocks.
    pub fn of(
        log: &hms_sync_changelog::Log,
        notary: Option<&Notary>,
        mut checkpoints: Vec<TreeHead>,
    ) -> Result<Self, DeskError> {
        let given = checkpoints.len();
        let on_record = notary.map_or_else(|| Ok(Vec::new()), Notary::checkpoints);
        checkpoints.extend(on_record.iter().flatten());
        let found = log.verify_against(&checkpoints, |_| {})?;
        let wrong = || on_record.as_ref().err().map(ToString::to_string);
        let problem = found.first_bad.as_ref().map(ToString::to_string).or_else(wrong);
        let recorded = checkpoints.len().saturating_sub(given) as u64;
        let lost = found.lost.iter().map(LostEvents::of).collect();
        let (events, records) = (found.events, found.records);
        let archived = found.archived.iter().map(ArchivedEvents::of).collect();
        let keys = keys_of(log, notary);
        Ok(Self { sound: problem.is_none(), events, records, lost, archived, problem, recorded, keys })
    }
}

/// Every key that the log says it signs or has signed with.
fn keys_of(log: &Log, notary: Option<&Notary>) -> Vec<String> {
    let mut keys = notary.map(Notary::keys).unwrap_or_default();
    // Where the stream is damaged the check has found that already.
    let named = named_keys(log).unwrap_or_default();
    keys.extend(named.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
    keys.iter().map(ToString::to_string).collect()
}

impl LostEvents {
    fn of(lost: &hms_sync_changelog::Lost) -> Self {
        Self { first: lost.first, last: lost.last(), found: lost.at.to_string() }
    }
}

/// Checkpoints as a question names them: `size:root`, with commas.
pub(crate) fn read_heads(text: &str) -> Result<Vec<TreeHead>, DeskError> {
    let head = |text: &str| {
        let (size, root) = text.split_once(':')?;
        Some(TreeHead { size: size.parse().ok()?, root: root.parse().ok()? })
    };
    let heads = text.split(',').map(head).collect::<Option<Vec<_>>>();
    heads.ok_or_else(|| invalid(&"a checkpoint is named as size:root, the root in base64"))
}
