//! Events, from publishers to subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use wamp_client::{Bytes, EventStream};

use super::measure::{Measured, Pace, Report, Times};
use super::{Load, Stage};
use crate::fail::Fail;

/// The silence after which no further event is waited for.
const SILENCE: Duration = Duration::from_secs(1);

pub(super) async fn run(stage: &Stage<'_>, load: &Load, subscribers: u64, ack: bool) -> Result<Report, Fail> {
    let publisher = stage.join().await?;
    let topic = load.uri(&publisher);
    let mut sessions = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..subscribers {
        let session = stage.join().await?;
        let stream = session.subscribe_stream(topic.clone()).await;
        streams.push(stream.map_err(|error| Fail::request(&topic, &error))?);
        sessions.push(session);
    }
    let (pace, payload) = (load.pace(), load.payload());
    let published = Arc::new(Published::default());
    let receiving =
        streams.into_iter().map(|stream| tokio::spawn(receive(stream, pace.clone(), published.clone())));
    let receiving: Vec<_> = receiving.collect();
    let worker = || async {
        while let Some(due) = pace.next().await {
            let mut publish = publisher.publish(topic.clone()).args((due, &payload));
            if ack {
                publish = publish.acknowledge();
            }
            publish.await.map_err(|error| Fail::request(&topic, &error))?;
            published.count.fetch_add(1, Ordering::Relaxed);
            // A publication without an answer may be ready at once, again and again.
            tokio::task::consume_budget().await;
        }
        Ok::<_, Fail>(())
    };
    try_join_all((0..load.concurrency).map(|_| worker())).await?;
    published.is_over.store(true, Ordering::Release);
    let received: Vec<(Times, u64)> = join_all(receiving).await.into_iter().filter_map(Result::ok).collect();
    let last = received.iter().map(|(_, last)| *last).max().unwrap_or_default();
    let times = Times::sum(received.into_iter().map(|(times, _)| times));
    let expected = (published.count.load(Ordering::Relaxed) + pace.omitted()) * subscribers;
    let lost = expected.saturating_sub(times.count());
    join_all(sessions.iter().map(|session| session.leave())).await;
    publisher.leave().await;
    let about = format!("{}, subscribers: {subscribers}", load.about());
    let measured = Measured { time: Duration::from_nanos(last.max(1)), times, lost };
    Ok(Report { kind: "publish", about, counted: "events", size: load.size, measured })
}

/// The publications so far.
#[derive(Default)]
struct Published {
    count: AtomicU64,
    is_over: AtomicBool,
}

/// Receives events until all are there, or for as long as they arrive. Returns the time of the last one as well.
async fn receive(mut events: EventStream, pace: Pace, published: Arc<Published>) -> (Times, u64) {
    let (mut times, mut last) = (Times::new(), 0);
    loop {
        let is_over = published.is_over.load(Ordering::Acquire);
        if is_over && times.count() >= published.count.load(Ordering::Relaxed) {
            break;
        }
        let next = tokio::time::timeout(SILENCE, events.next()).await;
        match next {
            Ok(Some(event)) => {
                last = pace.now();
                if let Ok((due, _)) = event.args::<(u64, Bytes)>() {
                    times.note(due, last);
                }
            }
            Ok(None) => break,
            Err(_) if is_over => break,
            Err(_) => {}
        }
    }
    (times, last)
}
