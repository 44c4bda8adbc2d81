//! Many results in one read, and small results that are written together: they take a shorter way, with the
//! same outcome.

use std::future::IntoFuture;

use serde_json::{Value, json};
use tokio::io::DuplexStream;
use wamp_client::{
    CallError, CallStream, Client, Failure, Invocation, Payload, SendError, Serializer, Session,
};
use wamp_transport::{Batch, Incoming, ReadHalf, Transport, WriteHalf};
use wamp_transport_rawsocket::{Config, RawSocket, accept, connect};

use crate::peer::{joined, welcome};

/// A router, played by the test, over RawSocket.
struct Peer {
    read: <RawSocket<DuplexStream> as Transport>::Read,
    write: <RawSocket<DuplexStream> as Transport>::Write,
    came: Vec<Incoming>,
}

impl Peer {
    async fn next(&mut self) -> Value {
        if self.came.is_empty() {
            self.read.read(&mut self.came).await.unwrap();
        }
        let Incoming::Message(frame) = self.came.remove(0) else { panic!("something else") };
        serde_json::from_slice(&frame).unwrap()
    }

    /// Sends messages so that they are read together.
    async fn send_all(&mut self, messages: &[&str]) {
        let mut batch = Batch::new();
        messages.iter().for_each(|message| batch.push_bytes(message.as_bytes()));
        self.write.write(&mut batch).await.unwrap();
    }
}

/// A session in JSON, and the peer at its other end, which accepts messages of this many bytes.
async fn over_rawsocket(max_receive: usize) -> (Session, Peer) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (ours_takes, mut config) = (Config::default(), Config::default());
    config.max_receive = max_receive;
    let (ours, theirs) =
        tokio::join!(connect(ours, Serializer::Json, &ours_takes), accept(theirs, &[], &config));
    let (read, write) = theirs.unwrap().split();
    let mut peer = Peer { read, write, came: Vec::new() };
    let (session, ()) = tokio::join!(Client::over(ours.unwrap()).into_future(), async {
        assert_eq!(peer.next().await[0], 1);
        peer.send_all(&[&welcome().to_string()]).await;
    });
    (session.unwrap(), peer)
}

async fn next(stream: &mut CallStream<Payload>) -> String {
    let payload = stream.next().await.expect("it is not over").unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}|{}", text(payload.args_bytes()), text(payload.kwargs_bytes()))
}

