use serde_json::json;
use wamp_client::{CallError, Client, Payload, Serializer};
use wamp_proto::Serializer as S;
use wamp_transport::Transport;
use wamp_transport::memory::{self, Memory};

use crate::peer::{self, Peer, joined};

#[tokio::test]
async fn a_call_is_one_message_and_gives_one_value() {
    let (session, mut peer) = joined().await;
    let call = async { session.call("com.example.sum").args((1, 2)).await?.decode::<i64>() };
    let router = async {
        peer.expect(json!([48, 1, {}, "com.example.sum", [1, 2]])).await;
        peer.send(json!([50, 1, {}, [3]])).await;
    };
    let (sum, ()) = tokio::join!(call, router);
    assert_eq!(sum.unwrap(), 3);
}

#[tokio::test]
async fn arguments_are_said_in_every_way() {
    let (session, mut peer) = joined().await;
    let ready = Payload::new(S::MsgPack, &("ready", 1)).unwrap();
    let calls = [
        session.call("a"),
        session.call("a").args([1, 2]).arg((3, 4)).arg(None::<u8>),
        session.call("a").kwarg("from", 1).kwargs(json!({"to": 2})),
        session.call("a").args(("x",)).kwarg("y", [1.5]),
        session.call("a").payload(ready),
    ];
    let expected = [
        json!([48, 1, {}, "a"]),
        json!([48, 2, {}, "a", [1, 2, [3, 4], null]]),
        json!([48, 3, {}, "a", [], {"from": 1, "to": 2}]),
        json!([48, 4, {}, "a", ["x"], {"y": [1.5]}]),
        json!([48, 5, {}, "a", ["ready", 1]]),
    ];
    for (call, expected) in calls.into_iter().zip(expected) {
        let call = tokio::spawn(call.into_future());
        let id = expected[1].clone();
        peer.expect(expected).await;
        peer.send(json!([50, id, {}])).await;
        call.await.unwrap().unwrap().decode::<()>().unwrap();
    }
    let both = session.call("a").payload(Payload::empty()).arg(1).await;
    assert!(matches!(both, Err(CallError::Encode(_))));
}

// behaviour 19, 20, 21, 24
#[tokio::test]
async fn an_observer_sees_progress_in_order_before_the_last_value_and_may_borrow() {
    let (session, mut peer) = joined().await;
    let mut seen = Vec::new();
    let call = async {
        session
            .call("com.myapp.longop")
            .args((3,))
            .on_progress(|i: i64| seen.push(i))
            .await?
            .decode::<String>()
    };
    let router = async {
        peer.expect(json!([48, 1, {"receive_progress": true}, "com.myapp.longop", [3]])).await;
        let progress = |i| json!([50, 1, {"progress": true}, [i]]);
        peer.send_all(&[progress(0), progress(1)]).await;
        peer.send(progress(2)).await;
        peer.send(json!([50, 1, {"progress": false}, ["done"]])).await;
    };
    let (last, ()) = tokio::join!(call, router);
    assert_eq!(last.unwrap(), "done");
    assert_eq!(seen, [0, 1, 2]);
}

#[tokio::test]
async fn progress_that_does_not_fit_an_observer_ends_the_call() {
    let (session, mut peer) = joined().await;
    let call = async { session.call("a").on_progress(|_: i64| ()).await };
    let router = async {
        peer.next().await;
        peer.send(json!([50, 1, {"progress": true}, ["one"]])).await;
        peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;
    };
    let (result, ()) = tokio::join!(call, router);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "the result does not fit: argument 1: expected i64, found string");
}

// behaviour 35
#[tokio::test]
async fn a_timeout_is_sent_in_milliseconds() {
    let (session, mut peer) = joined().await;
    let timeout = std::time::Duration::from_micros(1_500);
    let _call = tokio::spawn(session.call("a").timeout(timeout).into_future());
    peer.expect(json!([48, 1, {"timeout": 2}, "a"])).await;
}

#[tokio::test]
async fn a_call_can_be_spawned() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a").arg(1).into_future());
    let stream = tokio::spawn(session.call("b").progressive::<i64>().into_future());
    let ids = [peer.next().await, peer.next().await].map(|call| (call[3].clone(), call[1].clone()));
    for (name, id) in ids {
        peer.send(json!([50, id, {}, [name]])).await;
    }
    assert_eq!(call.await.unwrap().unwrap().decode::<&str>().unwrap(), "a");
    assert_eq!(stream.await.unwrap().unwrap().finish::<String>().await.unwrap(), "b");
}

#[tokio::test]
async fn arguments_that_cannot_be_written_fail_the_call_and_nothing_is_sent() {
    let (session, mut peer) = joined().await;
    let error = session.call("a").arg(f64::NAN).await.unwrap_err();
    assert!(matches!(error, CallError::Encode(_)), "{error}");
    let error = session.call("\0a").await.unwrap_err();
    assert!(matches!(error, CallError::Encode(_)), "{error}");
    let error = session.call("a").arg(f64::NAN).progressive::<()>().await.unwrap_err();
    assert!(matches!(error, CallError::Encode(_)), "{error}");

    let _call = tokio::spawn(session.call("b").into_future());
    peer.expect(json!([48, 1, {}, "b"])).await;
}

