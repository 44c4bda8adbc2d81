//! A program for each event.

use std::process::Stdio;
use std::time::Duration;

use wamp_client::Event;

use super::{Events, Item, Subscribe, next_within};
use crate::connect::unless_ended;
use crate::document::Arguments;
use crate::fail::Fail;
use crate::groups::Group;
use crate::output;
use crate::shell;
use crate::signals::Signals;

/// Time from SIGTERM to SIGKILL.
const TERM: Duration = Duration::from_secs(5);

/// Runs a command for each event, one after another.
pub(super) async fn run_for_all(
    command: &str,
    subscribe: &Subscribe,
    mut events: Events,
    signals: &mut Signals,
) -> Result<(), Fail> {
    for number in 1.. {
        match unless_ended(signals, next_within(&mut events, subscribe.wait)).await? {
            Some(Item::Event(event)) => run(command, &event, signals).await?,
            Some(Item::Ended(fail)) => return Err(fail),
            None => return Ok(()),
        }
        if subscribe.count.is_some_and(|count| number >= count) {
            break;
        }
    }
    Ok(())
}

/// Runs a command for an event. A failure of the command is a warning.
async fn run(command: &str, event: &Event, signals: &mut Signals) -> Result<(), Fail> {
    let topic = event.topic();
    let arguments = match Arguments::read(event.payload()) {
        Ok(arguments) => arguments,
        Err(error) => {
            output::warning(&format!("{topic}: an event that cannot be shown: {error}"));
            return Ok(());
        }
    };
    let mut started = shell::command(command, &arguments);
    started.env("WAMP_TOPIC", topic.as_str()).env("WAMP_PUBLICATION", event.publication().get().to_string());
    match event.publisher() {
        Some(publisher) => started.env("WAMP_PUBLISHER", publisher.get().to_string()),
        None => started.env_remove("WAMP_PUBLISHER"),
    };
    let failed = |error| Fail::usage(format!("the command cannot be started: {error}"));
    let (mut child, mut group) = Group::spawn(started.stdin(Stdio::piped())).map_err(failed)?;
    let stdin = child.stdin.take();
    let running = async {
        if let Some(mut stdin) = stdin {
            shell::write_line(&mut stdin, arguments.args).await;
        }
        child.wait().await
    };
    match unless_ended(signals, running).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => output::warning(&format!("{topic}: the command has ended with {status}")),
        Ok(Err(error)) => output::warning(&format!("{topic}: the command cannot be waited for: {error}")),
        Err(fail) => {
            group.end(&mut child, TERM).await;
            return Err(fail);
        }
    }
    group.release();
    Ok(())
}
