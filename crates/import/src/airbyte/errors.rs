//! Error handlers: what a side's answers mean, and how long to wait after them.
//! A filter whose condition cannot be said goes with it: it would fit too much.

use super::figures::figure;
use super::refs::{BadRef, Part};
use super::words::Said;
use super::{Import, keys};
use crate::out::{Item, Out};

/// So deep may handlers stand in handlers.
const MAX_DEPTH: usize = 8;

/// What an answer can mean.
const ACTIONS: [&str; 7] =
    ["success", "ignore", "retry", "fail", "rate_limited", "refresh_token_then_retry", "reset_pagination"];

impl Import {
    pub(super) fn error_handler(&mut self, given: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        let items = self.handler(given, &format!("`error_handler` of {of}"), 0)?;
        Ok((!items.is_empty()).then(|| Item::new(given.at, "error_handler", Out::Map(items))))
    }

    fn handler(&mut self, given: &Part<'_>, place: &str, depth: usize) -> Result<Vec<Item>, BadRef> {
        let kind = given.kind()?;
        let beside = ["response_filters", "error_handlers", "backoff_strategies"];
        // What stands beside the code is taken as usual, and the code named.
        let is_code = kind.starts_with("Custom") && given.keys().iter().any(|(_, key)| beside.contains(key));
        let ours = is_code || matches!(kind.as_str(), "" | "DefaultErrorHandler" | "CompositeErrorHandler");
        if !ours || depth > MAX_DEPTH {
            let what = if ours { "it stands too deep".to_owned() } else { format!("we have no `{kind}`") };
            self.notes.lost(given.at, place, format!("left out: {what}; 429 and 5xx are tried again"));
            return Ok(Vec::new());
        }
        self.known(given, place, keys::HANDLER);
        let (mut inner, mut filters, mut waits) = (Vec::new(), Vec::new(), Vec::new());
        for one in listed(given, "error_handlers")? {
            let items = self.handler(&one, place, depth + 1)?;
            inner.extend((!items.is_empty()).then_some(Out::Map(items)));
        }
        for one in listed(given, "response_filters")? {
            filters.extend(self.filter(&one, place)?);
        }
        for one in listed(given, "backoff_strategies")? {
            waits.extend(self.wait(&one, place)?);
        }
        let lists = [("error_handlers", inner), ("response_filters", filters), ("backoff_strategies", waits)];
        let lists = lists.into_iter().filter(|(_, of)| !of.is_empty());
        Ok(lists.map(|(key, of)| Item::new(given.at, key, Out::List(of))).collect())
    }

    /// Of a filter's conditions one is enough there, and with us all must hold: so
    /// each becomes a filter of its own.
    fn filter(&mut self, given: &Part<'_>, place: &str) -> Result<Vec<Out>, BadRef> {
        let place = &format!("`response_filters` in {place}");
        let kind = given.kind()?;
        if !matches!(kind.as_str(), "" | "HttpResponseFilter") {
            self.notes.lost(given.at, place, format!("left out: we have no `{kind}`"));
            return Ok(Vec::new());
        }
        let action = given.word("action")?.map(|word| word.to_lowercase());
        let Some(action) = action.filter(|word| ACTIONS.contains(&word.as_str())) else {
            let instead = format!("left out: its `action` is none of {}", ACTIONS.join(", "));
            self.notes.lost(given.at, place, instead);
            return Ok(Vec::new());
        };
        let action = if action == "reset_pagination" { "reset_cursor".to_owned() } else { action };
        self.known(given, place, keys::FILTER);
        let mut message = None;
        if let Some(said) = given.own("error_message")? {
            // Words for people: they may quote what the side answered.
            let text = match self.variables.say(&said.text().unwrap_or_default(), &said) {
                Said::Plain(text) => Some(text),
                Said::Template(text) if text.contains("response") => Some(text),
                Said::Template(_) | Said::Cannot(_) => {
                    self.notes.chose(
                        said.at,
                        format!("`error_message` in {place}"),
                        "our own words are used",
                    );
                    None
                }
            };
            message = text.map(|text| Item::new(said.at, "error_message", Out::Text(text)));
        }
        let conditions = self.conditions(given, place)?;
        let named = ["http_codes", "error_message_contains", "predicate"];
        if given.keys().iter().all(|(_, key)| !named.contains(key)) {
            self.notes.lost(given.at, place, "left out: without a condition it fits no answer");
        }
        let with = |condition: Item| {
            let action = Item::new(given.at, "action", Out::text(&action));
            Out::Map([action, condition].into_iter().chain(message.clone()).collect())
        };
        Ok(conditions.into_iter().map(with).collect())
    }

