//! `wamp subscribe`: prints the events of topics, or runs a program for each.

mod program;
mod rate;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use wamp_client::{Event, EventStream, Session};

use crate::connect::{Lasting, connect, unless_ended};
use crate::document::{Arguments, Document};
use crate::fail::{Code, Fail};
use crate::given_options::GivenOptions;
use crate::options::{Global, Match, time};
use crate::output::{self, Form, Object, Output};
use crate::signals::Signals;

/// Subscribe to topics and print each event in a line. An event without arguments is an empty list.
///
/// With several topics, or a pattern, the topic of the event and a tab stand before its value. When the connection is
/// lost it connects and subscribes again; events that are published meanwhile are missed.
#[derive(clap::Args)]
pub(crate) struct Subscribe {
    /// Topics.
    #[arg(value_name = "TOPIC", required = true)]
    topics: Vec<String>,

    /// How a topic matches those of events: exact, prefix, or wildcard, where an empty component matches any.
    #[arg(long = "match", value_name = "POLICY", default_value = "exact")]
    policy: Match,

    /// Ask for the retained event of each topic as well.
    #[arg(long)]
    retained: bool,

    /// End after N events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End when no event arrives for this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    wait: Option<Duration>,

    /// Print strings and binary as they are, without quotes and base64. Binary ends without a line feed.
    #[arg(long, conflicts_with = "json")]
    raw: bool,

    /// Run this program for each event, by `sh -c`, instead of printing it: one at a time, in order. It reads the arguments
    /// as one JSON list in a line of standard input. WAMP_ARGS_JSON, WAMP_KWARGS_JSON (both up to 64 KiB), WAMP_TOPIC,
    /// WAMP_PUBLICATION and WAMP_PUBLISHER (if disclosed) are in its environment.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["raw", "json", "rate"])]
    command: Option<String>,

    /// Print a line with rates each second, instead of the events.
    #[arg(long, conflicts_with = "raw")]
    rate: bool,

    #[command(flatten)]
    options: GivenOptions,
}

impl Subscribe {
    /// Whether the topic stands before each value.
    fn names_topics(&self) -> bool {
        self.topics.len() > 1 || self.policy != Match::Exact
    }
}

/// The value of an event without arguments.
const NOTHING: Document = Document::List(Vec::new());

pub(crate) async fn run(subscribe: Subscribe, global: &Global, mut signals: Signals) -> Result<Code, Fail> {
    if subscribe.raw && subscribe.names_topics() {
        return Err(Fail::usage("--raw: only with one topic, and without a pattern"));
    }
    let options = subscribe.options.read()?;
    let session = connect(global, Lasting::Always, &mut signals).await?;
    let output = Output::new(Form::new(global, subscribe.raw));
    let ended = match unless_ended(&mut signals, subscribed_to_all(&subscribe, &options, &session)).await {
        Ok(Ok(events)) => handle_all(&subscribe, events, output, &mut signals).await,
        Ok(Err(fail)) | Err(fail) => Err(fail),
    };
    session.leave().await;
    ended?;
    Ok(Code::Done)
}

/// The events of all topics.
type Events = SelectAll<BoxStream<'static, Item>>;

async fn subscribed_to_all(
    subscribe: &Subscribe,
    options: &[(String, Document)],
    session: &Session,
) -> Result<Events, Fail> {
    let mut events = SelectAll::new();
    for topic in &subscribe.topics {
        events.push(subscribed(subscribe, options, session, topic).await?);
        output::note(&format!("subscribed to {topic}"));
    }
    Ok(events)
}

async fn handle_all(
    subscribe: &Subscribe,
    events: Events,
    output: Output,
    signals: &mut Signals,
) -> Result<(), Fail> {
    match &subscribe.command {
        Some(command) => program::run_for_all(command, subscribe, events, signals).await,
        None if subscribe.rate => unless_ended(signals, rate::show(subscribe, events, output)).await?,
        None => unless_ended(signals, show_all(subscribe, events, output)).await?,
    }
}

async fn show_all(subscribe: &Subscribe, mut events: Events, mut output: Output) -> Result<(), Fail> {
    let mut shown = 0;
    let names_topics = subscribe.names_topics();
    loop {
        // Lines are written when there is no further event at the moment.
        let next = tokio::select! {
            biased;
            next = events.next() => next,
            () = std::future::ready(()) => {
                output.flush()?;
                next_within(&mut events, subscribe.wait).await
            }
        };
        match next {
            Some(Item::Event(event)) => show(&mut output, &event, names_topics)?,
            Some(Item::Ended(fail)) => return Err(fail),
            None => return Ok(()),
        }
        shown += 1;
        if subscribe.count.is_some_and(|count| shown >= count) {
            return output.flush();
        }
    }
}

/// The next event; `None` if none arrives for as long as the program is to wait.
async fn next_within(events: &mut Events, wait: Option<Duration>) -> Option<Item> {
    match wait {
        Some(wait) => tokio::time::timeout(wait, events.next()).await.ok().flatten(),
        None => events.next().await,
    }
}

/// An event, or the end of one of the subscriptions.
enum Item {
    Event(Event),
    Ended(Fail),
}

async fn subscribed(
    subscribe: &Subscribe,
    options: &[(String, Document)],
    session: &Session,
    topic: &str,
) -> Result<BoxStream<'static, Item>, Fail> {
    let mut making = session.subscribe_stream(topic.to_owned());
    making = match subscribe.policy {
        Match::Exact => making,
        Match::Prefix => making.prefix(),
        Match::Wildcard => making.wildcard(),
    };
    if subscribe.retained {
        making = making.retained();
    }
    for (key, value) in options {
        making = making.option(key, value);
    }
    let events = making.await.map_err(|error| Fail::request(topic, &error))?;
    let state = Some((events, topic.to_owned()));
    Ok(futures_util::stream::unfold(state, next_item).boxed())
}

type Subscribed = Option<(EventStream, String)>;

async fn next_item(state: Subscribed) -> Option<(Item, Subscribed)> {
    let (mut events, topic) = state?;
    match events.next().await {
        Some(event) => Some((Item::Event(event), Some((events, topic)))),
        None => Some((Item::Ended(Fail::ended(&topic, &events.closed().await)), None)),
    }
}

fn show(output: &mut Output, event: &Event, names_topics: bool) -> Result<(), Fail> {
    let arguments = match Arguments::read(event.payload()) {
        Ok(arguments) => arguments,
        Err(error) => {
            output::warning(&format!("{}: an event that cannot be shown: {error}", event.topic()));
            return Ok(());
        }
    };
    match (output.form(), names_topics) {
        (Form::Objects, _) => {
            let mut object = Object::new("event")
                .text("topic", event.topic().as_str())
                .number("publication", event.publication().get());
            if let Some(publisher) = event.publisher() {
                object = object.number("publisher", publisher.get());
            }
            if event.is_retained() {
                object = object.with("retained", Document::Bool(true));
            }
            output.object(object.arguments(arguments))
        }
        (_, true) => {
            let value = arguments.into_value().unwrap_or(NOTHING).to_json();
            output.line(&format!("{}\t{value}", event.topic()))
        }
        (_, false) if arguments == Arguments::default() => output.line(&NOTHING.to_json()),
        (_, false) => output.value(arguments),
    }
}
