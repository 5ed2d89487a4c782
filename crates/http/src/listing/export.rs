//! An export on its way: begun, asked for its state, read file by file, and done with. One
//! request a page, so that a pass can stop anywhere; pages without records while it is waited for.
//!
//! An export counts as the whole listing only when it is done and every one of its files was read to
//! its end. Its records are as old as it is.

use super::ask::{put_headers, urgency};
use super::job::{Errand, Export, INTERVAL_MAX, Job, Named, State, Told, gave_up};
use super::{Listing, Of, Shown, Turned};
use crate::decode;
use crate::error::quote;
use crate::paging::{ExportAt, Facts, Progress};
use crate::read::{body, good, later};
use crate::spot::Put;
use crate::template;
use crate::wire::{Answer, Wire};
use hms_sync_connector::{Page, ReadError, Scope};
use hms_sync_model::Time;
use http::header::DATE;
use http::{HeaderMap, HeaderValue};
use minijinja::Value;
use serde_json::{Map, Value as Json};
use tokio::time::Instant;
use url::Url;

use crate::select::Lens;
use std::time::Duration;

/// What is to be done next with an export.
enum Stage {
    /// More of it, from there.
    On(Box<Progress>),
    /// One of its files is read.
    File(Box<File>),
    /// It is done, and has nothing.
    Nothing(Export),
    /// An answer of which nothing is made.
    Unread(Answer),
    /// It came to nothing; why.
    Failed(String),
}

/// A file to be read.
#[derive(Debug)]
pub(super) struct File {
    export: Export,
    at: usize,
    pub(super) told: Told,
    named: Named,
    pub(super) is_last: bool,
}

impl File {
    /// The beginning of the next one.
    pub(super) fn next(&self, last: &Progress) -> Progress {
        last.in_export(ExportAt { number: self.export.number, file: self.at + 1 })
    }

    pub(super) fn date(&self) -> Option<Time> {
        self.export.date
    }

    /// Whether what comes after a page of it is of the same export.
    fn goes_on_with(&self, turned: &Turned) -> bool {
        let next = turned.next.as_ref().and_then(|next| next.export);
        next.is_some_and(|at| at.number == self.export.number)
    }
}

impl Listing {
    /// One page of a listing that is read from exports.
    pub(super) async fn page_of_export(
        &self,
        (job, wire): (&Job, &Wire),
        lens: &Lens,
        of: Of<'_>,
        scope: &Scope,
        progress: &Progress,
    ) -> Result<(Page, Shown), ReadError> {
        match self.stage(job, wire, progress, of).await? {
            Stage::On(next) => {
                Ok((Page { next: Some(self.token(&*next)?), ..Page::default() }, Shown::Empty))
            }
            Stage::Unread(answer) => {
                let shown = Self::unread(of, &answer).unwrap_or(Shown::Unread);
                Ok((self.ignored(of, &answer), shown))
            }
            Stage::Failed(line) if of.is_some() => {
                Ok((Page { unreadable: vec![line], ..Page::default() }, Shown::Failing))
            }
            Stage::Failed(reason) => {
                job.hold(&reason);
                Err(ReadError::Later { reason, after: Some(job.rest) })
            }
            Stage::Nothing(export) => {
                let facts = Facts { date: export.date, ..Facts::default() };
                let told = self.turned(scope, progress, (facts, Page::default()), None);
                self.end(job, wire, progress, of, &export, false).await;
                self.handed(told?)
            }
            Stage::File(file) => {
                let age = file.export.began.elapsed();
                let read = self.file(job, wire, lens, (of, scope), progress, &file).await;
                let (given_up, done) = match &read {
                    Ok(turned) => (turned.shown.is_unread(), !file.goes_on_with(turned)),
                    Err(why) => (gave_up(why), false),
                };
                if given_up || done {
                    if let Err(why) = &read
                        && of.is_none()
                    {
                        job.hold(&why.to_string());
                    }
                    self.end(job, wire, progress, of, &file.export, false).await;
                }
                let (page, shown) = self.handed(read?)?;
                Ok((Page { age, ..page }, shown))
            }
        }
    }

