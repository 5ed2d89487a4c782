//! Which native record is whose, over the API.

use super::{Answer, Ask, asked, in_time, told};
use crate::{Chosen, Join, Relink, RelinkPreview, Unlink};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use serde::Deserialize;

pub(super) async fn unlink(State(room): Ask, request: Request) -> Answer<Chosen> {
    let asked: Unlink = told(&room, request).await?;
    in_time(&room, room.desk.unlink(&asked)).await
}

pub(super) async fn relink(State(room): Ask, request: Request) -> Answer<Chosen> {
    let asked: Relink = told(&room, request).await?;
    in_time(&room, room.desk.relink(&asked)).await
}

pub(super) async fn join(State(room): Ask, request: Request) -> Answer<Chosen> {
    let asked: Join = told(&room, request).await?;
    in_time(&room, room.desk.join(&asked)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    name: String,
    side: String,
    id: Option<String>,
}

pub(super) async fn preview(
    State(room): Ask,
    query: Result<Query<PreviewQuery>, QueryRejection>,
) -> Answer<RelinkPreview> {
    let PreviewQuery { name, side, id } = asked(query)?;
    in_time(&room, room.desk.relink_preview(&name, &side, id.as_deref())).await
}
