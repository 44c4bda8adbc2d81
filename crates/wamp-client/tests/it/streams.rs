use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_core::Stream;
use serde_json::{Value, json};
use wamp_client::{CallError, CallStream, CancelMode, Session};

use crate::peer::{Peer, joined};

/// A stream of integers, of the call 1.
async fn stream() -> (Session, Peer, CallStream<i64>) {
    let (session, mut peer) = joined().await;
    let stream = session.call("com.example.report").args((2024,)).progressive::<i64>().await.unwrap();
    peer.expect(json!([48, 1, {"receive_progress": true}, "com.example.report", [2024]])).await;
    (session, peer, stream)
}

fn progress(value: impl Into<Value>) -> Value {
    json!([50, 1, {"progress": true}, [value.into()]])
}

// behaviour 19, 21
#[tokio::test]
async fn chunks_come_in_order_and_the_last_value_apart_with_a_type_of_its_own() {
    let (_session, mut peer, mut stream) = stream().await;
    peer.send_all(&[progress(1), progress(2)]).await;
    peer.send_all(&[progress(3), json!([50, 1, {}, [], {"rows": 3}])]).await;
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await {
        rows.push(row.unwrap());
    }
    assert_eq!(rows, [1, 2, 3]);
    assert!(stream.next().await.is_none());

    #[derive(serde::Deserialize)]
    struct Summary {
        rows: u32,
    }
    let summary: Summary = stream.finish().await.unwrap();
    assert_eq!(summary.rows, 3);
}

#[tokio::test]
async fn an_item_that_does_not_fit_is_an_error_and_the_stream_goes_on() {
    let (_session, mut peer, mut stream) = stream().await;
    peer.send_all(&[progress(1), progress("two"), progress(3), json!([50, 1, {}])]).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    assert!(matches!(stream.next().await, Some(Err(CallError::Decode(_)))));
    assert_eq!(stream.next().await.unwrap().unwrap(), 3);
    assert!(stream.next().await.is_none());
    stream.finish::<()>().await.unwrap();
}

#[tokio::test]
async fn an_error_comes_once_and_then_nothing_and_finish_returns_it_again() {
    let (_session, mut peer, mut stream) = stream().await;
    peer.send_all(&[progress(1), json!([8, 48, 1, {}, "com.example.broken", ["why"]])]).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "com.example.broken: why");
    assert!(stream.next().await.is_none());
    assert!(stream.next().await.is_none());
    assert_eq!(stream.finish::<()>().await.unwrap_err().to_string(), error.to_string());
}

#[tokio::test]
async fn finish_takes_and_discards_the_rest() {
    let (_session, mut peer, stream) = stream().await;
    peer.send_all(&[progress(1), progress("of no use")]).await;
    let router = async {
        peer.send(progress(2)).await;
        peer.send(json!([50, 1, {}, ["end"]])).await;
    };
    let (last, ()) = tokio::join!(stream.finish::<String>(), router);
    assert_eq!(last.unwrap(), "end");
}

#[tokio::test]
async fn it_is_a_stream() {
    let (_session, mut peer, mut stream) = stream().await;
    peer.send_all(&[progress(1), json!([50, 1, {}])]).await;
    assert_eq!(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await.unwrap().unwrap(), 1);
    assert!(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await.is_none());
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_nothing() {
    let (_session, mut peer, mut stream) = stream().await;
    {
        let mut next = pin!(stream.next());
        let polled = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
        assert!(polled.is_pending());
    }
    peer.send_all(&[progress(1), progress(2)]).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    assert_eq!(stream.next().await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn more_than_the_buffer_holds_cancels_the_call_and_leaves_no_hole() {
    let (session, mut peer) = joined().await;
    let mut stream = session.call("a").buffer(1000).progressive::<i64>().await.unwrap();
    peer.next().await;
    let flood: Vec<Value> = (0..100).map(progress).collect();
    peer.send_all(&flood).await;
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;
    let mut rows = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(row) => assert_eq!(row, rows),
            Err(error) => break error,
        }
        rows += 1;
    };
    assert!(matches!(error, CallError::Lagged { limit: 1000, .. }), "{error}");
    assert!((5..20).contains(&rows), "{rows}");
    assert!(stream.next().await.is_none());
    assert!(matches!(stream.finish::<()>().await, Err(CallError::Lagged { .. })));
    assert!(session.is_open());
}

// behaviour 26
#[tokio::test]
async fn after_a_kill_the_callee_goes_on_and_may_win() {
    let (_session, mut peer, mut stream) = stream().await;
    peer.send(progress(1)).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), 1);
    stream.cancel(CancelMode::Kill);
    peer.expect(json!([49, 1, {"mode": "kill"}])).await;
    peer.send_all(&[progress(2), json!([50, 1, {}, ["won"]])]).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), 2);
    assert!(stream.next().await.is_none());
    assert_eq!(stream.finish::<String>().await.unwrap(), "won");
}

// behaviour 28
#[tokio::test]
async fn a_second_cancel_ends_the_call_at_once() {
    let (_session, mut peer, mut stream) = stream().await;
    let handle = stream.handle();
    handle.cancel(CancelMode::Kill);
    handle.cancel(CancelMode::Kill);
    handle.cancel(CancelMode::KillNoWait);
    handle.cancel(CancelMode::KillNoWait);
    assert!(matches!(stream.next().await, Some(Err(CallError::Canceled { .. }))));
    peer.expect(json!([49, 1, {"mode": "kill"}])).await;
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;
    drop(stream);
    drop(_session);
    assert_eq!(peer.next().await[0], 6, "no third CANCEL, but GOODBYE");
}
