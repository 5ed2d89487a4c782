//! A story: what people do, in order, and the timeline that must come of it.

use crate::scene::{Scene, field, permit, side};
use hms_sync_engine::{Command, Plan, Reply, Shape, Tie, Tied};
use hms_sync_mapping::from_text;
use hms_sync_model::{FieldMap, Lane, NativeId, RecordId, Released, Value};
use hms_sync_rehearsal::{Mood, Rehearsal};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// A field and a value as a person writes it; `-` takes the field out, `null` is null.
pub type Values<'a> = &'a [(&'a str, &'a str)];

pub struct Story {
    pub play: Rehearsal,
    pub plan: Plan,
    record: Option<RecordId>,
}

impl Story {
    /// Permit 7 on a scene, in step on all sides, with these values.
    pub fn of(scene: Scene, values: Values<'_>) -> Self {
        let mut story = Self::empty(scene);
        let mut all = vec![("no", "7")];
        all.extend(values);
        let fields = story.fields(&all);
        story.record = Some(story.play.base(&permit(), &fields).unwrap());
        story
    }

    /// A scene without records.
    pub fn empty(scene: Scene) -> Self {
        let plan = scene.plan();
        Self { play: Rehearsal::new(plan.clone()).unwrap(), plan, record: None }
    }

    fn fields(&self, values: Values<'_>) -> FieldMap {
        let rules = &self.plan.collections.get(&permit()).unwrap().rules;
        let value = |name: &str, text: &str| match text {
            "-" => Value::Absent,
            "null" => Value::Null,
            _ => from_text(&rules.field(&field(name)).unwrap().ty, text).unwrap(),
        };
        values.iter().map(|(name, text)| (field(name), value(name, text))).collect()
    }

    /// The record the story is about: permit 7.
    pub fn record(&self) -> RecordId {
        self.record.clone().or_else(|| self.play.find("permit/7").unwrap()).expect("there is a permit 7")
    }

    pub fn id(&self, on: &str) -> NativeId {
        self.play.id_on(&side(on), &self.record()).unwrap()
    }

    /// People of a side make permit 7, or another.
    pub fn put(&mut self, on: &str, values: Values<'_>) -> NativeId {
        let mut all = vec![("no", "7")];
        all.retain(|(name, _)| values.iter().all(|(other, _)| other != name));
        all.extend(values);
        let fields = self.fields(&all);
        self.play.put(&permit(), &side(on), &fields).unwrap()
    }

    pub fn edit(&mut self, on: &str, values: Values<'_>) -> &mut Self {
        let (record, fields) = (self.record(), self.fields(values));
        self.play.edit(&permit(), &side(on), &record, &fields).unwrap();
        self
    }

    pub fn delete(&mut self, on: &str) -> &mut Self {
        let record = self.record();
        self.play.delete(&permit(), &side(on), &record).unwrap();
        self
    }

    pub fn settle(&mut self) -> &mut Self {
        self.play.settle().unwrap();
        self
    }

    pub fn poll(&mut self, on: &str) -> &mut Self {
        self.play.poll(&permit(), &side(on)).unwrap();
        self
    }

    /// A side is read in full.
    pub fn list(&mut self, on: &str) -> &mut Self {
        self.play.command(Command::Poll { side: side(on), collection: permit(), full: true }).unwrap();
        self
    }

    pub fn wait(&mut self, seconds: u64) -> &mut Self {
        self.play.wait(Duration::from_secs(seconds));
        self
    }

    pub fn mood(&mut self, on: &str) -> &mut Mood {
        self.play.mood(&permit(), &side(on)).unwrap()
    }

