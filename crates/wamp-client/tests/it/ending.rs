//! Sessions that end after their running invocations, and their last messages.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use wamp_client::{CallError, CancelReason, Client, Closed, Invocation, uri};
use wamp_router::Router;

use crate::peer::{idle, joined, joined_over};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn drain_lets_running_invocations_end_and_admits_no_other() {
    let router = Router::default();
    let callee = Client::over(router.local()).await.unwrap();
    let caller = Client::over(router.local()).await.unwrap();
    let may_end = Arc::new(Notify::new());
    let handler = {
        let may_end = may_end.clone();
        move |_: Invocation| {
            let may_end = may_end.clone();
            async move {
                may_end.notified().await;
                Ok(7)
            }
        }
    };
    callee.register("a", handler.clone()).await.unwrap();
    callee.register("b", handler).await.unwrap();
    let running = tokio::spawn(caller.call("a"));
    idle().await;
    let draining = tokio::spawn(async move { callee.drain(SECOND * 60).await });
    idle().await;
    for procedure in ["a", "b"] {
        let refused = caller.call(procedure).await.unwrap_err();
        assert_eq!(refused.uri(), Some(&uri::NO_SUCH_PROCEDURE));
    }
    assert!(!draining.is_finished());
    let begin = Instant::now();
    may_end.notify_one();
    assert_eq!(running.await.unwrap().unwrap().decode::<u32>().unwrap(), 7);
    assert_eq!(draining.await.unwrap(), Closed::Left);
    assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn drain_waits_no_longer_than_it_is_told_to() {
    let router = Router::default();
    let callee = Client::over(router.local()).await.unwrap();
    let caller = Client::over(router.local()).await.unwrap();
    let stubborn = async |call: Invocation| {
        assert_eq!(call.canceled().await, CancelReason::Closing);
        Ok(())
    };
    callee.register("a", stubborn).await.unwrap();
    let running = tokio::spawn(caller.call("a"));
    idle().await;
    let begin = Instant::now();
    assert_eq!(callee.drain(SECOND * 3).await, Closed::Left);
    assert!((SECOND * 3..SECOND * 4).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert!(running.await.unwrap().is_err());

    // Nothing is registered and nothing runs.
    let begin = Instant::now();
    caller.drain(SECOND * 60).await;
    assert!(begin.elapsed() < SECOND, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn abort_is_written_before_a_call_fails() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a"));
    peer.next().await;
    peer.send_bytes(b"nonsense").await;
    assert!(matches!(call.await.unwrap(), Err(CallError::Protocol(_))));
    let last = peer.next().now_or_never().expect("it was written");
    assert_eq!((&last[0], &last[2]), (&json!(3), &json!("wamp.error.protocol_violation")));
}

#[tokio::test(start_paused = true)]
async fn last_words_that_cannot_be_written_are_waited_for_one_second() {
    // The connection is full: the peer does not read the CALL.
    let (session, mut peer) = joined_over(1 << 10).await;
    let call = tokio::spawn(session.call("a").arg("x".repeat(1 << 16)));
    idle().await;
    let begin = Instant::now();
    peer.send_bytes(b"nonsense").await;
    let failed = timeout(SECOND * 20, call).await.expect("it fails").unwrap();
    assert!(matches!(failed, Err(CallError::Protocol(_))));
    assert!((SECOND..SECOND * 2).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}
