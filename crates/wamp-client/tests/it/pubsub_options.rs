//! Lists of receivers, patterns, retained events and revocations.

use std::time::Duration;

use serde_json::json;
use wamp_client::{CallError, Client, Ended, EventStream, RequestError, Serializer, Session, TestamentScope};
use wamp_proto::SessionId;
use wamp_transport::memory;

use crate::peer::{Peer, joined};

/// A session at a router with these features of the broker.
async fn joined_with(features: &[&str]) -> (Session, Peer) {
    let (ours, theirs) = memory::pair(Serializer::Json);
    let mut peer = Peer::new(theirs);
    let features: serde_json::Map<_, _> =
        features.iter().map(|name| ((*name).to_owned(), json!(true))).collect();
    let welcome = async {
        assert_eq!(peer.next().await[0], 1, "HELLO comes first");
        peer.send(json!([2, 4711, {"roles": {"dealer": {}, "broker": {"features": features}}}])).await;
    };
    let (session, ()) = tokio::join!(async { Client::over(ours).await }, welcome);
    (session.unwrap(), peer)
}

const ALL: [&str; 3] = ["subscriber_blackwhite_listing", "pattern_based_subscription", "event_retention"];

async fn stream(peer: &mut Peer, subscribe: wamp_client::Subscribe<EventStream>) -> EventStream {
    let answer = async {
        let message = peer.next().await;
        assert_eq!(message[0], 32, "{message}");
        peer.send(json!([33, message[1], 9])).await;
    };
    let (stream, ()) = tokio::join!(subscribe, answer);
    stream.unwrap()
}

// behaviour 292
#[tokio::test]
async fn options_that_the_router_would_ignore_are_not_sent() {
    let (session, mut peer) = joined().await;
    let id = || SessionId::new(1).unwrap();
    for publication in [session.publish("a").eligible_authrole(["x"]), session.publish("a").retain()] {
        assert!(matches!(publication.testament().await, Err(CallError::NotSupported)));
    }
    let publications = [
        session.publish("a").eligible([]),
        session.publish("a").eligible_authid(["x"]),
        session.publish("a").eligible_authrole(["x"]),
        session.publish("a").exclude([id()]),
        session.publish("a").exclude_authid(["x"]),
        session.publish("a").exclude_authrole([""; 0]),
        session.publish("a").retain(),
        session.publish("a").retain_for(Duration::from_secs(1)).acknowledge(),
    ];
    for publication in publications {
        assert!(matches!(publication.await, Err(RequestError::NotSupported)));
    }
    for subscription in [
        session.subscribe_stream("a").prefix(),
        session.subscribe_stream("a").wildcard(),
        session.subscribe_stream("a").retained(),
    ] {
        assert!(matches!(subscription.await, Err(RequestError::NotSupported)));
    }
    session.publish("a").disclose_me().exclude_me(true).await.unwrap();
    peer.expect(json!([16, 1, {"exclude_me": true, "disclose_me": true}, "a"])).await;
}

#[tokio::test]
async fn options_are_sent_as_the_specification_writes_them() {
    let (session, mut peer) = joined_with(&ALL).await;
    let id = |id| SessionId::new(id).unwrap();
    session
        .publish("a")
        .eligible([id(3), id(4)])
        .eligible_authid(["joe"])
        .eligible_authrole(["staff".to_owned()])
        .exclude([])
        .exclude_authid(["ann"])
        .exclude_authrole(["guest"])
        .retain_for(Duration::from_millis(1500))
        .await
        .unwrap();
    let message = peer.next().await;
    let options = json!({
        "retain": true, "_retain_ttl": 1500, "eligible": [3, 4], "eligible_authid": ["joe"],
        "eligible_authrole": ["staff"], "exclude": [], "exclude_authid": ["ann"], "exclude_authrole": ["guest"],
    });
    assert_eq!(message[2], options);
    let subscribing = tokio::spawn(session.subscribe_stream("com.").prefix().retained().send());
    peer.expect(json!([32, 2, {"match": "prefix", "get_retained": true}, "com."])).await;
    peer.send(json!([33, 2, 9])).await;
    let mut stream = subscribing.await.unwrap().unwrap();
    let details = json!({
        "topic": "com.a", "retained": true, "publisher": 5, "publisher_authid": "joe",
        "publisher_authrole": "staff", "trustlevel": 2,
    });
    peer.send_all(&[json!([36, 9, 7, details]), json!([36, 9, 8, {"topic": "com.b"}])]).await;
    let event = stream.next().await.unwrap();
    assert_eq!((event.topic().as_str(), event.is_retained(), event.trustlevel()), ("com.a", true, Some(2)));
    assert_eq!(event.publisher(), Some(id(5)));
    assert_eq!((event.publisher_authid(), event.publisher_authrole()), (Some("joe"), Some("staff")));
    let event = stream.next().await.unwrap();
    assert_eq!((event.topic().as_str(), event.is_retained(), event.publisher()), ("com.b", false, None));
}

