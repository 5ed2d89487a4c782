//! From where on a pass reads, and up to where: cursors, slices, and what is left out
//! here because the side cannot be asked for changes.

use super::Listing;
use super::marks::Marks;
use crate::error::SpecError;
use crate::paging::{Facts, Progress, Rest, Turn};
use crate::spec::{CursorFrom, IncrementalSync, RequestOption, Template};
use crate::spot::Spot;
use crate::stamp::{Scale, Stamp};
use chrono::{DateTime, Utc};
use hms_sync_connector::{Cursor, Page, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::time::Duration;

/// The most slices that one pass is cut into.
const SLICES_MAX: i64 = 100_000;

/// A cursor, as it stands in the change log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// The largest value seen.
    Value(Json),
    /// When the last pass began, in microseconds.
    Run(i64),
    /// The same for each partition.
    Partitions(Marks),
}

impl Mark {
    pub(super) fn cursor(&self) -> Option<Cursor> {
        serde_json::to_string(self).ok().map(Cursor)
    }
}

/// How to ask for what changed, checked.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own about the side")]
#[derive(Debug)]
pub(super) struct Since {
    pub(super) scale: Scale,
    pub(super) spot: Option<Spot>,
    pub(super) end: Option<Spot>,
    /// Whether requests name an end at all.
    ends: bool,
    pub(super) last_run: bool,
    /// From where on anything is read.
    start: Option<Stamp>,
    stop: Option<Stamp>,
    step: Option<Step>,
    /// What is older than the cursor is left out here.
    here: bool,
    /// And the newest comes first.
    feed: bool,
}

/// Slices of a range, in microseconds.
#[derive(Debug, Clone, Copy)]
struct Step {
    length: i64,
    gap: i64,
}

impl Since {
    /// `key` is where it stands in the config.
    pub(super) fn new(key: &str, sync: &IncrementalSync, listing: &Listing) -> Result<Self, SpecError> {
        let bad = |name: &str, why: String| SpecError::new(format!("{key}.{name}"), why);
        let spot = |name: &str, option: Option<&RequestOption>| {
            let new = |option| Spot::new(&format!("{key}.{name}"), option, listing.carries());
            option.map(new).transpose()
        };
        let last_run = sync.cursor == CursorFrom::LastRun;
        let here = sync.is_client_side_incremental || sync.is_data_feed;
        let since = Self {
            scale: scale(&bad, sync)?,
            spot: spot("start_time_option", sync.start_time_option.as_ref())?,
            end: spot("end_time_option", sync.end_time_option.as_ref())?,
            ends: sync.end_time_option.is_some() || listing.uses("cursor_end"),
            last_run,
            start: None,
            stop: None,
            step: None,
            here,
            feed: sync.is_data_feed,
        };
        if (!last_run || here) && sync.cursor_field.is_none() {
            return Err(bad("cursor_field", "is needed, unless `cursor: last_run`".to_owned()));
        }
        if last_run && here {
            return Err(bad("cursor", "`last_run` is no value that records could be older than".to_owned()));
        }
        let asked = since.spot.is_some() || listing.uses("cursor") && !last_run;
        if !asked && !here {
            return Err(bad(
                "start_time_option",
                "is needed, unless a parameter has `{{ cursor }}`".to_owned(),
            ));
        }
        since.bounded(&bad, sync)
    }

    /// Only for going on from the last record of a page.
    pub(super) fn only(scale: Scale) -> Self {
        Self {
            scale,
            spot: None,
            end: None,
            ends: false,
            last_run: true,
            start: None,
            stop: None,
            step: None,
            here: false,
            feed: false,
        }
    }

    fn bounded(
        mut self,
        bad: &impl Fn(&str, String) -> SpecError,
        sync: &IncrementalSync,
    ) -> Result<Self, SpecError> {
        self.start =
            bound(&self.scale, sync.start_datetime.as_ref()).map_err(|e| bad("start_datetime", e))?;
        self.stop = bound(&self.scale, sync.end_datetime.as_ref()).map_err(|e| bad("end_datetime", e))?;
        let needs_end = [("end_datetime", self.stop.is_some()), ("step", sync.step.is_some())];
        if let Some((name, _)) = needs_end.iter().find(|(_, set)| *set && !self.ends) {
            let why = "needs `end_time_option`, or `{{ cursor_end }}` in a parameter";
            return Err(bad(name, why.to_owned()));
        }
        let Some(step) = sync.step else { return Ok(self) };
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let gap = micros(sync.cursor_granularity.map_or(Duration::ZERO, |span| span.0));
        let length = micros(step.0);
        if length < 1_000_000 || gap > length {
            return Err(bad(
                "step",
                "must be 1s at least, and no shorter than `cursor_granularity`".to_owned(),
            ));
        }
        if self.start.as_ref().is_none_or(|start| self.scale.time(start).is_none()) {
            return Err(bad("step", "needs a time to begin at: `start_datetime`".to_owned()));
        }
        self.step = Some(Step { length, gap });
        Ok(self)
    }

