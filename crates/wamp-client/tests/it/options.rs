//! Options of registrations and calls, through our own router.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::mpsc;
use wamp_client::{
    CallError, CancelMode, CancelReason, Client, Failure, Invocation, InvocationPolicy, MatchPolicy,
    Serializer, Session,
};
use wamp_router::Router;
use wamp_transport::memory;

async fn join(router: &Router) -> Session {
    let (ours, theirs) = memory::pair(Serializer::MsgPack);
    router.attach(theirs);
    Client::over(ours).await.unwrap()
}

async fn what(call: Invocation) -> Result<String, Failure> {
    Ok(call.procedure().to_string())
}

#[tokio::test]
async fn a_pattern_gets_the_called_procedure() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    callee.register("com.example.files", what).matching(MatchPolicy::Prefix).await.unwrap();
    callee.register("com..name", what).matching(MatchPolicy::Wildcard).await.unwrap();
    for procedure in ["com.example.files.a.txt", "com.anybody.name"] {
        let told: String = caller.call(procedure).await.unwrap().decode().unwrap();
        assert_eq!(told, procedure);
    }
}

#[tokio::test]
async fn a_shared_procedure_is_answered_in_turns() {
    let router = Router::default();
    let caller = join(&router).await;
    let mut callees = Vec::new();
    for name in ["a", "b"] {
        let callee = join(&router).await;
        let handler = move |_: Invocation| async move { Ok(name) };
        callee.register("com.example.who", handler).invoke(InvocationPolicy::RoundRobin).await.unwrap();
        callees.push(callee);
    }
    let mut told = String::new();
    for _ in 0..4 {
        told += &caller.call("com.example.who").await.unwrap().decode::<String>().unwrap();
    }
    assert_eq!(told, "abab");
}

#[tokio::test]
async fn callers_are_known_if_one_of_both_asks() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let who = |call: Invocation| async move { Ok(call.caller().map(|caller| caller.session.get())) };
    callee.register("com.example.who", who).await.unwrap();
    callee.register("com.example.curious", who).disclose_caller().await.unwrap();
    let id = Some(caller.id().get());
    let anonymous: Option<u64> = caller.call("com.example.who").await.unwrap().decode().unwrap();
    assert_eq!(anonymous, None);
    let open: Option<u64> = caller.call("com.example.who").disclose_me().await.unwrap().decode().unwrap();
    assert_eq!(open, id);
    let asked: Option<u64> = caller.call("com.example.curious").await.unwrap().decode().unwrap();
    assert_eq!(asked, id);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_the_call_and_cancels_the_handler_at_either_watcher() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let (tell, mut told) = mpsc::channel(1);
    let forever = move |call: Invocation| {
        let tell = tell.clone();
        async move {
            tell.send(call.canceled().await).await.unwrap();
            Ok(())
        }
    };
    callee.register("com.example.router", forever.clone()).await.unwrap();
    callee.register("com.example.callee", forever).forward_timeout().await.unwrap();
    for procedure in ["com.example.router", "com.example.callee"] {
        let error = caller.call(procedure).timeout(Duration::from_millis(100)).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. }), "{error:?}");
        assert_eq!(told.recv().await, Some(CancelReason::Timeout), "{procedure}");
    }
}

#[tokio::test]
async fn a_handler_learns_the_reason_of_its_cancel() {
    let router = Router::default();
    let callee = join(&router).await;
    let (tell, mut told) = mpsc::channel(1);
    let (start, mut started) = mpsc::channel(1);
    let forever = move |call: Invocation| {
        let (tell, start) = (tell.clone(), start.clone());
        async move {
            start.send(()).await.unwrap();
            tell.send(call.canceled().await).await.unwrap();
            Ok(())
        }
    };
    callee.register("com.example.forever", forever).await.unwrap();
    for mode in [CancelMode::Kill, CancelMode::KillNoWait] {
        let caller = join(&router).await;
        let stream = caller.call("com.example.forever").progressive::<()>().await.unwrap();
        started.recv().await.unwrap();
        stream.cancel(mode);
        assert!(matches!(stream.finish::<()>().await, Err(CallError::Canceled { .. })));
        assert_eq!(told.recv().await, Some(CancelReason::Canceled));
    }
    let caller = join(&router).await;
    let call = tokio::spawn(async move {
        let call = caller.call("com.example.forever");
        let running = tokio::spawn(call.into_future());
        (caller, running)
    });
    let (caller, running) = call.await.unwrap();
    started.recv().await.unwrap();
    caller.leave().await;
    assert!(running.await.unwrap().is_err());
    assert_eq!(told.recv().await, Some(CancelReason::CallerGone));

    let caller = join(&router).await;
    let _stream = caller.call("com.example.forever").progressive::<()>().await.unwrap();
    started.recv().await.unwrap();
    router.shut_down().await;
    assert_eq!(told.recv().await, Some(CancelReason::Disconnected));
}

#[tokio::test]
async fn options_and_details_without_a_method_have_their_names() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let details = |call: Invocation| async move {
        let state: Option<Vec<u8>> = call.detail("_tracestate");
        Ok((
            call.detail::<String>("_traceparent"),
            state,
            call.detail::<u8>("_traceparent"),
            call.caller().is_some(),
        ))
    };
    callee.register("com.example.details", details).option("invoke", "roundrobin").await.unwrap();
    let call = caller.call("com.example.details");
    let call = call.option("_traceparent", "00-ab").option("_tracestate", [1, 2]).option("disclose_me", true);
    let told: (Option<String>, Option<Vec<u8>>, Option<u8>, bool) = call.await.unwrap().args().unwrap();
    assert_eq!(told, (Some("00-ab".to_owned()), Some(vec![1, 2]), None, true));
    // The policy of the registration was set by its name.
    let other = join(&router).await;
    other.register("com.example.details", details).invoke(InvocationPolicy::RoundRobin).await.unwrap();

    let mut events = callee.subscribe_stream("com.example.").option("match", "prefix").await.unwrap();
    let publish = caller.publish("com.example.a").option("_traceparent", "00-cd").option("acknowledge", true);
    assert!(publish.await.unwrap().is_some());
    let event = events.next().await.unwrap();
    assert_eq!(
        (event.topic().as_str(), event.detail("_traceparent")),
        ("com.example.a", Some("00-cd".to_owned()))
    );
    assert_eq!(event.detail::<String>("_tracestate"), None);
}

#[tokio::test]
async fn options_that_cannot_be_sent_are_errors() {
    let router = Router::default();
    let session = join(&router).await;
    let chunks = session.call("com.example.a").option("progress", true).await.unwrap_err();
    assert!(matches!(chunks, CallError::Encode(_)), "{chunks}");
    let wrong = session.call("com.example.a").option("disclose_me", 5).arg(1).await.unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the arguments cannot be sent: key \"disclose_me\": expected boolean, found integer"
    );
    assert!(session.publish("com.example.a").option("acknowledge", "x").await.is_err());
    assert!(session.register("com.example.a", what).option("disclose_caller", "x").await.is_err());
    assert!(session.subscribe_stream("com.example.a").option("get_retained", "x").await.is_err());
}
