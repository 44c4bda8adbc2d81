use std::sync::Arc;

use serde_json::json;
use tokio::sync::{Notify, mpsc};
use wamp_client::{Event, RequestError, Session, Subscription};

use crate::peer::{Peer, joined};

async fn subscribe(
    peer: &mut Peer,
    subscribe: impl IntoFuture<Output = Result<Subscription, RequestError>>,
) -> Subscription {
    let answer = async {
        let message = peer.next().await;
        assert_eq!(message[0], 32, "{message}");
        peer.send(json!([33, message[1], 9])).await;
    };
    let (subscription, ()) = tokio::join!(async { subscribe.await }, answer);
    subscription.unwrap()
}

/// Reports the first argument of each event.
fn telling(session: &Session) -> (wamp_client::Subscribe, mpsc::UnboundedReceiver<u64>) {
    let (told, hear) = mpsc::unbounded_channel();
    let subscribe = session.subscribe("com.example.topic", move |event: Event| {
        let told = told.clone();
        async move {
            let _ = told.send(event.args::<(u64,)>().unwrap().0);
        }
    });
    (subscribe, hear)
}

#[tokio::test]
async fn publishing_with_and_without_acknowledgement() {
    let (session, mut peer) = joined().await;
    assert_eq!(session.publish("a").args((1,)).exclude_me(false).await.unwrap(), None);
    peer.expect(json!([16, 1, {"exclude_me": false}, "a", [1]])).await;
    let publishing = tokio::spawn(session.publish("a").kwarg("x", 1).acknowledge().into_future());
    peer.expect(json!([16, 2, {"acknowledge": true}, "a", [], {"x": 1}])).await;
    peer.send(json!([17, 2, 77])).await;
    assert_eq!(publishing.await.unwrap().unwrap().unwrap().get(), 77);
    let publishing = tokio::spawn(session.publish("b").acknowledge().into_future());
    peer.next().await;
    peer.send(json!([8, 16, 3, {}, "wamp.error.not_authorized"])).await;
    let error = publishing.await.unwrap().unwrap_err();
    assert_eq!(error.uri().unwrap(), &"wamp.error.not_authorized");
    assert!(matches!(session.publish("a").arg(f64::NAN).await, Err(RequestError::Encode(_))));
}

#[tokio::test]
async fn events_come_in_order_and_one_at_a_time() {
    let (session, mut peer) = joined().await;
    let (subscription, mut hear) = telling(&session);
    let subscription = subscribe(&mut peer, subscription).await;
    let events: Vec<_> = (0..100).map(|i| json!([36, 9, i + 1, {}, [i]])).collect();
    peer.send_all(&events).await;
    for i in 0..100 {
        assert_eq!(hear.recv().await.unwrap(), i);
    }
    let unsubscribing = tokio::spawn(async move { subscription.unsubscribe().await });
    peer.expect(json!([34, 2, 9])).await;
    peer.send(json!([35, 2])).await;
    unsubscribing.await.unwrap().unwrap();
    assert_eq!(hear.recv().await, None, "the handler is gone");
}

#[tokio::test]
async fn a_handler_that_panics_gets_the_next_event() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    let subscription = session.subscribe("a", move |event: Event| {
        let i = event.args::<(u64,)>().unwrap().0;
        assert_ne!(i, 1);
        let told = told.clone();
        async move {
            assert_ne!(i, 2);
            told.send(i).unwrap();
        }
    });
    subscribe(&mut peer, subscription).await;
    let events: Vec<_> = (1..=3).map(|i| json!([36, 9, i, {}, [i]])).collect();
    peer.send_all(&events).await;
    assert_eq!(hear.recv().await.unwrap(), 3);
}

#[tokio::test]
async fn two_subscribers_of_one_subscription_both_get_events_until_each_leaves() {
    let (session, mut peer) = joined().await;
    let (first, mut hear_first) = telling(&session);
    let (second, mut hear_second) = telling(&session);
    let first = subscribe(&mut peer, first).await;
    let second = subscribe(&mut peer, second).await;
    peer.send(json!([36, 9, 1, {}, [1]])).await;
    assert_eq!(hear_first.recv().await.unwrap(), 1);
    assert_eq!(hear_second.recv().await.unwrap(), 1);
    first.unsubscribe().await.unwrap();
    peer.send(json!([36, 9, 2, {}, [2]])).await;
    assert_eq!(hear_second.recv().await.unwrap(), 2);
    assert_eq!(hear_first.recv().await, None);
    drop(second.into_guard());
    peer.expect(json!([34, 3, 9])).await;
}

#[tokio::test]
async fn a_stream_of_events_ends_its_subscription_when_it_is_dropped() {
    let (session, mut peer) = joined().await;
    let subscriber = session.clone();
    let stream = tokio::spawn(async move { subscriber.subscribe_stream("com.example.topic").await });
    peer.expect(json!([32, 1, {}, "com.example.topic"])).await;
    peer.send(json!([33, 1, 9])).await;
    let mut stream = stream.await.unwrap().unwrap();
    peer.send_all(&[json!([36, 9, 5, {}, ["x"]]), json!([36, 9, 6, {"topic": "com.example.other"}])]).await;
    let event = stream.next().await.unwrap();
    assert_eq!(event.decode::<String>().unwrap(), "x");
    assert_eq!((event.topic().as_str(), event.publication().get()), ("com.example.topic", 5));
    assert_eq!(stream.next().await.unwrap().topic().as_str(), "com.example.other");
    drop(stream);
    peer.expect(json!([34, 2, 9])).await;
}

#[tokio::test]
async fn a_subscriber_that_gave_up_is_unsubscribed() {
    let (session, mut peer) = joined().await;
    let (subscription, _hear) = telling(&session);
    let subscribing = tokio::spawn(subscription.into_future());
    peer.next().await;
    subscribing.abort();
    assert!(subscribing.await.is_err());
    peer.send(json!([33, 1, 9])).await;
    peer.expect(json!([34, 2, 9])).await;
}

#[tokio::test]
async fn a_slow_subscriber_misses_events_which_are_counted() {
    let (session, mut peer) = joined().await;
    let (told, mut hear) = mpsc::unbounded_channel();
    let may = Arc::new(Notify::new());
    let go = may.clone();
    let subscription = session.subscribe("a", move |event: Event| {
        let (told, go) = (told.clone(), go.clone());
        async move {
            told.send(event.args::<(u64,)>().unwrap().0).unwrap();
            go.notified().await;
        }
    });
    subscribe(&mut peer, subscription.buffer(5000)).await;
    peer.send(json!([36, 9, 1, {}, [0]])).await;
    assert_eq!(hear.recv().await.unwrap(), 0);
    let events: Vec<_> = (1..=100).map(|i| json!([36, 9, i, {}, [i]])).collect();
    peer.send_all(&events).await;
    peer.ping(b"read").await;
    peer.expect(json!("PONG read")).await;
    let dropped = session.stats().events_dropped;
    assert!((80..95).contains(&dropped), "{dropped}");
    for i in 1..=100 - dropped {
        may.notify_one();
        assert_eq!(hear.recv().await.unwrap(), i);
    }
}
