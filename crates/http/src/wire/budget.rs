//! The budget of a side: how many requests it takes, kept for everything that is asked
//! of it together. It holds back and drops nothing; of those who wait the most urgent
//! goes first.
//!
//! A request counts from when it leaves until one window after its answer came: the
//! side heard it in between, so by the side's own count no window ever has more, however
//! long the ways are. It may count as several; none asks for more than a window ever has.

mod matcher;

use crate::error::SpecError;
use crate::spec::{ApiBudget, CallRatePolicy, RequestMatcher};
use crate::wire::wait;
use http::{HeaderMap, HeaderName};
use matcher::Matcher;
use reqwest::Request;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Longer waits are told to whoever asks instead of being waited for here.
const HOLD_MAX: Duration = Duration::from_secs(10);
/// A window is counted in so many parts at most.
const PARTS: u32 = 1_000;

/// How urgent a request is; the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// It writes what people did.
    Write,
    /// It reads one record, or what changed.
    Read,
    /// It lists everything.
    Backfill,
}

/// The budget of one side.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<State>,
    changed: Notify,
    /// Whether there is any to keep.
    kept: bool,
    rules: Vec<(Vec<Matcher>, Vec<usize>)>,
    reset: Option<HeaderName>,
    remaining: Option<HeaderName>,
    hit: Vec<u16>,
}

#[derive(Debug, Default)]
struct State {
    windows: Vec<Window>,
    waiting: BTreeMap<(Urgency, u64), u64>,
    tickets: u64,
    under_way: u64,
    /// What the side says is left until it counts anew.
    quota: Option<(u64, Instant)>,
    closed_until: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    limit: u64,
    period: Duration,
    fixed: bool,
    under_way: u64,
    answered: VecDeque<Part>,
    count: u64,
}

#[derive(Debug)]
struct Part {
    first: Instant,
    last: Instant,
    count: u64,
}

impl Window {
    fn new(limit: u32, period: Duration, fixed: bool) -> Self {
        let (limit, answered) = (u64::from(limit), VecDeque::new());
        Self { limit, period, fixed, under_way: 0, answered, count: 0 }
    }

    /// When it has room; nothing if an answer must come first.
    fn opens(&mut self, now: Instant, weight: u64) -> Option<Instant> {
        while let Some(part) = self.answered.front().filter(|part| part.last + self.period <= now) {
            self.count -= part.count;
            self.answered.pop_front();
        }
        let mut taken = self.under_way + self.count;
        let has_room = |taken: u64| taken + weight <= self.limit;
        if has_room(taken) {
            return Some(now);
        }
        let last = self.answered.iter().find(|part| {
            taken -= part.count;
            has_room(taken)
        });
        last.map(|part| part.last + self.period)
    }

    fn answered(&mut self, now: Instant, weight: u64) {
        self.under_way = self.under_way.saturating_sub(weight);
        self.count += weight;
        match self.answered.back_mut().filter(|part| now - part.first < self.period / PARTS) {
            Some(part) => (part.last, part.count) = (now, part.count + weight),
            None => self.answered.push_back(Part { first: now, last: now, count: weight }),
        }
    }
}

/// What a request takes of the budget.
#[derive(Debug, Default)]
struct Load {
    /// Windows, and how much of each of them.
    parts: Vec<(u64, u64)>,
}

impl Load {
    /// All windows that it takes something of.
    fn windows(&self) -> u64 {
        self.parts.iter().fold(0, |all, (windows, _)| all | windows)
    }

    /// How much that is by what the side itself counts.
    fn weight(&self) -> u64 {
        self.parts.iter().map(|(_, weight)| *weight).max().unwrap_or(1)
    }

    /// Its windows, each with how much of it.
    fn of<'w>(&'w self, windows: &'w mut [Window]) -> impl Iterator<Item = (u64, &'w mut Window)> {
        windows.iter_mut().enumerate().filter_map(|(index, window)| {
            let (_, weight) = self.parts.iter().find(|(which, _)| which >> index & 1 == 1)?;
            Some((*weight, window))
        })
    }
}