// behaviour 292
#[tokio::test]
async fn retained_events_go_to_the_subscriber_that_asked() {
    let (session, mut peer) = joined_with(&ALL).await;
    let mut plain = stream(&mut peer, session.subscribe_stream("a")).await;
    let mut first = stream(&mut peer, session.subscribe_stream("a").retained()).await;
    peer.send(json!([36, 9, 1, {"retained": true}, [1]])).await;
    let mut second = stream(&mut peer, session.subscribe_stream("a").retained()).await;
    peer.send_all(&[json!([36, 9, 1, {"retained": true}, [1]]), json!([36, 9, 2, {}, [2]])]).await;
    for (stream, expected) in [(&mut plain, &[2][..]), (&mut first, &[1, 2]), (&mut second, &[1, 2])] {
        for number in expected {
            assert_eq!(stream.next().await.unwrap().decode::<u64>().unwrap(), *number);
        }
    }
}

// behaviour 291
#[tokio::test]
async fn a_revoked_subscription_ends_its_subscribers() {
    let (session, mut peer) = joined_with(&ALL).await;
    let mut streams = [
        stream(&mut peer, session.subscribe_stream("a")).await,
        stream(&mut peer, session.subscribe_stream("a")).await,
    ];
    peer.send_all(&[
        json!([36, 9, 1, {}, [1]]),
        json!([35, 0, {"subscription": 12345}]),
        json!([35, 0, {"subscription": 9, "reason": "wamp.error.not_authorized"}]),
        json!([36, 9, 2, {}, [2]]),
    ])
    .await;
    for stream in &mut streams {
        assert_eq!(stream.next().await.unwrap().decode::<u64>().unwrap(), 1);
        assert!(stream.next().await.is_none());
        let Ended::Revoked { reason: Some(reason) } = stream.closed().await else { panic!("not revoked") };
        assert_eq!(reason, "wamp.error.not_authorized");
    }
    drop(streams);
    // The session goes on, and sends no UNSUBSCRIBE for the revoked subscription.
    session.publish("a").await.unwrap();
    assert_eq!(peer.next().await[0], 16);
}

// behaviour 132, 133
#[tokio::test]
async fn a_testament_is_a_call_with_the_publication_in_its_arguments() {
    let (session, mut peer) = joined_with(&ALL).await;
    let id = SessionId::new(3).unwrap();
    let testament = session
        .publish("com.gone")
        .args(("till", 3))
        .kwarg("a", 1)
        .eligible([id])
        .acknowledge()
        .testament()
        .scope(TestamentScope::Detached);
    let arguments = json!(["com.gone", ["till", 3], {"a": 1}]);
    let keywords = json!({"publish_options": {"eligible": [3]}, "scope": "detached"});
    let (left, ()) = tokio::join!(testament, async {
        peer.expect(json!([48, 1, {}, "wamp.session.add_testament", arguments, keywords])).await;
        // Some routers return an id.
        peer.send(json!([50, 1, {}, [17]])).await;
    });
    left.unwrap();
    let (left, ()) = tokio::join!(session.publish("com.gone").testament(), async {
        let message = peer.next().await;
        assert_eq!((&message[4], &message[5]["publish_options"]), (&json!(["com.gone"]), &json!({})));
        peer.send(json!([8, 48, 2, {}, "wamp.error.no_such_procedure"])).await;
    });
    assert_eq!(left.unwrap_err().uri().unwrap().as_str(), "wamp.error.no_such_procedure");
    let (flushed, ()) = tokio::join!(session.flush_testaments(TestamentScope::Destroyed), async {
        peer.expect(json!([48, 3, {}, "wamp.session.flush_testaments", [], {"scope": "destroyed"}])).await;
        peer.send(json!([50, 3, {}])).await;
    });
    flushed.unwrap();
}

/// The names of publishers count towards the bytes that may wait.
#[tokio::test]
async fn details_of_events_count_as_memory() {
    let (session, mut peer) = joined_with(&ALL).await;
    let mut events = stream(&mut peer, session.subscribe_stream("a").buffer(64 * 1024)).await;
    let long = "x".repeat(100 * 1024);
    peer.send_all(&[
        json!([36, 9, 1, {"publisher": 1, "publisher_authid": long}, [1]]),
        json!([36, 9, 2, {"publisher": 1, "publisher_authrole": long}, [2]]),
        json!([36, 9, 3, {"publisher": 1, "publisher_authid": "joe"}, [3]]),
    ])
    .await;
    let event = events.next().await.unwrap();
    assert_eq!((event.decode::<u64>().unwrap(), event.publisher_authid()), (3, Some("joe")));
    assert_eq!(session.stats().events_dropped, 2);
}
