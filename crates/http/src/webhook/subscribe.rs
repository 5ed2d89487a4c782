//! Asking a side for its webhooks, and asking again before it stops sending them.
//!
//! The requests go through the side's one client, to the configured URL and nowhere else.

use crate::decode;
use crate::error::SpecError;
use crate::request::{Ask, Parts};
use crate::select;
use crate::spec::{BaseUrl, CallSpec, FieldPath, Headers, Method, Secrets, SubscribeSpec};
use crate::stamp::Scale;
use crate::template::Compiled;
use crate::wire::Wire;
use chrono::{DateTime, SecondsFormat, Utc};
use hms_sync_connector::{ReadError, Registration};
use hms_sync_model::Time;
use http::StatusCode;
use minijinja::{Value, context};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What every template of a registration may name.
const KNOWN: &[&str] = &["callback_url", "secret", "ends_at"];
const KNOWN_LATER: &[&str] = &["callback_url", "secret", "ends_at", "id"];

/// How a side is asked, set up.
#[derive(Debug)]
pub(crate) struct Subscribe {
    callback_url: String,
    secret: SecretString,
    create: Call,
    renew: Option<Call>,
    id: FieldPath,
    expires: Option<Scale>,
    lifetime: Option<Duration>,
    renew_before: Duration,
}

#[derive(Debug)]
struct Call {
    ask: Ask,
    body: Option<Body>,
}

/// JSON whose texts are templates.
#[derive(Debug)]
enum Body {
    Plain(Json),
    Text(Compiled),
    List(Vec<Body>),
    Map(Vec<(String, Body)>),
}

impl Body {
    fn new(json: &Json, known: &[&str]) -> Result<Self, String> {
        Ok(match json {
            Json::String(text) => Self::Text(Compiled::text(text, known).map_err(|why| why.to_string())?),
            Json::Array(parts) => {
                Self::List(parts.iter().map(|part| Self::new(part, known)).collect::<Result<_, _>>()?)
            }
            Json::Object(members) => {
                let member = |(name, part): (&String, &Json)| Ok((name.clone(), Self::new(part, known)?));
                Self::Map(members.iter().map(member).collect::<Result<_, String>>()?)
            }
            plain => Self::Plain(plain.clone()),
        })
    }

    fn fill(&self, with: &Value) -> Result<Json, String> {
        Ok(match self {
            Self::Plain(json) => json.clone(),
            Self::Text(text) => text.fill(with).map_err(|why| why.to_string())?.into_owned().into(),
            Self::List(parts) => parts.iter().map(|part| part.fill(with)).collect::<Result<_, _>>()?,
            Self::Map(members) => {
                let member = |(name, part): &(String, Self)| Ok((name.clone(), part.fill(with)?));
                Json::Object(members.iter().map(member).collect::<Result<Map<_, _>, String>>()?)
            }
        })
    }
}

impl Call {
    fn new(key: &str, base: &BaseUrl, spec: &CallSpec, known: &[&str]) -> Result<Self, SpecError> {
        let (none, headers) = (BTreeMap::new(), Headers::default());
        let parts = Parts { path: &spec.path, parameters: &none, headers: &headers, selector: None };
        let method = match spec.method {
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        let body = spec.json.as_ref().map(|json| Body::new(json, known)).transpose();
        Ok(Self {
            ask: Ask::new(key, method, base, &parts, known)?,
            body: body.map_err(|why| SpecError::new(format!("{key}.json"), why))?,
        })
    }
}

impl Subscribe {
    pub(crate) fn new(
        key: &str,
        base: &BaseUrl,
        spec: &SubscribeSpec,
        secrets: &Secrets,
    ) -> Result<Self, SpecError> {
        let url = BaseUrl::try_new(&spec.callback_url);
        url.map_err(|why| SpecError::new(format!("{key}.callback_url"), why))?;
        let scale = |path: &FieldPath| Scale::new(path.clone(), None, None);
        let expires = spec.expires.as_ref().map(scale).transpose();
        let renew =
            spec.renew.as_ref().map(|call| Call::new(&format!("{key}.renew"), base, call, KNOWN_LATER));
        Ok(Self {
            callback_url: spec.callback_url.clone(),
            secret: secrets.iter().next().unwrap_or_default().into(),
            create: Call::new(&format!("{key}.create"), base, &spec.create, KNOWN)?,
            renew: renew.transpose()?,
            id: spec.subscription_id.clone(),
            expires: expires.map_err(|why| SpecError::new(format!("{key}.expires"), why))?,
            lifetime: spec.lifetime.map(|span| span.0),
            renew_before: spec.renew_before.0,
        })
    }

