//! Events as fast as the subscribers take them, for every peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::{Measured, Meter, warm_up};
use crate::Failed;
use crate::options::Options;
use crate::order::{Order, Wrong};

/// The lead, in publications, of the publisher over the slowest subscriber: servers drop events, or
/// subscribers, that do not keep up. These are 64 KiB of the shortest events for each subscriber.
const WINDOW: u64 = 4096;

/// The publisher looks at the clock and at the window after this many publications.
const LOOK: u64 = 64;

/// A subscriber tells the publisher after this many events.
const TELL: u64 = 256;

/// The number of the event after the last one.
const LAST: u64 = u64::MAX;

/// A subscriber waits this long for an event.
const LOST: Duration = Duration::from_secs(3);

/// A publisher.
pub(super) trait Publisher {
    /// Publishes an event with this number.
    async fn publish(&mut self, number: u64) -> Result<(), Failed>;

    /// Makes the client send its buffered publications.
    async fn flush(&mut self) -> Result<(), Failed>;
}

/// A subscriber.
pub(super) trait Subscriber: Send + 'static {
    /// The number of the next event, which has been checked. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<u64, Failed>> + Send;
}

/// The progress of the subscribers.
struct Window {
    seen: Vec<AtomicU64>,
    moved: Notify,
}

impl Window {
    fn slowest(&self) -> u64 {
        self.seen.iter().map(|seen| seen.load(Ordering::Acquire)).min().unwrap_or(u64::MAX)
    }
}

pub(super) async fn measure<P: Publisher, S: Subscriber>(
    options: &Options,
    router: Option<u32>,
    mut publisher: P,
    subscribers: Vec<S>,
) -> Result<Measured, Failed> {
    let warm = run(&mut publisher, subscribers, warm_up(options)).await?;
    let meter = Meter::start(router);
    let Run { received, wrong, .. } = run(&mut publisher, warm.subscribers, options.secs).await?;
    Ok(meter.end(received, wrong))
}

struct Run<S> {
    subscribers: Vec<S>,
    received: u64,
    wrong: Wrong,
}

/// Publishes for a while, and waits until all events have arrived.
async fn run<P: Publisher, S: Subscriber>(
    publisher: &mut P,
    subscribers: Vec<S>,
    time: Duration,
) -> Result<Run<S>, Failed> {
    let window = Arc::new(Window {
        seen: subscribers.iter().map(|_| AtomicU64::new(0)).collect(),
        moved: Notify::new(),
    });
    let tasks = subscribers
        .into_iter()
        .enumerate()
        .map(|(at, subscriber)| tokio::spawn(take_all(subscriber, window.clone(), at)));
    let tasks: Vec<_> = tasks.collect();
    let (end, mut number) = (Instant::now() + time, 0);
    while Instant::now() < end {
        for _ in 0..LOOK {
            publisher.publish(number).await?;
            number += 1;
        }
        if number >= window.slowest().saturating_add(WINDOW) {
            publisher.flush().await?;
        }
        while number >= window.slowest().saturating_add(WINDOW) && Instant::now() < end {
            let _ = timeout(Duration::from_millis(100), window.moved.notified()).await;
        }
    }
    publisher.publish(LAST).await?;
    publisher.flush().await?;
    let mut run = Run { subscribers: Vec::new(), received: 0, wrong: Wrong::default() };
    for task in tasks {
        let (subscriber, received, order) = task.await??;
        run.subscribers.push(subscriber);
        run.received += received;
        run.wrong.add(order.wrong_of(number));
    }
    Ok(run)
}

async fn take_all<S: Subscriber>(
    mut subscriber: S,
    window: Arc<Window>,
    at: usize,
) -> Result<(S, u64, Order), Failed> {
    let (mut order, mut received) = (Order::default(), 0);
    // Without the last event, those that are missing are lost.
    while let Ok(number) = timeout(LOST, subscriber.next()).await {
        let number = number?;
        if number == LAST {
            break;
        }
        order.see(number);
        received += 1;
        if received % TELL == 0 {
            window.seen[at].store(order.seen(), Ordering::Release);
            window.moved.notify_one();
        }
    }
    window.seen[at].store(u64::MAX, Ordering::Release);
    Ok((subscriber, received, order))
}
