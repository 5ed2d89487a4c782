//! `discover`: a side is sampled, and a configuration to start from is proposed.
//! Only `GET` requests, so many at most, each to a path below the side's URL; no
//! secret is ever written.

use crate::args::DiscoverArgs;
use crate::exit::{Exit, Failure};
use crate::import::write;
use crate::library;
use crate::screen::{Screen, Tone};
use hms_sync_http::spec::{BaseUrl, HttpSpec};
use hms_sync_http::{Probe, Probed};
use hms_sync_import::Start;
use hms_sync_import::discover::{
    Asked, DESCRIPTIONS, Described, Proposal, Sample, Shown, Style, described, shape, starting, style,
    trials, usable,
};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::path::Path;

/// Parameters that servers take a time in, to ask for what changed since.
const SINCE: [&str; 7] = [
    "since",
    "updated_since",
    "modified_since",
    "updated_after",
    "updated_at_min",
    "changed_since",
    "updatedAfter",
];
/// So long an answer may take.
const TIMEOUT: &str = "10s";

pub(crate) async fn discover(screen: Screen, options: &DiscoverArgs) -> Result<(), Failure> {
    let Place { spec, asked, listings } = place(options)?;
    let probe = Probe::new(&spec).map_err(|why| Failure::new(Exit::Config, why.to_string()))?;
    let mut tour = Tour { probe, left: options.max_requests, made: 0, said: Vec::new(), shut_out: false };
    let mut proposals = Vec::new();
    let paths = if options.path.is_empty() { &listings } else { &options.path };
    for place in tour.places(paths).await? {
        proposals.extend(tour.sample(place).await);
    }
    tour.said.iter().filter(|_| !options.json).for_each(|line| screen.note(line));
    let start = starting(&asked, &proposals).map_err(|why| tour.nothing_found(why))?;
    answer(screen, options, &proposals, &start, &tour)
}

fn answer(
    screen: Screen,
    options: &DiscoverArgs,
    proposals: &[Proposal],
    start: &Start,
    tour: &Tour,
) -> Result<(), Failure> {
    if options.json {
        let found: Vec<Found<'_>> = proposals.iter().map(Found::of).collect();
        return screen.json(
            &json!({ "collections": found, "requests": tour.made, "said": tour.said, "yaml": start.yaml }),
        );
    }
    for note in &start.notes {
        screen.note(&format!("note: {note}"));
    }
    for proposal in proposals {
        let shape = &proposal.shape;
        let cursor = shape.cursor.as_deref().unwrap_or("nothing that grows with a change");
        let with = shape.id_with.as_ref().map(|with| format!(" and `{with}`")).unwrap_or_default();
        let line =
            format!("{} records, id `{}`{with}, cursor {cursor}, {}", shape.seen, shape.id, paged(proposal));
        screen.note(&format!("{}: {line}", screen.paint(Tone::Head, &proposal.path)));
    }
    if let Some(out) = &options.out {
        return write(out, &start.yaml);
    }
    screen.out(start.yaml.trim_end());
    Ok(())
}

fn paged(proposal: &Proposal) -> &'static str {
    match &proposal.style {
        None => "paging not seen",
        Some(Style::Whole) => "one answer",
        Some(Style::Offset { .. }) => "by offset",
        Some(Style::Page { .. }) => "by page number",
        Some(Style::Link) => "by Link header",
        Some(Style::NextUrl(_)) => "by URL in the body",
        Some(Style::Cursor(_)) => "by cursor in the body",
    }
}

/// What is asked.
struct Place {
    spec: HttpSpec,
    /// How it stands in a configuration.
    asked: Asked,
    /// The paths of listings that are known already.
    listings: Vec<String>,
}

