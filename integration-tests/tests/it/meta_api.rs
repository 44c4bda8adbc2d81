//! The typed meta API and the ends of registrations and subscriptions, over sockets and in each serializer.

use wamp_client::{
    Closed, Ended, Event, Invocation, MatchPolicy, RequestError, Serializer, Session, TestamentScope, Uri,
};
use wamp_router::{Disclosure, Meta, Retention, Router};

use crate::support::{House, SERIALIZERS, within};

async fn join(house: &House, serializer: Serializer) -> Session {
    let client = wamp_client::connect(format!("ws://{}/ws", house.tcp)).serializer(serializer).no_reconnect();
    within(client.into_future()).await.unwrap()
}

// behaviour 291
#[tokio::test]
async fn revocations_and_kills_are_seen_at_both_ends() {
    let house = House::with(Router::builder().meta(Meta::Control).build()).await;
    for serializer in SERIALIZERS {
        let watcher = join(&house, serializer).await;
        let meta = watcher.meta();
        let (mut joined, mut left) = (meta.on_join().await.unwrap(), meta.on_leave().await.unwrap());
        let mut created = meta.on_registration_create().await.unwrap();
        let mut removed = meta.on_unsubscribe().await.unwrap();

        let session = join(&house, serializer).await;
        let info = within(joined.next()).await.unwrap().unwrap();
        assert_eq!(info.session, session.id());
        assert_eq!(info.transport.unwrap().serializer, Some(serializer.to_string()));
        let info = meta.session(session.id()).await.unwrap().unwrap();
        assert!(info.transport.unwrap().peer.is_some(), "control includes addresses");

        let registration = session
            .register("com.a.", async |_: Invocation| Ok(1))
            .matching(MatchPolicy::Prefix)
            .await
            .unwrap();
        let event = within(created.next()).await.unwrap().unwrap();
        assert_eq!((event.session, event.created.id), (session.id(), registration.id()));
        assert_eq!(meta.registrations().await.unwrap().prefix, [registration.id()]);
        assert_eq!(meta.match_registration("com.a.b").await.unwrap(), Some(registration.id()));
        assert_eq!(meta.callees(registration.id()).await.unwrap(), [session.id()]);
        let reason = || Some(Uri::from("com.a.reason"));
        meta.remove_callee(registration.id(), session.id(), reason()).await.unwrap();
        let Ended::Revoked { reason: said } = within(registration.closed()).await else { panic!() };
        assert_eq!(said, reason());
        assert!(meta.registration(registration.id()).await.unwrap().is_none());

        let subscription = session.subscribe("com.a", |_: Event| async {}).await.unwrap();
        assert_eq!(meta.count_subscribers(subscription.id()).await.unwrap(), 1);
        meta.remove_subscriber(subscription.id(), session.id(), None).await.unwrap();
        assert!(matches!(within(subscription.closed()).await, Ended::Revoked { reason: None }));
        assert_eq!(within(removed.next()).await.unwrap().unwrap().id, subscription.id());

        let again = session.subscribe("com.a", |_: Event| async {}).await.unwrap();
        meta.kill(session.id()).message("bye").await.unwrap();
        let Closed::ByRouter { message, .. } = within(session.closed()).await else { panic!() };
        assert_eq!(message.as_deref(), Some("bye"));
        assert!(matches!(within(again.closed()).await, Ended::Session(Closed::ByRouter { .. })));
        assert_eq!(within(left.next()).await.unwrap().unwrap().session, session.id());
        assert_eq!(meta.sessions().list().await.unwrap(), [watcher.id()]);
        watcher.leave().await;
    }
}

#[tokio::test]
async fn the_settings_of_the_builder_are_those_of_its_realms() {
    let router = Router::builder()
        .meta(Meta::Own)
        .retention(Retention { topics: 0, ..Retention::default() })
        .publisher_disclosure(Disclosure::Never)
        .caller_disclosure(Disclosure::Never);
    let house = House::with(router.build()).await;
    let session = join(&house, Serializer::Json).await;
    let error = session.meta().sessions().count().await.unwrap_err();
    assert_eq!(error.uri().map(Uri::as_str), Some("wamp.error.not_authorized"));
    let refused = session.publish("com.a").disclose_me().acknowledge().await;
    assert!(matches!(refused, Err(RequestError::Refused { .. })), "{refused:?}");
    session.register("com.a", async |_: Invocation| Ok(1)).await.unwrap();
    let refused = session.call("com.a").disclose_me().await.map(drop);
    assert_eq!(refused.unwrap_err().uri().map(Uri::as_str), Some("wamp.error.option_disallowed.disclose_me"));

    session.publish("com.a").retain().exclude_me(false).acknowledge().await.unwrap();
    let mut events = session.subscribe_stream("com.a").retained().await.unwrap();
    session.publish("com.a").arg(2).exclude_me(false).acknowledge().await.unwrap();
    let event = within(events.next()).await.unwrap();
    assert!(!event.is_retained(), "nothing was retained");
}

// behaviour 134
#[tokio::test]
async fn a_testament_is_published_when_its_session_is_over() {
    let house = House::new().await;
    for serializer in SERIALIZERS {
        let watcher = join(&house, Serializer::Json).await;
        let mut gone = watcher.subscribe_stream("com.gone").await.unwrap();
        let session = join(&house, serializer).await;
        session.publish("com.gone").arg("flushed").testament().await.unwrap();
        session.flush_testaments(TestamentScope::Destroyed).await.unwrap();
        let testament = session.publish("com.gone").arg("till 3").disclose_me().testament();
        testament.scope(TestamentScope::Detached).await.unwrap();
        let id = session.id();
        session.leave().await;
        let event = within(gone.next()).await.unwrap();
        assert_eq!(event.decode::<String>().unwrap(), "till 3");
        assert_eq!(event.publisher(), Some(id));
        watcher.leave().await;
    }
    assert_eq!(house.router.stats().now.testament_bytes, 0);
}
