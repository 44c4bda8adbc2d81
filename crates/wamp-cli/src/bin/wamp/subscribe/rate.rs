//! Rates of events, in place of the events.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::time::MissedTickBehavior;

use super::{Events, Item, Subscribe};
use crate::document::Document;
use crate::fail::Fail;
use crate::output::{Form, Object, Output};

/// The time from one line to the next.
const LINE: Duration = Duration::from_secs(1);

/// Prints a line each second, and one at the end.
pub(super) async fn show(subscribe: &Subscribe, mut events: Events, mut output: Output) -> Result<(), Fail> {
    let mut rates = Rates::default();
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LINE, LINE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut last = tokio::time::Instant::now();
    loop {
        let silence = async {
            match subscribe.wait {
                Some(wait) => tokio::time::sleep_until(last + wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = ticks.tick() => rates.show(&mut output)?,
            next = events.next() => match next {
                Some(Item::Event(event)) => {
                    rates.add(event.payload().len());
                    last = tokio::time::Instant::now();
                    if subscribe.count.is_some_and(|count| rates.events >= count) {
                        return rates.show(&mut output);
                    }
                }
                Some(Item::Ended(fail)) => return rates.show(&mut output).and(Err(fail)),
                None => return rates.show(&mut output),
            },
            () = silence => return rates.show(&mut output),
        }
    }
}

/// Events and bytes so far, and at the last line.
struct Rates {
    events: u64,
    bytes: u64,
    before: (Instant, u64, u64),
}

impl Default for Rates {
    fn default() -> Self {
        Self { events: 0, bytes: 0, before: (Instant::now(), 0, 0) }
    }
}

impl Rates {
    fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }

    fn show(&mut self, output: &mut Output) -> Result<(), Fail> {
        let now = Instant::now();
        let (then, events, bytes) = std::mem::replace(&mut self.before, (now, self.events, self.bytes));
        let seconds = now.duration_since(then).as_secs_f64().max(0.001);
        let events = ((self.events - events) as f64 / seconds).round() as u64;
        let bytes = ((self.bytes - bytes) as f64 / seconds).round() as u64;
        match output.form() {
            Form::Objects => output.object(
                Object::new("rate")
                    .with("events", Document::Integer(self.events.into()))
                    .with("events_per_second", Document::Integer(events.into()))
                    .with("bytes_per_second", Document::Integer(bytes.into())),
            )?,
            _ => output.line(&format!(
                "{} events  {events}/s  {}/s",
                self.events,
                bytesize::ByteSize(bytes)
            ))?,
        }
        output.flush()
    }
}
