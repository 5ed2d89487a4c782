//! Budgets: how many requests a side takes. A policy for requests that we cannot
//! tell apart is left out, never made to hold for others; a 429 is honoured all the same.

use super::errors::listed;
use super::figures::figure;
use super::refs::{BadRef, Part};
use super::words::escaped;
use super::{Import, keys};
use crate::out::{Item, Out};
use hms_sync_config::At;

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
        let mut matchers = Vec::new();
        for matcher in listed(given, "matchers")? {
            let Some(of) = self.matcher(&matcher, &place)? else { return Ok(None) };
            matchers.push(Out::Map(of));
        }
        if !matchers.is_empty() {
            items.push(Item::new(given.at, "matchers", Out::List(matchers)));
        }
        let policy = Out::Map(items);
        if let Some((at, weight)) = too_heavy(&policy) {
            let instead = format!(
                "left out: a `weight` of {weight} is more than the policy ever has; a 429 is honoured"
            );
            self.notes.lost(at, place, instead);
            return Ok(None);
        }
        Ok(Some(policy))
    }

    /// Which requests it is for; nothing if that cannot be said: then its policy would be for others.
    fn matcher(&mut self, given: &Part<'_>, place: &str) -> Result<Option<Vec<Item>>, BadRef> {
        let mut items = Vec::new();
        let mut bad = None;
        if !matches!(given.kind()?.as_str(), "" | "HttpRequestRegexMatcher") {
            bad = Some((given.at, format!("we have no `{}`", given.kind()?)));
        }
        for (at, key, value) in given.entries()? {
            let text = value.text();
            let item = match (key, text) {
                ("type" | "$parameters", _) => continue,
                ("method", Some(word)) => {
                    let word = word.to_uppercase();
                    METHODS.contains(&word.as_str()).then_some(Out::Text(word))
                }
                ("url_base", Some(text)) => Some(Out::Text(text)),
                ("url_path_pattern", Some(text)) => {
                    if let Some(why) = hms_sync_config::wrong_pattern(&text) {
                        bad = bad.or(Some((at, why)));
                    }
                    Some(Out::Text(escaped(&text)))
                }
                // A number, or what stands in for one that people say.
                ("weight", Some(_)) => match self.same(&value, &format!("`weight` in {place}"), 0)? {
                    Some(Out::Text(text)) => figure(&text).map(Out::Plain),
                    other => other,
                },
                ("params" | "headers", None) => {
                    let pairs = value.entries()?.into_iter().map(|(at, name, value)| {
                        value.text().map(|text| Item::new(at, name, Out::Text(escaped(&text))))
                    });
                    pairs.collect::<Option<Vec<Item>>>().filter(|pairs| !pairs.is_empty()).map(Out::Map)
                }
                _ => None,
            };
            match item {
                Some(out) => items.push(Item::new(at, key, out)),
                None => {
                    bad = bad.or(Some((
                        at,
                        format!("its `{key}` tells requests apart or counts them as ours does not"),
                    )));
                }
            }
        }
        if let Some((at, why)) = bad {
            self.notes.lost(at, place, format!("left out: {why}; a 429 is honoured"));
            return Ok(None);
        }
        Ok(Some(items))
    }
}

/// A weight of one of a policy's matchers that is above one of its limits.
fn too_heavy(policy: &Out) -> Option<(At, u64)> {
    let limits = numbers(policy, &["limit", "call_limit"]);
    let lowest = limits.into_iter().map(|(_, limit)| limit).min()?;
    numbers(policy, &["weight"]).into_iter().find(|(_, weight)| *weight > lowest)
}

/// The whole numbers behind these keys, however deep, and where they stand.
fn numbers(of: &Out, keys: &[&str]) -> Vec<(At, u64)> {
    match of {
        Out::Map(items) | Out::Flow(items) => {
            let found = |item: &Item| match &item.value {
                Out::Plain(text) | Out::Text(text) if keys.contains(&item.key.as_str()) => {
                    text.parse().ok().map(|number| (item.from, number)).into_iter().collect()
                }
                value => numbers(value, keys),
            };
            items.iter().flat_map(found).collect()
        }
        Out::List(all) => all.iter().flat_map(|one| numbers(one, keys)).collect(),
        Out::Text(_) | Out::Plain(_) => Vec::new(),
    }
}

