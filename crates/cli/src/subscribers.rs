//! `subscribers`: telling one again what it took, and that it wants no more.

use crate::exit::Failure;
use crate::links::SayArgs;
use crate::screen::Screen;
use crate::source::Source;
use clap::{Args, Subcommand};
use hms_sync_management::{Subscribe, TellAgain, one_line};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct SubscribersArgs {
    /// The configuration
    pub(crate) file: PathBuf,
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Send again what a subscriber took, in order and under the same ids; what is new waits until then
    Replay(ReplayArgs),
    /// Send a subscriber nothing more
    Unsubscribe(SubscribeArgs),
    /// Send it everything again that is not as it was told
    Subscribe(SubscribeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The side
    pub(crate) side: String,
    /// Since this time
    #[arg(long, value_name = "TIME", required_unless_present = "after")]
    pub(crate) since: Option<String>,
    /// After this event: its number, its id, or the `webhook-id` that its message had
    #[arg(long, value_name = "EVENT", conflicts_with = "since")]
    pub(crate) after: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    /// The side
    pub(crate) side: String,
    #[command(flatten)]
    pub(crate) say: SayArgs,
}

pub(crate) async fn subscribers(screen: Screen, asked: &SubscribersArgs) -> Result<(), Failure> {
    let source = Source::open(&asked.file).await?;
    let said = |args: &SubscribeArgs| Subscribe {
        side: args.side.clone(),
        by: args.say.who.by.clone(),
        reason: args.say.reason.clone(),
    };
    let (done, json) = match &asked.action {
        Action::Replay(args) => {
            let ReplayArgs { side, since, after, json } = args;
            let again = TellAgain { side: side.clone(), since: since.clone(), after: after.clone() };
            (source.tell_again(&again).await?, *json)
        }
        Action::Unsubscribe(args) => (source.subscribe(&said(args), false).await?, args.say.who.json),
        Action::Subscribe(args) => (source.subscribe(&said(args), true).await?, args.say.who.json),
    };
    if json {
        return screen.json(&done);
    }
    screen.out(&one_line(&done.words));
    Ok(())
}
