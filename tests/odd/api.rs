//! An API that misbehaves on demand. It has a clock of its own, which the test moves: a
//! schedule of hours takes milliseconds.
//!
//! `/items` is listed by time of change (whole seconds, so many share one) and then id;
//! `?since=` takes what is not older, `?no=` looks up. One item is `{"id": 7, "no": "P-7",
//! "status": "…", "updated_at": 1790000000, "rev": 3}`.

use crate::server::{Asked, Delivery, Said, Server};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// What goes wrong. Shares are of requests, between 0 and 1. None is on by default.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mood of its own")]
pub(crate) struct Moods {
    /// Reads of which something breaks: cut, nothing said, a wrong length, or a slow drip.
    pub(crate) broken: f64,
    /// Pages in no order.
    pub(crate) shuffled: f64,
    /// Pages on which a record comes twice.
    pub(crate) twice: f64,
    /// Pages that are the one that was asked for before, once more.
    pub(crate) again: f64,
    /// Listings that stop in the middle as if that were their end.
    pub(crate) short: f64,
    /// A change becomes visible up to so many seconds after the time it bears.
    pub(crate) late_max: i64,
    /// `since` leaves out what is just as old.
    pub(crate) exclusive: bool,
    /// Writes that are carried out, and whose answer is lost.
    pub(crate) lost: f64,
    /// Writes that break off before they are carried out.
    pub(crate) refused: f64,
    /// Writes whose answer shows the id and nothing else.
    pub(crate) brief: f64,
    /// An id that has become free is given again.
    pub(crate) ids_reused: bool,
    /// Writes with another version in `If-Match` than the current one are refused.
    pub(crate) if_match: bool,
    /// Writes are answered 422.
    pub(crate) unprocessable: bool,
    /// Repeated idempotency keys are carried out once.
    pub(crate) keys: bool,
    /// How its clock goes beside ours, in seconds.
    pub(crate) skew: i64,
}

/// One version of an item.
#[derive(Debug, Clone)]
struct Item {
    fields: Map<String, Json>,
    updated_at: i64,
    rev: u64,
}

/// A write that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) method: String,
    pub(crate) id: u64,
    pub(crate) no: String,
}

pub(crate) struct State {
    /// Our clock, in microseconds.
    pub(crate) now: i64,
    pub(crate) moods: Moods,
    pub(crate) rng: fastrand::Rng,
    /// What reads show.
    shown: BTreeMap<u64, Item>,
    /// What there is, shown or not yet.
    truth: BTreeMap<u64, Item>,
    /// From when on a version is shown, in the clock's seconds.
    late: Vec<(i64, u64, Item)>,
    next_id: u64,
    rev: u64,
    pub(crate) done: Vec<Done>,
    /// When each request came, in our microseconds, but for those that were refused for their number.
    pub(crate) served: Vec<i64>,
    /// The same by the clock on the wall.
    pub(crate) served_at: Vec<std::time::Instant>,
    /// Writes that were refused for their version.
    pub(crate) refused: usize,
    /// When each that was refused for its number came.
    pub(crate) limited: Vec<i64>,
    /// Until when all are refused for their number, and how that is said.
    pub(crate) storm: Option<(i64, Wait)>,
    answers: BTreeMap<String, Said>,
    page_before: Option<Said>,
}

/// How a side says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Seconds,
    Date,
    Nothing,
}

