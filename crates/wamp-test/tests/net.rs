//! Tests as an application writes them.

use std::time::Duration;

use wamp_client::{CallError, Failure, Invocation, Reply, Session};
use wamp_test::Net;

const SECOND: Duration = Duration::from_secs(1);

async fn until_up(session: &Session) {
    while !session.is_open() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stub_answers_with_all_its_replies_and_records_its_calls() {
    let net = Net::start();
    let stub =
        net.stub("com.example.count", [Reply::Progress(1), Reply::Progress(2), Reply::Result(3)]).await;
    let session = net.connect("alice").await.unwrap();
    let mut replies =
        session.call("com.example.count").arg("x").progressive::<i64>().await.unwrap().replies::<i64>();
    let mut seen = Vec::new();
    while let Some(reply) = replies.next().await {
        seen.push(reply.unwrap());
    }
    assert_eq!(seen, [Reply::Progress(1), Reply::Progress(2), Reply::Result(3)]);
    assert_eq!(stub.calls()[0].decode::<String>().unwrap(), "x");
    stub.remove().await;
    let error = session.call("com.example.count").await.unwrap_err();
    assert_eq!(error.uri().unwrap().as_str(), "wamp.error.no_such_procedure");
}

/// Hours pass in no time.
#[tokio::test(start_paused = true)]
async fn a_call_that_takes_an_hour() {
    let net = Net::start();
    let callee = net.connect("callee").await.unwrap();
    let slow = |_: Invocation| async {
        tokio::time::sleep(SECOND * 3600).await;
        Ok("done")
    };
    callee.register("com.example.slow", slow).await.unwrap();
    let caller = net.connect("caller").await.unwrap();
    let done: String = caller.call("com.example.slow").await.unwrap().decode().unwrap();
    assert_eq!(done, "done");
    let late = caller.call("com.example.slow").timeout(SECOND * 60).await.unwrap_err();
    assert_eq!(late.uri().unwrap().as_str(), "wamp.error.timeout");
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_comes_back_with_its_procedures() {
    let net = Net::start();
    let callee = net.connect("callee").await.unwrap();
    callee.register("com.example.one", |_: Invocation| async { Ok(1) }).await.unwrap();
    let stuck = |_: Invocation| std::future::pending::<Result<(), Failure>>();
    callee.register("com.example.stuck", stuck).await.unwrap();
    let caller = net.connect("caller").await.unwrap();
    let (first, under_way) = (callee.id(), caller.call("com.example.stuck"));
    let call = tokio::spawn(under_way.send());
    tokio::time::sleep(SECOND).await;

    net.lose(&callee).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.uri().unwrap().as_str(), "wamp.error.canceled");
    until_up(&callee).await;
    assert_ne!(callee.id(), first);
    let one: i64 = caller.call("com.example.one").await.unwrap().decode().unwrap();
    assert_eq!(one, 1);

    // The caller's own connection: only its own calls end.
    let call = tokio::spawn(caller.call("com.example.stuck").send());
    tokio::time::sleep(SECOND).await;
    net.lose(&caller).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { sent: true, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_new_router_has_the_stubs_and_the_procedures_of_the_sessions() {
    let net = Net::start();
    net.stub("com.example.two", [Reply::Result(2)]).await;
    let session = net.connect("alice").await.unwrap();
    for _ in 0..10 {
        net.restart().await;
        let two: i64 = session.call("com.example.two").when_up(SECOND * 5).await.unwrap().decode().unwrap();
        assert_eq!(two, 2);
    }
    net.stop().await;
    assert!(net.router().is_none());
    let refused = session.call("com.example.two").when_up(SECOND).await.unwrap_err();
    assert!(matches!(refused, CallError::Disconnected { sent: false, .. }), "{refused}");
    let error = net.connect("late").await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_transcript_is_the_same_in_every_run() {
    let net = Net::start();
    let session = net.connect("alice").await.unwrap();
    session
        .register("com.example.add", |call: Invocation| async move {
            let (a, b): (i64, i64) = call.args()?;
            Ok(a + b)
        })
        .await
        .unwrap();
    session.call("com.example.add").args((40, 2)).await.unwrap();
    session.leave().await;
    let expected = "\
        alice -> [1,\"realm1\",..]\n\
        alice <- [2,..,..]\n\
        alice -> [64,1,{},\"com.example.add\"]\n\
        alice <- [65,1,1]\n\
        alice -> [48,2,{},\"com.example.add\",[40,2]]\n\
        alice <- [68,1,1,{},[40,2]]\n\
        alice -> [70,1,{},[42]]\n\
        alice <- [50,2,{},[42]]\n\
        alice -> [6,{},\"wamp.close.close_realm\"]\n\
        alice <- [6,{},\"wamp.close.goodbye_and_out\"]\n";
    assert_eq!(net.transcript(), expected);
}
