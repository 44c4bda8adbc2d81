//! `wamp publish`: publishes events.

use std::time::Duration;

use tokio::time::Interval;
use wamp_client::Session;

use crate::arguments::GivenArguments;
use crate::connect::{Lasting, connect, unless_ended};
use crate::document::{Arguments, Document};
use crate::fail::{Code, Fail};
use crate::given_options::GivenOptions;
use crate::input::{Format, Input};
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

    /// Publish an event for each item of standard input, which is its last argument: lines (each an argument), json (documents
    /// one after another) or raw[=SIZE] (binary, 64 KiB at a time by default).
    #[arg(long = "in", value_name = "FORMAT", conflicts_with = "repeat")]
    input: Option<Format>,

    #[command(flatten)]
    options: GivenOptions,

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

    /// Time from one publication to the next. Without --repeat and --in it publishes until Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = time)]
    every: Option<Duration>,
}

pub(crate) async fn run(publish: Publish, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    let message = Message { arguments: publish.arguments.read()?, options: publish.options.read()? };
    let session = connect(global, Lasting::Once, &mut signals).await?;
    let mut output = Output::new(Form::new(global, false));
    let ended = unless_ended(&mut signals, publish_all(&publish, &session, &message, &mut output)).await;
    // GOODBYE goes after the events, so that they are all written.
    session.leave().await;
    ended??;
    Ok(Code::Done)
}

/// The arguments and options of each publication.
struct Message {
    arguments: Arguments,
    options: Vec<(String, Document)>,
}

async fn publish_all(
    publish: &Publish,
    session: &Session,
    message: &Message,
    output: &mut Output,
) -> Result<(), Fail> {
    let mut ticks = publish.every.map(|every| tokio::time::interval(every.max(Duration::from_millis(1))));
    if let Some(format) = publish.input {
        let mut input = Input::open(format);
        while let Some(item) = input.next().await.transpose()? {
            tick(&mut ticks).await;
            publish_one(publish, session, message, Some(item), output).await?;
        }
        return Ok(());
    }
    let count = match (publish.repeat, publish.every) {
        (Some(count), _) => count,
        (None, Some(_)) => u64::MAX,
        (None, None) => 1,
    };
    for _ in 0..count {
        tick(&mut ticks).await;
        publish_one(publish, session, message, None, output).await?;
    }
    Ok(())
}

/// Waits until the next publication is due.
async fn tick(ticks: &mut Option<Interval>) {
    if let Some(ticks) = ticks {
        ticks.tick().await;
    }
}

async fn publish_one(
    publish: &Publish,
    session: &Session,
    message: &Message,
    item: Option<Document>,
    output: &mut Output,
) -> Result<(), Fail> {
    let mut making = session.publish(publish.topic.clone());
    for value in message.arguments.args.iter().chain(&item) {
        making = making.arg(value);
    }
    for (key, value) in &message.arguments.kwargs {
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
    for (key, value) in &message.options {
        making = making.option(key, value);
    }
    let published = making.await.map_err(|error| Fail::request(&publish.topic, &error))?;
    // A publication without an answer may be ready at once, again and again, and no signal would be noticed.
    tokio::task::consume_budget().await;
    if let (Form::Objects, Some(id)) = (output.form(), published) {
        output.object(Object::new("published").number("publication", id.get()))?;
        output.flush()?;
    }
    Ok(())
}
