//! A pass over records, and behind it one over the list of what is gone, each with a cursor of
//! its own. Only ids are told: whether they are believed, or looked for first, is decided
//! where it is known what the pass has shown.

use crate::error::SpecError;
use crate::key::RecordKey;
use crate::listing::{Listing, Setup};
use crate::select::Lens;
use crate::spec::{DeletionsSpec, HttpCollection};
use crate::wire::Wire;
use hms_sync_connector::{Cursor, Page, PageToken, ReadError, ReadRequest, Scope};
use serde::{Deserialize, Serialize};

/// The list of what is gone, set up.
#[derive(Debug)]
pub(crate) struct Deletions {
    listing: Listing,
    lens: Lens,
}

/// Two cursors, as they stand in the change log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Both {
    records: String,
    deletions: Option<String>,
}

/// How far a pass has come.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// It has come to what is gone.
    gone: bool,
    /// The page there.
    page: Option<String>,
    /// The cursor of the records, once they are at their end.
    records: Option<String>,
}

impl Deletions {
    /// `key` is where it stands in the config.
    pub(crate) fn new(
        key: &str,
        of: &HttpCollection,
        spec: &DeletionsSpec,
        setup: Setup<'_>,
    ) -> Result<Self, SpecError> {
        let bad = |why: &str| SpecError::new(key, why);
        let sync = of.read.as_ref().map(|read| read.incremental_sync.is_some());
        match sync {
            None => return Err(bad("is read beside the records: it needs `read`")),
            Some(false) => {
                return Err(bad(
                    "is for polls that read changes only: `read` needs `incremental_sync` (what lists \
                                everything finds deletes by itself)",
                ));
            }
            Some(true) => {}
        }
        let given = RecordKey::new(spec.primary_key.as_ref().unwrap_or(&of.primary_key));
        let given = given.map_err(|why| SpecError::new(format!("{key}.primary_key"), why))?;
        let parts = of.primary_key.paths().len();
        if given.len() != parts {
            let why = format!("has {} parts, and the records' key has {parts}", given.len());
            return Err(SpecError::new(format!("{key}.primary_key"), why));
        }
        let bare = given.alone().cloned();
        let lens = Lens::plain(given);
        let mut listing = Listing::new(&format!("{key}.read"), &spec.read, &lens, setup)?;
        listing.take_bare(bare);
        Ok(Self { listing, lens })
    }

    /// Reads one page of `records`, or of what is gone behind them.
    pub(crate) async fn page(
        &self,
        records: (&Listing, &Lens),
        wire: &Wire,
        request: ReadRequest,
    ) -> Result<Page, ReadError> {
        let place = match &request.after {
            Some(token) => Some(serde_json::from_str::<Place>(&token.0).map_err(|_| broken())?),
            None => None,
        };
        let known = match &request.scope {
            Scope::Since(cursor) => serde_json::from_str::<Both>(&cursor.0).ok(),
            Scope::Everything => None,
        };
        match place {
            Some(place) if place.gone => self.gone(wire, request, place, known).await,
            place => Self::records(records, wire, request, place, known).await,
        }
    }

    async fn records(
        (listing, lens): (&Listing, &Lens),
        wire: &Wire,
        request: ReadRequest,
        place: Option<Place>,
        known: Option<Both>,
    ) -> Result<Page, ReadError> {
        let scope = match (&request.scope, &known) {
            (Scope::Since(_), Some(both)) => Scope::Since(Cursor(both.records.clone())),
            // A cursor from before what is gone was listed.
            (scope, _) => scope.clone(),
        };
        let after = place.and_then(|place| place.page).map(PageToken);
        let request = ReadRequest { scope, after, ..request };
        let mut page = listing.page(wire, lens, request).await?;
        let cursor = page.cursor.take();
        let place = if let Some(next) = page.next.take() {
            let deletions = known.and_then(|both| both.deletions);
            let both = cursor.map(|cursor| Both { records: cursor.0, deletions });
            page.cursor = both.map(|both| both.cursor()).transpose()?;
            Place { gone: false, page: Some(next.0), records: None }
        } else {
            let records = cursor.map(|cursor| cursor.0).or(known.map(|both| both.records));
            Place { gone: true, page: None, records }
        };
        page.next = Some(place.token()?);
        Ok(page)
    }

    async fn gone(
        &self,
        wire: &Wire,
        request: ReadRequest,
        place: Place,
        known: Option<Both>,
    ) -> Result<Page, ReadError> {
        let before = known.and_then(|both| both.deletions);
        let scope = before.clone().map_or(Scope::Everything, |cursor| Scope::Since(Cursor(cursor)));
        let request = ReadRequest { scope, after: place.page.map(PageToken), ..request };
        let mut page = self.listing.page(wire, &self.lens, request).await?;
        // What is passed over here is no record that is there, and a part of this list is not a
        // part of the records.
        page.passed_over.clear();
        (page.partial, page.empty_is_meant) = (false, false);
        page.gone = std::mem::take(&mut page.records).into_iter().map(|entry| entry.id).collect();
        let cursor = page.cursor.take();
        if let Some(next) = page.next.take() {
            let place = Place { gone: true, page: Some(next.0), records: place.records };
            page.next = Some(place.token()?);
        } else {
            let deletions = cursor.map(|cursor| cursor.0).or(before);
            let both = place.records.map(|records| Both { records, deletions });
            page.cursor = both.map(|both| both.cursor()).transpose()?;
        }
        Ok(page)
    }
}

impl Both {
    fn cursor(&self) -> Result<Cursor, ReadError> {
        serde_json::to_string(self).map(Cursor).map_err(|_| broken())
    }
}

impl Place {
    fn token(&self) -> Result<PageToken, ReadError> {
        serde_json::to_string(self).map(PageToken).map_err(|_| broken())
    }
}

fn broken() -> ReadError {
    ReadError::Broken { reason: "a page token that is not ours".to_owned() }
}
