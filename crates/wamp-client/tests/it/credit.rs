//! Credit for slow consumers: our client at both ends of our router.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream;
use tokio::sync::Notify;
use wamp_client::{CallError, CancelReason, Client, Invocation, SendError, Serializer, Session};
use wamp_router::{Credit, Router};
use wamp_transport::memory;
use wamp_transport_rawsocket::{Config, accept, connect};

use crate::peer::idle;

/// Nearly 1 KiB each; together far more than all windows and queues hold.
const MANY: u64 = 10_000;

async fn join(router: &Router) -> Session {
    let (ours, theirs) = memory::pair(Serializer::MsgPack);
    router.attach(theirs);
    Client::over(ours).await.unwrap()
}

fn item(i: u64) -> (u64, String) {
    (i, "x".repeat(1000))
}

/// A procedure that sends all results, and the number that it has sent.
async fn flood(callee: &Session, uri: &'static str) -> Arc<AtomicU64> {
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let handler = move |call: Invocation| {
        let count = count.clone();
        async move {
            let progress = call.progress().expect("the caller asks");
            for i in 0..MANY {
                progress.send(item(i)).await?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(MANY)
        }
    };
    callee.register(uri, handler).await.unwrap();
    sent
}

#[tokio::test(start_paused = true)]
async fn a_callee_waits_for_a_caller_that_takes_nothing_and_nothing_is_lost() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let sent = flood(&callee, "a").await;
    let mut items = caller.call("a").progressive::<(u64, String)>().await.unwrap();
    idle().await;
    let ahead = sent.load(Ordering::Relaxed);
    assert!((50..150).contains(&ahead), "64 KiB at each of the two ends: {ahead}");
    for i in 0..MANY {
        assert_eq!(items.next().await.unwrap().unwrap().0, i);
    }
    assert!(items.next().await.is_none());
    assert_eq!(items.finish::<u64>().await.unwrap(), MANY);
    assert_eq!(router.realm_stats("realm1").unwrap().1.calls, 0);
}

#[tokio::test(start_paused = true)]
async fn others_are_served_meanwhile_by_the_same_callee() {
    let router = Router::default();
    let (callee, caller, other) = (join(&router).await, join(&router).await, join(&router).await);
    flood(&callee, "a").await;
    callee.register("b", |_| async { Ok(7) }).await.unwrap();
    let slow: Vec<_> = {
        let call = |_| caller.call("a").progressive::<(u64, String)>().into_future();
        futures_util::future::join_all((0..50).map(call)).await
    };
    idle().await;
    for _ in 0..100 {
        assert_eq!(other.call("b").await.unwrap().decode::<u64>().unwrap(), 7);
        assert_eq!(caller.call("b").await.unwrap().decode::<u64>().unwrap(), 7, "on the same connection");
    }
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_ends_with_the_call() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let (ended, ends) = tokio::sync::oneshot::channel();
    let ended = std::sync::Mutex::new(Some(ended));
    let handler = move |call: Invocation| {
        let ended = ended.lock().unwrap().take();
        async move {
            let progress = call.progress().expect("the caller asks");
            let error = loop {
                if let Err(error) = progress.send(item(0)).await {
                    break error;
                }
            };
            let _ = ended.expect("it is called once").send((error, call.cancel_reason()));
            Ok(())
        }
    };
    callee.register("a", handler).await.unwrap();
    let items = caller.call("a").progressive::<(u64, String)>().await.unwrap();
    idle().await;
    drop(items);
    let (error, reason) = ends.await.unwrap();
    assert_eq!((error, reason), (SendError::Over, Some(CancelReason::Canceled)));
    idle().await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_returned_is_polled_only_as_its_items_can_be_sent() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let polled = Arc::new(AtomicU64::new(0));
    let count = polled.clone();
    let handler = move |_| {
        let count = count.clone();
        stream::iter((0..MANY).map(move |i| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(item(i))
        }))
    };
    callee.register_stream("a", handler).await.unwrap();
    let mut items = caller.call("a").progressive::<(u64, String)>().await.unwrap();
    idle().await;
    let ahead = polled.load(Ordering::Relaxed);
    assert!((50..150).contains(&ahead), "{ahead}");
    for i in 0..MANY {
        assert_eq!(items.next().await.unwrap().unwrap().0, i);
    }
    items.finish::<()>().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_for_a_handler_that_takes_no_chunks() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let may = Arc::new(Notify::new());
    let go = may.clone();
    let handler = move |call: Invocation| {
        let go = go.clone();
        async move {
            go.notified().await;
            let (mut chunks, mut count) = (call.chunks::<(u64, String)>(), 0);
            while let Some(chunk) = chunks.next().await {
                assert_eq!(chunk?.0, count);
                count += 1;
            }
            Ok(count)
        }
    };
    callee.register("a", handler).await.unwrap();
    let (mut up, down) = caller.call("a").duplex::<()>().await.unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let uploading = tokio::spawn(async move {
        for i in 0..MANY {
            up.send(item(i)).await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
        up.finish(item(MANY)).await.unwrap();
    });
    idle().await;
    let ahead = sent.load(Ordering::Relaxed);
    assert!((50..150).contains(&ahead), "{ahead}");
    may.notify_one();
    uploading.await.unwrap();
    assert_eq!(down.finish::<u64>().await.unwrap(), MANY + 1);
}

/// Sends back each chunk.
async fn echo(call: Invocation) -> Result<u64, wamp_client::Failure> {
    let progress = call.progress().expect("the caller asks");
    let (mut chunks, mut count) = (call.chunks::<(u64, String)>(), 0);
    while let Some(chunk) = chunks.next().await {
        progress.send(chunk?).await?;
        count += 1;
    }
    Ok(count)
}

