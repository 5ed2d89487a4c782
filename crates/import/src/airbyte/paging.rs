//! Paginators: how a listing is cut into pages.

use super::options::Place;
use super::refs::{BadRef, Part};
use super::terms::split;
use super::{Import, keys};
use crate::out::{Item, Out};

impl Import {
    pub(super) fn paginator(&mut self, given: &Part<'_>, of: &str) -> Result<Option<Item>, BadRef> {
        let place = format!("`paginator` of {of}");
        if given.kind()? == "NoPagination" {
            return Ok(None);
        }
        let Some(strategy) = given.own("pagination_strategy")? else {
            self.notes.lost(given.at, place, "left out: it has no `pagination_strategy`; one page is read");
            return Ok(None);
        };
        self.known(given, &place, keys::PAGINATOR);
        self.known(&strategy, &place, keys::STRATEGY);
        let size = strategy.get("page_size")?;
        let size = self.count(size, &format!("`page_size` in {place}"));
        let size_place = match given.own("page_size_option")? {
            Some(option) => {
                let place = self.goes(&option, &format!("`page_size_option` in {place}"))?;
                place.map(|there| (option, there))
            }
            None => None,
        };
        let token = given.own("page_token_option")?;
        let by_path = token.as_ref().map(Part::kind).transpose()?.is_some_and(|kind| kind == "RequestPath");
        let kind = strategy.kind()?;
        let mut items: Vec<Item> = Vec::new();
        let mut put = |key: &str, value: Option<Out>| {
            items.extend(value.map(|value| Item::new(strategy.at, key, value)));
        };
        match kind.as_str() {
            "OffsetIncrement" | "PageIncrement" => {
                let by_offset = kind == "OffsetIncrement";
                let (ours, at, limit) = if by_offset {
                    ("offset", "offset_param", "limit_param")
                } else {
                    ("page", "page_param", "page_size_param")
                };
                put("type", Some(Out::text(ours)));
                put("page_size", size.map(Out::number));
                if let Some(token) = token {
                    let there = self.goes(&token, &format!("`page_token_option` in {place}"))?;
                    items.extend(there.map(|there| there.item(&token, at, "page_token_option")));
                }
                // Airbyte does not tell a side what nothing names.
                items.push(match size_place {
                    Some((option, there)) => there.item(&option, limit, "page_size_option"),
                    None => Item::new(strategy.at, limit, Out::text("")),
                });
                if !by_offset {
                    let first = strategy.get("start_from_page")?;
                    let first = self.count(first, &format!("`start_from_page` in {place}")).unwrap_or(0);
                    items.push(Item::new(strategy.at, "start_from", Out::number(first)));
                }
            }
            "CursorPagination" => {
                let cursor = Cursor { strategy: &strategy, token, by_path, size, size_place, place: &place };
                return self.by_cursor(given, cursor);
            }
            _ => {
                self.notes.lost(
                    strategy.at,
                    place,
                    format!("left out: we have no `{kind}`; one page is read"),
                );
                return Ok(None);
            }
        }
        Ok(Some(Item::new(given.at, "paginator", Out::Map(items))))
    }