/// Leave to send one request.
#[derive(Debug)]
pub(crate) struct Permit<'b> {
    budget: &'b Budget,
    load: Load,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.budget.kept {
            return;
        }
        let mut state = self.budget.state();
        let now = Instant::now();
        state.under_way = state.under_way.saturating_sub(self.load.weight());
        for (weight, window) in self.load.of(&mut state.windows) {
            window.answered(now, weight);
        }
        drop(state);
        self.budget.changed.notify_waiters();
    }
}

/// A place among those who wait, given up with whoever has it.
struct Ticket<'b> {
    budget: &'b Budget,
    key: (Urgency, u64),
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.budget.state().waiting.remove(&self.key);
        self.budget.changed.notify_waiters();
    }
}

impl Budget {
    pub(crate) fn new(spec: Option<&ApiBudget>) -> Result<Self, SpecError> {
        let (mut windows, mut rules) = (Vec::new(), Vec::new());
        for (index, policy) in spec.iter().flat_map(|spec| &spec.policies).enumerate() {
            let key = |name: &str| format!("api_budget.policies.{}.{name}", index + 1);
            let from = windows.len();
            let matchers = match policy {
                CallRatePolicy::FixedWindow { period, call_limit, matchers } => {
                    windows.push(window(key("call_limit"), *call_limit, period.0, true)?);
                    matchers
                }
                CallRatePolicy::MovingWindow { rates, matchers } => {
                    for rate in rates {
                        windows.push(window(key("rates"), rate.limit, rate.interval.0, false)?);
                    }
                    matchers
                }
                CallRatePolicy::Unlimited { matchers } => matchers,
            };
            let lowest = windows.iter().skip(from).map(|window: &Window| window.limit).min();
            let matchers = matchers.iter().map(|one| weighed(&key("matchers"), one, lowest));
            rules.push((matchers.collect::<Result<Vec<_>, _>>()?, (from..windows.len()).collect()));
        }
        if windows.len() > 64 {
            return Err(SpecError::new("api_budget.policies", "has more than 64 rates"));
        }
        let name = |key: &str, text: Option<&String>| {
            let read = |text: &String| {
                HeaderName::try_from(text)
                    .map_err(|_| SpecError::new(format!("api_budget.{key}"), "is no name of a header"))
            };
            text.map(read).transpose()
        };
        Ok(Self {
            state: Mutex::new(State { windows, ..State::default() }),
            changed: Notify::new(),
            kept: spec.is_some(),
            rules,
            reset: name("ratelimit_reset_header", spec.map(|spec| &spec.ratelimit_reset_header))?,
            remaining: name("ratelimit_remaining_header", spec.map(|spec| &spec.ratelimit_remaining_header))?,
            hit: spec.map(|spec| spec.status_codes_for_ratelimit_hit.clone()).unwrap_or_default(),
        })
    }

