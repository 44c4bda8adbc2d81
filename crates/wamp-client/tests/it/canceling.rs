use std::future::{IntoFuture, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use wamp_client::{CancelReason, Invocation, SendError};

use crate::peer::joined;

fn canceled(mode: &str) -> Value {
    json!([69, 1, {"mode": mode, "reason": "wamp.error.canceled"}])
}

#[tokio::test]
async fn dropping_a_pending_call_cancels_it() {
    let (session, mut peer) = joined().await;
    {
        let mut call = pin!(session.call("a").into_future());
        assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_pending());
        peer.expect(json!([48, 1, {}, "a"])).await;
    }
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;

    // A call that was never polled was never sent, and a call that is over is not canceled.
    drop(session.call("b").into_future());
    let call = tokio::spawn(session.call("c").into_future());
    peer.expect(json!([48, 2, {}, "c"])).await;
    peer.send(json!([50, 2, {}])).await;
    call.await.unwrap().unwrap();
    drop(session);
    assert_eq!(peer.next().await[0], 6);
}

#[tokio::test]
async fn dropping_a_stream_cancels_its_call() {
    let (session, mut peer) = joined().await;
    let stream = session.call("a").progressive::<i64>().await.unwrap();
    peer.next().await;
    peer.send(json!([50, 1, {"progress": true}, [1]])).await;
    drop(stream);
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;
    // Late results have no effect.
    peer.send_all(&[json!([50, 1, {"progress": true}, [2]]), json!([8, 48, 1, {}, "wamp.error.canceled"])])
        .await;
    peer.ping(b"x").await;
    peer.expect(json!("PONG x")).await;
    assert!(session.is_open());
}

#[tokio::test]
async fn a_router_that_cannot_cancel_is_not_asked_to() {
    let (ours, theirs) = wamp_transport::memory::pair(wamp_client::Serializer::Json);
    let mut peer = crate::peer::Peer::new(theirs);
    let router = async {
        peer.next().await;
        peer.send(json!([2, 1, {"roles": {"dealer": {}}}])).await;
    };
    let (session, ()) = tokio::join!(async { wamp_client::Client::over(ours).await }, router);
    let session = session.unwrap();
    drop(session.call("a").progressive::<i64>().await.unwrap());
    drop(session);
    peer.next().await;
    assert_eq!(peer.next().await[0], 6, "GOODBYE, and no CANCEL");
}

/// A procedure that reports its cancel, and returns `5` when it may.
fn stubborn(
    told: mpsc::UnboundedSender<String>,
    may: Arc<Notify>,
    own: bool,
) -> impl Fn(Invocation) -> Handling {
    move |call| {
        let (told, may) = (told.clone(), may.clone());
        Box::pin(async move {
            if own {
                call.answer_cancel_myself();
            }
            told.send("began".into()).unwrap();
            let reason = call.canceled().await;
            told.send(format!("{reason:?}")).unwrap();
            may.notified().await;
            let progress = call.progress().unwrap();
            told.send(format!("{:?}", progress.send((1,)).await)).unwrap();
            Ok((5,))
        })
    }
}

type Handling = std::pin::Pin<Box<dyn Future<Output = Result<(i32,), wamp_client::Failure>> + Send>>;

struct Case {
    mode: &'static str,
    own: bool,
    /// The answer of the library to the INTERRUPT.
    at_once: Option<Value>,
    /// The result of `send` after it.
    sent: &'static str,
    /// The later messages.
    later: Vec<Value>,
    discarded: u64,
}

