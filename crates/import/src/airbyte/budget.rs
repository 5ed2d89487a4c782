//! Budgets: how many requests a side takes. A policy for requests that we cannot
//! tell apart is left out, and a 429 is honoured all the same.

use super::errors::listed;
use super::refs::{BadRef, Part};
use super::{Import, keys};
use crate::out::{Item, Out};

/// The methods that we ask by.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const PLACE: &str = "`api_budget`";

impl Import {
    pub(super) fn budget(&mut self, given: &Part<'_>) -> Result<Option<Item>, BadRef> {
        let kind = given.kind()?;
        if !matches!(kind.as_str(), "" | "HTTPAPIBudget") {
            self.notes.lost(given.at, PLACE, format!("left out: we have no `{kind}`; a 429 is honoured"));
            return Ok(None);
        }
        self.known(given, PLACE, keys::BUDGET);
        let mut policies = Vec::new();
        for one in listed(given, "policies")? {
            policies.extend(self.policy(&one)?);
        }
        if policies.is_empty() {
            self.notes.lost(given.at, PLACE, "left out: no policy of it is taken over; a 429 is honoured");
            return Ok(None);
        }
        let mut items = vec![Item::new(given.at, "policies", Out::List(policies))];
        let more = ["ratelimit_reset_header", "ratelimit_remaining_header", "status_codes_for_ratelimit_hit"];
        items.extend(self.some(given, &more, PLACE)?);
        Ok(Some(Item::new(given.at, "api_budget", Out::Map(items))))
    }

    fn policy(&mut self, given: &Part<'_>) -> Result<Option<Out>, BadRef> {
        let place = format!("`policies` in {PLACE}");
        let kind = given.kind()?;
        let (ours, keys): (_, &[&str]) = match kind.as_str() {
            "FixedWindowCallRatePolicy" => ("fixed_window", &["period", "call_limit"]),
            "MovingWindowCallRatePolicy" => ("moving_window", &["rates"]),
            "UnlimitedCallRatePolicy" => ("unlimited", &[]),
            _ => {
                let instead = format!("left out: we have no `{kind}`; a 429 is honoured");
                self.notes.lost(given.at, place, instead);
                return Ok(None);
            }
        };
        self.known(given, &place, keys::POLICY);
        let mut items = vec![Item::new(given.at, "type", Out::text(ours))];
        for item in self.some(given, keys, &place)? {
            items.push(Item { value: untyped(item.value), ..item });
        }
        let mut methods = Vec::new();
        for matcher in listed(given, "matchers")? {
            let more = matcher.keys().into_iter().find(|(_, key)| !matches!(*key, "type" | "method"));
            let method =
                matcher.own("method")?.and_then(|method| method.text()).map(|word| word.to_uppercase());
            let method = method.filter(|word| METHODS.contains(&word.as_str()));
            let (None, Some(method)) = (more, method) else {
                let instead = "left out: requests are told apart by their `method` alone; a 429 is honoured";
                self.notes.lost(more.map_or(matcher.at, |(at, _)| at), place, instead);
                return Ok(None);
            };
            methods.push(Out::Map(vec![Item::new(matcher.at, "method", Out::Text(method))]));
        }
        if !methods.is_empty() {
            items.push(Item::new(given.at, "matchers", Out::List(methods)));
        }
        Ok(Some(Out::Map(items)))
    }
}

/// A value without Airbyte's names of components.
fn untyped(value: Out) -> Out {
    match value {
        Out::Map(items) => Out::Map(items.into_iter().filter(|item| item.key != "type").collect()),
        Out::List(of) => Out::List(of.into_iter().map(untyped).collect()),
        Out::Text(_) | Out::Plain(_) | Out::Flow(_) => value,
    }
}