    /// What a side makes of what is written to it; an error refuses it.
    pub fn habit(
        &mut self,
        on: &str,
        habit: impl Fn(&serde_json::Map<String, Json>, &mut serde_json::Map<String, Json>) -> Result<(), String>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self {
        self.mood(on).habit = Some(Arc::new(habit));
        self
    }

    pub fn release(&mut self, on: &str, action: Released) -> &mut Self {
        let command = Command::Release { record: self.record(), lane: Some(Lane::Side(side(on))), action };
        self.play.command(command).unwrap();
        self
    }

    /// A person says which native record is whose.
    pub fn tie(&mut self, record: &RecordId, wanted: Tied) -> Reply {
        let (record, by, reason) = (record.clone(), "ann".to_owned(), "file 12".to_owned());
        self.play.command(Command::Tie(Tie { record, wanted, by, reason })).unwrap().unwrap()
    }

    /// The record that a side has under an id.
    pub fn record_at(&self, on: &str, id: &NativeId) -> RecordId {
        self.play.record_of(&side(on), id).unwrap().expect("it has a record")
    }

    /// The merged values, as `no=7 status=approved`.
    pub fn merged(&self) -> String {
        words(&self.play.merged(&self.record()).unwrap())
    }

    /// What a side shows of permit 7.
    pub fn shows(&self, on: &str) -> String {
        let shown = self.play.shown(&side(on), &self.record()).unwrap();
        shown.map_or_else(|| "nothing".to_owned(), |fields| words(&fields))
    }

    /// What a side holds of permit 7 in its own words.
    pub fn raw(&self, on: &str) -> Json {
        self.play.doc(&permit(), &side(on), &self.id(on)).unwrap()
    }

    /// Where a field lies on the sides of the plan, to be sure that a scene is what it seems.
    pub fn has_field(&self, on: &str, name: &str) -> bool {
        let part = self.plan.collections.get(&permit()).unwrap().sides.get(&side(on)).unwrap();
        matches!(&part.shape, Shape::Fields(map) if map.path(&field(name)).is_some())
    }

    /// The timeline since the base, or since it was last asked for, must be this. White
    /// space between the parts of a line does not count.
    #[track_caller]
    pub fn expect(&mut self, wanted: &str) -> &mut Self {
        let found = self.play.timeline();
        self.play.forget();
        if std::env::var("HARD_CASES").is_ok() {
            eprintln!("@@ {}\n{found}", std::panic::Location::caller());
            return self;
        }
        let squeeze = |text: &str| -> Vec<String> {
            let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
            lines.filter(|line| !line.is_empty()).collect()
        };
        let (want, got) = (squeeze(wanted), squeeze(&found));
        assert!(want == got, "the timeline is another one:\n{}\nas it is:\n{found}", diff(&want, &got));
        self
    }

    /// The same for what all sides and the merged record come to.
    #[track_caller]
    pub fn all_hold(&mut self, wanted: &str) -> &mut Self {
        assert_eq!(self.merged(), wanted, "merged");
        for (name, _) in self.plan.sides.clone().iter() {
            assert_eq!(self.shows(name.as_str()), wanted, "on {name}");
        }
        self.stays_quiet()
    }

    /// Three more rounds find nothing and write nothing.
    #[track_caller]
    pub fn stays_quiet(&mut self) -> &mut Self {
        let (events, writes) = (self.play.machine().log().head(), self.play.writes().len());
        for _ in 0..3 {
            self.wait(3_600).settle();
        }
        assert_eq!(self.play.writes().len(), writes, "still writing:\n{}", self.play.timeline());
        let news = self.play.machine().log().events(events + 1, 1_000).unwrap();
        let news: Vec<_> = news.iter().filter(|(_, event)| !event.record.is_own_stream()).collect();
        assert!(news.is_empty(), "still finding news: {news:?}");
        self
    }
}

pub fn words(fields: &FieldMap) -> String {
    fields
        .iter()
        .map(|(field, value)| format!("{field}={}", value.to_string().escape_debug()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The lines of both, those of one alone marked. Found by the longest common part.
fn diff(want: &[String], got: &[String]) -> String {
    let mut common = vec![vec![0_usize; got.len() + 1]; want.len() + 1];
    for i in (0..want.len()).rev() {
        for j in (0..got.len()).rev() {
            common[i][j] = if want[i] == got[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < want.len() || j < got.len() {
        if i < want.len() && j < got.len() && want[i] == got[j] {
            lines.push(format!("    {}", want[i]));
            (i, j) = (i + 1, j + 1);
        } else if j < got.len() && (i == want.len() || common[i][j + 1] >= common[i + 1][j]) {
            lines.push(format!("  + {}", got[j]));
            j += 1;
        } else {
            lines.push(format!("  - {}", want[i]));
            i += 1;
        }
    }
    lines.join("\n")
}