    /// A page of a file.
    async fn file(
        &self,
        job: &Job,
        wire: &Wire,
        lens: &Lens,
        (of, scope): (Of<'_>, &Scope),
        progress: &Progress,
        file: &File,
    ) -> Result<Turned, ReadError> {
        let asked = match (&file.named.url, job.by_address) {
            (Some(url), true) => self.fetch(wire, progress, of, url).await?,
            _ => self.ask_page(wire, progress, (of, Some(&file.told)), self.paging.asked).await?,
        };
        self.answered((wire, lens), of, scope, progress, asked, Some(file))
    }

    /// Asks for a file at its address.
    async fn fetch(
        &self,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        url: &Url,
    ) -> Result<(Url, Answer), ReadError> {
        let from = wire.downloads_from(url).map_err(|why| self.denied(&format!("a file {why}")))?;
        let answer = if from == wire.base() {
            let request = wire.request(self.ask.method.clone(), url.clone(), &self.ask.headers);
            let request = request.map_err(|why| self.denied(&why))?;
            wire.send_as(urgency(progress), request, self.ask.own.as_ref()).await
        } else {
            let accept = HeaderValue::from_static(self.ask.decoder.accepts());
            wire.fetch((url.clone(), from), &accept, self.ask.own.as_ref()).await
        };
        let answer = answer.map_err(|lost| later(&self.ask, &lost))?;
        let answer = if Self::unread(of, &answer).is_some() { answer } else { good(&self.ask, answer)? };
        Ok((url.clone(), answer))
    }

    /// What is to be done next.
    async fn stage(
        &self,
        job: &Job,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
    ) -> Result<Stage, ReadError> {
        let known = progress.export.and_then(|at| Some((at, job.find(at.number)?)));
        let Some((at, export)) = known else { return self.begin(job, wire, progress, of).await };
        let Some(files) = &export.files else { return self.poll(job, wire, progress, of, export).await };
        let Some(named) = files.get(at.file).cloned() else {
            return Err(self.broken("a page token of a file that the export does not have"));
        };
        let told = Told { download_target: Value::from(named.name.as_str()), ..export.told.clone() };
        let is_last = at.file + 1 >= files.len();
        Ok(Stage::File(Box::new(File { export, at: at.file, told, named, is_last })))
    }

    /// Begins an export. What was begun before, and nobody went on with, is ended.
    async fn begin(
        &self,
        job: &Job,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
    ) -> Result<Stage, ReadError> {
        let print = of.map_or(String::new(), |(_, partition)| partition.print.clone());
        for old in job.left_behind(&print) {
            self.end(job, wire, progress, of, &old, old.files.is_none()).await;
        }
        if let Some((left, why)) = job.held().filter(|_| of.is_none()) {
            let shown = humantime::format_duration(Duration::from_secs(left.as_secs().max(1)));
            let reason =
                format!("{}: the next export is begun in {shown}; of the last: {why}", job.create.ask.label);
            return Err(ReadError::Later { reason, after: Some(left) });
        }
        let began = Instant::now();
        let (_, answer) = self.errand(&job.create, wire, progress, of, None).await?;
        if Self::unread(of, &answer).is_some() {
            return Ok(Stage::Unread(answer));
        }
        let answer = good(&job.create.ask, answer)?;
        let json = json_of(&job.create, &answer)?;
        let told = Told { creation_response: told(&json, &answer.headers), ..Told::default() };
        let (number, wait) = (job.number(), Duration::ZERO);
        job.keep(Export { number, of: print, began, date: date(&answer), wait, told, files: None });
        Ok(Stage::On(Box::new(progress.in_export(ExportAt { number, file: 0 }))))
    }

    /// Asks for the state of an export, when it is time to.
    async fn poll(
        &self,
        job: &Job,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        mut export: Export,
    ) -> Result<Stage, ReadError> {
        let left = job.timeout.saturating_sub(export.began.elapsed());
        tokio::time::sleep(export.wait.min(left)).await;
        if export.began.elapsed() >= job.timeout {
            let after = humantime::format_duration(job.timeout);
            let line = label(job, None, &format!("is not done after {after} (`polling_job_timeout`)"));
            self.end(job, wire, progress, of, &export, true).await;
            return Ok(Stage::Failed(line));
        }
        let looked = self.look(job, wire, progress, of, &mut export).await;
        match &looked {
            Ok(Stage::On(_)) => job.keep(export),
            Err(why) if gave_up(why) => {
                if of.is_none() {
                    job.hold(&why.to_string());
                }
                let goes_on = export.told.polling_response.is_undefined();
                self.end(job, wire, progress, of, &export, goes_on).await;
            }
            Ok(_) | Err(_) => {}
        }
        looked
    }

    /// What its state is, and what follows.
    async fn look(
        &self,
        job: &Job,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        export: &mut Export,
    ) -> Result<Stage, ReadError> {
        let poll = &job.poll;
        let (url, answer) = self.errand(poll, wire, progress, of, Some(&export.told)).await?;
        if Self::unread(of, &answer).is_some() {
            self.end(job, wire, progress, of, export, true).await;
            return Ok(Stage::Unread(answer));
        }
        let answer = good(&poll.ask, answer)?;
        let json = json_of(poll, &answer)?;
        let broken = |why: String| ReadError::Broken { reason: label(job, Some(&url), &why) };
        let said = match job.status.get(&json) {
            Some(Json::String(text)) => text.clone(),
            Some(other @ (Json::Number(_) | Json::Bool(_))) => other.to_string(),
            _ => {
                return Err(broken(format!(
                    "does not say its state at `{}`: {}",
                    job.status,
                    answer.words()
                )));
            }
        };
        let shown = quote(said.as_bytes(), 60);
        let Some(state) = job.state(&said) else {
            return Err(broken(format!("is `{shown}`, which `status_mapping` does not name")));
        };
        match state {
            State::Running => {
                export.wait = answer.retry_after().unwrap_or_default().clamp(job.interval, INTERVAL_MAX);
                Ok(Stage::On(Box::new(progress.clone())))
            }
            State::Failed | State::Timeout => {
                self.end(job, wire, progress, of, export, state == State::Timeout).await;
                let how = if state == State::Failed { "failed" } else { "took the side too long" };
                let line = format!("{how}: it is `{shown}`; {}", answer.words());
                Ok(Stage::Failed(label(job, Some(&url), &line)))
            }
            State::Skipped => Ok(Stage::Nothing(export.clone())),
            State::Completed => {
                export.told.polling_response = told(&json, &answer.headers);
                let files = self.files(job, wire, (progress, of), (url, json), export).await?;
                if files.is_empty() {
                    return Ok(Stage::Nothing(export.clone()));
                }
                export.files = Some(files.into());
                Ok(Stage::On(Box::new(progress.clone())))
            }
        }
    }

    /// The files of an export that is done. Where one of them may not be fetched, none is.
    async fn files(
        &self,
        job: &Job,
        wire: &Wire,
        (progress, of): (&Progress, Of<'_>),
        (mut url, mut json): (Url, Json),
        export: &Export,
    ) -> Result<Vec<Named>, ReadError> {
        if let Some(errand) = &job.name {
            let (asked, answer) = self.errand(errand, wire, progress, of, Some(&export.told)).await?;
            let answer = good(&errand.ask, answer)?;
            (url, json) = (asked, json_of(errand, &answer)?);
        }
        let names = job.named(&json);
        let names = names.map_err(|why| self.broken(&why))?;
        let named = |name: String| {
            if !job.by_address {
                return Ok(Named { name, url: None });
            }
            let file = url.join(name.trim());
            let mut file =
                file.map_err(|e| self.broken(&format!("the address of a file cannot be read: {e}")))?;
            file.set_fragment(None);
            wire.downloads_from(&file)
                .map_err(|why| self.denied(&format!("a file {why}; none is fetched")))?;
            Ok(Named { name, url: Some(file) })
        };
        names.into_iter().map(named).collect()
    }

    /// Is done with an export: stops it where it may still go on, and removes it. That either
    /// fails is told and changes nothing.
    async fn end(
        &self,
        job: &Job,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        export: &Export,
        goes_on: bool,
    ) {
        job.forget(export.number);
        let abort = job.abort.as_ref().filter(|_| goes_on);
        for errand in abort.into_iter().chain(&job.delete) {
            let done = self.errand(errand, wire, progress, of, Some(&export.told)).await;
            if let Err(why) = done.and_then(|(_, answer)| good(&errand.ask, answer)) {
                tracing::warn!(%why, "an export is left as it is");
            }
        }
    }

    /// Sends one of the requests of an export.
    async fn errand(
        &self,
        errand: &Errand,
        wire: &Wire,
        progress: &Progress,
        of: Of<'_>,
        told: Option<&Told>,
    ) -> Result<(Url, Answer), ReadError> {
        let label = &errand.ask.label;
        let denied = |why: String| ReadError::Denied { reason: format!("{label}: {why}") };
        let with = self.names(progress, of, self.paging.asked, told);
        let values = self.puts(progress, of, 0, told.is_none(), false);
        let more: Vec<(&str, &str)> = values.iter().filter_map(Put::parameter).collect();
        let mut request = errand.ask.request(wire, &with, &more).map_err(denied)?;
        put_headers(&mut request, &values).map_err(denied)?;
        errand.body.put(&mut request, &with, &values).map_err(denied)?;
        let url = wire.bare(request.url().clone());
        let answer = wire.send_as(urgency(progress), request, errand.ask.own.as_ref()).await;
        Ok((url, answer.map_err(|lost| later(&errand.ask, &lost))?))
    }
}

/// What is said of an export, which is named by the path at which it is asked for.
fn label(job: &Job, at: Option<&Url>, what: &str) -> String {
    let at = at.map_or(String::new(), |url| format!(" at {}", quote(url.path().as_bytes(), 120)));
    format!("{}: the export{at} {what}", job.create.ask.label)
}

/// The answer to a request of an export; nothing at all is an object without members.
fn json_of(errand: &Errand, answer: &Answer) -> Result<Json, ReadError> {
    let bytes = body(&errand.ask, answer)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Json::Object(Map::new()));
    }
    let broken = |why| ReadError::Broken { reason: format!("{}: {why}", errand.ask.label) };
    decode::parse(bytes).map_err(broken)
}

/// An answer as templates see it: with its headers, under their names in small letters and as
/// they are usually written, unless it has such a member itself.
fn told(json: &Json, headers: &HeaderMap) -> Value {
    let mut json = json.clone();
    if let Json::Object(members) = &mut json
        && !members.contains_key("headers")
    {
        let mut all = Map::new();
        for (name, value) in headers {
            let Ok(text) = value.to_str() else { continue };
            all.insert(name.as_str().to_owned(), text.into());
            all.insert(written(name.as_str()), text.into());
        }
        members.insert("headers".to_owned(), Json::Object(all));
    }
    template::value(&json)
}

/// `Content-Type` of `content-type`.
fn written(name: &str) -> String {
    let mut fresh = true;
    let letter = |c: char| {
        let out = if fresh { c.to_ascii_uppercase() } else { c };
        fresh = c == '-';
        out
    };
    name.chars().map(letter).collect()
}

fn date(answer: &Answer) -> Option<Time> {
    let date = httpdate::parse_http_date(answer.header(&DATE)?).ok()?;
    Some(Time::from_chrono(date.into()))
}
