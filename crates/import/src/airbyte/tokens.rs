//! Authenticators whose token is asked for, renewed or signed. What would show us
//! otherwise than the manifest says is left out whole, with the reason.

use super::refs::{BadRef, Part};
use super::side::joined;
use super::{Import, keys};
use crate::out::{Item, Out};

/// What we sign with.
const ALGORITHMS: [&str; 5] = ["HS256", "HS384", "HS512", "RS256", "ES256"];

/// With which tokens are asked for.
const HEADERS: &str = "refresh_request_headers";

/// The keys of an authenticator, or why there are none.
type Keys = Result<Vec<Item>, String>;

/// Whether a text depends on what people chose.
pub(super) fn is_choice(text: &str) -> bool {
    text.contains("config") && text.contains(" if ") && !text.contains("next_page_token")
}

impl Import {
    pub(super) fn oauth(&mut self, given: &Part<'_>, place: &str) -> Result<Keys, BadRef> {
        let grant = given.word("grant_type")?.unwrap_or_default();
        let alone = grant == "client_credentials";
        if !matches!(grant.as_str(), "" | "refresh_token" | "client_credentials") {
            return Ok(Err(format!("we have no `grant_type: {grant}`")));
        }
        for key in ["token_refresh_endpoint", "client_id"] {
            if given.own(key)?.is_none() {
                return Ok(Err(format!("there is no `{key}`")));
            }
        }
        let mut read_by = keys::OAUTH.to_vec();
        read_by.extend([HEADERS, "class_name"]);
        self.known(given, place, &read_by);
        let wanted = keys::OAUTH
            .iter()
            .filter(|key| **key != "refresh_token_updater" && !(alone && **key == "refresh_token"));
        let wanted: Vec<&str> = wanted.copied().collect();
        let mut items = vec![Item::new(given.at, "type", Out::text("oauth"))];
        for key in wanted {
            let Some(value) = given.own(key)? else { continue };
            let said = match value.text().filter(|text| is_choice(text)) {
                Some(_) => self.secret(&value, key, &format!("`{key}` in {place}")).map(Out::Text),
                None => self.same(&value, &format!("`{key}` in {place}"), 0)?,
            };
            let is_ours =
                matches!(key, "token_refresh_endpoint" | "client_id" | "client_secret" | "refresh_token");
            let said = match said {
                Some(Out::Text(text)) if is_ours => Some(Out::Text(self.variables.needed(&text))),
                said => said,
            };
            items.extend(said.map(|said| Item::new(value.at, key, said)));
        }
        if let Some(headers) = given.own(HEADERS)? {
            items.extend(self.shown_by_headers(&headers, place)?);
        }
        Ok(Ok(items))
    }

    /// Headers with which tokens are asked for: those that say who we are as HTTP's own way does.
    fn shown_by_headers(&mut self, headers: &Part<'_>, place: &str) -> Result<Option<Item>, BadRef> {
        let mut basic = None;
        for (at, name, value) in headers.entries()? {
            let text = value.text().unwrap_or_default();
            let form = ["client_id", "client_secret", "base64"];
            let is_basic = text.trim().starts_with("Basic ") && form.iter().all(|part| text.contains(part));
            match name.to_ascii_lowercase().as_str() {
                "authorization" if is_basic => {
                    basic = Some(Item::new(at, "client_authentication", Out::text("basic")));
                }
                // So it is sent anyway.
                "content-type" if text.contains("x-www-form-urlencoded") => {}
                "accept" if text.contains("json") => {}
                _ => {
                    let instead = "left out: tokens are asked for without headers of one's own";
                    self.notes.lost(at, format!("`{HEADERS}.{name}` of {place}"), instead);
                }
            }
        }
        Ok(basic)
    }