    /// Whether requests, or what is made of their answers, depend on the cursor.
    pub(super) fn sent(&self) -> bool {
        self.spot.is_some() || self.here
    }

    /// Whether requests name up to when they ask.
    pub(super) fn has_end(&self) -> bool {
        self.ends
    }

    /// Whether what requests name is a number where there are any: a count, or a time that
    /// records have as a number and no form is named for.
    pub(super) fn counts(&self, progress: &Progress) -> bool {
        let start = || self.start.as_ref().is_some_and(|start| matches!(start, Stamp::Number(_)));
        !self.scale.has_format() && progress.floor.as_ref().map_or_else(start, Json::is_number)
    }

    /// Whether even a listing of everything is not all there is.
    pub(super) fn leaves_out(&self) -> bool {
        self.start.is_some() || self.ends
    }

    /// The first request's range: to its end, or the first slice of it.
    fn range(&self, progress: &mut Progress, now: DateTime<Utc>) {
        if !self.ends {
            return;
        }
        let lag = self.scale.lag().unwrap_or_default();
        let now = now.timestamp_micros().saturating_sub(i64::try_from(lag.as_micros()).unwrap_or(i64::MAX));
        let stop =
            self.stop.as_ref().and_then(|stop| self.scale.time(stop)).map_or(now, |stop| stop.0.min(now));
        let from = progress.from.as_deref().and_then(|from| self.scale.of_text(from));
        let from = from.and_then(|from| self.scale.time(&from));
        match (self.step, from) {
            (Some(step), Some(from)) => {
                let (until, rest) = step.slice(from.0, stop);
                progress.until = Some(self.text(until));
                progress.rest = rest;
            }
            _ => progress.until = Some(self.text(stop)),
        }
    }

    /// An instant as the side writes it.
    fn text(&self, micros: i64) -> String {
        let like = self.start.as_ref().or(self.stop.as_ref());
        let like = like.and_then(|like| self.scale.at(hms_sync_model::Time(micros), like));
        let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
        like.map_or_else(|| self.scale.instant(at), |stamp| stamp.as_str().to_owned())
    }
}

impl Step {
    /// The end of the slice that begins at `from`, and what is left after it. Long ranges
    /// are cut into longer slices.
    fn slice(self, from: i64, stop: i64) -> (i64, Option<Rest>) {
        let length = self.length.max(stop.saturating_sub(from) / SLICES_MAX);
        let next = from.saturating_add(length);
        // Where a slice ends before the next begins, the end is a unit of its own.
        if next > stop || next == stop && self.gap == 0 {
            return (stop, None);
        }
        (next.saturating_sub(self.gap), Some(Rest { from: next, until: stop }))
    }
}

fn scale(bad: &impl Fn(&str, String) -> SpecError, sync: &IncrementalSync) -> Result<Scale, SpecError> {
    let lookback = sync.lookback_window.map(|span| span.0);
    let field = sync.cursor_field.clone().unwrap_or_default();
    let scale = Scale::new(field, sync.datetime_format.as_deref(), lookback);
    let scale = scale.map_err(|e| bad("datetime_format", e))?.lagging(sync.safety_lag.map(|span| span.0));
    scale.read_also(&sync.cursor_datetime_formats).map_err(|e| bad("cursor_datetime_formats", e))
}

fn bound(scale: &Scale, text: Option<&Template>) -> Result<Option<Stamp>, String> {
    let Some(text) = text.map(Template::as_str).filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let stamp = scale.bound(text).ok_or_else(|| format!("{text:.60?} is nothing to begin or end at"))?;
    if matches!(stamp, Stamp::Text(_)) {
        return Err(format!("{text:.60?} is neither a number nor a time in the form of the cursor"));
    }
    Ok(Some(stamp))
}