#[tokio::test(start_paused = true)]
async fn a_program_may_send_everything_before_it_reads_anything() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    callee.register("a", echo).await.unwrap();
    let (mut up, mut down) = caller.call("a").duplex::<(u64, String)>().await.unwrap();
    for i in 0..MANY - 1 {
        up.send(item(i)).await.unwrap();
    }
    up.finish(item(MANY - 1)).await.unwrap();
    for i in 0..MANY {
        assert_eq!(down.next().await.unwrap().unwrap().0, i);
    }
    assert_eq!(down.finish::<u64>().await.unwrap(), MANY);
}

#[tokio::test(start_paused = true)]
async fn results_for_a_program_that_only_sends_are_bounded_and_end_with_an_error() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    callee.register("a", echo).await.unwrap();
    let call = caller.call("a").buffer(1 << 20).duplex::<(u64, String)>();
    let (mut up, mut down) = call.await.unwrap();
    let sent = async {
        for i in 0..MANY {
            up.send(item(i)).await?;
        }
        Ok(())
    };
    assert_eq!(sent.await, Err(SendError::Over), "the sender does not wait for ever");
    let mut count = 0;
    let end = loop {
        match down.next().await.unwrap() {
            Ok((i, _)) => assert_eq!(i, count),
            Err(error) => break error,
        }
        count += 1;
    };
    assert!((1000..1300).contains(&count), "{count}");
    let CallError::Canceled { .. } = end else { panic!("{end:?}") };
    idle().await;
    let (stats, sizes) = router.realm_stats("realm1").unwrap();
    assert_eq!((stats.slow_consumers, sizes.calls, sizes.starved), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_small_buffer_is_for_peers_without_credit() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    flood(&callee, "a").await;
    let mut items = caller.call("a").buffer(1).progressive::<(u64, String)>().await.unwrap();
    idle().await;
    let mut count = 0;
    while let Some(item) = items.next().await {
        item.unwrap();
        count += 1;
    }
    assert_eq!(count, MANY);
}

#[tokio::test(start_paused = true)]
async fn a_handler_calls_through_the_session_on_which_its_own_stream_waits() {
    let router = Router::default();
    let session = join(&router).await;
    session.register("b", |_| async { Ok(1u64) }).await.unwrap();
    let handler = |call: Invocation| async move {
        let progress = call.progress().expect("the caller asks");
        let mut sum = 0;
        for i in 0..1000 {
            progress.send(item(i)).await?;
            sum += call.session().call("b").await?.decode::<u64>()?;
        }
        Ok(sum)
    };
    session.register("a", handler).await.unwrap();
    // The session calls itself, too.
    let items = session.call("a").progressive::<(u64, String)>().await.unwrap();
    idle().await;
    assert_eq!(session.call("b").await.unwrap().decode::<u64>().unwrap(), 1);
    assert_eq!(items.finish::<u64>().await.unwrap(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_one_a_second_keeps_its_call_for_as_long_as_it_likes() {
    let router = Router::default();
    let (callee, caller) = (join(&router).await, join(&router).await);
    let handler = |_| stream::iter((0u64..).map(Ok));
    callee.register_stream("a", handler).await.unwrap();
    let mut items = caller.call("a").progressive::<u64>().await.unwrap();
    for i in 0..5000 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(items.next().await.unwrap().unwrap(), i);
    }
    drop(items);
    idle().await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_nothing_for_five_minutes_loses_the_call() {
    ends_after(Router::default(), Duration::from_secs(300)).await;
}

#[tokio::test(start_paused = true)]
async fn how_long_it_may_take_nothing_is_a_setting() {
    let credit = Credit { patience: Duration::from_secs(2), ..Credit::default() };
    ends_after(Router::builder().realm("realm1").credit(credit).build(), credit.patience).await;
}

async fn ends_after(router: Router, patience: Duration) {
    let (callee, caller) = (join(&router).await, join(&router).await);
    flood(&callee, "a").await;
    let mut items = caller.call("a").progressive::<(u64, String)>().await.unwrap();
    tokio::time::sleep(patience - Duration::from_secs(1)).await;
    assert_eq!((router.stats().total.slow_consumers, router.stats().now.starved), (0, 1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut count = 0;
    let end = loop {
        match items.next().await.unwrap() {
            Ok((i, _)) => assert_eq!(i, count),
            Err(error) => break error,
        }
        count += 1;
    };
    assert!(matches!(end, CallError::Canceled { .. }), "{end:?}");
    assert_eq!((router.stats().total.slow_consumers, router.stats().now.starved), (1, 0));
}

#[tokio::test]
async fn a_transport_that_takes_one_byte_at_a_time_is_slow_and_nothing_worse() {
    let router = Router::default();
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let (ours, theirs) = tokio::io::duplex(1);
        let config = Config::default();
        let (ours, theirs) =
            tokio::join!(connect(ours, Serializer::MsgPack, &config), accept(theirs, &[], &config));
        router.attach(theirs.unwrap());
        sessions.push(Client::over(ours.unwrap()).await.unwrap());
    }
    sessions[0].register("a", echo).await.unwrap();
    let (mut up, mut down) = sessions[1].call("a").duplex::<(u64, String)>().await.unwrap();
    for i in 0..100 {
        up.send(item(i)).await.unwrap();
    }
    up.end().await.unwrap();
    for i in 0..100 {
        assert_eq!(down.next().await.unwrap().unwrap().0, i);
    }
    assert_eq!(down.finish::<u64>().await.unwrap(), 100);
}
