//! All replies to a call as one stream, and `try_next`.

use futures_util::StreamExt;
use serde_json::json;
use wamp_client::{CallError, Reply};

use crate::peer::joined;

#[tokio::test]
async fn one_handler_gets_progress_and_result() {
    let (session, mut peer) = joined().await;
    let mut replies = session.call("a").progressive::<i64>().await.unwrap().replies::<i64>();
    let seen = async {
        let mut seen = Vec::new();
        while let Some(reply) = replies.try_next().await.unwrap() {
            seen.push(reply.into_inner());
        }
        seen
    };
    let (seen, ()) = tokio::join!(seen, async {
        peer.next().await;
        for i in 0..3 {
            peer.send(json!([50, 1, {"progress": true}, [i]])).await;
        }
        peer.send(json!([50, 1, {}, [3]])).await;
    });
    assert_eq!(seen, [0, 1, 2, 3]);
    assert!(replies.next().await.is_none());
}

#[tokio::test]
async fn the_last_value_has_a_type_of_its_own_and_combinators_reach_it() {
    let (session, mut peer) = joined().await;
    let rows = session.call("a").progressive::<String>().await.unwrap();
    peer.next().await;
    let progress = |value: serde_json::Value| json!([50, 1, {"progress": true}, [value]]);
    peer.send_all(&[progress(json!("x")), progress(json!(5)), json!([50, 1, {}, [2]])]).await;
    let lines = rows.replies::<u64>().map(|reply| match reply {
        Ok(Reply::Progress(row)) => row,
        Ok(Reply::Result(sum)) => format!("sum: {sum}"),
        Err(error) => format!("{error:?}").split('(').next().unwrap().to_owned(),
    });
    // An item that does not fit does not end the stream.
    assert_eq!(lines.collect::<Vec<_>>().await, ["x", "Decode", "sum: 2"]);
}

#[tokio::test]
async fn a_stream_that_was_read_to_its_end_still_has_its_last_reply() {
    let (session, mut peer) = joined().await;
    let ends = [
        (json!([50, 1, {}, [2]]), Ok(2)),
        (json!([8, 48, 2, {}, "com.no"]), Err("com.no")),
        (json!([50, 3, {}, ["x"]]), Err("the result does not fit")),
    ];
    for (end, expected) in ends {
        let mut rows = session.call("a").progressive::<u64>().await.unwrap();
        peer.next().await;
        peer.send(end).await;
        while rows.next().await.is_some() {}
        let replies: Vec<_> = rows.replies::<u64>().collect().await;
        match (replies.as_slice(), expected) {
            ([Ok(Reply::Result(result))], Ok(expected)) => assert_eq!(*result, expected),
            ([Err(error)], Err(expected)) => assert!(error.to_string().starts_with(expected), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn dropping_it_cancels_the_call_and_so_does_its_handle() {
    let (session, mut peer) = joined().await;
    drop(session.call("a").progressive::<i64>().await.unwrap().replies::<i64>());
    peer.next().await;
    peer.expect(json!([49, 1, {"mode": "killnowait"}])).await;
    let mut replies = session.call("a").progressive::<i64>().await.unwrap().replies::<i64>();
    peer.next().await;
    replies.handle().cancel(wamp_client::CancelMode::Skip);
    peer.expect(json!([49, 2, {"mode": "skip"}])).await;
    assert!(matches!(replies.next().await, Some(Err(CallError::Canceled { .. }))));
    assert!(replies.next().await.is_none());
}
