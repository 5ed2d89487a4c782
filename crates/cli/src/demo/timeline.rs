//! The picture: headlines, and lines of time, who, record, what.

use crate::demo::heard::{Heard, Kind};
use crate::screen::{Screen, Tone};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a person is left with a headline before its act begins. Nothing is
/// measured or waited for meanwhile.
const READING_TIME: Duration = Duration::from_millis(1_300);

/// How much of what the sync tells is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Each thing.
    Each,
    /// A line for so many things delivered, and whatever is out of the ordinary.
    Every(usize),
}

/// What has been heard so far, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) decided: usize,
    pub(crate) retries: usize,
    pub(crate) delivered: usize,
    pub(crate) parked: usize,
}

/// The one picture of a demo. Clones draw on the same.
#[derive(Debug, Clone)]
pub(crate) struct Timeline {
    screen: Screen,
    began: Instant,
    shared: Arc<Mutex<Shared>>,
    /// Told when nobody reads on.
    gone: Arc<Notify>,
}

#[derive(Debug)]
struct Shared {
    detail: Detail,
    /// When the act began that is being played.
    since: DateTime<Utc>,
    acts: usize,
    /// The permit number of each record that has one.
    names: HashMap<String, String>,
    counts: Counts,
    /// Permits for which a rule decided.
    decided: Vec<String>,
    /// Delivered since the last line about it, by side and operation: how many, and the first.
    bundle: BTreeMap<(String, String), (usize, String)>,
    /// A decision, told a moment before the edit that brought it about.
    held: Option<Heard>,
}

/// Which of the two systems, or the sync.
pub(crate) fn tone_of(who: &str) -> Tone {
    match who {
        "clerk" => Tone::One,
        "marshal" => Tone::Two,
        "sync" => Tone::Own,
        _ => Tone::Plain,
    }
}

impl Timeline {
    pub(crate) fn new(screen: Screen) -> Self {
        let shared = Shared {
            detail: Detail::Each,
            since: Utc::now(),
            acts: 0,
            names: HashMap::new(),
            counts: Counts::default(),
            decided: Vec::new(),
            bundle: BTreeMap::new(),
            held: None,
        };
        Self { screen, began: Instant::now(), shared: Arc::new(Mutex::new(shared)), gone: Arc::default() }
    }

    /// Draws lines. A reader who has had enough (`| head`) ends the demo, but not
    /// at once: there are a process and a folder to clear away.
    fn show(&self, text: &str) {
        if !self.screen.told(text) {
            self.gone.notify_one();
        }
    }