impl Listing {
    /// Where a pass begins.
    pub(super) fn start(&self, scope: &Scope, now: DateTime<Utc>) -> Progress {
        let mut progress = Progress::begin(self.settings, now.timestamp_micros());
        let Some(since) = &self.since else { return progress };
        if let Scope::Since(cursor) = scope {
            match (serde_json::from_str(&cursor.0), since.last_run) {
                (Ok(Mark::Value(json)), false) => {
                    progress.from = since.scale.read(&json).map(|stamp| since.scale.before(&stamp));
                    progress.floor = Some(json);
                }
                (Ok(Mark::Run(micros)), true) => {
                    progress.from = DateTime::from_timestamp_micros(micros).map(|at| since.scale.own(at));
                }
                // A cursor from before the config was changed: everything is read.
                (Ok(_) | Err(_), _) => {
                    tracing::warn!(listing = %self.ask.label, "the cursor cannot be used any more; everything is read");
                }
            }
        }
        progress.since = progress.from.is_some();
        if progress.from.is_none() {
            progress.from = since.start.as_ref().map(|start| start.as_str().to_owned());
        }
        since.range(&mut progress, now);
        progress
    }

    /// After the end of a slice the next one begins.
    pub(super) fn beyond_slice(&self, turn: Turn) -> (Option<Json>, Option<Progress>) {
        let (Some(since), None, Some(last)) = (&self.since, &turn.next, &turn.last) else {
            return (turn.cursor, turn.next);
        };
        let (Some(step), Some(rest)) = (since.step, last.rest) else { return (turn.cursor, turn.next) };
        let (until, left) = step.slice(rest.from, rest.until);
        let next = last.slice(since.text(rest.from), since.text(until), left);
        (last.slice_end(&since.scale).filter(|_| last.since), Some(next))
    }

    pub(super) fn cursor(&self, progress: &Progress, value: Option<Json>, last: bool) -> Option<Cursor> {
        let mark = match &self.since {
            Some(since) if since.last_run => {
                (last && since.spot.is_some()).then_some(Mark::Run(progress.began))?
            }
            Some(_) => Mark::Value(value?),
            None => return None,
        };
        mark.cursor()
    }

    /// Older than what the poll asks for.
    fn is_known(&self, progress: &Progress) -> impl Fn(&Stamp) -> bool {
        let since = self.since.as_ref().filter(|since| since.here && progress.since);
        let from = since.and_then(|since| since.scale.of_text(progress.from.as_deref()?));
        move |stamp| from.as_ref().is_some_and(|from| stamp.compare(from) == Some(Ordering::Less))
    }

    /// A feed that shows the newest first has nothing new after what is known.
    pub(super) fn stop_where_known(&self, progress: &Progress, facts: &mut Facts) -> Result<(), String> {
        if !self.since.as_ref().is_some_and(|since| since.feed) {
            return Ok(());
        }
        let stamps: Vec<&Stamp> = facts.stamps.iter().flatten().collect();
        let rises = |pair: &[&Stamp]| match pair {
            [a, b] => b.compare(a) == Some(Ordering::Greater),
            _ => false,
        };
        if let Some([a, b]) = stamps.windows(2).find(|pair| rises(pair)) {
            return Err(format!(
                "`is_data_feed` needs the newest first, but {:.40} comes before {:.40}; can the side be asked to \
                 sort? Otherwise `is_client_side_incremental` reads everything",
                a.as_str(),
                b.as_str()
            ));
        }
        let known = self.is_known(progress);
        if stamps.iter().any(|stamp| known(stamp)) {
            facts.more = Some(false);
        }
        Ok(())
    }

    /// Leaves out what is older than what the poll asks for, where the side cannot do so.
    pub(super) fn leave_out_known(&self, progress: &Progress, page: &mut Page) {
        let Some(since) = self.since.as_ref().filter(|since| since.here && progress.since) else { return };
        let known = self.is_known(progress);
        page.records.retain(|record| match &record.content {
            hms_sync_connector::Content::Whole(json) => {
                !since.scale.of(json).is_some_and(|stamp| known(&stamp))
            }
            // What is gone has lost its time; it is told each time.
            hms_sync_connector::Content::Partial(_) | hms_sync_connector::Content::Gone => true,
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::Step;
    use proptest::prelude::*;

    proptest! {
        /// Slices leave nothing out but the gap that the side counts in, and end.
        #[test]
        fn slices_cover_the_range(from in 0i64..1_000_000_000, length in 1i64..100_000, long in 0i64..1_000_000, gap in 0i64..9) {
            let step = Step { length: length.max(gap), gap };
            let stop = from + long;
            let (mut at, mut slices) = (from, 0);
            loop {
                let (until, rest) = step.slice(at, stop);
                slices += 1;
                let Some(rest) = rest else {
                    prop_assert_eq!(until, stop);
                    break;
                };
                prop_assert_eq!(until + gap, rest.from);
                prop_assert!(rest.from > at && rest.until == stop);
                at = rest.from;
            }
            prop_assert!(slices <= long / step.length + 1);
        }
    }
}