/// The budget of the side at `url`: a matcher for another host is none of its, and one for its
/// own need not say so. Airbyte counts a request by the first policy that is for it, and ours
/// by all up to an unlimited one.
pub(super) fn budget_at(budget: &Item, url: &str) -> Option<Item> {
    let Out::Map(items) = &budget.value else { return None };
    let mut items = items.clone();
    let item = items.iter_mut().find(|item| item.key == "policies")?;
    let Out::List(all) = &item.value else { return None };
    let kept: Vec<Out> = all.iter().filter_map(|policy| policy_at(policy, url)).collect();
    if kept.is_empty() {
        return None;
    }
    let count = kept.len();
    let mut policies = Vec::new();
    for (index, policy) in kept.into_iter().enumerate() {
        let behind = (index + 1 < count).then(|| uncounted(&policy)).flatten();
        policies.push(policy);
        policies.extend(behind);
    }
    item.value = Out::List(policies);
    Some(Item { value: Out::Map(items), ..budget.clone() })
}

fn policy_at(policy: &Out, url: &str) -> Option<Out> {
    let Out::Map(items) = policy else { return None };
    let mut items = items.clone();
    if let Some(item) = items.iter_mut().find(|item| item.key == "matchers")
        && let Out::List(all) = &item.value
    {
        let mut ours: Vec<Out> = all.iter().filter_map(|matcher| matcher_at(matcher, url)).collect();
        if ours.is_empty() {
            return None;
        }
        if ours.iter().any(|one| !numbers(one, &["weight"]).is_empty()) {
            // One that is for all the others has to stand there.
            let one = Out::Map(vec![Item::new(item.from, "weight", Out::Plain("1".to_owned()))]);
            ours.iter_mut().filter(|matcher| matcher.is_empty()).for_each(|matcher| *matcher = one.clone());
        }
        item.value = Out::List(ours);
    }
    // One that is for all requests needs no matchers.
    items.retain(|item| {
        !matches!(&item.value, Out::List(all) if item.key == "matchers" && all.iter().any(Out::is_empty))
    });
    Some(Out::Map(items))
}

fn matcher_at(matcher: &Out, url: &str) -> Option<Out> {
    let Out::Map(items) = matcher else { return None };
    let is_ours = |item: &Item| match &item.value {
        Out::Text(base) if item.key == "url_base" => is_chosen(url) || host(base) == host(url),
        _ => true,
    };
    let items_here = || items.iter().filter(|item| item.key != "url_base").cloned().collect();
    items.iter().all(is_ours).then(|| Out::Map(items_here()))
}

/// Whether people say where the side is.
fn is_chosen(url: &str) -> bool {
    host(url).contains("${")
}

/// A URL up to its path.
fn host(url: &str) -> &str {
    let from = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(from..).unwrap_or_default();
    super::side::cut(rest, '/').and_then(|(host, _)| url.get(..from + host.len())).unwrap_or(url)
}

/// That what a policy counts is not counted by those behind it.
fn uncounted(policy: &Out) -> Option<Out> {
    let Out::Map(items) = policy else { return None };
    if items.iter().any(|item| item.value == Out::text("unlimited")) {
        return None;
    }
    let at = items.first()?.from;
    let mut unlimited = vec![Item::new(at, "type", Out::text("unlimited"))];
    unlimited.extend(items.iter().find(|item| item.key == "matchers").cloned());
    Some(Out::Map(unlimited))
}

/// A value without Airbyte's names of components.
fn untyped(value: Out) -> Out {
    match value {
        Out::Map(items) => Out::Map(items.into_iter().filter(|item| item.key != "type").collect()),
        Out::List(of) => Out::List(of.into_iter().map(untyped).collect()),
        Out::Text(_) | Out::Plain(_) | Out::Flow(_) => value,
    }
}