    /// Waits for leave to send. The error is how long that would take, where it is long.
    pub(crate) async fn leave(&self, urgency: Urgency, request: &Request) -> Result<Permit<'_>, Duration> {
        if !self.kept {
            return Ok(Permit { budget: self, load: Load::default() });
        }
        let load = self.load_of(request);
        let ticket = self.ticket(urgency, load.windows());
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            match self.take(&ticket, &load, now) {
                Next::Go => return Ok(Permit { budget: self, load }),
                Next::At(at) if at - now > HOLD_MAX => return Err(at - now),
                // Whether a change or the time woke it: it looks again.
                Next::At(at) => {
                    tokio::time::timeout_at(at, changed).await.ok();
                }
                Next::Changed => changed.await,
            }
        }
    }

    fn take(&self, ticket: &Ticket<'_>, load: &Load, now: Instant) -> Next {
        let mut state = self.state();
        let windows = load.windows();
        let mut before = state.waiting.range(..ticket.key);
        if before.any(|(_, theirs)| windows & theirs != 0 || windows == *theirs) {
            return Next::Changed;
        }
        if let Some(until) = state.closed_until.filter(|until| *until > now) {
            return Next::At(until);
        }
        let mut opens = now;
        match state.quota {
            Some((_, until)) if until <= now => state.quota = None,
            Some((left, until)) if left < load.weight() => opens = until,
            _ => {}
        }
        for (weight, window) in load.of(&mut state.windows) {
            match window.opens(now, weight) {
                Some(at) => opens = opens.max(at),
                None => return Next::Changed,
            }
        }
        if opens > now {
            return Next::At(opens);
        }
        for (weight, window) in load.of(&mut state.windows) {
            window.under_way += weight;
        }
        state.under_way += load.weight();
        if let Some((left, _)) = &mut state.quota {
            *left = left.saturating_sub(load.weight());
        }
        Next::Go
    }

    /// What the answer to a request says of the budget.
    pub(crate) fn heard(&self, permit: &Permit<'_>, status: u16, headers: &HeaderMap) {
        if !self.kept {
            return;
        }
        let text = |name: &Option<HeaderName>| headers.get(name.as_ref()?)?.to_str().ok();
        let wait = text(&self.reset).and_then(|text| wait::until(text, wait::clock(headers)));
        let wait = wait.map(wait::clamped);
        let left = text(&self.remaining).and_then(|text| text.trim().parse::<u64>().ok());
        let now = Instant::now();
        let mut state = self.state();
        if self.is_hit(status) {
            if let Some(wait) = wait {
                state.closed_until = state.closed_until.max(Some(now + wait));
            }
        } else if let (Some(left), Some(wait)) = (left, wait) {
            // The side has not heard of all that is under way.
            let until = now + wait;
            let others = state.under_way.saturating_sub(permit.load.weight());
            let left = left.saturating_sub(others);
            state.quota = match state.quota {
                Some((before, then)) if then + Duration::from_secs(2) > until => {
                    Some((left.min(before), then))
                }
                Some(_) => {
                    // It counts anew.
                    state.windows.iter_mut().filter(|window| window.fixed).for_each(|window| {
                        window.answered.clear();
                        window.count = 0;
                    });
                    Some((left, until))
                }
                None => Some((left, until)),
            };
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Whether such an answer says that there were too many requests.
    pub(crate) fn is_hit(&self, status: u16) -> bool {
        self.hit.contains(&status)
    }

    /// How long an answer of too many requests asks us to stay away.
    pub(crate) fn reset_in(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(self.reset.as_ref()?)?.to_str().ok()?;
        wait::until(text, wait::clock(headers)).map(wait::clamped)
    }

    fn load_of(&self, request: &Request) -> Load {
        let mut load = Load::default();
        for (matchers, windows) in &self.rules {
            let weight = match matchers.iter().find(|matcher| matcher.takes(request)) {
                Some(matcher) => matcher.weight(),
                None if matchers.is_empty() => 1,
                None => continue,
            };
            if windows.is_empty() {
                break;
            }
            load.parts.push((windows.iter().fold(0, |all, index| all | 1 << index), weight));
        }
        load
    }

    fn ticket(&self, urgency: Urgency, windows: u64) -> Ticket<'_> {
        let mut state = self.state();
        state.tickets += 1;
        let key = (urgency, state.tickets);
        state.waiting.insert(key, windows);
        Ticket { budget: self, key }
    }

    /// Nothing that can panic is done with it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Go,
    At(Instant),
    /// When something else has changed.
    Changed,
}

fn window(key: String, limit: u32, period: Duration, fixed: bool) -> Result<Window, SpecError> {
    if limit == 0 || period.is_zero() {
        return Err(SpecError::new(key, "must be 1 at least, in a time longer than nothing"));
    }
    Ok(Window::new(limit, period, fixed))
}

/// A matcher of a policy with this lowest limit: what counts as more would wait for ever.
fn weighed(key: &str, spec: &RequestMatcher, lowest: Option<u64>) -> Result<Matcher, SpecError> {
    let weight = u64::from(spec.weight);
    match lowest {
        _ if weight == 0 => Err(SpecError::new(key, "a `weight` is 1 at least")),
        Some(limit) if weight > limit => {
            let why = "is more than its policy ever has, so that such a request would wait for ever";
            Err(SpecError::new(key, format!("a `weight` of {weight} {why}: it has {limit}")))
        }
        Some(_) | None => Matcher::new(key, spec),
    }
}
