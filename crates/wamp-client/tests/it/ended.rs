//! Ends of registrations and subscriptions.

use std::time::Duration;

use serde_json::json;
use wamp_client::{Closed, Ended, Event, Invocation, RequestError, Session, Subscription, Uri};

use crate::peer::{Peer, joined};
use crate::reconnecting;

const MINUTE: Duration = Duration::from_secs(60);

async fn answer(_: Invocation) -> Result<(), wamp_client::Failure> {
    Ok(())
}

async fn subscribe(session: &Session, peer: &mut Peer, topic: &'static str, id: u64) -> Subscription {
    let subscribed = async {
        let message = peer.next().await;
        assert_eq!((&message[0], &message[3]), (&json!(32), &json!(topic)), "{message}");
        peer.send(json!([33, message[1], id])).await;
    };
    let subscribe = async { session.subscribe(topic, |_: Event| async {}).await };
    tokio::join!(subscribe, subscribed).0.unwrap()
}

// behaviour 291
#[tokio::test]
async fn a_revoked_registration_has_ended_and_says_why() {
    let (session, mut peer) = joined().await;
    let registration = peer.register(session.register("a", answer)).await;
    let waiting = tokio::spawn({
        let registration = registration.clone();
        async move { registration.closed().await }
    });
    peer.send_all(&[
        json!([67, 0, {"registration": 12345}]),
        json!([67, 0, {"registration": 7, "reason": "wamp.error.not_authorized"}]),
    ])
    .await;
    for ended in [waiting.await.unwrap(), registration.closed().await] {
        let Ended::Revoked { reason } = ended else { panic!("{ended}") };
        assert_eq!(reason, Some(Uri::from("wamp.error.not_authorized")));
    }
    assert!(matches!(registration.unregister().await, Err(RequestError::Gone)));
    session.publish("a").await.unwrap();
    assert_eq!(peer.next().await[0], 16, "the session lives");
}

#[tokio::test]
async fn an_end_says_whether_it_was_wanted_or_the_session_is_over() {
    let (session, mut peer) = joined().await;
    let withdrawn = peer.register(session.register("a", answer)).await;
    let (unregistered, ()) = tokio::join!(withdrawn.unregister(), async {
        let message = peer.next().await;
        peer.send(json!([67, message[1]])).await;
    });
    unregistered.unwrap();
    assert!(matches!(withdrawn.closed().await, Ended::Withdrawn));
    let unsubscribed = subscribe(&session, &mut peer, "a", 9).await;
    let (answered, ()) = tokio::join!(unsubscribed.unsubscribe(), async {
        let message = peer.next().await;
        peer.send(json!([35, message[1]])).await;
    });
    answered.unwrap();
    assert!(matches!(unsubscribed.closed().await, Ended::Withdrawn));

    let registration = peer.register(session.register("b", answer)).await;
    let subscription = subscribe(&session, &mut peer, "b", 10).await;
    drop(peer);
    for ended in [registration.closed().await, subscription.closed().await] {
        assert!(matches!(ended, Ended::Session(Closed::Lost)), "{ended}");
    }
}

/// The registration is not declared again, with any outcome of UNREGISTER.
#[tokio::test(start_paused = true)]
async fn a_registration_that_was_being_withdrawn_has_ended_when_the_connection_is_lost() {
    let (session, mut router, mut peer) = reconnecting::joined().await;
    let registration = peer.register(session.register("a", answer)).await;
    let (unregistered, ()) = tokio::join!(registration.unregister(), async {
        assert_eq!(peer.next().await[0], 66);
        drop(peer);
    });
    assert!(unregistered.is_err());
    let ended = tokio::time::timeout(MINUTE, registration.closed()).await;
    assert!(matches!(ended, Ok(Ended::Withdrawn)), "{ended:?}");
    let mut peer = router.welcome(2).await;
    session.publish("a").when_up(MINUTE).await.unwrap();
    assert_eq!(peer.next().await[0], 16, "there is no REGISTER");
}

// behaviour 291
#[tokio::test(start_paused = true)]
async fn a_revoked_declaration_is_not_made_again() {
    let (session, mut router, mut peer) = reconnecting::joined().await;
    let revoked = peer.register(session.register("a", answer)).await;
    let kept = peer.register_as(session.register("b", answer), 8).await;
    let topic = subscribe(&session, &mut peer, "a", 9).await;
    let kept_topic = subscribe(&session, &mut peer, "b", 10).await;
    peer.send_all(&[json!([67, 0, {"registration": 7}]), json!([35, 0, {"subscription": 9}])]).await;
    assert!(matches!(revoked.closed().await, Ended::Revoked { reason: None }));
    assert!(matches!(topic.closed().await, Ended::Revoked { reason: None }));
    assert_eq!((revoked.state(), topic.state()), (None, None));
    assert!(matches!(topic.unsubscribe().await, Err(RequestError::Gone)));
    drop(peer);

    let mut peer = router.welcome(2).await;
    let message = peer.next().await;
    assert_eq!((&message[0], &message[3]), (&json!(64), &json!("b")));
    peer.send(json!([65, message[1], 11])).await;
    let message = peer.next().await;
    assert_eq!((&message[0], &message[3]), (&json!(32), &json!("b")));
    peer.send(json!([8, 32, message[1], {}, "wamp.error.not_authorized"])).await;
    let Ended::Refused(error) = kept_topic.closed().await else { panic!("not refused") };
    assert_eq!(error.uri().map(Uri::as_str), Some("wamp.error.not_authorized"));

    session.leave().await;
    let ended = kept.closed().await;
    assert!(matches!(ended, Ended::Session(Closed::Left)), "{ended}");
}