fn place(options: &DiscoverArgs) -> Result<Place, Failure> {
    let wrong = |why: String| Failure::new(Exit::Config, why);
    if options.place.starts_with("http://") || options.place.starts_with("https://") {
        let url = BaseUrl::try_new(&options.place).map_err(|why| wrong(why.to_string()))?;
        let (shown, keys) = shown(options)?;
        let name = url.as_url().host_str().unwrap_or("side").trim_start_matches("api.").to_owned();
        let name =
            if name.starts_with(|c: char| c.is_ascii_digit() || c == '[') { "side".to_owned() } else { name };
        let mut spec = json!({ "url": url.prefix(), "timeout": TIMEOUT });
        if let (Some(spec), Json::Object(keys)) = (spec.as_object_mut(), keys) {
            spec.extend(keys);
        }
        let spec = serde_json::from_value(spec).map_err(|why| wrong(why.to_string()))?;
        let asked = Asked::at_url(&name, url.prefix(), &shown);
        return Ok(Place { spec, asked, listings: Vec::new() });
    }
    let file = Path::new(&options.place);
    let Some(side) = &options.side else {
        return Err(wrong(format!("{} is no URL: name one of its sides as well", options.place)));
    };
    let config = library::load(file)?;
    let spec = config.sides.iter().find(|(name, _)| name.as_str() == side).map(|(_, of)| of.http.clone());
    let Some(spec) = spec else {
        return Err(wrong(format!("{} has no side `{side}`", options.place)));
    };
    let text = std::fs::read_to_string(file).map_err(|why| wrong(format!("{}: {why}", options.place)))?;
    let tree = hms_sync_config::tree(&options.place, &text).map_err(|why| wrong(why.to_string()))?;
    let written = tree.get("sides").and_then(|sides| sides.get(side));
    let node = written.ok_or_else(|| wrong(format!("there is no side `{side}`")))?;
    let parts = config.collections.values().filter_map(|of| {
        of.sides.iter().find(|(name, _)| name.as_str() == side).and_then(|(_, part)| part.http.read.as_ref())
    });
    let paths = parts.map(|read| read.path.as_str().to_owned());
    let listings = paths.filter(|path| usable(path) && !path.contains(['{', '?', '#'])).collect();
    Ok(Place { spec, asked: Asked::in_file(side, node), listings })
}

/// Who we are: the variable for the configuration, its value for the requests.
fn shown(options: &DiscoverArgs) -> Result<(Shown, Json), Failure> {
    let secret = |name: &str| {
        std::env::var(name)
            .map_err(|_| Failure::new(Exit::Config, format!("the environment variable `{name}` is not set")))
    };
    let two = |text: &str| {
        let both = text.split_once(':').map(|(a, b)| (a.trim().to_owned(), b.trim().to_owned()));
        both.ok_or_else(|| Failure::new(Exit::Config, "a name and a variable are written NAME:VARIABLE"))
    };
    if let Some(name) = &options.bearer {
        let keys = json!({ "authenticator": { "type": "bearer", "api_token": secret(name)? } });
        return Ok((Shown::Bearer(name.clone()), keys));
    }
    if let Some(basic) = &options.basic {
        let (user, name) = two(basic)?;
        let keys =
            json!({ "authenticator": { "type": "basic", "username": user, "password": secret(&name)? } });
        return Ok((Shown::Basic(user, name), keys));
    }
    if let Some(header) = &options.header {
        let (header, name) = two(header)?;
        let mut headers = serde_json::Map::new();
        headers.insert(header.clone(), secret(&name)?.into());
        return Ok((Shown::Header(header, name), json!({ "request_headers": headers })));
    }
    Ok((Shown::Nothing, json!({})))
}

/// The requests, so many at most.
struct Tour {
    probe: Probe,
    left: u32,
    made: u32,
    /// What was met on the way.
    said: Vec<String>,
    /// Whether an answer was that we are not let in.
    shut_out: bool,
}

