//! Authenticators: who we are.

use super::Import;
use super::refs::{BadRef, Part};
use super::terms::{literal, split};
use super::tokens::is_choice;
use super::words::Said;
use crate::out::{Item, Out};

impl Import {
    /// The keys of a side that an authenticator becomes.
    pub(super) fn authenticator(&mut self, given: &Part<'_>, of: &str) -> Result<Vec<Item>, BadRef> {
        let place = format!("`authenticator` of {of}");
        let kind = given.kind()?;
        let said = match kind.as_str() {
            "NoAuth" => return Ok(Vec::new()),
            "BearerAuthenticator" => self.picked(given, &place, "bearer", &[("api_token", "api_token")])?,
            "BasicHttpAuthenticator" => {
                self.picked(given, &place, "basic", &[("username", "username"), ("password", "password")])?
            }
            "ApiKeyAuthenticator" => return self.api_key(given, &place),
            "SelectiveAuthenticator" => return self.selected(given, of, &place),
            "OAuthAuthenticator" => self.oauth(given, &place)?,
            "SessionTokenAuthenticator" => self.session(given, &place)?,
            "JwtAuthenticator" => self.jwt(given, &place)?,
            "" => Err("it has no `type`".to_owned()),
            _ if kind.starts_with("Custom") => return self.code(given, of, &place),
            _ => Err(format!("we have no `{kind}`")),
        };
        match said {
            Ok(items) => Ok(vec![Item::new(given.at, "authenticator", Out::Map(items))]),
            Err(what) => {
                let instead = format!("left out: {what}; say by `authenticator` who we are");
                self.notes.lost(given.at, place, instead);
                Ok(Vec::new())
            }
        }
    }

    /// Some keys under their names with us. The error says why it is none.
    fn picked(
        &mut self,
        given: &Part<'_>,
        place: &str,
        kind: &str,
        keys: &[(&str, &str)],
    ) -> Result<Result<Vec<Item>, String>, BadRef> {
        let mut items = vec![Item::new(given.at, "type", Out::text(kind))];
        for (theirs, ours) in keys {
            let Some(value) = given.get(theirs)? else { continue };
            let text = self.secret(&value, theirs, &format!("`{theirs}` in {place}"));
            items.extend(text.map(|text| Item::new(value.at, *ours, Out::Text(text))));
        }
        let first = keys.first().map_or("type", |(theirs, _)| theirs);
        Ok(if items.len() > 1 { Ok(items) } else { Err(format!("there is no `{first}`")) })
    }

    /// What shows who we are. What depends on what people chose is for them to say.
    pub(super) fn secret(&mut self, value: &Part<'_>, key: &str, place: &str) -> Option<String> {
        let text = value.text()?;
        if let Said::Plain(said) = self.variables.say(&text, value) {
            // There are passwords that are empty, and nothing else that shows who we are.
            return Some(if key == "password" { said } else { self.variables.needed(&said) });
        }
        if !is_choice(&text) {
            return self.plain(value, place);
        }
        self.notes.chose(value.at, place, "it is one of several: write it into the variable");
        let title = if key == "token_refresh_endpoint" { "Where tokens are asked for" } else { "Who we are" };
        Some(self.variables.chosen(&[format!("auth_{key}")], title, true))
    }

    /// Code of Airbyte's that chooses among authenticators: the first of them is taken.
    fn code(&mut self, given: &Part<'_>, of: &str, place: &str) -> Result<Vec<Item>, BadRef> {
        let mut inner = Vec::new();
        for (at, name, one) in given.entries()? {
            if one.is_map() && one.kind()?.ends_with("Authenticator") {
                inner.push((at, name, one));
            }
        }
        let told = ["token_refresh_endpoint", "client_id"];
        if inner.is_empty() && told.iter().all(|key| given.keys().iter().any(|(_, there)| there == key)) {
            let what = match self.oauth(given, place)? {
                Ok(items) => {
                    let instead = "taken as OAuth, which its keys are of; the code around them is left out";
                    self.notes.lost(given.at, place, instead);
                    return Ok(vec![Item::new(given.at, "authenticator", Out::Map(items))]);
                }
                Err(what) => what,
            };
            let instead =
                format!("left out: it is code of Airbyte's, and {what}; say by `authenticator` who we are");
            self.notes.lost(given.at, place, instead);
            return Ok(Vec::new());
        }
        let Some((_, first, one)) = inner.first() else {
            let instead = "left out: it is code of Airbyte's; say by `authenticator` who we are";
            self.notes.lost(given.at, place, instead);
            return Ok(Vec::new());
        };
        let others: Vec<String> = inner.iter().skip(1).map(|(_, name, _)| format!("`{name}`")).collect();
        let others = if others.is_empty() { String::new() } else { format!(", and {}", others.join(", ")) };
        let instead =
            format!("the first that is named, `{first}`, is taken; the code around it{others} is left out");
        self.notes.lost(given.at, place, instead);
        self.authenticator(one, of)
    }

