use wamp_proto::Serializer;
use wamp_transport::Batch;

use super::*;
use crate::Limits;
use crate::budget::Budget;

fn links(count: usize) -> Vec<Arc<Outbound>> {
    let limits = Limits::default();
    let budget = Arc::new(Budget::new(&limits));
    let settings = Arc::new(crate::settings::Settings::from(limits));
    let link = || Arc::new(Outbound::new(Serializer::Json, settings.clone(), budget.clone()));
    std::iter::repeat_with(link).take(count).collect()
}

fn push_event(link: &Arc<Outbound>, wakes: &mut Wakes) {
    let mut batch = Batch::new();
    batch.push_bytes(b"[36]");
    let pushed = link.append_events(&link.share(batch));
    link.wake_later(pushed, wakes);
}

/// Lets all other tasks run until they wait.
async fn others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Returns whether the writer of a link was woken since it last waited.
async fn is_awake(link: &Outbound) -> bool {
    tokio::time::timeout(Duration::ZERO, link.ready()).await.is_ok()
}

/// Acts as a writer that was woken. Returns the number of events that it has written.
async fn write(link: &Outbound) -> usize {
    let batch = link.next().await.unwrap();
    let events = batch.len();
    link.end_turn();
    link.written(batch);
    events
}

#[tokio::test]
async fn a_writer_is_woken_up_once_for_many_events() {
    let links = links(300);
    let writers: Vec<_> =
        links.iter().cloned().map(|link| tokio::spawn(async move { write(&link).await })).collect();
    others_run().await;
    let mut wakes = Wakes::default();
    for _ in 0..10 {
        for link in &links {
            push_event(link, &mut wakes);
        }
    }
    assert_eq!(wakes.links.len(), 300);
    others_run().await;
    assert!(writers.iter().all(|writer| !writer.is_finished()), "no writer is woken yet");
    wakes.flush();
    for writer in writers {
        assert_eq!(writer.await.unwrap(), 10);
    }
}

/// Returns the links whose writers were woken and have not begun to write.
async fn awake(links: &[Arc<Outbound>]) -> Vec<usize> {
    let mut awake = Vec::new();
    for (index, link) in links.iter().enumerate() {
        if is_awake(link).await {
            awake.push(index);
        }
    }
    awake
}

/// Adds an event for each of these links, and wakes their writers.
fn publish(links: &[Arc<Outbound>]) {
    let mut wakes = Wakes::default();
    links.iter().for_each(|link| push_event(link, &mut wakes));
}

#[tokio::test]
async fn a_few_writers_have_a_turn_at_a_time_and_each_has_one() {
    let most = EventTurns::new().most;
    let links = links(3 * most + 1);
    publish(&links);
    assert_eq!(awake(&links).await, (0..most).collect::<Vec<_>>());
    // A writer that has its turn gets no second one.
    publish(&links);
    assert!(awake(&links).await.is_empty());
    for index in 0..links.len() {
        assert_eq!(write(&links[index]).await, 2);
        // Finally the first ones again, which have nothing left to write.
        assert_eq!(awake(&links).await, [(index + most) % links.len()]);
    }
    // No turn is lost.
    publish(&links);
    for link in &links[..most] {
        assert_eq!(write(link).await, 1);
    }
    assert_eq!(awake(&links).await, (0..most).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_writer_that_waits_for_its_connection_delays_no_other_writer() {
    let most = EventTurns::new().most;
    let links = links(4 * most);
    let (blocked, others) = links.split_at(2 * most);
    blocked.iter().for_each(|link| link.set_takes_turns(false));
    publish(blocked);
    publish(others);
    assert_eq!(awake(others).await, (0..most).collect::<Vec<_>>());
    // One of those that have a turn is blocked, or ends, later.
    others[0].set_takes_turns(false);
    assert_eq!(awake(others).await, [most]);
    // It has its turns again after that.
    others.iter().skip(1).for_each(|link| link.set_takes_turns(false));
    blocked[0].set_takes_turns(true);
    assert_eq!(write(&blocked[0]).await, 1);
    publish(&blocked[..1]);
    assert!(is_awake(&blocked[0]).await);
}

#[tokio::test]
async fn dropped_wakes_wake_their_writers_and_block_no_later_ones() {
    let links = links(1);
    for _ in 0..2 {
        publish(&links);
        assert!(is_awake(&links[0]).await);
        assert_eq!(write(&links[0]).await, 1);
    }
}

#[tokio::test]
async fn they_are_due_after_a_while() {
    let mut wakes = Wakes::default();
    assert!(!wakes.is_due());
    push_event(&links(1)[0], &mut wakes);
    assert!(!wakes.is_due());
    wakes.since = Some(Instant::now() - WAIT);
    assert!(wakes.is_due());
    wakes.flush();
    assert!(!wakes.is_due());
}
