//! Builders as futures, deadlines, and cancels of calls that are awaited.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt, iter};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use wamp_client::{CallError, CallFuture, CancelMode, Client, Retry, SendError, uri};
use wamp_router::Router;

use crate::peer::{idle, joined};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn each_builder_is_a_future_for_everything_that_takes_futures() {
    let router = Router::default();
    let session = tokio::spawn(Client::over(router.local())).await.unwrap().unwrap();
    let square = async |call: wamp_client::Invocation| {
        let n: u64 = call.decode()?;
        Ok(n * n)
    };
    tokio::spawn(session.register("square", square)).await.unwrap().unwrap();
    let call = |i: u64| session.call("square").arg(i);
    let squares: u64 = (0..10).map(|i| i * i).sum();

    let sum = |results: Vec<Result<wamp_client::CallResult, CallError>>| -> u64 {
        results.into_iter().map(|result| result.unwrap().decode::<u64>().unwrap()).sum()
    };
    assert_eq!(sum(join_all((0..10).map(call)).await), squares);
    assert_eq!(sum((0..10).map(call).collect::<JoinSet<_>>().join_all().await), squares);
    assert_eq!(sum((0..10).map(call).collect::<FuturesUnordered<_>>().collect().await), squares);
    assert_eq!(sum(iter((0..10).map(call)).buffer_unordered(3).collect().await), squares);
    let (one, two) = futures_util::join!(call(1), call(2));
    assert_eq!(sum(vec![one, two]), 5);
    let named: CallFuture<'static> = call(3).send();
    assert_eq!(sum(vec![tokio::spawn(named).await.unwrap()]), 9);
    let retried = join_all((0..2).map(|i| call(i).retry(Retry::unsent()))).await;
    assert_eq!(sum(retried), 1);
    assert!(join_all((0..2).map(|_| session.publish("t").acknowledge())).await.iter().all(Result::is_ok));
    let progressive = join_all((0..2).map(|i| call(i).progressive::<u64>())).await;
    for stream in progressive {
        stream.unwrap().finish::<u64>().await.unwrap();
    }
    let registered = join_all(["a", "b"].map(|uri| session.register(uri, async |_| Ok(())))).await;
    assert!(registered.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call_in_chunks() {
    let router = Router::default();
    let session = Client::over(router.local()).await.unwrap();
    let silent = async |call: wamp_client::Invocation| {
        call.canceled().await;
        Ok(())
    };
    session.register("silent", silent).await.unwrap();
    let (mut up, down) = session.call("silent").deadline(SECOND * 3).duplex::<u32>().await.unwrap();
    up.send(1).await.unwrap();
    up.send_all(iter([2, 3])).await.unwrap();
    assert_eq!(timed_out(&down.finish::<u32>().await), "timeout");
    assert!(matches!(up.send(4).await, Err(SendError::Over)));
}

fn timed_out<T: std::fmt::Debug>(result: &Result<T, CallError>) -> &str {
    match result {
        Err(error @ CallError::Timeout { uri, .. }) if *uri == uri::TIMEOUT => {
            assert!(error.to_string().contains("deadline of 3s"), "{error}");
            "timeout"
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_all_of_a_call_and_cancels_it() {
    let (session, mut peer) = joined().await;
    let begin = Instant::now();
    let call = tokio::spawn(session.call("a").deadline(SECOND * 3).on_progress(|_: u32| ()));
    peer.expect(json!([48, 1, {"receive_progress": true}, "a"])).await;
    // A progressive result does not move the deadline.
    tokio::time::sleep(SECOND * 2).await;
    peer.send(json!([50, 1, {"progress": true}, [1]])).await;
    assert_eq!(timed_out(&call.await.unwrap()), "timeout");
    assert!((SECOND * 3..SECOND * 4).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;

    let mut stream = session.call("b").deadline(SECOND * 3).progressive::<u32>().await.unwrap();
    peer.next().await;
    peer.send(json!([50, 2, {"progress": true}, [1]])).await;
    assert_eq!(stream.try_next().await.unwrap(), Some(1));
    assert_eq!(timed_out(&stream.try_next().await), "timeout");
    assert_eq!(stream.try_next().await.unwrap(), None);
    peer.expect(json!([49, 2, {"mode": "killnowait"}])).await;

    // Chunks are not announced by this router.
    let chunks = session.call("c").deadline(SECOND * 3).duplex::<u32>().await;
    assert!(matches!(chunks, Err(CallError::NotSupported)));

    // A deadline that is never reached, and one that is not needed.
    for limit in [Duration::MAX, SECOND] {
        let call = tokio::spawn(session.call("d").deadline(limit));
        let message = loop {
            let message = peer.next().await;
            if message[0] == 48 && message[3] == "d" {
                break message;
            }
        };
        peer.send(json!([50, message[1], {}])).await;
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_awaited_call_is_canceled_in_each_mode() {
    let (session, mut peer) = joined().await;
    let modes =
        [(CancelMode::Kill, "kill"), (CancelMode::KillNoWait, "killnowait"), (CancelMode::Skip, "skip")];
    for (i, (mode, name)) in modes.into_iter().enumerate() {
        let mut call = session.call("a");
        let handle = call.handle();
        let call = tokio::spawn(call);
        peer.expect(json!([48, i + 1, {}, "a"])).await;
        handle.cancel(mode);
        peer.expect(json!([49, i + 1, {"mode": name}])).await;
        if mode == CancelMode::Kill {
            // The callee decides.
            peer.send(json!([50, i + 1, {}, [7]])).await;
            assert_eq!(call.await.unwrap().unwrap().decode::<u32>().unwrap(), 7);
        } else {
            assert!(matches!(call.await.unwrap(), Err(CallError::Canceled { .. })));
        }
        handle.cancel(mode);
    }
    // In the middle of a `select!`, from the future itself.
    let mut call = session.call("b");
    assert!(timeout(SECOND, &mut call).await.is_err());
    call.handle().cancel(CancelMode::Kill);
    peer.expect(json!([48, 4, {}, "b"])).await;
    peer.expect(json!([49, 4, {"mode": "kill"}])).await;
    peer.send(json!([8, 48, 4, {}, "wamp.error.canceled"])).await;
    assert!(matches!(call.await, Err(CallError::Canceled { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_canceled_before_it_is_sent_is_not_sent() {
    let (session, mut peer) = joined().await;
    let mut call = session.call("a");
    let handle = call.handle();
    handle.cancel(CancelMode::Kill);
    assert!(matches!(call.await, Err(CallError::Canceled { uri, .. }) if uri == uri::CANCELED));
    idle().await;
    peer.ping(b"x").await;
    assert_eq!(peer.next().await, Value::from("PONG x"));
}

#[tokio::test]
async fn a_stream_of_events_keeps_its_session() {
    let router = Router::default();
    let mut events = Client::over(router.local()).await.unwrap().subscribe_stream("t").await.unwrap();
    let other = Client::over(router.local()).await.unwrap();
    other.publish("t").arg(1).await.unwrap();
    let event = timeout(SECOND * 20, events.next()).await.expect("it comes").expect("the session is there");
    assert_eq!(event.decode::<u32>().unwrap(), 1);
}

/// A consumer that is slower than the callee always finds a result.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_stream_that_its_consumer_does_not_keep_up_with() {
    let (session, mut peer) = joined().await;
    let mut stream = session.call("a").deadline(SECOND * 3).progressive::<u32>().await.unwrap();
    peer.next().await;
    let sending = async {
        for i in 0..100 {
            peer.send(json!([50, 1, {"progress": true}, [i]])).await;
            tokio::time::sleep(SECOND / 10).await;
        }
    };
    let taking = async {
        let mut seen = 0;
        loop {
            match stream.try_next().await {
                Ok(Some(_)) => seen += 1,
                end => break (timed_out(&end), seen).1,
            }
            tokio::time::sleep(SECOND / 2).await;
        }
    };
    let ((), seen) = tokio::join!(sending, taking);
    assert!((20..40).contains(&seen), "{seen}");
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;
}
