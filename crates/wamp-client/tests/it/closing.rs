use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use wamp_client::{CallError, CancelReason, Closed, Invocation, RequestError};

use crate::peer::joined;

#[tokio::test]
async fn a_lost_connection_fails_everything_that_waits_at_once() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a").into_future());
    peer.next().await;
    let mut stream = session.call("b").progressive::<i64>().await.unwrap();
    peer.next().await;
    let registering = tokio::spawn(session.register("c", async |_| Ok(())).into_future());
    peer.next().await;
    let subscriber = session.clone();
    let subscribing = tokio::spawn(async move { subscriber.subscribe_stream("d").await });
    peer.next().await;
    let publishing = tokio::spawn(session.publish("e").acknowledge().into_future());
    peer.next().await;
    peer.send(json!([50, 2, {"progress": true}, [1]])).await;
    drop(peer);

    assert_eq!(stream.next().await.unwrap().unwrap(), 1, "results that had arrived are not lost");
    assert!(matches!(stream.next().await, Some(Err(CallError::Disconnected { closed: Closed::Lost, .. }))));
    assert!(stream.next().await.is_none());
    assert!(matches!(stream.finish::<()>().await, Err(CallError::Disconnected { closed: Closed::Lost, .. })));
    assert!(matches!(call.await.unwrap(), Err(CallError::Disconnected { closed: Closed::Lost, .. })));
    assert!(matches!(
        registering.await.unwrap(),
        Err(RequestError::Disconnected { closed: Closed::Lost, .. })
    ));
    assert!(matches!(
        subscribing.await.unwrap(),
        Err(RequestError::Disconnected { closed: Closed::Lost, .. })
    ));
    assert!(matches!(
        publishing.await.unwrap(),
        Err(RequestError::Disconnected { closed: Closed::Lost, .. })
    ));
    assert_eq!(session.closed().await, Closed::Lost);
    assert!(!session.is_open());

    assert!(matches!(session.call("f").await, Err(CallError::Disconnected { closed: Closed::Lost, .. })));
    assert!(matches!(
        session.publish("f").await,
        Err(RequestError::Disconnected { closed: Closed::Lost, .. })
    ));
    assert_eq!(session.leave().await, Closed::Lost);
}