/// The API, running.
pub(crate) struct Api {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

/// When all schedules begin, in microseconds.
pub(crate) const START: i64 = 1_790_000_000_000_000;

impl Api {
    pub(crate) async fn start(seed: u64, moods: Moods) -> Self {
        let state = State {
            now: START,
            moods,
            rng: fastrand::Rng::with_seed(seed),
            shown: BTreeMap::new(),
            truth: BTreeMap::new(),
            late: Vec::new(),
            next_id: 1,
            rev: 0,
            done: Vec::new(),
            served: Vec::new(),
            served_at: Vec::new(),
            refused: 0,
            limited: Vec::new(),
            storm: None,
            answers: BTreeMap::new(),
            page_before: None,
        };
        let state = Arc::new(Mutex::new(state));
        let its = Arc::clone(&state);
        let server = Server::start(Arc::new(move |asked| its.lock().unwrap().answer(&asked))).await;
        Self { url: server.url.clone(), state, _server: server }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What there is: number, status and note of every item.
    pub(crate) fn items(&self) -> BTreeMap<String, [String; 2]> {
        let text = |item: &Item, name: &str| {
            item.fields.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        let of = |item: &Item| (text(item, "no"), [text(item, "status"), text(item, "note")]);
        self.state().truth.values().map(of).collect()
    }

    /// How many items there are, those with the same number counted each.
    pub(crate) fn len(&self) -> usize {
        self.state().truth.len()
    }

    /// The whole item, as its API shows it.
    pub(crate) fn show(&self, id: u64) -> Option<Json> {
        self.state().truth.get(&id).map(|item| json_of(id, item))
    }
}

impl State {
    /// Its own clock, in seconds.
    fn clock(&self) -> i64 {
        self.now.div_euclid(1_000_000) + self.moods.skew
    }

    /// So many microseconds pass.
    pub(crate) fn pass(&mut self, micros: i64) {
        self.now += micros;
        let clock = self.clock();
        let (due, late) = self.late.drain(..).partition::<Vec<_>, _>(|(at, ..)| *at <= clock);
        self.late = late;
        self.shown.extend(due.into_iter().map(|(_, id, item)| (id, item)));
    }

    /// Somebody sets a field of an item there, and makes the item if there is none. Answers
    /// with its id.
    pub(crate) fn edit(&mut self, no: &str, field: &str, value: &str) -> Option<u64> {
        let found = self.truth.iter().find(|(_, item)| item.fields["no"] == no).map(|(id, _)| *id);
        // A record's own versions become visible in their order.
        if found.is_some_and(|id| self.late.iter().any(|(_, other, _)| *other == id)) {
            return None;
        }
        let id = found.unwrap_or_else(|| self.free_id());
        let delay = if self.moods.late_max > 0 { self.rng.i64(0..=self.moods.late_max) } else { 0 };
        let changes = Map::from_iter([("no".to_owned(), no.into()), (field.to_owned(), value.into())]);
        let item = self.version(id, &changes);
        self.truth.insert(id, item.clone());
        if delay == 0 {
            self.shown.insert(id, item);
        } else {
            let at = self.clock() + delay;
            self.late.push((at, id, item));
        }
        Some(id)
    }

    /// A change that bears a time so many seconds ago, as of a transaction that took so long.
    pub(crate) fn slip(&mut self, no: &str, field: &str, value: &str, ago: i64) {
        let Some(id) = self.edit(no, field, value) else { return };
        let clock = self.clock();
        for items in [&mut self.truth, &mut self.shown] {
            items.entry(id).and_modify(|item| item.updated_at = clock - ago);
        }
    }

    /// Somebody deletes an item there.
    pub(crate) fn delete(&mut self, no: &str) {
        self.truth.retain(|_, item| item.fields["no"] != no);
        self.shown.retain(|_, item| item.fields["no"] != no);
        let truth: BTreeSet<u64> = self.truth.keys().copied().collect();
        self.late.retain(|(_, id, _)| truth.contains(id));
    }

    fn free_id(&mut self) -> u64 {
        if self.moods.ids_reused {
            return (1..=u64::MAX).find(|id| !self.truth.contains_key(id)).unwrap_or(0);
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn version(&mut self, id: u64, changes: &Map<String, Json>) -> Item {
        self.rev += 1;
        let mut fields = self.truth.get(&id).map(|item| item.fields.clone()).unwrap_or_default();
        fields.extend(changes.clone());
        fields.entry("status").or_insert_with(|| "new".into());
        Item { fields, updated_at: self.clock(), rev: self.rev }
    }

    fn answer(&mut self, asked: &Asked) -> Said {
        if let Some((until, wait)) = self.storm.filter(|(until, _)| *until > self.now) {
            self.limited.push(self.now);
            return too_many(self.now, until, wait, self.moods.skew);
        }
        self.served.push(self.now);
        self.served_at.push(std::time::Instant::now());
        if asked.method == "GET" { self.read(asked) } else { self.write(asked) }
    }

    fn read(&mut self, asked: &Asked) -> Said {
        let mut said = match (asked.path.strip_prefix("/items/"), asked.query.get("no")) {
            (Some(id), _) => match id.parse().ok().and_then(|id| Some((id, self.shown.get(&id)?))) {
                Some((id, item)) => one(200, id, item),
                None => error(404),
            },
            (None, Some(no)) => {
                let found = self.shown.iter().filter(|(_, item)| item.fields["no"] == no.as_str());
                list(&found.map(|(id, item)| json_of(*id, item)).collect::<Vec<_>>())
            }
            (None, None) => self.page(asked),
        };
        if self.draw(self.moods.broken) {
            use Delivery::{Cut, Drip, Nothing, SaysLess, SaysMore};
            said.delivery = self.rng.choice([Cut, Drip, Nothing, SaysLess, SaysMore]).unwrap_or_default();
        }
        let date = httpdate::fmt_http_date(at(self.clock()));
        said.headers.push(("date", date));
        said
    }

    fn page(&mut self, asked: &Asked) -> Said {
        let number = |name: &str| asked.query.get(name).and_then(|text| text.parse::<i64>().ok());
        let (offset, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(20));
        if offset > 0
            && self.draw(self.moods.again)
            && let Some(before) = self.page_before.clone()
        {
            return before;
        }
        let since = number("since").unwrap_or(i64::MIN);
        let exclusive = self.moods.exclusive;
        let passes = |item: &Item| item.updated_at > since || !exclusive && item.updated_at == since;
        let mut all: Vec<(&u64, &Item)> = self.shown.iter().filter(|(_, item)| passes(item)).collect();
        all.sort_by_key(|(id, item)| (item.updated_at, **id));
        let skip = usize::try_from(offset).unwrap_or(0);
        let mut page: Vec<Json> = all
            .into_iter()
            .skip(skip)
            .take(usize::try_from(limit).unwrap_or(0))
            .map(|(id, item)| json_of(*id, item))
            .collect();
        if self.draw(self.moods.short) {
            page.truncate(page.len() / 2);
        }
        if self.draw(self.moods.shuffled) {
            self.rng.shuffle(&mut page);
        }
        if self.draw(self.moods.twice) && !page.is_empty() {
            page.push(page[0].clone());
        }
        let said = list(&page);
        self.page_before = Some(said.clone());
        said
    }

    fn draw(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }

    fn write(&mut self, asked: &Asked) -> Said {
        if self.draw(self.moods.refused) {
            return Said { delivery: Delivery::Nothing, ..Said::default() };
        }
        let key = asked.headers.get("idempotency-key").filter(|_| self.moods.keys);
        let mut said = match key.and_then(|key| self.answers.get(key)) {
            Some(said) => said.clone(),
            None => self.carry_out(asked),
        };
        if let Some(key) = key {
            self.answers.insert(key.clone(), said.clone());
        }
        if self.draw(self.moods.lost) {
            said.delivery = Delivery::Nothing;
        }
        said
    }

    fn carry_out(&mut self, asked: &Asked) -> Said {
        if self.moods.unprocessable {
            return error(422);
        }
        let id = asked.path.strip_prefix("/items/").and_then(|id| id.parse::<u64>().ok());
        let fields: Map<String, Json> = serde_json::from_slice(&asked.body).unwrap_or_default();
        let known = id.and_then(|id| self.truth.get(&id)).cloned();
        let id = match (asked.method.as_str(), id, &known) {
            ("POST", None, _) => self.free_id(),
            ("PATCH" | "DELETE", Some(id), Some(_)) => id,
            _ => return error(404),
        };
        let current = known.as_ref().map(|item| format!("\"{}\"", item.rev));
        let wanted = asked.headers.get("if-match").filter(|_| self.moods.if_match);
        if wanted.is_some() && wanted != current.as_ref() {
            self.refused += 1;
            return error(412);
        }
        if asked.method == "DELETE" {
            let no = known.map(|item| item.fields["no"].clone()).unwrap_or_default();
            self.truth.remove(&id);
            self.shown.remove(&id);
            self.note(&asked.method, id, &no);
            return Said { status: 204, ..Said::default() };
        }
        let item = self.version(id, &fields);
        self.late.retain(|(_, other, _)| *other != id);
        self.truth.insert(id, item.clone());
        self.shown.insert(id, item.clone());
        self.note(&asked.method, id, &item.fields["no"]);
        let mut said = one(if asked.method == "POST" { 201 } else { 200 }, id, &item);
        if self.draw(self.moods.brief) {
            said.body = json!({ "id": id, "success": true }).to_string().into_bytes();
        }
        said
    }

    fn note(&mut self, method: &str, id: u64, no: &Json) {
        let no = no.as_str().unwrap_or_default().to_owned();
        self.done.push(Done { method: method.to_owned(), id, no });
    }
}

fn json_of(id: u64, item: &Item) -> Json {
    let mut fields = item.fields.clone();
    fields.insert("id".into(), json!(id));
    fields.insert("updated_at".into(), json!(item.updated_at));
    fields.insert("rev".into(), json!(item.rev));
    Json::Object(fields)
}

fn one(status: u16, id: u64, item: &Item) -> Said {
    let headers = vec![("etag", format!("\"{}\"", item.rev))];
    Said { status, headers, body: json_of(id, item).to_string().into_bytes(), ..Said::default() }
}

fn list(items: &[Json]) -> Said {
    Said { status: 200, body: json!({ "items": items }).to_string().into_bytes(), ..Said::default() }
}

fn error(status: u16) -> Said {
    Said { status, body: json!({ "error": status }).to_string().into_bytes(), ..Said::default() }
}

fn at(seconds: i64) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn too_many(now: i64, until: i64, wait: Wait, skew: i64) -> Said {
    let mut said = error(429);
    let seconds = (until - now + 999_999) / 1_000_000;
    let clock = now.div_euclid(1_000_000) + skew;
    match wait {
        Wait::Seconds => said.headers.push(("retry-after", seconds.to_string())),
        Wait::Date => said.headers.push(("retry-after", httpdate::fmt_http_date(at(clock + seconds + 1)))),
        Wait::Nothing => {}
    }
    said.headers.push(("date", httpdate::fmt_http_date(at(clock))));
    said
}