// behaviour 32, 33
#[tokio::test]
async fn an_interrupt_is_answered_as_its_mode_wants_and_the_handler_runs_to_its_end() {
    let error = json!([8, 68, 1, {}, "wamp.error.canceled"]);
    let over = "Err(Over)";
    let cases = [
        Case { mode: "kill", own: false, at_once: Some(error), sent: over, later: vec![], discarded: 1 },
        Case { mode: "killnowait", own: false, at_once: None, sent: over, later: vec![], discarded: 1 },
        Case { mode: "killnowait", own: true, at_once: None, sent: over, later: vec![], discarded: 1 },
        Case {
            mode: "kill",
            own: true,
            at_once: None,
            sent: "Ok(())",
            later: vec![json!([70, 1, {"progress": true}, [1]]), json!([70, 1, {}, [5]])],
            discarded: 0,
        },
    ];
    for case in cases {
        let (session, mut peer) = joined().await;
        let (told, mut hear) = mpsc::unbounded_channel();
        let may = Arc::new(Notify::new());
        peer.register(session.register("a", stubborn(told, may.clone(), case.own))).await;
        peer.send(json!([68, 1, 7, {"receive_progress": true}])).await;
        assert_eq!(hear.recv().await.unwrap(), "began");
        peer.send(canceled(case.mode)).await;
        assert_eq!(hear.recv().await.unwrap(), "Canceled");
        if let Some(error) = case.at_once {
            peer.expect(error).await;
        }
        may.notify_one();
        assert_eq!(hear.recv().await.unwrap(), case.sent, "{}, {}", case.mode, case.own);
        for message in case.later {
            peer.expect(message).await;
        }
        // The handler has ended, although no message shows it any more.
        drop(session.clone());
        while session.stats().discarded < case.discarded {
            tokio::task::yield_now().await;
        }
        peer.ping(b"nothing else").await;
        peer.expect(json!("PONG nothing else")).await;
        assert_eq!(session.stats().discarded, case.discarded);
    }
}

#[tokio::test]
async fn a_handler_learns_of_a_timeout() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    peer.register(session.register("a", move |call: Invocation| {
        let told = told.clone();
        async move {
            told.send(call.cancel_reason()).unwrap();
            told.send(Some(call.canceled().await)).unwrap();
            Ok(())
        }
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    assert_eq!(hear.recv().await.unwrap(), None);
    peer.send(json!([69, 1, {"mode": "killnowait", "reason": "wamp.error.timeout"}])).await;
    assert_eq!(hear.recv().await.unwrap(), Some(CancelReason::Timeout));
}

// behaviour 31
#[tokio::test]
async fn an_interrupt_for_an_invocation_that_is_over_is_ignored() {
    let (session, mut peer) = joined().await;
    peer.register(session.register("a", async |_| Ok(1))).await;
    peer.send(json!([68, 1, 7, {}])).await;
    peer.expect(json!([70, 1, {}, [1]])).await;
    peer.send_all(&[canceled("kill"), json!([69, 99, {}]), json!([68, 2, 7, {}])]).await;
    peer.expect(json!([70, 2, {}, [1]])).await;
    assert_eq!(session.stats().late, 2);
}

#[tokio::test]
async fn an_invocation_that_is_canceled_before_its_turn_never_begins() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    let may = Arc::new(Notify::new());
    let go = may.clone();
    peer.register(
        session
            .register("a", move |call: Invocation| {
                let (told, go) = (told.clone(), go.clone());
                async move {
                    told.send(call.args::<(i32,)>()?.0).unwrap();
                    go.notified().await;
                    Ok(())
                }
            })
            .concurrency(1),
    )
    .await;
    let invocations: Vec<Value> = (1..=3).map(|id| json!([68, id, 7, {}, [id]])).collect();
    peer.send_all(&invocations).await;
    assert_eq!(hear.recv().await.unwrap(), 1);
    peer.send(json!([69, 2, {"mode": "kill"}])).await;
    peer.expect(json!([8, 68, 2, {}, "wamp.error.canceled"])).await;
    may.notify_one();
    peer.expect(json!([70, 1, {}])).await;
    assert_eq!(hear.recv().await.unwrap(), 3);
    may.notify_one();
    peer.expect(json!([70, 3, {}])).await;
}

#[tokio::test]
async fn a_sender_is_no_use_after_the_end() {
    let (session, mut peer) = joined().await;
    let (keep, mut kept) = mpsc::unbounded_channel();
    peer.register(session.register("a", move |call: Invocation| {
        let _ = keep.send(call.progress().unwrap());
        async { Ok(()) }
    }))
    .await;
    peer.send(json!([68, 1, 7, {"receive_progress": true}])).await;
    peer.expect(json!([70, 1, {}])).await;
    let progress = kept.recv().await.unwrap();
    assert_eq!(progress.send(1).await, Err(SendError::Over));
    assert!(progress.is_over());
}