    /// Waits until nobody reads on.
    pub(crate) async fn reader_gone(&self) {
        self.gone.notified().await;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an act: what it shows, in a headline and a sentence.
    pub(crate) async fn act(&self, detail: Detail, headline: &str, sentence: &str) {
        self.headline(detail, headline, sentence);
        self.pause().await;
    }

    fn headline(&self, detail: Detail, headline: &str, sentence: &str) {
        let mut shared = self.shared();
        shared.flush(self);
        shared.acts += 1;
        (shared.detail, shared.since) = (detail, Utc::now());
        let number = self.screen.paint(Tone::Faint, &format!("{:>2}", shared.acts));
        self.show(&format!("\n{number}  {}", self.screen.paint(Tone::Head, headline)));
        self.show(&format!("    {}\n", self.screen.paint(Tone::Faint, sentence)));
    }

    /// A line: at which place, about which permit, what.
    pub(crate) fn line(&self, who: &str, record: &str, what: &str) {
        let mut shared = self.shared();
        shared.flush(self);
        self.draw(who, record, what);
    }

    fn draw(&self, who: &str, record: &str, what: &str) {
        let at = self.began.elapsed().as_secs_f64();
        let at = self.screen.paint(Tone::Faint, &format!("{at:>8.3}"));
        let who = self.screen.paint(tone_of(who), &format!("{who:<8}"));
        let record = format!("{record:<11}");
        self.show(&format!("{at}  {who} {record} {what}"));
    }

    /// What an act came to.
    pub(crate) fn good(&self, what: &str) {
        let mut shared = self.shared();
        shared.flush(self);
        self.show(&format!("          {} {what}", self.screen.paint(Tone::Good, "✓")));
    }

    /// Time to read what has been said, for a person who watches.
    async fn pause(&self) {
        if self.screen.is_watched() {
            tokio::time::sleep(READING_TIME).await;
        }
    }

    /// A line without columns.
    pub(crate) fn plain(&self, tone: Tone, text: &str) {
        let mut shared = self.shared();
        shared.flush(self);
        self.show(&self.screen.paint(tone, text));
    }

    /// The screen itself.
    pub(crate) fn screen(&self) -> Screen {
        self.screen
    }

    /// What has been heard so far.
    pub(crate) fn counts(&self) -> Counts {
        self.shared().counts
    }

    /// Whether a rule has decided something about a permit.
    pub(crate) fn has_decided(&self, permit: &str) -> bool {
        self.shared().decided.iter().any(|decided| decided == permit)
    }

    /// Takes in something the sync tells.
    pub(crate) fn hear(&self, heard: &Heard) {
        let mut shared = self.shared();
        let permit = shared.name(heard);
        shared.count(heard, &permit);
        let detail = shared.detail_of(heard);
        if let (Detail::Every(size), Kind::Delivered { side, operation, .. }) = (detail, &heard.kind) {
            if shared.bundled(side, operation, &permit) >= size {
                shared.flush(self);
            }
            return;
        }
        if self.words(heard, detail).is_none() {
            return;
        }
        // The edit comes first, then what was decided about it.
        let cause = matches!(heard.kind, Kind::Edited { .. })
            && shared.held.as_ref().is_some_and(|held| held.record == heard.record);
        if !cause {
            shared.flush(self);
        }
        if matches!(heard.kind, Kind::Decided { .. }) {
            shared.held = Some(heard.clone());
        } else {
            self.draw_heard(heard, &permit, detail);
        }
    }

    fn draw_heard(&self, heard: &Heard, permit: &str, detail: Detail) {
        if let Some(what) = self.words(heard, detail) {
            self.draw("sync", permit, &what);
        }
    }

    /// A line for what was heard, if it gets one.
    fn words(&self, heard: &Heard, detail: Detail) -> Option<String> {
        let side = |name: &str| self.screen.paint(tone_of(name), name);
        let each = detail == Detail::Each;
        Some(match &heard.kind {
            Kind::Appeared { side: of, .. } if each => format!("◂ {} has a new permit", side(of)),
            Kind::Edited { side: of, fields } if each => format!("◂ {} {}", side(of), pairs(fields)),
            Kind::Deleted { side: of } => format!("◂ {} deleted it", side(of)),
            Kind::Decided { field, value, losers, reason } => {
                let value = self.screen.paint(Tone::Good, &crate::words::value(value));
                let lost: Vec<String> = losers
                    .iter()
                    .map(|l| format!("{} of {}", crate::words::value(&l.value), side(&l.by)))
                    .collect();
                format!("= {field} is {value}, not {} ({reason})", lost.join(" or "))
            }
            Kind::Delivered { side: to, operation, fields, after_us } => {
                let after = self.screen.paint(Tone::Faint, &format!("{} ms", after_us.div_ceil(1_000)));
                let what = if operation == "create" { "made there".to_owned() } else { pairs(fields) };
                format!("▸ {} {what}  {after}", side(to))
            }
            Kind::SideAway { side: of, reason } => {
                format!("{} is away: {}", side(of), self.screen.paint(Tone::Warn, &short(reason)))
            }
            Kind::SideBack { side: of } => format!("{} is back", side(of)),
            Kind::Listed { side: of } if detail != Detail::Each => {
                format!("◂ {} has been read as a whole", side(of))
            }
            Kind::Parked { reason } => self.screen.paint(Tone::Bad, &format!("set aside: {reason}")),
            Kind::Appeared { .. }
            | Kind::Edited { .. }
            | Kind::Delayed
            | Kind::Listed { .. }
            | Kind::Other => return None,
        })
    }
}

impl Shared {
    /// The permit that a record is, learnt from the fields that come with it.
    fn name(&mut self, heard: &Heard) -> String {
        let Some(record) = &heard.record else { return String::new() };
        if let Some(fields) = heard.kind.fields()
            && let Some(permit) = fields.get("permit_no").and_then(|no| no.as_str())
        {
            self.names.insert(record.clone(), permit.to_owned());
        }
        self.names.get(record).cloned().unwrap_or_default()
    }

    /// How much of it is shown: what is told late is of an act that has ended.
    fn detail_of(&self, heard: &Heard) -> Detail {
        if heard.at < self.since { Detail::Every(usize::MAX) } else { self.detail }
    }

    fn count(&mut self, heard: &Heard, permit: &str) {
        match &heard.kind {
            Kind::Decided { .. } => {
                self.counts.decided += 1;
                self.decided.push(permit.to_owned());
            }
            Kind::Delayed => self.counts.retries += 1,
            Kind::Delivered { .. } => self.counts.delivered += 1,
            Kind::Parked { .. } => self.counts.parked += 1,
            Kind::Appeared { .. }
            | Kind::Edited { .. }
            | Kind::Deleted { .. }
            | Kind::SideAway { .. }
            | Kind::SideBack { .. }
            | Kind::Listed { .. }
            | Kind::Other => {}
        }
    }

    fn bundled(&mut self, side: &str, operation: &str, permit: &str) -> usize {
        let of = (side.to_owned(), operation.to_owned());
        let bundle = self.bundle.entry(of).or_insert_with(|| (0, permit.to_owned()));
        bundle.0 += 1;
        bundle.0
    }

    /// Draws what has been gathered, so that lines stay in the order of things.
    fn flush(&mut self, timeline: &Timeline) {
        if let Some(heard) = self.held.take() {
            let permit = self.name(&heard);
            timeline.draw_heard(&heard, &permit, self.detail_of(&heard));
        }
        for ((side, operation), (count, first)) in std::mem::take(&mut self.bundle) {
            let side = timeline.screen.paint(tone_of(&side), &side);
            let verb = match operation.as_str() {
                "create" => "made there",
                "delete" => "deleted there",
                _ => "brought up to date",
            };
            let which = if count == 1 { first } else { format!("{count} permits") };
            timeline.draw("sync", &which, &format!("▸ {side} {verb}"));
        }
    }
}

/// `status=revoked notes="…"`.
fn pairs(fields: &serde_json::Map<String, serde_json::Value>) -> String {
    let mut text = String::new();
    for (field, value) in fields {
        let gap = if text.is_empty() { "" } else { "  " };
        // Writing to a string does not fail.
        let _always = write!(text, "{gap}{field} → {}", short(&crate::words::value(value)));
    }
    text
}

fn short(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