    fn by_cursor(&mut self, given: &Part<'_>, cursor: Cursor<'_, '_>) -> Result<Option<Item>, BadRef> {
        let Cursor { strategy, token, by_path, size, size_place, place } = cursor;
        let Some(value) = strategy.get("cursor_value")? else {
            self.notes.lost(strategy.at, place, "left out: it has no `cursor_value`; one page is read");
            return Ok(None);
        };
        let text = bare(value.text().unwrap_or_default());
        let mut items: Vec<Item> = Vec::new();
        let mut put = |from: &Part<'_>, key: &str, value: Option<Out>| {
            items.extend(value.map(|value| Item::new(from.at, key, value)));
        };
        let link = text.contains("headers") && text.contains("link") && text.contains("next");
        let way = place_in(&text, "response");
        if link {
            put(&value, "type", Some(Out::text("link_header")));
        } else if let Some(way) = way.clone().filter(|_| by_path) {
            put(&value, "type", Some(Out::text("next_url")));
            put(&value, "next_url_path", Some(list(way)));
        } else {
            put(&value, "type", Some(Out::text("cursor")));
            match way.clone() {
                Some(way) => put(&value, "cursor_path", Some(list(way))),
                None => match self.variables.formula(&text, &value) {
                    Ok(expression) => {
                        put(&value, "cursor_value", Some(Out::Text(format!("{{{{ {expression} }}}}"))));
                    }
                    Err(why) => {
                        self.notes.lost(value.at, place, format!("left out: {why}; one page is read"));
                        return Ok(None);
                    }
                },
            }
            if by_path {
                let instead = "left out: a page's whole address is taken from the `Link` header or from the answer's body";
                self.notes.lost(value.at, place, instead);
                return Ok(None);
            }
            if let Some(stop) = strategy.get("stop_condition")? {
                match self.variables.formula(&stop.text().unwrap_or_default(), &stop) {
                    Ok(stop_text) => {
                        put(&stop, "stop_condition", Some(Out::Text(format!("{{{{ {stop_text} }}}}"))));
                    }
                    Err(why) => {
                        let instead = format!("left out: {why}; a listing ends where there is no cursor");
                        self.notes.lost(stop.at, format!("`stop_condition` in {place}"), instead);
                    }
                }
            }
        }
        if let Some(option) = token.filter(|_| !link && !by_path) {
            let there = self.goes(&option, place)?;
            items.extend(there.map(|there| there.item(&option, "cursor_param", "page_token_option")));
        }
        if link || by_path {
            let known = way.as_ref();
            items.extend(self.end_of_links(strategy, known.filter(|_| !link), link, place)?);
        }
        if let Some((option, there)) = size_place {
            items.extend(size.map(|size| Item::new(strategy.at, "page_size", Out::number(size))));
            items.push(there.item(&option, "limit_param", "page_size_option"));
        }
        Ok(Some(Item::new(given.at, "paginator", Out::Map(items))))
    }
}

/// A cursor without the filters that keep Airbyte from taking it for something else than text.
fn bare(text: String) -> String {
    let Some(inside) = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) else {
        return text;
    };
    let mut terms = split(inside, &["|"]);
    let kept = |term: &str| matches!(term.trim(), "tojson" | "tojson()" | "urlencode" | "string");
    while terms.len() > 1 && terms.last().is_some_and(|term| kept(term)) {
        terms.pop();
    }
    format!("{{{{ {} }}}}", terms.join("|").trim())
}

fn list(way: Vec<String>) -> Out {
    Out::List(way.into_iter().map(Out::Text).collect())
}

/// Where an answer says that there is more, of a condition that it does not.
fn more_in(condition: &str) -> Option<Vec<String>> {
    let denied = condition.strip_prefix("not ");
    let is_false = ["is false", "== false", "== False"].iter().find_map(|no| condition.strip_suffix(no));
    super::terms::way_into(denied.or(is_false)?.trim(), "response")
}

/// Whether a condition says no more than that no next page is named.
fn is_end(condition: &str) -> bool {
    let asks =
        condition.contains("not in") || condition.starts_with("not ") || condition.ends_with("is none");
    asks && (condition.contains("next") || condition.contains("link"))
}

impl Import {
    /// What a condition that ends a listing says where its answers name the next page: where there
    /// is more, or no more than that there is no next page.
    fn end_of_links(
        &mut self,
        strategy: &Part<'_>,
        known: Option<&Vec<String>>,
        link: bool,
        place: &str,
    ) -> Result<Option<Item>, BadRef> {
        let Some(stop) = strategy.get("stop_condition")? else { return Ok(None) };
        let told = stop.text().unwrap_or_default();
        let inner = told.trim().trim_start_matches("{{").trim_end_matches("}}").trim();
        match more_in(inner) {
            Some(more) if Some(&more) == known => {}
            Some(more) if !link => {
                return Ok(Some(Item::new(stop.at, "has_more_path", list(more))));
            }
            _ if is_end(inner) => {}
            _ => {
                let instead = "a listing ends where no next page is named, and with an empty page";
                self.notes.chose(stop.at, format!("`stop_condition` in {place}"), instead);
            }
        }
        Ok(None)
    }
}

/// What is known of a paginator whose answers carry the way to the next page.
struct Cursor<'p, 'm> {
    strategy: &'p Part<'m>,
    token: Option<Part<'m>>,
    by_path: bool,
    size: Option<u64>,
    size_place: Option<(Part<'m>, Place)>,
    place: &'p str,
}

/// The way into `name` if that is all there is: `{{ response['meta'].get('next', {}) }}`.
fn place_in(text: &str, name: &str) -> Option<Vec<String>> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    super::terms::way_into(inside, name)
}
