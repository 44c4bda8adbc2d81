//! Calls in chunks, through our own router.

use futures_util::StreamExt;
use tokio::sync::mpsc;
use wamp_client::{
    CallError, CancelReason, ChunkError, Client, Failure, Invocation, SendError, Serializer, Session,
};
use wamp_router::Router;
use wamp_transport::memory;

async fn join(router: &Router, serializer: Serializer) -> Session {
    let (ours, theirs) = memory::pair(serializer);
    router.attach(theirs);
    Client::over(ours).await.unwrap()
}

async fn pair() -> (Router, Session, Session) {
    let router = Router::default();
    let (callee, caller) = (join(&router, Serializer::Cbor).await, join(&router, Serializer::Json).await);
    (router, callee, caller)
}

/// Adds up all chunks, and sends the sum after each one.
async fn sum(call: Invocation) -> Result<(i64, usize), Failure> {
    let (mut total, mut count) = (0, 0);
    let mut chunks = call.chunks::<i64>();
    while let Some(chunk) = chunks.next().await {
        total += chunk?;
        count += 1;
        if let Some(progress) = call.progress() {
            progress.send(total).await?;
        }
    }
    Ok((total, count))
}

#[tokio::test]
async fn both_directions_flow_at_the_same_time() {
    let (_router, callee, caller) = pair().await;
    callee.register("com.example.sum", sum).await.unwrap();
    let call = caller.call("com.example.sum").args((1,));
    let (mut up, mut down) = call.duplex::<i64>().await.unwrap();
    assert_eq!(down.next().await.unwrap().unwrap(), 1);
    for (chunk, total) in [(2, 3), (3, 6), (4, 10)] {
        up.send(chunk).await.unwrap();
        assert_eq!(down.next().await.unwrap().unwrap(), total, "before the next chunk is sent");
    }
    up.finish(5).await.unwrap();
    assert_eq!(down.next().await.unwrap().unwrap(), 15);
    assert!(down.next().await.is_none());
    assert_eq!(down.finish::<(i64, usize)>().await.unwrap(), (15, 5));
}

#[tokio::test]
async fn an_upload_may_be_read_only_after_all_of_it_was_sent() {
    let (_router, callee, caller) = pair().await;
    callee.register("com.example.sum", sum).await.unwrap();
    let (mut up, down) = caller.call("com.example.sum").duplex::<i64>().await.unwrap();
    for chunk in 0..10_000 {
        up.send(chunk).await.unwrap();
    }
    up.end().await.unwrap();
    let last: (i64, usize) = down.finish().await.unwrap();
    assert_eq!(last, (49_995_000, 10_000), "neither the first nor the last message had arguments");
}

#[tokio::test]
async fn a_call_that_is_not_made_in_chunks_has_one() {
    let (_router, callee, caller) = pair().await;
    callee.register("com.example.sum", sum).await.unwrap();
    let result: (i64, usize) = caller.call("com.example.sum").args((7,)).await.unwrap().decode().unwrap();
    assert_eq!(result, (7, 1));
}

#[tokio::test]
async fn the_first_message_may_describe_the_chunks() {
    let (_router, callee, caller) = pair().await;
    let upload = |call: Invocation| async move {
        assert!(call.is_in_chunks());
        let (name,): (String,) = call.args()?;
        let chunks: Vec<Vec<u8>> = call.more_chunks::<Vec<u8>>().map(|chunk| chunk.unwrap()).collect().await;
        Ok((name, chunks.concat().len()))
    };
    callee.register("com.example.upload", upload).await.unwrap();
    let call = caller.call("com.example.upload").arg("a.txt");
    let (mut up, down) = call.duplex::<()>().await.unwrap();
    up.send(vec![1; 10]).await.unwrap();
    up.finish(vec![2; 20]).await.unwrap();
    assert_eq!(down.finish::<(String, usize)>().await.unwrap(), ("a.txt".to_owned(), 30));
}

#[tokio::test]
async fn a_chunk_that_does_not_fit_is_an_error_and_others_follow() {
    let (_router, callee, caller) = pair().await;
    let lenient = |call: Invocation| async move {
        let mut chunks = call.more_chunks::<u8>();
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.next().await {
            seen.push(match chunk {
                Ok(chunk) => chunk.to_string(),
                Err(error) => error.to_string(),
            });
        }
        Ok(seen)
    };
    callee.register("com.example.lenient", lenient).await.unwrap();
    callee.register("com.example.sum", sum).await.unwrap();
    let (mut up, down) = caller.call("com.example.lenient").duplex::<()>().await.unwrap();
    for chunk in [1, 1000, 2] {
        up.send(chunk).await.unwrap();
    }
    up.end().await.unwrap();
    let seen: Vec<String> = down.finish().await.unwrap();
    assert_eq!(
        seen,
        ["1", "the chunk does not fit: argument 1: expected u8, found integer out of range", "2"]
    );

    let (up, down) = caller.call("com.example.sum").duplex::<i64>().await.unwrap();
    up.finish("one").await.unwrap();
    let CallError::Application { uri, .. } = down.finish::<(i64, usize)>().await.unwrap_err() else {
        panic!("not an application error")
    };
    assert_eq!(uri, "wamp.error.invalid_argument");
}

#[tokio::test]
async fn a_callee_may_answer_before_the_upload_ends() {
    let (_router, callee, caller) = pair().await;
    let enough = |call: Invocation| async move {
        let mut chunks = call.more_chunks::<i64>();
        chunks.next().await.unwrap()?;
        Ok("enough")
    };
    callee.register("com.example.enough", enough).await.unwrap();
    let (mut up, down) = caller.call("com.example.enough").duplex::<()>().await.unwrap();
    up.send(1).await.unwrap();
    assert_eq!(down.finish::<String>().await.unwrap(), "enough");
    assert_eq!(up.send(2).await, Err(SendError::Over));
    assert!(caller.is_open() && callee.is_open());
}

#[tokio::test]
async fn half_an_upload_is_canceled_and_the_callee_learns_it() {
    let (_router, callee, caller) = pair().await;
    let (tell, mut told) = mpsc::channel(4);
    let upload = move |call: Invocation| {
        let tell = tell.clone();
        async move {
            let mut chunks = call.more_chunks::<i64>();
            loop {
                match chunks.next().await {
                    Some(Ok(chunk)) => tell.send(Ok(chunk)).await.unwrap(),
                    Some(Err(error)) => tell.send(Err(error)).await.unwrap(),
                    None => return Ok(()),
                }
            }
        }
    };
    callee.register("com.example.upload", upload).await.unwrap();
    let (mut up, down) = caller.call("com.example.upload").duplex::<()>().await.unwrap();
    up.send(1).await.unwrap();
    assert_eq!(told.recv().await.unwrap(), Ok(1));
    drop(up);
    assert_eq!(told.recv().await.unwrap(), Err(ChunkError::Canceled(CancelReason::Canceled)));
    assert!(matches!(down.finish::<()>().await, Err(CallError::Canceled { .. })));
}

#[tokio::test]
async fn an_unregistered_procedure_ends_both_directions() {
    let (_router, _callee, caller) = pair().await;
    let (mut up, mut down) = caller.call("com.example.nothing").duplex::<i64>().await.unwrap();
    let error = down.next().await.unwrap().unwrap_err();
    assert_eq!(error.uri().unwrap(), "wamp.error.no_such_procedure");
    assert_eq!(up.send(1).await, Err(SendError::Over));
    assert!(down.next().await.is_none());
}
