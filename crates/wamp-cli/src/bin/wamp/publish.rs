//! `wamp publish`: publishes events.

use std::time::Duration;

use wamp_client::Session;

use crate::arguments::GivenArguments;
use crate::connect::{Lasting, connect, unless_ended};
use crate::document::Arguments;
use crate::fail::{Code, Fail};
use crate::options::{Global, time};
use crate::output::{Form, Object, Output};
use crate::signals::Signals;

/// Publish an event to a topic, and wait for the router to confirm it.
///
/// It prints nothing, or with --json one object with the id of each publication.
#[derive(clap::Args)]
pub(crate) struct Publish {
    /// Topic.
    topic: String,

    #[command(flatten)]
    arguments: GivenArguments,

    /// Do not ask the router to confirm. An event that it refuses is lost without an error.
    #[arg(long)]
    no_ack: bool,

    /// Keep the event for later subscribers that ask for it.
    #[arg(long)]
    retain: bool,

    /// Show the identity of this session to the subscribers, if the router allows it.
    #[arg(long)]
    disclose_me: bool,

    /// Publish it N times. By default once, or without end with --every.
    #[arg(long, value_name = "N")]
    repeat: Option<u64>,

    /// Time from one publication to the next. Without --repeat it publishes until Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = time)]
    every: Option<Duration>,
}

pub(crate) async fn run(publish: Publish, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let arguments = publish.arguments.read()?;
    let session = connect(global, Lasting::Once, &mut signals).await?;
    let mut output = Output::new(Form::new(global, false));
    let ended = unless_ended(&mut signals, publish_all(&publish, &session, &arguments, &mut output)).await;
    // GOODBYE goes after the events, so that they are all written.
    session.leave().await;
    ended??;
    Ok(Code::Done)
}

async fn publish_all(
    publish: &Publish,
    session: &Session,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<(), Fail> {
    let count = match (publish.repeat, publish.every) {
        (Some(count), _) => count,
        (None, Some(_)) => u64::MAX,
        (None, None) => 1,
    };
    let mut ticks = publish.every.map(|every| tokio::time::interval(every.max(Duration::from_millis(1))));
    for _ in 0..count {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        publish_one(publish, session, arguments, output).await?;
    }
    Ok(())
}

async fn publish_one(
    publish: &Publish,
    session: &Session,
    arguments: &Arguments,
    output: &mut Output,
) -> Result<(), Fail> {
    let mut making = session.publish(publish.topic.clone());
    for value in &arguments.args {
        making = making.arg(value);
    }
    for (key, value) in &arguments.kwargs {
        making = making.kwarg(key, value);
    }
    if !publish.no_ack {
        making = making.acknowledge();
    }
    if publish.retain {
        making = making.retain();
    }
    if publish.disclose_me {
        making = making.disclose_me();
    }
    let published = making.await.map_err(|error| Fail::request(&publish.topic, &error))?;
    if let (Form::Objects, Some(id)) = (output.form(), published) {
        output.object(Object::new("published").number("publication", id.get()))?;
        output.flush()?;
    }
    Ok(())
}
