//! Conflicts over the API. Who decides must say which version of the record they saw.

use super::{Answer, Ask, asked, in_time, told};
use crate::{Chosen, ConflictPage, ConflictQuery, Decide, RecordConflicts, Restore};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use serde::Deserialize;

pub(super) async fn list(
    State(room): Ask,
    query: Result<Query<ConflictQuery>, QueryRejection>,
) -> Answer<ConflictPage> {
    let query = asked(query)?;
    in_time(&room, room.desk.conflicts(&query)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRecord {
    name: String,
    field: Option<String>,
}

pub(super) async fn of_record(
    State(room): Ask,
    query: Result<Query<OfRecord>, QueryRejection>,
) -> Answer<RecordConflicts> {
    let OfRecord { name, field } = asked(query)?;
    in_time(&room, room.desk.conflicts_of(&name, field.as_deref())).await
}

pub(super) async fn resolve(State(room): Ask, request: Request) -> Answer<Chosen> {
    let asked: Decide = told(&room, request).await?;
    in_time(&room, room.desk.decide(&asked)).await
}

pub(super) async fn restore(State(room): Ask, request: Request) -> Answer<Chosen> {
    let asked: Restore = told(&room, request).await?;
    in_time(&room, room.desk.restore(&asked)).await
}
