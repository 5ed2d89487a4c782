//! How a listing is cut into pages, from what an answer says and from what
//! becomes of it when a page is asked for.

use super::shape::shape;
use super::{Sample, usable};
use crate::out::{Item, Out};
use serde_json::Value as Json;

/// How a listing is cut into pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// Everything comes in one answer.
    Whole,
    /// Records are skipped.
    Offset {
        /// The parameter that says how many to skip.
        offset: String,
        /// The parameter that says how many are wanted.
        limit: String,
    },
    /// Pages are numbered.
    Page {
        /// The parameter that names the page.
        page: String,
        /// The parameter that says how many are wanted.
        size: String,
    },
    /// A header says where the next page is.
    Link,
    /// The body says where the next page is.
    NextUrl(Vec<String>),
    /// The body carries what the next page is asked for by.
    Cursor(Vec<String>),
}

impl Style {
    /// The keys of `paginator`.
    pub(crate) fn items(&self) -> Vec<Item> {
        let text = |key: &str, value: &str| Item::own(key, Out::text(value));
        let list = |key: &str, way: &[String]| Item::own(key, Out::List(way.iter().map(Out::text).collect()));
        match self {
            Self::Whole => vec![text("type", "none")],
            Self::Offset { offset, limit } => {
                vec![text("type", "offset"), text("offset_param", offset), text("limit_param", limit)]
            }
            Self::Page { page, size } => {
                vec![text("type", "page"), text("page_param", page), text("page_size_param", size)]
            }
            Self::Link => vec![text("type", "link_header")],
            Self::NextUrl(way) => vec![text("type", "next_url"), list("next_url_path", way)],
            Self::Cursor(way) => vec![text("type", "cursor"), list("cursor_path", way)],
        }
    }
}

/// The style that an answer says itself.
pub fn style(sample: &Sample) -> Option<Style> {
    if sample
        .headers
        .get("link")
        .is_some_and(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))
    {
        return Some(Style::Link);
    }
    let way = next(&sample.body, 0)?;
    let at = way.iter().try_fold(&sample.body, |here, part| here.get(part))?;
    match at.as_str() {
        Some(text) if text.starts_with("http") || text.starts_with('/') => Some(Style::NextUrl(way)),
        Some(_) => Some(Style::Cursor(way)),
        None => None,
    }
}

/// The member that leads on to the next page.
fn next(body: &Json, depth: usize) -> Option<Vec<String>> {
    let members = body.as_object().filter(|_| depth < 3)?;
    let own = members.iter().find(|(name, value)| {
        let plain: String = name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        let named = matches!(
            plain.as_str(),
            "next"
                | "nexturl"
                | "nextlink"
                | "nextpageurl"
                | "nextcursor"
                | "nextpagetoken"
                | "nexttoken"
                | "odatanextlink"
                | "continuationtoken"
                | "cursor"
        );
        named && usable(name) && value.as_str().is_some_and(|text| !text.is_empty())
    });
    if let Some((name, _)) = own {
        return Some(vec![name.clone()]);
    }
    members.iter().filter(|(name, value)| value.is_object() && usable(name)).find_map(|(name, value)| {
        let mut way = next(value, depth + 1)?;
        way.insert(0, name.clone());
        Some(way)
    })
}

/// A way of asking for the second record alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What follows the `?`.
    pub query: String,
    /// What it is if exactly the second record comes back.
    pub style: Style,
}

/// What to try where an answer says nothing of pages.
pub fn trials() -> Vec<Trial> {
    let offset = |offset: &str, limit: &str| Trial {
        query: format!("{offset}=1&{limit}=1"),
        style: Style::Offset { offset: offset.to_owned(), limit: limit.to_owned() },
    };
    let page = |page: &str, size: &str| Trial {
        query: format!("{page}=2&{size}=1"),
        style: Style::Page { page: page.to_owned(), size: size.to_owned() },
    };
    vec![
        offset("offset", "limit"),
        page("page", "per_page"),
        page("page", "limit"),
        page("page", "page_size"),
        page("page", "perPage"),
        offset("skip", "limit"),
        offset("$skip", "$top"),
    ]
}

impl Trial {
    /// Whether what came back is what the style would give.
    pub fn fits(&self, whole: &Json, answer: &Json) -> bool {
        let ids = |body: &Json| {
            let shape = shape(body)?;
            let list = shape.list.iter().try_fold(body, |here, part| here.get(part))?.as_array()?;
            Some(list.iter().map(|record| record.get(&shape.id).cloned()).collect::<Vec<_>>())
        };
        let second = shape(whole).and_then(|shape| {
            let list = shape.list.iter().try_fold(whole, |here, part| here.get(part))?.as_array()?;
            Some((shape.id.clone(), list.get(1)?.get(&shape.id)?.clone()))
        });
        let Some((_, second)) = second else { return false };
        ids(answer).is_some_and(|ids| ids == [Some(second)])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]
    use super::{Style, style, trials};
    use crate::discover::Sample;
    use serde_json::{Value as Json, json};

    fn says(body: Json, link: Option<&str>) -> Option<Style> {
        let headers = link.map(|link| ("link".to_owned(), link.to_owned())).into_iter().collect();
        style(&Sample { headers, body })
    }

    #[test]
    fn answers_that_lead_on_are_understood() {
        assert_eq!(says(json!([]), Some("<https://x/?page=2>; rel=\"next\"")), Some(Style::Link));
        let url = json!({ "data": [], "links": { "next": "https://x/?c=1", "prev": null } });
        assert_eq!(says(url, None), Some(Style::NextUrl(vec!["links".into(), "next".into()])));
        let cursor = json!({ "data": [], "meta": { "next_cursor": "abc" } });
        assert_eq!(says(cursor, None), Some(Style::Cursor(vec!["meta".into(), "next_cursor".into()])));
        assert_eq!(says(json!({ "data": [], "next": null }), None), None);
    }

    #[test]
    fn a_trial_fits_only_the_second_record_alone() {
        let whole = json!([{ "id": 1 }, { "id": 2 }, { "id": 3 }]);
        let trial = trials().into_iter().next().unwrap();
        assert!(trial.fits(&whole, &json!([{ "id": 2 }])));
        for other in [whole.clone(), json!([{ "id": 1 }]), json!([]), json!({ "error": 1 })] {
            assert!(!trial.fits(&whole, &other), "{other}");
        }
    }
}
