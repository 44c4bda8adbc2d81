//! Sessions that come back, against peers that play the router of each connection.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use wamp_client::auth::Credential;
use wamp_client::{
    CallError, Client, Closed, Connect, ConnectErrorKind, ConnectionState, Event, Invocation,
    InvocationPolicy, MatchPolicy, RequestError, Retry, Serializer, Session, Standing, TestamentScope,
};
use wamp_transport::memory;

use crate::peer::{Peer, idle, welcome};

const SECOND: Duration = Duration::from_secs(1);

/// The other ends of the connections of a session.
pub(crate) struct Router(mpsc::UnboundedReceiver<Peer>);

/// A request for a session, and the other ends of its connections.
fn connecting() -> (Connect, Router) {
    let (give, take) = mpsc::unbounded_channel();
    let connect = Client::with_connector(move || {
        let (ours, theirs) = memory::pair(Serializer::Json);
        let given = give.send(Peer::new(theirs));
        async move {
            given.map_err(|_| std::io::Error::other("nothing listens"))?;
            Ok(ours)
        }
    });
    (connect, Router(take))
}

impl Router {
    /// The next connection, which has said HELLO.
    async fn accept(&mut self) -> Peer {
        let mut peer = self.0.recv().await.expect("another connection is made");
        assert_eq!(peer.next().await[0], 1, "HELLO comes first");
        peer
    }

    /// The same, with a session of this id.
    pub(crate) async fn welcome(&mut self, session: u64) -> Peer {
        let mut peer = self.accept().await;
        let mut message = welcome();
        message[1] = json!(session);
        peer.send(message).await;
        peer
    }
}

/// A session, and the peer at the other end of its first connection.
pub(crate) async fn joined() -> (Session, Router, Peer) {
    let (connect, mut router) = connecting();
    let (session, peer) = tokio::join!(connect.into_future(), router.welcome(1));
    (session.unwrap(), router, peer)
}

async fn register(
    peer: &mut Peer,
    id: u64,
    register: impl IntoFuture<Output = Result<wamp_client::Registration, RequestError>>,
) -> (wamp_client::Registration, Value) {
    let answer = async {
        let message = peer.next().await;
        assert_eq!(message[0], 64, "{message}");
        peer.send(json!([65, message[1], id])).await;
        message
    };
    let (registration, message) = tokio::join!(register.into_future(), answer);
    (registration.unwrap(), message)
}

