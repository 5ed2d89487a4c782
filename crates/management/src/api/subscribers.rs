//! Who is only told, over the API.

use super::{Answer, Ask, in_time, told};
use crate::{Subscribe, Subscribed, TellAgain};
use axum::extract::{Request, State};

pub(super) async fn replay(State(room): Ask, request: Request) -> Answer<Subscribed> {
    let asked: TellAgain = told(&room, request).await?;
    in_time(&room, room.desk.tell_again(&asked)).await
}

pub(super) async fn subscribe(State(room): Ask, request: Request) -> Answer<Subscribed> {
    let asked: Subscribe = told(&room, request).await?;
    in_time(&room, room.desk.subscribe(&asked, true)).await
}

pub(super) async fn unsubscribe(State(room): Ask, request: Request) -> Answer<Subscribed> {
    let asked: Subscribe = told(&room, request).await?;
    in_time(&room, room.desk.subscribe(&asked, false)).await
}