// behaviour 44
#[tokio::test]
async fn leaving_writes_the_queue_then_goodbye_and_nothing_more() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    peer.register(session.register("a", move |call: Invocation| {
        let told = told.clone();
        async move {
            told.send(None).unwrap();
            told.send(Some(call.canceled().await)).unwrap();
            Ok("too late")
        }
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    assert_eq!(hear.recv().await.unwrap(), None);
    let answered = tokio::spawn(session.call("b").into_future());
    peer.next().await;
    let unanswered = tokio::spawn(session.call("c").into_future());
    peer.next().await;
    for i in 0..100 {
        session.publish("d").arg(i).await.unwrap();
    }
    let leaver = session.clone();
    let leaving = tokio::spawn(async move { leaver.leave().await });
    for i in 0..100 {
        assert_eq!(peer.next().await[4], json!([i]));
    }
    peer.expect(json!([6, {}, "wamp.close.close_realm"])).await;
    assert_eq!(hear.recv().await.unwrap(), Some(CancelReason::Closing));

    // An invocation that crosses the GOODBYE is not answered; a call still may be.
    assert!(session.call("e").await.is_err());
    peer.send_all(&[json!([68, 2, 7, {}]), json!([69, 1, {"mode": "kill"}]), json!([50, 2, {}, [1]])]).await;
    assert_eq!(answered.await.unwrap().unwrap().decode::<i64>().unwrap(), 1);
    peer.send(json!([6, {}, "wamp.close.goodbye_and_out"])).await;
    assert_eq!(leaving.await.unwrap(), Closed::Left);
    assert!(matches!(unanswered.await.unwrap(), Err(CallError::Disconnected { closed: Closed::Left, .. })));
    peer.expect(json!(null)).await;
}

#[tokio::test(start_paused = true)]
async fn leaving_takes_5_seconds_at_most() {
    let (session, mut peer) = joined().await;
    let before = tokio::time::Instant::now();
    assert_eq!(session.leave().await, Closed::Left);
    assert_eq!(before.elapsed().as_secs(), 5);
    assert_eq!(peer.next().await[0], 6);
    peer.expect(json!(null)).await;
}

#[tokio::test]
async fn dropping_the_last_handle_leaves_in_the_background() {
    let (session, mut peer) = joined().await;
    let registration = peer.register(session.register("a", async |_| Ok(()))).await;
    let stream = session.clone().call("b").progressive::<i64>().await.unwrap();
    peer.next().await;
    drop(session.clone());
    drop(session);
    peer.send(json!([50, 2, {}, [1]])).await;
    // The stream was the last handle; a registration is none.
    assert_eq!(stream.finish::<i64>().await.unwrap(), 1);
    peer.expect(json!([6, {}, "wamp.close.close_realm"])).await;
    peer.send(json!([6, {}, "wamp.close.goodbye_and_out"])).await;
    peer.expect(json!(null)).await;
    drop(registration);
}

#[tokio::test]
async fn a_goodbye_of_the_router_is_answered() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a").into_future());
    peer.next().await;
    peer.send(json!([6, {"message": "bye"}, "wamp.close.system_shutdown"])).await;
    peer.expect(json!([6, {}, "wamp.close.goodbye_and_out"])).await;
    peer.expect(json!(null)).await;
    let closed = session.closed().await;
    assert!(matches!(&closed, Closed::ByRouter { reason, .. } if *reason == "wamp.close.system_shutdown"));
    assert_eq!(closed.to_string(), "the router closed the session with wamp.close.system_shutdown: bye");
    assert!(matches!(
        call.await.unwrap(),
        Err(CallError::Disconnected { closed: Closed::ByRouter { .. }, .. })
    ));
}

#[tokio::test]
async fn an_abort_of_the_router_ends_the_session() {
    let (session, mut peer) = joined().await;
    peer.send(json!([3, {"message": "why"}, "wamp.error.protocol_violation"])).await;
    let closed = session.closed().await;
    assert!(matches!(closed, Closed::Aborted { reason, .. } if reason == "wamp.error.protocol_violation"));
    peer.expect(json!(null)).await;
}

// behaviour 45
#[tokio::test]
async fn a_router_that_breaks_the_protocol_is_told_so() {
    for garbage in ["[50]", "[]", "nonsense", "[1,\"realm1\",{}]", "[50,1.5,{}]"] {
        let (session, mut peer) = joined().await;
        let call = tokio::spawn(session.call("a").into_future());
        peer.next().await;
        peer.send_bytes(garbage.as_bytes()).await;
        let abort = peer.next().await;
        assert_eq!((&abort[0], &abort[2]), (&json!(3), &json!("wamp.error.protocol_violation")), "{garbage}");
        assert!(abort[1]["message"].as_str().is_some_and(|text| !text.is_empty()), "{abort}");
        peer.expect(json!(null)).await;
        assert!(matches!(session.closed().await, Closed::Violation(_)));
        assert!(matches!(call.await.unwrap(), Err(CallError::Protocol(_))));
    }
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_session() {
    let (ours, theirs) = wamp_transport::memory::pair(wamp_client::Serializer::Json);
    let mut peer = crate::peer::Peer::new(theirs);
    let router = async {
        peer.next().await;
        peer.send(crate::peer::welcome()).await;
    };
    let (session, ()) =
        tokio::join!(async { wamp_client::Client::over(ours).max_message(1000).await }, router);
    let session = session.unwrap();
    peer.send(json!([36, 1, 1, {}, ["x".repeat(1000)]])).await;
    assert_eq!(peer.next().await[0], 3);
    assert!(matches!(session.closed().await, Closed::Violation(_)));
}

#[tokio::test]
async fn a_handler_learns_that_the_connection_is_lost() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    peer.register(session.register("a", move |call: Invocation| {
        let told = told.clone();
        async move {
            told.send(None).unwrap();
            told.send(Some(call.canceled().await)).unwrap();
            Ok(())
        }
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    hear.recv().await.unwrap();
    drop(peer);
    assert_eq!(hear.recv().await.unwrap(), Some(CancelReason::Disconnected));
    // The session drops the handler.
    assert_eq!(hear.recv().await, None);
    assert_eq!(session.stats().discarded, 1);
}

#[test]
fn a_runtime_that_goes_away_takes_its_sessions_with_it() {
    let theirs = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (session, mut peer) = theirs.block_on(joined());
    let stream = theirs.block_on(session.call("a").progressive::<i64>().into_future()).unwrap();
    theirs.block_on(async {
        peer.next().await;
        peer.register(
            session.register("b", async |_| std::future::pending::<Result<(), _>>().await).concurrency(1),
        )
        .await;
        let invocations: Vec<_> = (1..=1000).map(|id| json!([68, id, 7, {}])).collect();
        peer.send_all(&invocations).await;
        peer.ping(b"read").await;
        while peer.next().await != json!("PONG read") {}
    });
    theirs.shutdown_timeout(Duration::ZERO);
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ours.block_on(async {
        assert!(matches!(
            stream.finish::<()>().await,
            Err(CallError::Disconnected { closed: Closed::Lost, .. })
        ));
        assert_eq!(session.closed().await, Closed::Lost);
    });
}