fn disconnected(result: &Result<wamp_client::CallResult, CallError>) -> Option<bool> {
    match result {
        Err(CallError::Disconnected { sent, .. }) => Some(*sent),
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_declared_again_before_the_program_hears_of_it() {
    let (session, mut router, mut peer) = joined().await;
    let (hear, mut heard) = mpsc::unbounded_channel();
    let procedure = session
        .register("com.a.", |call: Invocation| async move { Ok(call.procedure().to_string()) })
        .matching(MatchPolicy::Prefix)
        .invoke(InvocationPolicy::RoundRobin)
        .forward_timeout();
    let (first, register_first) = register(&mut peer, 11, procedure).await;
    let subscribing = session.subscribe("com.b", move |event: Event| {
        hear.send(event.decode::<u32>().unwrap()).unwrap();
        async {}
    });
    let answer = async {
        let message = peer.next().await;
        peer.send(json!([33, message[1], 12])).await;
        message
    };
    let (subscription, subscribe) = tokio::join!(subscribing.into_future(), answer);
    let subscription = subscription.unwrap();
    let (second, register_second) =
        register(&mut peer, 13, session.register("com.c", |_| async { Ok(()) })).await;

    let mut states = session.states();
    drop(peer);
    assert!(matches!(states.next().await, Some(ConnectionState::Down { closed: Closed::Lost })));
    let Some(ConnectionState::Retrying { attempt, delay, error: None, .. }) = states.next().await else {
        panic!("an attempt follows")
    };
    assert_eq!(attempt, 2);
    assert!((SECOND / 4..SECOND / 2).contains(&delay), "{delay:?}");
    assert_eq!((first.state(), session.is_open()), (Some(Standing::Down), false));

    let mut peer = router.welcome(2).await;
    for (number, first) in [register_first, subscribe, register_second].iter().enumerate() {
        let again = peer.next().await;
        assert_eq!((&again[0], &again[1]), (&first[0], &json!(number + 1)));
        assert_eq!((&again[2], &again[3]), (&first[2], &first[3]));
    }
    idle().await;
    assert!(!session.is_open(), "not before it is answered");
    peer.send_all(&[json!([65, 1, 21]), json!([33, 2, 22]), json!([65, 3, 23])]).await;
    let Some(ConnectionState::Up { id, gap }) = states.next().await else { panic!("the session is up") };
    assert_eq!((id.get(), session.id().get()), (2, 2));
    assert!(gap >= delay);
    assert!(session.is_open());
    assert_eq!((first.id().get(), subscription.id().get(), second.id().get()), (21, 22, 23));

    peer.send_all(&[json!([36, 22, 1, {}, [7]]), json!([68, 1, 21, {"procedure": "com.a.x"}])]).await;
    peer.expect(json!([70, 1, {}, ["com.a.x"]])).await;
    assert_eq!(heard.recv().await, Some(7));

    // An unregistered procedure is withdrawn from the new session, and is not declared again.
    let (unregistered, ()) = tokio::join!(first.unregister(), async {
        peer.expect(json!([66, 4, 21])).await;
        peer.send(json!([67, 4])).await;
    });
    unregistered.unwrap();
    drop(peer);
    let mut peer = router.welcome(3).await;
    assert_eq!(peer.next().await[0], 32);
    assert_eq!(peer.next().await[0], 64);
    session.leave().await;
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_fail_at_once_and_say_whether_they_were_sent() {
    let (session, mut router, mut peer) = joined().await;
    let sent = tokio::spawn(session.call("com.a").into_future());
    peer.next().await;
    drop(peer);
    assert_eq!(disconnected(&sent.await.unwrap()), Some(true));
    assert_eq!(disconnected(&session.call("com.a").await), Some(false));
    assert!(matches!(
        session.register("com.a", |_| async { Ok(()) }).await,
        Err(RequestError::Disconnected { sent: false, .. })
    ));
    assert!(session.publish("com.a").await.is_err());

    // Nothing of this is sent later.
    let mut peer = router.welcome(2).await;
    let (result, message) = tokio::join!(session.call("com.b").when_up(SECOND).into_future(), async {
        let message = peer.next().await;
        peer.send(json!([50, message[1], {}])).await;
        message
    });
    result.unwrap();
    assert_eq!(message[3], "com.b");
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_a_connection_as_long_as_it_is_told_to() {
    let (session, mut router, peer) = joined().await;
    drop(peer);
    idle().await;
    let begin = tokio::time::Instant::now();
    let waited = async {
        let result = session.call("com.a").when_up(SECOND * 3).await;
        (result, begin.elapsed())
    };
    let ((result, waited), _peer) = tokio::join!(waited, router.accept());
    assert_eq!(disconnected(&result), Some(false));
    assert!((SECOND * 3..SECOND * 4).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_again_if_it_may_be_and_never_after_a_result() {
    let (session, mut router, mut peer) = joined().await;
    let retried = |retry: Retry| {
        let call = session.call("com.a").arg(1).on_progress(|_: u32| ()).retry(retry);
        tokio::spawn(call.into_future())
    };
    let (idempotent, unsent) = (retried(Retry::idempotent()), retried(Retry::unsent()));
    let shown = retried(Retry::idempotent());
    for _ in 0..2 {
        peer.next().await;
    }
    let message = peer.next().await;
    peer.send(json!([50, message[1], {"progress": true}, [5]])).await;
    idle().await;
    drop(peer);
    assert_eq!(disconnected(&unsent.await.unwrap()), Some(true));
    assert_eq!(disconnected(&shown.await.unwrap()), Some(true));

    let mut peer = router.welcome(2).await;
    let message = peer.next().await;
    assert_eq!((&message[3], &message[4]), (&json!("com.a"), &json!([1])));
    peer.send(json!([8, 48, message[1], {}, "wamp.error.unavailable"])).await;
    let message = peer.next().await;
    peer.send(json!([50, message[1], {}, [9]])).await;
    assert_eq!(idempotent.await.unwrap().unwrap().decode::<u32>().unwrap(), 9);
    idle().await;
    session.leave().await;
    peer.expect(json!([6, {}, "wamp.close.close_realm"])).await;
}

#[tokio::test(start_paused = true)]
async fn the_shadow_of_the_session_before_is_waited_for() {
    let (session, mut router, mut peer) = joined().await;
    let (registration, _) = register(&mut peer, 11, session.register("com.a", |_| async { Ok(()) })).await;
    let mut states = session.states();
    drop(peer);
    let mut peer = router.welcome(2).await;
    let refuse = |message: Value| json!([8, 64, message[1], {}, "wamp.error.procedure_already_exists"]);
    let message = peer.next().await;
    peer.send(refuse(message)).await;
    while !matches!(states.next().await, Some(ConnectionState::Up { .. })) {}
    assert_eq!(registration.state(), Some(Standing::Waiting));
    for _ in 0..3 {
        let begin = tokio::time::Instant::now();
        let message = peer.next().await;
        assert!(begin.elapsed() >= SECOND / 2 - SECOND / 100);
        peer.send(refuse(message)).await;
    }
    let message = peer.next().await;
    peer.send(json!([65, message[1], 21])).await;
    assert!(matches!(states.next().await, Some(ConnectionState::Restored { uri }) if uri == "com.a"));
    assert_eq!((registration.state(), registration.id().get()), (Some(Standing::Up), 21));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_loses_that_declaration_only() {
    let (session, mut router, mut peer) = joined().await;
    let (lost, _) = register(&mut peer, 11, session.register("com.a", |_| async { Ok(()) })).await;
    let (kept, _) = register(&mut peer, 12, session.register("com.b", |_| async { Ok(()) })).await;
    let mut states = session.states();
    drop(peer);
    let mut peer = router.welcome(2).await;
    peer.next().await;
    peer.next().await;
    peer.send_all(&[json!([8, 64, 1, {}, "wamp.error.not_authorized"]), json!([65, 2, 22])]).await;
    states.next().await;
    states.next().await;
    let Some(ConnectionState::Lost { uri, error }) = states.next().await else { panic!("it is told") };
    assert_eq!((uri.as_str(), error.uri().unwrap().as_str()), ("com.a", "wamp.error.not_authorized"));
    assert!(matches!(states.next().await, Some(ConnectionState::Up { .. })));
    assert_eq!((lost.state(), kept.state()), (None, Some(Standing::Up)));
    assert!(matches!(lost.unregister().await, Err(RequestError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn a_final_answer_ends_it_for_all() {
    let (session, mut router, mut peer) = joined().await;
    let (registration, _) = register(&mut peer, 11, session.register("com.a", |_| async { Ok(()) })).await;
    let events = tokio::join!(session.subscribe_stream("com.b"), async {
        let message = peer.next().await;
        peer.send(json!([33, message[1], 12])).await;
    });
    let mut events = events.0.unwrap();
    let mut states = session.states();
    drop(peer);
    let mut peer = router.accept().await;
    peer.send(json!([3, {}, "wamp.error.no_such_realm"])).await;
    let closed = session.closed().await;
    assert!(matches!(&closed, Closed::Aborted { reason, .. } if *reason == "wamp.error.no_such_realm"));
    assert!(events.next().await.is_none());
    assert_eq!(registration.state(), None);
    assert!(matches!(registration.unregister().await, Err(RequestError::Disconnected { .. })));
    let waiting = session.call("com.a").when_up(SECOND * 1000).await;
    assert!(matches!(waiting, Err(CallError::Disconnected { sent: false, .. })));
    states.next().await;
    states.next().await;
    let Some(ConnectionState::Closed { closed: told, error: Some(error) }) = states.next().await else {
        panic!("the end is told")
    };
    assert_eq!((told, error.kind()), (closed, ConnectErrorKind::Refused));
    assert!(states.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn leaving_ends_it_while_there_is_no_connection_and_so_does_the_last_handle() {
    let (session, mut router, peer) = joined().await;
    drop(peer);
    idle().await;
    assert_eq!(session.leave().await, Closed::Left);
    drop(session);
    assert!(router.0.recv().await.is_none(), "nothing dials any more");

    let (connect, mut other) = connecting();
    let (session, peer) = tokio::join!(connect.into_future(), other.welcome(1));
    let session = session.unwrap();
    drop(peer);
    let peer = other.accept().await;
    drop(session);
    let mut peer = peer;
    // The attempt under way is given up.
    peer.expect(json!(null)).await;
    assert!(other.0.recv().await.is_none(), "nothing dials any more");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_come_back_ends_with_its_connection() {
    let (connect, mut router) = connecting();
    let (session, peer) = tokio::join!(connect.no_reconnect().into_future(), router.welcome(1));
    drop(peer);
    let session = session.unwrap();
    assert_eq!(session.closed().await, Closed::Lost);
    assert!(session.states().next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_fails_at_once_unless_it_is_waited_for() {
    let failing = || {
        Client::with_connector(|| async {
            Err::<memory::Memory, _>(std::io::Error::other("the cable is not there"))
        })
    };
    let error = failing().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ConnectErrorKind::Connect, "the cable is not there")
    );

    let count = std::sync::Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let waiting = Client::with_connector(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err::<memory::Memory, _>(std::io::Error::other("the cable is not there")) }
    });
    let waiting = tokio::time::timeout(SECOND * 600, waiting.retry_initial().into_future()).await;
    assert!(waiting.is_err(), "it goes on");
    let attempts = count.load(Ordering::Relaxed);
    assert!((600 / 30..=600 / 15 + 8).contains(&attempts), "{attempts} attempts in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_at_the_router_only_if_no_other_one_to_the_topic_begins() {
    let (session, _router, mut peer) = joined().await;
    let dropped = tokio::spawn({
        let session = session.clone();
        async move { session.subscribe_stream("com.a").await.map(drop) }
    });
    peer.next().await;
    dropped.abort();
    let kept = tokio::spawn({
        let session = session.clone();
        async move { session.subscribe_stream("com.a").await }
    });
    peer.next().await;
    peer.send_all(&[json!([33, 1, 5]), json!([33, 2, 5])]).await;
    let mut kept = kept.await.unwrap().unwrap();
    peer.send(json!([36, 5, 1, {}, [7]])).await;
    assert_eq!(kept.next().await.unwrap().decode::<u32>().unwrap(), 7);
    drop(kept);
    peer.expect(json!([34, 3, 5])).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_anew_as_long_as_nothing_of_it_was_shown() {
    let (session, mut router, mut peer) = joined().await;
    let progressive = |retry: Option<Retry>| {
        let call = session.call("com.a").arg(1).progressive::<u32>();
        tokio::spawn(async move {
            let mut stream = match retry {
                Some(retry) => call.retry(retry).await?,
                None => call.await?,
            };
            let mut shown = Vec::new();
            while let Some(item) = stream.try_next().await? {
                shown.push(item);
            }
            shown.push(stream.finish().await?);
            Ok::<_, CallError>(shown)
        })
    };
    let (never, unsent) = (progressive(None), progressive(Some(Retry::unsent())));
    let (shown, again) = (progressive(Some(Retry::idempotent())), progressive(Some(Retry::idempotent())));
    for i in 0..4 {
        let message = peer.next().await;
        if i == 2 {
            peer.send(json!([50, message[1], {"progress": true}, [5]])).await;
        }
    }
    idle().await;
    drop(peer);
    for failed in [never, unsent, shown] {
        let error = failed.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { sent: true, .. }), "{error}");
    }
    let mut peer = router.welcome(2).await;
    // Only this call is repeated, and once more when the callee was unavailable.
    let message = peer.next().await;
    assert_eq!((&message[3], &message[4]), (&json!("com.a"), &json!([1])));
    peer.send(json!([8, 48, message[1], {}, "wamp.error.unavailable"])).await;
    let message = peer.next().await;
    peer.send(json!([50, message[1], {"progress": true}, [8]])).await;
    peer.send(json!([50, message[1], {}, [9]])).await;
    assert_eq!(again.await.unwrap().unwrap(), [8, 9]);
    session.leave().await;
    peer.expect(json!([6, {}, "wamp.close.close_realm"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_and_a_deadline_end_a_call_between_its_attempts() {
    let (session, mut router, mut peer) = joined().await;
    let mut call = session.call("com.a");
    let handle = call.handle();
    let canceled = tokio::spawn(call.retry(Retry::idempotent()));
    let late = tokio::spawn(session.call("com.b").deadline(SECOND * 5).retry(Retry::idempotent()));
    peer.next().await;
    peer.next().await;
    drop(peer);
    idle().await;
    handle.cancel(wamp_client::CancelMode::Kill);
    assert!(matches!(canceled.await.unwrap(), Err(CallError::Canceled { .. })));
    // No connection is made meanwhile.
    assert!(matches!(late.await.unwrap(), Err(CallError::Timeout { .. })));
    let mut peer = router.welcome(2).await;
    idle().await;
    session.leave().await;
    peer.expect(json!([6, {}, "wamp.close.close_realm"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_registration_waits_for_a_connection_if_it_is_told_to() {
    let (session, mut router, peer) = joined().await;
    drop(peer);
    idle().await;
    let handler = async |_| Ok(());
    let registering = tokio::spawn(session.register("com.a", handler).when_up(SECOND * 30));
    let mut peer = router.welcome(2).await;
    let message = peer.next().await;
    assert_eq!((&message[0], &message[3]), (&json!(64), &json!("com.a")));
    peer.send(json!([65, message[1], 7])).await;
    registering.await.unwrap().unwrap();
    drop(peer);
    idle().await;
    let registered = session.register("com.b", handler).when_up(SECOND).await;
    assert!(matches!(registered, Err(RequestError::Disconnected { sent: false, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_router_that_does_not_answer_keeps_the_session_from_being_up_for_ten_seconds_only() {
    let (session, mut router, mut peer) = joined().await;
    let handler = async |_| Ok(());
    let (registration, _) = register(&mut peer, 7, session.register("com.a", handler)).await;
    let mut states = session.states();
    drop(peer);
    let mut peer = router.welcome(2).await;
    let message = peer.next().await;
    assert_eq!((&message[0], &message[3]), (&json!(64), &json!("com.a")));
    let begin = tokio::time::Instant::now();
    let unanswered = loop {
        match states.next().await.expect("there are more") {
            ConnectionState::Down { .. } | ConnectionState::Retrying { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(unanswered, ConnectionState::Unanswered { uri } if uri == "com.a"));
    assert!((SECOND * 10..SECOND * 11).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert!(matches!(states.next().await, Some(ConnectionState::Up { .. })));
    assert_eq!((registration.state(), session.is_open()), (Some(Standing::Unanswered), true));

    // The answer is accepted when it arrives.
    peer.send(json!([65, message[1], 9])).await;
    assert!(matches!(states.next().await, Some(ConnectionState::Restored { uri }) if uri == "com.a"));
    assert_eq!((registration.state(), registration.id().get()), (Some(Standing::Up), 9));
    session.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_of_credentials_that_fails_or_hangs_is_a_failed_attempt() {
    let count = AtomicU32::new(0);
    let source = move || {
        let attempt = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match attempt {
                1 => Err("the keyring is locked"),
                2 => std::future::pending().await,
                _ => Ok(Credential::ticket("joe", "s3cret")),
            }
        }
    };
    let (connect, mut router) = connecting();
    let (session, peer) = tokio::join!(connect.auth(source).into_future(), router.welcome(1));
    let session = session.unwrap();
    let mut states = session.states();
    drop(peer);
    assert!(matches!(states.next().await, Some(ConnectionState::Down { .. })));
    let mut retried = async || match states.next().await {
        Some(ConnectionState::Retrying { error, .. }) => error.map(|error| error.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(retried().await, None);
    assert_eq!(retried().await.as_deref(), Some("there are no credentials: the keyring is locked"));
    let begin = tokio::time::Instant::now();
    assert_eq!(retried().await.as_deref(), Some("the credentials took too long"));
    assert!((SECOND * 10..SECOND * 12).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    // Connections to which nothing was said.
    for _ in 0..2 {
        router.0.recv().await.expect("there was an attempt").expect(Value::Null).await;
    }
    let _peer = router.welcome(2).await;
    assert!(matches!(states.next().await, Some(ConnectionState::Up { .. })));
}

/// Leaves a testament, and returns its message.
async fn testament(peer: &mut Peer, testament: wamp_client::Testament) -> Value {
    let answer = async {
        let message = peer.next().await;
        assert_eq!(
            (&message[0], &message[3]),
            (&json!(48), &json!("wamp.session.add_testament")),
            "{message}"
        );
        peer.send(json!([50, message[1], {}])).await;
        message
    };
    let (left, message) = tokio::join!(testament, answer);
    left.unwrap();
    message
}

// behaviour 294
#[tokio::test(start_paused = true)]
async fn testaments_are_left_again_before_anything_else() {
    let (session, mut router, mut peer) = joined().await;
    let (_registration, register) =
        register(&mut peer, 11, session.register("com.a", |_| async { Ok(()) })).await;
    let first = testament(&mut peer, session.publish("com.gone").args((1, "x")).testament()).await;
    let scope = TestamentScope::Detached;
    let flushed = testament(&mut peer, session.publish("com.flushed").testament().scope(scope)).await;
    let second = testament(&mut peer, session.publish("com.gone").kwarg("k", 2).testament()).await;
    let (done, ()) = tokio::join!(session.flush_testaments(scope), async {
        let message = peer.next().await;
        peer.send(json!([50, message[1], {}])).await;
    });
    done.unwrap();
    assert_eq!(flushed[5]["scope"], "detached");
    for session_id in 2..=3 {
        let mut states = session.states();
        drop(peer);
        peer = router.welcome(session_id).await;
        for (request, before) in [(1, &first), (2, &second)] {
            peer.expect(json!([48, request, {}, before[3], before[4], before[5]])).await;
        }
        let again = peer.next().await;
        assert_eq!((&again[0], &again[1], &again[3]), (&json!(64), &json!(3), &register[3]));
        peer.send_all(&[json!([50, 1, {}]), json!([50, 2, {}]), json!([65, 3, 20 + session_id])]).await;
        while !matches!(states.next().await.unwrap(), ConnectionState::Up { .. }) {}
    }
    // A testament that is refused is dropped, and the program is told.
    let mut states = session.states();
    drop(peer);
    let mut peer = router.welcome(4).await;
    for _ in 0..3 {
        peer.next().await;
    }
    peer.send_all(&[
        json!([8, 48, 1, {}, "wamp.error.not_authorized"]),
        json!([50, 2, {}]),
        json!([65, 3, 31]),
    ])
    .await;
    let lost = loop {
        if let ConnectionState::Lost { uri, error } = states.next().await.unwrap() {
            break (uri, error);
        }
    };
    assert_eq!((lost.0.as_str(), lost.1.uri().unwrap().as_str()), ("com.gone", "wamp.error.not_authorized"));
    drop(peer);
    let mut peer = router.welcome(5).await;
    peer.expect(json!([48, 1, {}, second[3], second[4], second[5]])).await;
    assert_eq!(peer.next().await[0], 64);
}
