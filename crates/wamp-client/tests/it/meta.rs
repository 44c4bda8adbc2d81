//! The typed meta API, against the shapes that routers send.

use serde_json::json;
use wamp_client::{InvocationPolicy, MatchPolicy, Session, Uri};
use wamp_proto::{RegistrationId, SessionId, SubscriptionId};

use crate::peer::{Peer, joined};

fn session_id(id: u64) -> SessionId {
    SessionId::new(id).unwrap()
}

/// Checks the next CALL, and answers it.
async fn answer(peer: &mut Peer, call: serde_json::Value, result: serde_json::Value) {
    let message = peer.next().await;
    assert_eq!(message[0], 48, "{message}");
    assert_eq!(serde_json::Value::Array(message.as_array().unwrap()[3..].to_vec()), call);
    let mut reply = json!([50, message[1], {}]);
    reply.as_array_mut().unwrap().extend(result.as_array().unwrap().iter().cloned());
    peer.send(reply).await;
}

async fn refuse(peer: &mut Peer, error: &str) {
    let message = peer.next().await;
    peer.send(json!([8, 48, message[1], {}, error])).await;
}

// behaviour 293
#[tokio::test]
async fn sessions_are_read_in_each_shape_that_routers_have() {
    let (session, mut peer) = joined().await;
    let meta = session.meta();
    let sessions = meta.sessions().with_role("a").with_role("b");
    let (listed, ()) = tokio::join!(
        sessions.list(),
        answer(&mut peer, json!(["wamp.session.list", [["a", "b"]]]), json!([[[3, 4]]]))
    );
    assert_eq!(listed.unwrap(), [session_id(3), session_id(4)]);
    let all = meta.sessions();
    let (counted, ()) =
        tokio::join!(all.count(), answer(&mut peer, json!(["wamp.session.count", [null]]), json!([[2]])));
    assert_eq!(counted.unwrap(), 2);

    let details = json!({
        "session": 3, "authid": "joe", "authrole": "a", "authmethod": "ticket", "authprovider": null,
        "transport": {"protocol": "websocket", "serializer": "json", "peer": "::1", "http": {}}, "x": [1],
    });
    let (got, ()) = tokio::join!(
        meta.session(session_id(3)),
        answer(&mut peer, json!(["wamp.session.get", [3]]), json!([[details, "surplus"]]))
    );
    let info = got.unwrap().unwrap();
    assert_eq!(
        (info.session, info.authid.as_deref(), info.authprovider.as_deref()),
        (session_id(3), Some("joe"), None)
    );
    assert_eq!(info.transport.as_ref().unwrap().peer.as_deref(), Some("::1"));
    assert_eq!(info.decode::<serde_json::Value>().unwrap()["x"], json!([1]));

    let (got, ()) =
        tokio::join!(meta.session(session_id(9)), refuse(&mut peer, "wamp.error.no_such_session"));
    assert!(got.unwrap().is_none());
    let (got, ()) = tokio::join!(meta.session(session_id(9)), refuse(&mut peer, "wamp.error.not_authorized"));
    assert_eq!(got.unwrap_err().uri().map(Uri::as_str), Some("wamp.error.not_authorized"));
}

// behaviour 293
#[tokio::test]
async fn killing_returns_the_number_and_the_ids_if_the_router_does() {
    let (session, mut peer) = joined().await;
    let meta = session.meta();
    let (killed, ()) = tokio::join!(
        meta.kill(session_id(3)).reason("com.a").message("bye"),
        answer(
            &mut peer,
            json!(["wamp.session.kill", [3], {"reason": "com.a", "message": "bye"}]),
            json!([])
        )
    );
    killed.unwrap();
    for (result, count, ids) in [
        (json!([[[3, 4]]]), 2, Some(vec![session_id(3), session_id(4)])),
        (json!([[5]]), 5, None),
        (json!([]), 0, None),
    ] {
        let (killed, ()) = tokio::join!(
            meta.kill_by_authid("joe"),
            answer(&mut peer, json!(["wamp.session.kill_by_authid", ["joe"]]), result)
        );
        let killed = killed.unwrap();
        assert_eq!((killed.count, killed.ids), (count, ids));
    }
}

