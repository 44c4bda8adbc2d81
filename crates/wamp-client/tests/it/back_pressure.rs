use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::sync::Notify;
use wamp_client::{CallError, Closed, Invocation};

use crate::peer::{idle, joined, joined_over};

const CHUNK: usize = 64 << 10;

/// More than the queue holds at its high water.
const MANY: usize = 40;

#[tokio::test(start_paused = true)]
async fn a_sender_waits_while_the_router_does_not_read_and_goes_on_when_it_does() {
    a_sender_waits(CHUNK).await;
}

/// Small results take another way into the queue than large ones.
#[tokio::test(start_paused = true)]
async fn a_sender_of_small_results_waits_too() {
    a_sender_waits(1 << 10).await;
}

/// A procedure sends results of this length to a router that first does not read, and then does.
async fn a_sender_waits(length: usize) {
    let (session, mut peer) = joined_over(1).await;
    let (sent, many) = (Arc::new(AtomicUsize::new(0)), MANY * CHUNK / length);
    let count = sent.clone();
    peer.register(session.register("a", move |call: Invocation| {
        let count = count.clone();
        async move {
            let progress = call.progress().unwrap();
            for i in 0..many {
                progress.send((i, "x".repeat(length))).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        }
    }))
    .await;
    peer.send(json!([68, 1, 7, {"receive_progress": true}])).await;
    idle().await;
    // A message has some bytes beside its text.
    let held = sent.load(Ordering::Relaxed) * (length + 64) / CHUNK;
    assert!((16..20).contains(&held), "1 MiB in the queue, and what the connection holds: {held}");
    for i in 0..many {
        let message = peer.next().await;
        assert_eq!((&message[2], &message[3][0]), (&json!({"progress": true}), &json!(i)));
    }
    peer.expect(json!([70, 1, {}])).await;
}

#[tokio::test(start_paused = true)]
async fn calls_publications_and_last_replies_wait_for_room_and_their_turn() {
    let (session, mut peer) = joined_over(1).await;
    let may = Arc::new(Notify::new());
    let go = may.clone();
    peer.register(session.register("a", move |_| {
        let go = go.clone();
        async move {
            go.notified().await;
            Ok("last")
        }
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    let mut tasks = Vec::new();
    for i in 0..MANY {
        tasks.push(tokio::spawn(session.publish("b").args((i, "x".repeat(CHUNK))).into_future()));
        idle().await;
    }
    let published = tasks.iter().filter(|task| task.is_finished()).count();
    assert!((16..20).contains(&published), "{published}");
    let call = tokio::spawn(session.call("c").into_future());
    let stream = tokio::spawn(session.call("d").progressive::<i64>().into_future());
    let dropped = tokio::spawn(session.call("never").into_future());
    idle().await;
    dropped.abort();
    idle().await;
    assert!(!stream.is_finished());
    may.notify_one();
    idle().await;

    let mut order = Vec::new();
    while order.len() < MANY + 3 {
        let message = peer.next().await;
        order.push(match message[0].as_u64().unwrap() {
            16 => message[4][0].to_string(),
            48 => message[3].as_str().unwrap().to_owned(),
            70 => "last".to_owned(),
            _ => panic!("{message}"),
        });
    }
    let mut expected: Vec<String> = (0..MANY).map(|i| i.to_string()).collect();
    expected.extend(["c".to_owned(), "d".to_owned(), "last".to_owned()]);
    assert_eq!(order, expected);
    drop((call, stream.await.unwrap().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_send_sends_nothing_and_a_cancel_ends_the_wait() {
    let (session, mut peer) = joined_over(1).await;
    let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    peer.register(session.register("a", move |call: Invocation| {
        let told = told.clone();
        async move {
            let progress = call.progress().unwrap();
            let full = async {
                for i in 0.. {
                    progress.send((i, "x".repeat(CHUNK))).await.unwrap();
                    told.send(i).unwrap();
                }
            };
            let _ = tokio::time::timeout(std::time::Duration::from_millis(1), full).await;
            // The next result is not a repetition of the dropped one.
            let failed = progress.send(("another",)).await;
            assert!(failed.is_err());
            told.send(1000).unwrap();
            Ok(())
        }
    }))
    .await;
    peer.send(json!([68, 1, 7, {"receive_progress": true}])).await;
    idle().await;
    idle().await;
    peer.send(json!([69, 1, {"mode": "killnowait"}])).await;
    let mut last = 0;
    loop {
        match hear.recv().await.unwrap() {
            1000 => break,
            i => last = i,
        }
    }
    for i in 0..=last {
        assert_eq!(peer.next().await[3][0], json!(i));
    }
    peer.ping(b"nothing else").await;
    peer.expect(json!("PONG nothing else")).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_ends_every_wait_for_room() {
    let (session, peer) = joined_over(1).await;
    let mut calls = Vec::new();
    for _ in 0..MANY {
        calls.push(tokio::spawn(session.call("a").arg("x".repeat(CHUNK)).into_future()));
    }
    idle().await;
    drop(peer);
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(CallError::Disconnected { closed: Closed::Lost, .. })));
    }
}

// behaviour 23
#[tokio::test]
async fn a_stream_that_is_not_taken_delays_no_other_call() {
    let (session, mut peer) = joined().await;
    let mut stream = session.call("a").progressive::<(i64, String)>().await.unwrap();
    peer.next().await;
    let fill = "x".repeat(1000);
    for i in 0..1000 {
        peer.send(json!([50, 1, {"progress": true}, [i, fill]])).await;
    }
    for id in 2..10 {
        let call = tokio::spawn(session.call("b").into_future());
        peer.expect(json!([48, id, {}, "b"])).await;
        peer.send(json!([50, id, {}])).await;
        call.await.unwrap().unwrap();
    }
    for i in 0..1000 {
        assert_eq!(stream.next().await.unwrap().unwrap().0, i);
    }
}
