//! Calls and answers with nothing else under way, which are written on the thread that makes them.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::time::timeout;
use wamp_client::Invocation;

use crate::peer::{idle, joined, joined_over};

#[tokio::test(start_paused = true)]
async fn a_call_alone_is_on_its_way_after_one_poll() {
    let (session, mut peer) = joined().await;
    idle().await;
    let mut call = Box::pin(session.call("a").arg(1).into_future());
    assert!((&mut call).now_or_never().is_none());
    let sent = peer.next().now_or_never().expect("no other task had to run");
    assert_eq!(sent, json!([48, 1, {}, "a", [1]]));
    peer.send(json!([50, 1, {}, ["done"]])).await;
    assert_eq!(call.await.unwrap().decode::<String>().unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn an_answer_alone_is_on_its_way_when_its_handler_has_ended() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", |call: Invocation| async move { Ok(call.payload().clone()) })).await;
    for i in 1..4 {
        peer.send(json!([68, i, 7, {}, [i]])).await;
        peer.expect(json!([70, i, {}, [i]])).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_writer_continues_a_message_that_is_not_accepted_at_once() {
    let (session, mut peer) = joined_over(1).await;
    idle().await;
    let long = "x".repeat(10_000);
    let mut calls = Vec::new();
    for i in 1..4 {
        let mut call = Box::pin(session.call("a").args((i, &*long)).into_future());
        assert!((&mut call).now_or_never().is_none());
        calls.push(call);
    }
    for i in 1..4 {
        peer.expect(json!([48, i, {}, "a", [i, long]])).await;
    }
    for i in (1..4).rev() {
        peer.send(json!([50, i, {}, [i]])).await;
    }
    for (i, call) in (1..4).zip(calls) {
        assert_eq!(call.await.unwrap().decode::<i32>().unwrap(), i);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_alone_that_a_full_connection_does_not_accept_is_left_to_the_writer() {
    let (session, mut peer) = joined_over(1).await;
    // The message fills the connection, and the writer has nothing left to do.
    session.publish("t").arg("x".repeat(10_000)).await.unwrap();
    idle().await;
    let mut call = Box::pin(session.call("a").arg(1));
    assert!((&mut call).now_or_never().is_none());
    assert_eq!(peer.next().await[0], 16, "PUBLISH");
    peer.expect(json!([48, 2, {}, "a", [1]])).await;
    peer.send(json!([50, 2, {}, [3]])).await;
    assert_eq!(call.await.unwrap().decode::<u32>().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_while_the_writer_goes_on() {
    let (session, mut peer) = joined_over(1).await;
    idle().await;
    let long = "x".repeat(10_000);
    let mut call = Box::pin(session.call("a").arg(&*long).into_future());
    assert!((&mut call).now_or_never().is_none());
    let leaving = tokio::spawn(async move { session.leave().await });
    peer.expect(json!([48, 1, {}, "a", [long]])).await;
    assert_eq!(peer.next().await[0], 6, "GOODBYE");
    peer.send(json!([6, {}, "wamp.close.goodbye_and_out"])).await;
    timeout(Duration::from_secs(1), leaving).await.expect("the session has ended").unwrap();
    assert!(call.await.is_err());
}

/// Successive calls of several tasks on several threads: some of them are alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_are_alone_now_and_then_are_all_answered() {
    let router = wamp_router::Router::default();
    let session = || async {
        let (ours, theirs) = wamp_transport::memory::pair(wamp_client::Serializer::Cbor);
        router.attach(theirs);
        wamp_client::Client::over(ours).await.unwrap()
    };
    let (callee, caller) = (session().await, session().await);
    callee.register("a", |call: Invocation| async move { Ok(call.payload().clone()) }).await.unwrap();
    let calls = (0..3).map(|task| {
        let caller = caller.clone();
        tokio::spawn(async move {
            for i in 0..300 {
                let echo: (i32, i32) = caller.call("a").args((task, i)).await.unwrap().decode().unwrap();
                assert_eq!(echo, (task, i));
                if i % (task + 2) == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    });
    let all = timeout(Duration::from_secs(60), futures_util::future::join_all(calls));
    all.await.expect("no call is forgotten").into_iter().for_each(Result::unwrap);
}
