//! How far a pass has come, as it travels: in the token of a page, and in the change log until
//! the listing goes on from there after a restart.
//!
//! What is read back is what was written, or nothing. A place that is not the one it was would
//! pass over records, and what a whole listing does not show is taken for gone.

use crate::paging::hash;
use hms_sync_connector::PageToken;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How many digits the number before it has.
const NUMBER: usize = 16;

/// As a token: JSON behind a number by which it is known again.
pub(super) fn written(place: &impl Serialize) -> Result<PageToken, String> {
    let json = serde_json::to_string(place).map_err(|why| why.to_string())?;
    Ok(PageToken(number(&json) + &json))
}

/// From a token; nothing if it is not as we wrote it.
pub(super) fn read<T: DeserializeOwned>(token: &PageToken) -> Option<T> {
    let (own, json) = token.0.split_at_checked(NUMBER)?;
    if own != number(json) {
        return None;
    }
    serde_json::from_str(json).ok()
}

fn number(json: &str) -> String {
    format!("{:016x}", hash(&json))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
mod tests;