#[tokio::test]
async fn results_of_all_kinds_that_come_together_reach_their_calls_in_order() {
    let (session, mut peer) = over_rawsocket(1 << 24).await;
    let mut one = session.call("one").progressive::<Payload>().await.unwrap();
    let mut two = session.call("two").progressive::<Payload>().await.unwrap();
    peer.next().await;
    peer.next().await;
    let large = format!(r#"[50,1,{{"progress":true}},["{}"]]"#, "x".repeat(5000));
    peer.send_all(&[
        r#"[50,1,{"progress":true},[1]]"#,
        r#"[50,1,{"progress":true},["two",[2]]]"#,
        r#"[50,2,{"progress":true},[10]]"#,
        r#"[50,99,{"progress":true},["there is no such call"]]"#,
        r#"[50,1,{"progress":true},[3],{"k":[]}]"#,
        r#"[50,1,{"progress":true}]"#,
        &large,
        r#"[50, 1, {"progress": true}, [4]]"#,
        r#"[50,1,{"progress":true,"_x":7},[5]]"#,
        r#"[50,2,{"progress":true},[20]]"#,
        r#"[50,2,{},["the last"]]"#,
        r#"[50,2,{"progress":true},["too late"]]"#,
        r#"[50,1,{"progress":true},[6]]"#,
        r#"[8,48,1,{},"com.example.broken",["why"]]"#,
    ])
    .await;
    for expected in ["[10]|", "[20]|"] {
        assert_eq!(next(&mut two).await, expected);
    }
    assert!(two.next().await.is_none());
    assert_eq!(two.finish::<String>().await.unwrap(), "the last");
    let long = format!(r#"["{}"]|"#, "x".repeat(5000));
    for expected in ["[1]|", r#"["two",[2]]|"#, r#"[3]|{"k":[]}"#, "|", &long, "[4]|", "[5]|", "[6]|"] {
        assert_eq!(next(&mut one).await, expected);
    }
    assert!(matches!(one.next().await, Some(Err(CallError::Application { .. }))));
    assert!(one.next().await.is_none());
}

/// Kept payloads stay intact, even if they share their memory with others.
#[tokio::test]
async fn thousands_of_small_results_arrive_unchanged() {
    let (session, mut peer) = over_rawsocket(1 << 24).await;
    let mut calls = Vec::new();
    for _ in 0..3 {
        calls.push(session.call("a").progressive::<Payload>().await.unwrap());
        peer.next().await;
    }
    // Some results alternate between calls, some come in long runs of one call, and their lengths differ.
    let item = |call: usize, i: usize| format!("{call}:{i}:{}", "y".repeat(i * 37 % 211));
    let mut frames = Vec::new();
    for i in 0..3000 {
        let call = if i < 1000 { i % 3 } else { i / 500 % 3 };
        frames.push(format!(r#"[50,{},{{"progress":true}},["{}"]]"#, call + 1, item(call, i)));
    }
    for frames in frames.chunks(1000) {
        peer.send_all(&frames.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    peer.send_all(&["[50,1,{}]", "[50,2,{}]", "[50,3,{}]"]).await;
    for (call, mut stream) in calls.into_iter().enumerate() {
        let mut kept = Vec::new();
        while let Some(payload) = stream.next().await {
            kept.push(payload.unwrap());
        }
        let wanted = (0..3000).filter(|i| call == if *i < 1000 { i % 3 } else { i / 500 % 3 });
        let wanted: Vec<String> = wanted.map(|i| item(call, i)).collect();
        let found: Vec<String> = kept.iter().map(|payload| payload.decode().unwrap()).collect();
        assert_eq!(found, wanted);
    }
}

/// A procedure whose handler reports the outcome of each of its sends.
async fn sends(session: &Session, peer: &mut Peer, values: Vec<Value>) -> Vec<Result<(), SendError>> {
    let (told, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |call: Invocation| {
        let (values, told) = (values.clone(), told.clone());
        async move {
            let progress = call.progress().expect("asked for");
            for value in values {
                told.send(progress.send(value).await).unwrap();
            }
            Ok::<_, Failure>(())
        }
    };
    let (registered, ()) = tokio::join!(session.register("a", handler).into_future(), async {
        let register = peer.next().await;
        peer.send_all(&[&json!([65, register[1], 7]).to_string()]).await;
    });
    registered.unwrap();
    peer.send_all(&[r#"[68,1,7,{"receive_progress":true}]"#]).await;
    let mut all = Vec::new();
    while let Some(outcome) = outcomes.recv().await {
        all.push(outcome);
        if all.len() == VALUES {
            break;
        }
    }
    all
}

/// The number of values for [`sends`].
const VALUES: usize = 5;

#[tokio::test]
async fn small_and_large_results_are_sent_alike_and_longer_ones_refused() {
    let (session, mut peer) = over_rawsocket(8192).await;
    let text = |bytes: usize| Value::from("x".repeat(bytes));
    // The longest has exactly as many bytes as the peer takes.
    let frame = r#"[70,1,{"progress":true},[""]]"#.len();
    let values = vec![json!(1), text(8192 - frame), text(8192 - frame + 1), text(5000), json!({"a": [null]})];
    assert_eq!(values.len(), VALUES);
    let outcomes = sends(&session, &mut peer, values.clone()).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, true, true]);
    assert!(
        matches!(&outcomes[2], Err(SendError::TooLarge(error)) if error.len == 8193 && error.limit == 8192)
    );
    for value in [&values[0], &values[1], &values[3], &values[4]] {
        assert_eq!(peer.next().await, json!([70, 1, {"progress": true}, [value]]));
    }
    assert_eq!(peer.next().await, json!([70, 1, {}]));
}

#[tokio::test]
async fn a_peer_that_takes_little_is_sent_nothing_longer() {
    let (session, mut peer) = over_rawsocket(2048).await;
    let text = |bytes: usize| Value::from("x".repeat(bytes));
    let frame = r#"[70,1,{"progress":true},[""]]"#.len();
    let values = vec![text(2048 - frame + 1), text(2048 - frame), text(3000), text(5000), json!(1)];
    let outcomes = sends(&session, &mut peer, values.clone()).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false, false, true]);
    assert!(
        matches!(&outcomes[0], Err(SendError::TooLarge(error)) if (error.len, error.limit) == (2049, 2048))
    );
    for value in [&values[1], &values[4]] {
        assert_eq!(peer.next().await, json!([70, 1, {"progress": true}, [value]]));
    }
}

#[tokio::test]
async fn a_ready_payload_in_another_serializer_is_rewritten() {
    let (session, mut peer) = joined().await;
    let handler = |call: Invocation| async move {
        let progress = call.progress().expect("asked for");
        progress.send(Payload::new(Serializer::MsgPack, &(1, "two")).unwrap()).await?;
        progress.send(Payload::empty()).await?;
        Ok::<_, Failure>(())
    };
    peer.register(session.register("a", handler)).await;
    peer.send(json!([68, 1, 7, {"receive_progress": true}])).await;
    peer.expect(json!([70, 1, {"progress": true}, [1, "two"]])).await;
    peer.expect(json!([70, 1, {"progress": true}])).await;
    peer.expect(json!([70, 1, {}])).await;
}