    /// Whether it was asked for this address.
    pub(crate) fn is_of(&self, known: &Registration) -> bool {
        known.callback_url == self.callback_url
    }

    /// Asks anew, or to go on with what is known. What the side does not know any more, or was
    /// asked for another address, is asked for anew.
    pub(crate) async fn register(
        &self,
        wire: &Wire,
        known: Option<&Registration>,
        now: Time,
    ) -> Result<Registration, ReadError> {
        let known = known.filter(|known| self.is_of(known));
        if let (Some(call), Some(known)) = (&self.renew, known)
            && let Some(renewed) = self.ask(wire, call, Some(known), now).await?
        {
            return Ok(renewed);
        }
        let made = self.ask(wire, &self.create, None, now).await?;
        made.ok_or_else(|| ReadError::Denied {
            reason: format!("{}: there is no such thing", self.create.ask.label),
        })
    }

    /// Nothing if there is nothing there to be asked.
    async fn ask(
        &self,
        wire: &Wire,
        call: &Call,
        known: Option<&Registration>,
        now: Time,
    ) -> Result<Option<Registration>, ReadError> {
        let label = &call.ask.label;
        let denied = |why: String| ReadError::Denied { reason: format!("{label}: {why}") };
        let asked_until = self.lifetime.map(|lifetime| now.plus(lifetime));
        let with = context! {
            callback_url => self.callback_url.as_str(), secret => self.secret.expose_secret(),
            id => known.map_or("", |known| known.id.as_str()),
            ends_at => asked_until.map(rfc3339).unwrap_or_default(),
        };
        let mut request = call.ask.request(wire, &with, &[]).map_err(denied)?;
        if let Some(body) = &call.body {
            let body =
                body.fill(&with).and_then(|json| serde_json::to_vec(&json).map_err(|why| why.to_string()));
            Wire::put(&mut request, body.map_err(denied)?);
        }
        let lost = |reason: &str| ReadError::Later { reason: format!("{label}: {reason}"), after: None };
        let answer = wire.send(request).await.map_err(|why| lost(why.reason()))?;
        match answer.status {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let reason = format!("{label}: {}", answer.words());
                return Err(ReadError::Later { reason, after: answer.retry_after() });
            }
            _ => return Err(denied(answer.words())),
        }
        let json = answer.body.as_ref().ok().and_then(|body| decode::parse(body).ok()).unwrap_or_default();
        let id =
            self.id.get(&json).and_then(|id| select::scalar_id(id).ok()).map(|id| id.as_str().to_owned());
        let Some(id) = id.or_else(|| known.map(|known| known.id.clone())) else {
            let reason = format!("{label}: the answer has no id at `{}`", self.id);
            return Err(ReadError::Broken { reason });
        };
        let said = self.expires.as_ref().and_then(|scale| scale.time(&scale.of(&json)?));
        let ends = said.or(asked_until);
        Ok(Some(Registration {
            id,
            callback_url: self.callback_url.clone(),
            renew_at: ends.map(|ends| self.due(ends, now)),
        }))
    }

    fn due(&self, ends: Time, now: Time) -> Time {
        let left = ends.since(now);
        now.plus(left.saturating_sub(self.renew_before.min(left / 2)))
    }
}

fn rfc3339(at: Time) -> String {
    let at = DateTime::<Utc>::from_timestamp_micros(at.0).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
