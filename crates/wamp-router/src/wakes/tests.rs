use wamp_proto::Serializer;
use wamp_transport::Batch;

use super::*;
use crate::Limits;
use crate::budget::Budget;

fn links(count: usize) -> Vec<Arc<Outbound>> {
    let limits = Limits::default();
    let budget = Arc::new(Budget::new(&limits));
    let link = || Arc::new(Outbound::new(Serializer::Json, &limits, budget.clone()));
    std::iter::repeat_with(link).take(count).collect()
}

fn push_event(link: &Arc<Outbound>, wakes: &mut Wakes) {
    let mut batch = Batch::new();
    batch.push_bytes(b"[36]");
    let pushed = link.append_events(&batch.into_shared());
    link.wake_later(pushed, wakes);
}

/// Lets all other tasks run until they wait.
async fn others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Whether the writer of a link has been woken up since it last waited.
async fn is_awake(link: &Outbound) -> bool {
    tokio::time::timeout(Duration::ZERO, link.next()).await.is_ok()
}

#[tokio::test]
async fn a_writer_is_woken_up_once_for_many_events() {
    let links = links(300);
    let writers: Vec<_> = links
        .iter()
        .cloned()
        .map(|link| tokio::spawn(async move { link.next().await.unwrap().len() }))
        .collect();
    others_run().await;
    let mut wakes = Wakes::default();
    for _ in 0..10 {
        for link in &links {
            push_event(link, &mut wakes);
        }
    }
    assert_eq!(wakes.links.len(), 300);
    others_run().await;
    assert!(writers.iter().all(|writer| !writer.is_finished()), "nobody is woken up yet");
    wakes.flush().await;
    for writer in writers {
        assert_eq!(writer.await.unwrap(), 10);
    }
}

#[tokio::test]
async fn nobody_waits_for_wakes_that_are_dropped_and_everybody_can_be_woken_up_again() {
    let links = links(1);
    for _ in 0..2 {
        let mut wakes = Wakes::default();
        push_event(&links[0], &mut wakes);
        drop(wakes);
        assert!(is_awake(&links[0]).await);
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
    wakes.flush().await;
    assert!(!wakes.is_due());
}