    pub(super) fn session(&mut self, given: &Part<'_>, place: &str) -> Result<Keys, BadRef> {
        self.known(given, place, keys::SESSION);
        let Some(login) = given.own("login_requester")? else {
            return Ok(Err("there is no `login_requester`".to_owned()));
        };
        let login_items = match self.login(&login, place)? {
            Ok(items) => items,
            Err(why) => return Ok(Err(why)),
        };
        let mut items = vec![
            Item::new(given.at, "type", Out::text("session_token")),
            Item::new(login.at, "login_requester", Out::Map(login_items)),
        ];
        items.extend(self.some(given, &["session_token_path", "expiration_duration"], place)?);
        if let Some(shown) = given.own("request_authentication")? {
            let said = match (shown.kind()?.as_str(), shown.own("inject_into")?) {
                ("Bearer" | "", _) => vec![Item::new(shown.at, "type", Out::text("bearer"))],
                ("ApiKey", Some(option)) => {
                    let option_items = self.some(&option, &["inject_into", "field_name"], place)?;
                    vec![
                        Item::new(shown.at, "type", Out::text("api_key")),
                        Item::new(option.at, "inject_into", Out::Map(option_items)),
                    ]
                }
                (kind, _) => return Ok(Err(format!("its token is shown by `{kind}`"))),
            };
            items.push(Item::new(shown.at, "request_authentication", Out::Map(said)));
        }
        Ok(Ok(items))
    }

    /// The login: with us a `POST` of JSON.
    fn login(&mut self, login: &Part<'_>, place: &str) -> Result<Keys, BadRef> {
        let place = &format!("`login_requester` in {place}");
        let method = login.own("http_method")?.or(login.own("method")?).and_then(|method| method.text());
        if method.is_none_or(|method| !method.eq_ignore_ascii_case("post")) {
            return Ok(Err("its login is no `POST`".to_owned()));
        }
        if let Some(shown) = login.own("authenticator")?
            && shown.kind()? != "NoAuth"
        {
            return Ok(Err(format!("its login shows who we are by `{}`", shown.kind()?)));
        }
        let base = login.own("url")?.or(login.own("url_base")?);
        let Some(url) = base.as_ref().and_then(|base| self.plain(base, place)) else {
            return Ok(Err("where to log in cannot be told".to_owned()));
        };
        let url = match login.own("path")? {
            Some(path) => match self.plain(&path, place) {
                Some(path) => {
                    let (base, path) = joined(&url, &path);
                    format!("{base}{path}")
                }
                None => return Ok(Err("where to log in cannot be told".to_owned())),
            },
            None => url,
        };
        self.known(login, place, keys::LOGIN);
        let mut items = vec![Item::new(login.at, "url", Out::Text(url))];
        let body = match login.own("request_body")? {
            Some(body) if body.kind()? == "RequestBodyJsonObject" => body.own("value")?,
            Some(_) => return Ok(Err("its login sends something else than JSON".to_owned())),
            None => login.own("request_body_json")?,
        };
        if let Some(body) = body {
            let said = self.same(&body, place, 0)?;
            items.extend(said.map(|said| Item::new(body.at, "request_body", said)));
        }
        if let Some(headers) = login.own("request_headers")? {
            items.extend(self.texts("request_headers", &headers, place, false)?);
        }
        Ok(Ok(items))
    }

    pub(super) fn jwt(&mut self, given: &Part<'_>, place: &str) -> Result<Keys, BadRef> {
        let algorithm = given.word("algorithm")?.unwrap_or_default();
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            return Ok(Err(format!("we do not sign with `{algorithm}`")));
        }
        let encoded = given.word("base64_encode_secret_key")?;
        if encoded.is_some_and(|word| !word.eq_ignore_ascii_case("false")) {
            return Ok(Err("its `secret_key` is signed with in Base64".to_owned()));
        }
        if given.own("secret_key")?.is_none() {
            return Ok(Err("there is no `secret_key`".to_owned()));
        }
        self.known(given, place, keys::JWT);
        let mut items = vec![Item::new(given.at, "type", Out::text("jwt"))];
        let wanted: Vec<&str> =
            keys::JWT.iter().filter(|key| **key != "base64_encode_secret_key").copied().collect();
        items.extend(self.some(given, &wanted, place)?);
        if !items.iter().any(|item| item.key == "header_prefix") {
            // Airbyte's default is the token alone.
            items.push(Item::new(given.at, "header_prefix", Out::text("")));
        }
        let maps = ["jwt_headers", "jwt_payload"];
        for item in items.iter_mut().filter(|item| maps.contains(&item.key.as_str())) {
            if let Out::Map(of) = &mut item.value {
                of.retain(|item| item.key != "type");
            }
        }
        Ok(Ok(items))
    }
}