// behaviour 293
#[tokio::test]
async fn registrations_and_subscriptions_are_read() {
    let (session, mut peer) = joined().await;
    let meta = session.meta();
    let lists = json!({"exact": [1], "prefix": [], "wildcard": [3, 2]});
    let (listed, ()) = tokio::join!(
        meta.registrations(),
        answer(&mut peer, json!(["wamp.registration.list"]), json!([[lists]]))
    );
    let listed = listed.unwrap();
    assert_eq!(listed.iter().map(|id| id.get()).collect::<Vec<_>>(), [1, 3, 2]);
    let details = json!({"id": 3, "created": "2026-01-02T03:04:05.000Z", "uri": "a..b", "match": "wildcard", "invoke": "last"});
    let (got, ()) = tokio::join!(
        meta.registration(listed.wildcard[0]),
        answer(&mut peer, json!(["wamp.registration.get", [3]]), json!([[details]]))
    );
    let info = got.unwrap().unwrap();
    assert_eq!(
        (info.uri.as_str(), info.policy, info.invoke),
        ("a..b", MatchPolicy::Wildcard, Some(InvocationPolicy::Last))
    );
    for (found, expected) in
        [(json!([[7]]), RegistrationId::new(7)), (json!([[0]]), None), (json!([[null]]), None)]
    {
        let (got, ()) = tokio::join!(
            meta.lookup_registration("a.", MatchPolicy::Prefix),
            answer(&mut peer, json!(["wamp.registration.lookup", ["a.", {"match": "prefix"}]]), found)
        );
        assert_eq!(got.unwrap(), expected);
    }
    for (found, expected) in
        [(json!([[[7]]]), vec![SubscriptionId::new(7).unwrap()]), (json!([[null]]), vec![])]
    {
        let (got, ()) = tokio::join!(
            meta.match_subscriptions("a"),
            answer(&mut peer, json!(["wamp.subscription.match", ["a"]]), found)
        );
        assert_eq!(got.unwrap(), expected);
    }
    let id = SubscriptionId::new(7).unwrap();
    let (removed, ()) = tokio::join!(
        meta.remove_subscriber(id, session_id(3), Some("com.a".into())),
        answer(
            &mut peer,
            json!(["wamp.subscription.remove_subscriber", [7, 3], {"reason": "com.a"}]),
            json!([])
        )
    );
    removed.unwrap();
    let (removed, ()) =
        tokio::join!(meta.subscription(id), refuse(&mut peer, "wamp.error.no_such_subscription"));
    assert!(removed.unwrap().is_none());
    let (got, ()) = tokio::join!(
        meta.count_subscribers(id),
        answer(&mut peer, json!(["wamp.subscription.count_subscribers", [7]]), json!([["many"]]))
    );
    assert!(got.is_err(), "it is no number");
}

async fn stream<T>(
    peer: &mut Peer,
    subscribe: impl IntoFuture<Output = Result<T, wamp_client::RequestError>>,
    topic: &str,
) -> T {
    let answer = async {
        let message = peer.next().await;
        assert_eq!((&message[0], &message[3]), (&json!(32), &json!(topic)));
        peer.send(json!([33, message[1], 9])).await;
    };
    tokio::join!(async { subscribe.await }, answer).0.unwrap()
}

// behaviour 293
#[tokio::test]
async fn meta_events_are_read_in_each_shape_that_routers_have() {
    let (session, mut peer) = joined().await;
    let session: Session = session;
    let meta = session.meta();
    let mut left = stream(&mut peer, meta.on_leave(), "wamp.session.on_leave").await;
    peer.send_all(&[
        json!([36, 9, 1, {}, [3, "joe", "user", "surplus"]]),
        json!([36, 9, 2, {}, [4]]),
        json!([36, 9, 3, {}, ["x"]]),
        json!([36, 9, 4, {}, [5]]),
    ])
    .await;
    let event = left.next().await.unwrap().unwrap();
    assert_eq!(
        (event.session, event.authid.as_deref(), event.authrole.as_deref()),
        (session_id(3), Some("joe"), Some("user"))
    );
    let event = left.next().await.unwrap().unwrap();
    assert_eq!((event.session, event.authid), (session_id(4), None));
    assert!(left.next().await.unwrap().is_err());
    assert_eq!(left.next().await.unwrap().unwrap().session, session_id(5));
    drop(left);
    assert_eq!(peer.next().await[0], 34);

    let mut created = stream(&mut peer, meta.on_subscription_create(), "wamp.subscription.on_create").await;
    peer.send(json!([36, 9, 1, {}, [3, {"id": 7, "uri": "a", "match": "prefix"}]])).await;
    let event = created.next().await.unwrap().unwrap();
    assert_eq!(
        (event.session, event.created.id.get(), event.created.policy),
        (session_id(3), 7, MatchPolicy::Prefix)
    );
    drop(created);
    assert_eq!(peer.next().await[0], 34);

    let mut deleted = stream(&mut peer, meta.on_registration_delete(), "wamp.registration.on_delete").await;
    peer.send_all(&[json!([36, 9, 1, {}, [3, 7]]), json!([36, 9, 1, {}, [null, 8]])]).await;
    let event = deleted.next().await.unwrap().unwrap();
    assert_eq!((event.session, event.id.get()), (Some(session_id(3)), 7));
    assert_eq!(deleted.next().await.unwrap().unwrap().session, None);
    peer.send(json!([35, 0, {"subscription": 9}])).await;
    assert!(deleted.next().await.is_none());
}