#[tokio::test]
async fn errors_say_whose_fault_it_is_and_keep_the_uri() {
    let (session, mut peer) = joined().await;
    let mut failed = async |uri: &str, args: serde_json::Value| {
        let call = tokio::spawn(session.call("a").into_future());
        let id = peer.next().await[1].clone();
        peer.send(json!([8, 48, id, {}, uri, args])).await;
        call.await.unwrap().unwrap_err()
    };
    let error = failed("com.myapp.error", json!(["no such thing", 1])).await;
    assert!(matches!(error, CallError::Application { .. }), "{error}");
    assert_eq!(error.to_string(), "com.myapp.error: no such thing, 1");
    assert_eq!(error.uri().unwrap(), &"com.myapp.error");
    assert_eq!(error.payload().unwrap().args::<(String, u8)>().unwrap().1, 1);
    let error = failed("com.myapp.error", json!([{"code": 1}])).await;
    assert_eq!(error.to_string(), r#"com.myapp.error: {"code":1}"#);

    // behaviour 11
    for uri in ["wamp.error.canceled", "wamp.error.cancelled"] {
        let error = failed(uri, json!([])).await;
        assert!(matches!(error, CallError::Canceled { .. }), "{error}");
        assert_eq!(error.uri().unwrap(), &uri);
    }
    let error = failed("wamp.error.timeout", json!([])).await;
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_result_that_does_not_fit_names_the_argument() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a").into_future());
    peer.next().await;
    peer.send(json!([50, 1, {}, [1, "two"], {"three": 3}])).await;
    let result = call.await.unwrap().unwrap();
    let error = result.args::<(u32, u32)>().unwrap_err();
    assert_eq!(error.to_string(), "the result does not fit: argument 2: expected u32, found string");
    assert_eq!(result.args::<(u32, String)>().unwrap(), (1, "two".to_owned()));
    assert_eq!(result.kwargs::<serde_json::Value>().unwrap(), json!({"three": 3}));
}

// behaviour 16
#[tokio::test]
async fn late_surplus_and_unknown_replies_are_counted_and_harmless() {
    let (session, mut peer) = joined().await;
    let call = tokio::spawn(session.call("a").into_future());
    peer.next().await;
    peer.send_all(&[
        json!([50, 1, {"progress": true}, ["unasked"]]),
        json!([50, 1, {}, ["last"]]),
        json!([50, 1, {}, ["surplus"]]),
        json!([8, 48, 1, {}, "wamp.error.canceled"]),
        json!([50, 1000, {}, ["never asked"]]),
    ])
    .await;
    assert_eq!(call.await.unwrap().unwrap().decode::<String>().unwrap(), "last");
    let call = tokio::spawn(session.call("b").into_future());
    peer.next().await;
    peer.send(json!([50, 2, {}, ["fine"]])).await;
    assert_eq!(call.await.unwrap().unwrap().decode::<String>().unwrap(), "fine");
    let stats = session.stats();
    assert_eq!((stats.unsolicited, stats.late, stats.unknown), (1, 2, 1));
}

/// A transport whose peer accepts at most this many bytes.
struct Small(Memory, usize);

impl Transport for Small {
    type Read = <Memory as Transport>::Read;
    type Write = <Memory as Transport>::Write;

    fn serializer(&self) -> Serializer {
        self.0.serializer()
    }

    fn max_send(&self) -> usize {
        self.1
    }

    fn split(self) -> (Self::Read, Self::Write) {
        self.0.split()
    }
}

// behaviour 50
#[tokio::test]
async fn a_message_beyond_the_limit_of_the_router_is_not_sent() {
    let (ours, theirs) = memory::pair(S::Json);
    let (session, mut peer) = peer::join(Small(ours, 2048), Peer::new(theirs)).await;
    // [48,1,{},"a",["…"]]
    let fits = "x".repeat(2048 - 18);
    let error = session.call("a").arg(format!("{fits}x")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the arguments cannot be sent: a message of 2049 bytes, but the router accepts 2048"
    );
    let call = tokio::spawn(session.call("a").arg(&fits).into_future());
    peer.expect(json!([48, 1, {}, "a", [fits]])).await;
    peer.send(json!([50, 1, {}])).await;
    call.await.unwrap().unwrap();

    let answer = fits.clone();
    peer.register(session.register("b", move |_| {
        let answer = format!("{answer}{answer}");
        async move { Ok(answer) }
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    let error = peer.next().await;
    assert_eq!(error[4], "wamp.error.payload_size_exceeded", "{error}");
}

#[test]
fn handles_go_anywhere() {
    fn anywhere<T: Send + Sync + 'static>() {}
    fn to_any_thread<T: Send>(_: T) {}
    anywhere::<wamp_client::Session>();
    anywhere::<wamp_client::CallStream<std::rc::Rc<u8>>>();
    anywhere::<wamp_client::CallHandle>();
    anywhere::<wamp_client::Invocation>();
    anywhere::<wamp_client::ProgressSender>();
    anywhere::<wamp_client::Registration>();
    anywhere::<wamp_client::Subscription>();
    anywhere::<wamp_client::EventStream>();
    anywhere::<wamp_client::ConnectError>();
    anywhere::<CallError>();
    to_any_thread(async |session: wamp_client::Session| {
        session.call("a").on_progress(|_: u8| ()).await?;
        session.call("a").progressive::<u8>().await?.finish::<u8>().await
    });
}

#[tokio::test]
async fn the_session_has_the_identity_of_welcome() {
    let (ours, theirs) = memory::pair(S::Json);
    let mut peer = Peer::new(theirs);
    let router = async {
        let hello = peer.next().await;
        assert_eq!((&hello[1], &hello[2]["agent"]), (&json!("realm9"), &json!("tester")));
        peer.send(peer::welcome()).await;
    };
    let (session, ()) =
        tokio::join!(async { Client::over(ours).realm("realm9").agent("tester").await }, router);
    let session = session.unwrap();
    assert_eq!(session.id().get(), 4711);
    assert!(session.is_open());
}

// behaviour 51
#[tokio::test]
async fn a_ping_is_answered() {
    let (_session, mut peer) = joined().await;
    peer.ping(b"are you there").await;
    peer.expect(json!("PONG are you there")).await;
}
