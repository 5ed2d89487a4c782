//! A token that is asked for, kept until shortly before it ends, and renewed by one
//! request however many wait for it.

use super::client::Asker;
use super::grant::{Jwt, Oauth, Session};
use super::hidden::Hidden;
use crate::error::SpecError;
use crate::spec::{JwtSpec, OauthSpec, SessionSpec};
use secrecy::SecretString;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A token is renewed so long before it ends, or at a tenth of its life if that is less.
const MARGIN_MAX: Duration = Duration::from_mins(1);
/// After a refusal nobody asks again for so long.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Where tokens come from.
#[derive(Debug)]
pub(crate) enum Source {
    Oauth(Box<Oauth>),
    Session(Box<Session>),
    Jwt(Box<Jwt>),
}

impl Source {
    pub(crate) fn oauth(spec: &OauthSpec, hidden: &Hidden) -> Result<Self, SpecError> {
        Oauth::new(spec, hidden).map(Box::new).map(Self::Oauth)
    }

    pub(crate) fn session(spec: &SessionSpec, hidden: &Hidden) -> Self {
        Self::Session(Box::new(Session::new(spec, hidden)))
    }

    pub(crate) fn jwt(spec: &JwtSpec, hidden: &Hidden) -> Result<Self, SpecError> {
        Jwt::new(spec, hidden).map(Box::new).map(Self::Jwt)
    }
}

/// A token as its source gives it.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) token: SecretString,
    /// How long it is taken, if that is known.
    pub(crate) life: Option<Duration>,
}

/// The tokens of one side.
#[derive(Debug)]
pub(crate) struct Tokens {
    state: Mutex<State>,
    hidden: Hidden,
}

#[derive(Debug)]
struct State {
    source: Source,
    token: Option<SecretString>,
    until: Option<Instant>,
    /// How many there were: so that one which was refused is renewed once.
    number: u64,
    refused: Option<(Instant, String)>,
}

impl Tokens {
    pub(crate) fn new(source: Source, hidden: Hidden) -> Self {
        let state = State { source, token: None, until: None, number: 0, refused: None };
        Self { state: Mutex::new(state), hidden }
    }

    /// Where a token that replaces the configured one is kept.
    pub(crate) fn keep_in(&mut self, folder: &Path, side: &str) {
        if let Source::Oauth(oauth) = &mut self.state.get_mut().source {
            oauth.keep_in(folder, side);
        }
    }

    /// The token to show now, and its number. `refused` is the number of one that the
    /// side no longer takes. The error says why there is none.
    pub(crate) async fn token(
        &self,
        asker: &Asker,
        refused: Option<u64>,
    ) -> Result<(SecretString, u64), String> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let good = state.until.is_none_or(|until| now < until) && refused != Some(state.number);
        if let Some(token) = state.token.as_ref().filter(|_| good) {
            return Ok((token.clone(), state.number));
        }
        if let Some((until, why)) = &state.refused
            && now < *until
        {
            return Err(why.clone());
        }
        let given = match &mut state.source {
            Source::Oauth(oauth) => oauth.ask(asker, &self.hidden).await,
            Source::Session(session) => session.ask(asker, &self.hidden).await,
            Source::Jwt(jwt) => jwt.sign(),
        };
        match given {
            Ok(Given { token, life }) => {
                self.hidden.add_passing(&token);
                let margin = |life: Duration| life.saturating_sub((life / 10).min(MARGIN_MAX));
                state.until = life.and_then(|life| Instant::now().checked_add(margin(life)));
                state.token = Some(token.clone());
                state.number += 1;
                state.refused = None;
                Ok((token, state.number))
            }
            Err(why) => {
                state.refused = Some((Instant::now() + REFUSED_FOR, why.clone()));
                Err(why)
            }
        }
    }
}