    fn conditions(&mut self, given: &Part<'_>, place: &str) -> Result<Vec<Item>, BadRef> {
        let mut conditions = Vec::new();
        if let Some(codes) = given.own("http_codes")?
            && let Some(of) = self.same(&codes, place, 0)?.filter(|of| !of.is_empty())
        {
            conditions.push(Item::new(codes.at, "http_codes", of));
        }
        if let Some(words) = given.own("error_message_contains")? {
            let text = self.plain(&words, &format!("`error_message_contains` in {place}"));
            let text = text.filter(|text| !text.is_empty());
            conditions
                .extend(text.map(|text| Item::new(words.at, "error_message_contains", Out::Text(text))));
        }
        if let Some(predicate) = given.own("predicate")?
            && let Some(text) = predicate.text().filter(|text| !text.is_empty())
        {
            match self.variables.formula(&text, &predicate) {
                Ok(text) => {
                    let text = Out::Text(format!("{{{{ {text} }}}}"));
                    conditions.push(Item::new(predicate.at, "predicate", text));
                }
                Err(why) => {
                    let place = format!("`predicate` in {place}");
                    self.notes.lost(predicate.at, place, format!("left out: {why}"));
                }
            }
        }
        Ok(conditions)
    }

    fn wait(&mut self, given: &Part<'_>, place: &str) -> Result<Option<Out>, BadRef> {
        let kind = given.kind()?;
        let (ours, keys): (_, &[&str]) = match kind.as_str() {
            "ConstantBackoffStrategy" | "ConstantBackoff" => ("constant", &["backoff_time_in_seconds"]),
            "ExponentialBackoffStrategy" | "ExponentialBackoff" => ("exponential", &["factor"]),
            "WaitTimeFromHeader" => ("wait_time_from_header", &["header", "max_waiting_time_in_seconds"]),
            "WaitUntilTimeFromHeader" => ("wait_until_time_from_header", &["header", "min_wait"]),
            _ => {
                let instead = format!("left out: we have no `{kind}`; `Retry-After` is honoured");
                self.notes.lost(given.at, format!("`backoff_strategies` in {place}"), instead);
                return Ok(None);
            }
        };
        self.known(given, place, keys);
        let mut items = vec![Item::new(given.at, "type", Out::text(ours))];
        for item in self.some(given, keys, place)? {
            // A number that is text there, as the default of a variable is.
            let value = match item.value {
                Out::Text(text) if item.key != "header" => match figure(&text) {
                    Some(number) => {
                        if text.contains("{{") {
                            let instead = format!("{number} is taken: it is no variable with us");
                            self.notes.chose(item.from, format!("`{}` in {place}", item.key), instead);
                        }
                        Out::Plain(number)
                    }
                    None => Out::Text(text),
                },
                value => value,
            };
            items.push(Item { value, ..item });
        }
        Ok(Some(Out::Map(items)))
    }

    /// Some keys as they stand.
    pub(super) fn some(&mut self, given: &Part<'_>, keys: &[&str], place: &str) -> Result<Vec<Item>, BadRef> {
        let mut items = Vec::new();
        for key in keys {
            let Some(value) = given.own(key)? else { continue };
            let said = self.same(&value, &format!("`{key}` in {place}"), 0)?;
            items.extend(said.map(|said| Item::new(value.at, *key, said)));
        }
        Ok(items)
    }
}

/// The elements behind a key.
pub(super) fn listed<'m>(given: &Part<'m>, key: &str) -> Result<Vec<Part<'m>>, BadRef> {
    let list = given.own(key)?.map(|list| list.elements()).transpose()?.flatten();
    Ok(list.unwrap_or_default())
}