impl Tour {
    /// One request; nothing if there is none left, or no answer.
    async fn ask(&mut self, path: &str) -> Option<Probed> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        self.made += 1;
        match self.probe.get(path).await {
            Ok(answer) => Some(answer),
            Err(why) => {
                self.said.push(format!("{path}: {why}"));
                None
            }
        }
    }

    /// Why there is nothing to propose.
    fn nothing_found(&self, why: String) -> Failure {
        if self.shut_out {
            return Failure::new(Exit::Side, "the side does not let us in")
                .hint("say who asks: --bearer VARIABLE, --basic USER:VARIABLE or --header NAME:VARIABLE");
        }
        Failure::new(Exit::Failed, why).hint("name the paths of its listings: --path /permits")
    }

    /// Where listings may be.
    async fn places(&mut self, given: &[String]) -> Result<Vec<Described>, Failure> {
        let plain = |path: &str| Described {
            path: format!("/{}", path.trim_start_matches('/')),
            one: None,
            methods: Vec::new(),
        };
        let mut found = Vec::new();
        for path in DESCRIPTIONS {
            if self.left == 0 {
                break;
            }
            let Some(answer) = self.ask(path).await else {
                let why = self.said.pop().unwrap_or_default();
                return Err(Failure::new(Exit::Side, why));
            };
            if let Some(of) = answer.json.as_ref().and_then(described) {
                self.said.push(format!("{path}: the server describes {} listings", of.len()));
                found = of;
                break;
            }
        }
        if !given.is_empty() {
            let of = |path: &String| {
                let place = plain(path);
                found.iter().find(|there| there.path == place.path).cloned().unwrap_or(place)
            };
            return Ok(given.iter().map(of).collect());
        }
        if found.is_empty() {
            found = self.linked().await.iter().map(|path| plain(path)).collect();
        }
        Ok(found)
    }

    /// Paths that the first page leads to, where it is a map of names and addresses.
    async fn linked(&mut self) -> Vec<String> {
        let Some(Json::Object(members)) = self.ask("/").await.and_then(|answer| answer.json) else {
            return Vec::new();
        };
        let paths = members.values().filter_map(Json::as_str).filter_map(|text| {
            let path = match text.split_once("://") {
                Some((_, rest)) => rest.split_once('/').map(|(_, path)| format!("/{path}"))?,
                None => text.to_owned(),
            };
            (path.starts_with('/') && path.len() > 1 && !path.contains(['{', '?', '#']) && usable(&path))
                .then_some(path)
        });
        paths.take(20).collect()
    }

    /// A listing, looked at from all sides.
    async fn sample(&mut self, place: Described) -> Option<Proposal> {
        let answer = self.ask(&place.path).await?;
        self.shut_out |= matches!(answer.status, 401 | 403);
        let shape = answer.json.as_ref().filter(|_| answer.status == 200).and_then(shape);
        let (Some(shape), Some(body)) = (shape, answer.json) else {
            self.said.push(format!(
                "{}: no listing of records ({})",
                place.path,
                answer.words.chars().take(120).collect::<String>()
            ));
            return None;
        };
        let sample = Sample { headers: answer.headers, body };
        let style = match style(&sample) {
            Some(style) => Some(style),
            None => self.tried(&place.path, &sample.body).await,
        };
        let listed = shape.list.iter().try_fold(&sample.body, |here, part| here.get(part));
        let first = listed.and_then(|list| list.get(0));
        let moment = shape.cursor.as_ref().and_then(|cursor| first?.get(cursor));
        let since = match moment {
            Some(moment) => self.since(&place.path, &sample.body, far(moment)).await,
            None => None,
        };
        let id =
            first.and_then(|record| record.get(&shape.id)).filter(|_| shape.id_with.is_none()).map(plain_id);
        let (mut one, mut etag) = (place.one.clone(), false);
        if let Some(id) =
            id.filter(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
        {
            let template = place.one.clone().unwrap_or_else(|| format!("{}/{{{{ id }}}}", place.path));
            let record = self.ask(&template.replace("{{ id }}", &id)).await;
            if let Some(record) = record.filter(|record| record.status == 200 && record.json.is_some()) {
                etag = record.headers.contains_key("etag");
                one = Some(template);
            }
        }
        Some(Proposal { path: place.path, shape, style, since, one, etag, methods: place.methods })
    }

    /// The style of paging that gives the second record alone.
    async fn tried(&mut self, path: &str, whole: &Json) -> Option<Style> {
        for trial in trials() {
            let answer = self.ask(&format!("{path}?{}", trial.query)).await?;
            if answer.json.is_some_and(|body| trial.fits(whole, &body)) {
                return Some(trial.style);
            }
        }
        None
    }

    /// The parameter with which nothing comes back for a time far ahead.
    async fn since(&mut self, path: &str, whole: &Json, far: &str) -> Option<String> {
        let many = shape(whole)?.seen;
        for name in SINCE {
            let answer = self.ask(&format!("{path}?{name}={far}")).await?;
            let few =
                answer.json.as_ref().is_some_and(|body| shape(body).is_none_or(|shape| shape.seen < many));
            if answer.status == 200 && few && answer.json.is_some() {
                return Some(name.to_owned());
            }
        }
        None
    }
}

/// A time after which nothing has changed yet, as the side writes times.
fn far(moment: &Json) -> &'static str {
    match moment.as_f64() {
        None => "2999-01-01T00:00:00Z",
        Some(n) if n < 1e11 => "32472144000",
        Some(_) => "32472144000000",
    }
}

fn plain_id(id: &Json) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// A collection in JSON.
#[derive(Serialize)]
struct Found<'p> {
    path: &'p str,
    records: usize,
    id: &'p str,
    identity: Option<&'p str>,
    cursor: Option<&'p str>,
    since: Option<&'p str>,
    id_with: Option<&'p str>,
    version: Option<&'p str>,
    etag: bool,
    paging: &'static str,
    fields: Vec<(&'p str, &'static str)>,
}

impl<'p> Found<'p> {
    fn of(proposal: &'p Proposal) -> Self {
        let shape = &proposal.shape;
        Self {
            path: &proposal.path,
            records: shape.seen,
            id: &shape.id,
            id_with: shape.id_with.as_deref(),
            identity: shape.natural.as_deref(),
            cursor: shape.cursor.as_deref(),
            since: proposal.since.as_deref(),
            version: shape.version.as_deref(),
            etag: proposal.etag,
            paging: paged(proposal),
            fields: shape.fields.iter().map(|(name, ty)| (name.as_str(), *ty)).collect(),
        }
    }
}