    /// A key in a header, a parameter or a body.
    fn api_key(&mut self, given: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        let Some(token) = given.get("api_token")? else {
            self.notes.lost(given.at, place, "left out: it has no `api_token`");
            return Ok(Vec::new());
        };
        if let Some(items) = self.basic_by_hand(&token) {
            return Ok(vec![Item::new(given.at, "authenticator", Out::Map(items))]);
        }
        let Some(token_text) = self.secret(&token, "api_token", place) else { return Ok(Vec::new()) };
        let option = given.own("inject_into")?;
        let header = match &option {
            Some(option) => option.own("field_name")?,
            None => given.get("header")?,
        };
        let into = match &option {
            Some(option) => option.word("inject_into")?.unwrap_or_default(),
            None => "header".to_owned(),
        };
        let name = header.as_ref().and_then(|name| self.plain(name, place)).unwrap_or_default();
        let option = vec![
            Item::new(given.at, "inject_into", Out::text(into)),
            Item::new(given.at, "field_name", Out::text(name)),
        ];
        let items = vec![
            Item::new(given.at, "type", Out::text("api_key")),
            Item::new(token.at, "api_token", Out::Text(token_text)),
            Item::new(given.at, "inject_into", Out::Map(option)),
        ];
        Ok(vec![Item::new(given.at, "authenticator", Out::Map(items))])
    }

    /// `Basic {{ (config['user'] ~ ':' ~ config['password']) | base64encode }}` is what `basic` is.
    fn basic_by_hand(&mut self, token: &Part<'_>) -> Option<Vec<Item>> {
        let text = token.text()?;
        let inside = text.trim().strip_prefix("Basic")?.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        let mut filters = split(inside, &["|"]).into_iter().map(str::trim);
        let joined = filters.next()?;
        if filters.collect::<Vec<_>>() != ["base64encode"] {
            return None;
        }
        let joined = joined.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(joined);
        let terms: Vec<&str> = split(joined, &["~", "+"]).into_iter().map(str::trim).collect();
        let colon = terms.iter().position(|term| literal(term).is_some_and(|text| text.contains(':')));
        let (before, after, between) = match colon {
            Some(at) => {
                let (before, rest) = terms.split_at_checked(at)?;
                let (colon, after) = rest.split_first()?;
                (before, after, literal(colon)?)
            }
            // A name alone: the password is empty.
            None => (terms.as_slice(), &[][..], ":".to_owned()),
        };
        let (head, tail) = between.split_once(':')?;
        let mut said = |terms: &[&str]| {
            let terms: Option<Vec<String>> = terms
                .iter()
                .map(|term| match self.variables.say(&format!("{{{{ {term} }}}}"), token) {
                    Said::Plain(text) => Some(text),
                    Said::Template(_) | Said::Cannot(_) => None,
                })
                .collect();
            terms.map(|terms| terms.concat())
        };
        let (username, password) = (format!("{}{head}", said(before)?), format!("{tail}{}", said(after)?));
        Some(vec![
            Item::new(token.at, "type", Out::text("basic")),
            Item::new(token.at, "username", Out::Text(self.variables.needed(&username))),
            Item::new(token.at, "password", Out::Text(password)),
        ])
    }

    /// One of several by what people chose: the first that is no code is taken.
    fn selected(&mut self, given: &Part<'_>, of: &str, place: &str) -> Result<Vec<Item>, BadRef> {
        let several = given.own("authenticators")?.map(|of| of.entries()).transpose()?.unwrap_or_default();
        let mut taken = 0;
        while let Some((_, _, one)) = several.get(taken)
            && one.kind()?.starts_with("Custom")
        {
            taken += 1;
        }
        let taken = if taken < several.len() { taken } else { 0 };
        let Some((at, first, one)) = several.get(taken) else {
            self.notes.lost(given.at, place, "left out: it names no authenticators");
            return Ok(Vec::new());
        };
        if several.len() > 1 {
            let others = several.iter().enumerate().filter(|(n, _)| *n != taken);
            let others: Vec<String> = others.map(|(_, (_, name, _))| format!("`{name}`")).collect();
            let which = if taken == 0 { "the first" } else { "the first that is no code" };
            let instead =
                format!("{which}, `{first}`, is taken; the others ({}) are left out", others.join(", "));
            self.notes.lost(*at, place, instead);
        }
        self.authenticator(one, of)
    }
}
