use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wamp_client::{Failure, Invocation, Reply};

use crate::peer::joined;

/// A stream of ready items, which then ends, or waits for ever.
struct Items<T> {
    items: std::vec::IntoIter<Result<T, Failure>>,
    endless: bool,
    dropped: Option<mpsc::UnboundedSender<()>>,
}

impl<T> Unpin for Items<T> {}

impl<T> Stream for Items<T> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        match this.items.next() {
            None if this.endless => Poll::Pending,
            item => Poll::Ready(item),
        }
    }
}

impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        if let Some(dropped) = &self.dropped {
            let _ = dropped.send(());
        }
    }
}

fn items<T>(items: Vec<Result<T, Failure>>) -> Items<T> {
    Items { items: items.into_iter(), endless: false, dropped: None }
}

fn asked(id: u64) -> Value {
    json!([68, id, 7, {"receive_progress": true}])
}

#[tokio::test]
async fn items_are_progressive_results_and_the_last_result_is_empty() {
    let (session, mut peer) = joined().await;
    peer.register(session.register_stream("a", |_| items(vec![Ok((0,)), Ok((1,))]))).await;
    peer.send(asked(1)).await;
    peer.expect(json!([70, 1, {"progress": true}, [0]])).await;
    peer.expect(json!([70, 1, {"progress": true}, [1]])).await;
    peer.expect(json!([70, 1, {}])).await;
}

#[tokio::test]
async fn the_last_result_may_be_a_value_of_another_type() {
    let (session, mut peer) = joined().await;
    peer.register(session.register_stream("a", |_| {
        items(vec![Ok(Reply::Progress(1)), Ok(Reply::Result("sum")), Ok(Reply::Progress(2))])
    }))
    .await;
    peer.send(asked(1)).await;
    peer.expect(json!([70, 1, {"progress": true}, [1]])).await;
    peer.expect(json!([70, 1, {}, ["sum"]])).await;
    // A caller that asked for no progress gets the same last result.
    peer.send(json!([68, 2, 7, {}])).await;
    peer.expect(json!([70, 2, {}, ["sum"]])).await;
}

#[tokio::test]
async fn a_caller_that_asked_for_no_progress_gets_one_list() {
    let (session, mut peer) = joined().await;
    peer.register(session.register_stream("a", |call: Invocation| {
        let pairs = call.decode::<bool>().unwrap();
        items(if pairs { vec![Ok((1, "a")), Ok((2, "b"))] } else { vec![] })
    }))
    .await;
    peer.send(json!([68, 1, 7, {}, [true]])).await;
    peer.expect(json!([70, 1, {}, [[[1, "a"], [2, "b"]]]])).await;
    peer.send(json!([68, 2, 7, {}, [false]])).await;
    peer.expect(json!([70, 2, {}, [[]]])).await;
}

#[tokio::test]
async fn a_list_beyond_16_mib_is_an_error() {
    let (session, mut peer) = joined().await;
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    peer.register(session.register_stream("a", move |_| {
        let count = count.clone();
        let item = move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok("x".repeat(1 << 20))
        };
        Endless(Box::new(item))
    }))
    .await;
    peer.send(json!([68, 1, 7, {}])).await;
    assert_eq!(peer.next().await[4], "wamp.error.payload_size_exceeded");
    assert_eq!(taken.load(Ordering::Relaxed), 16, "each is a little longer than 1 MiB");
}

type Make<T> = Box<dyn FnMut(()) -> Result<T, Failure> + Send>;

struct Endless<T>(Make<T>);

impl<T> Stream for Endless<T> {
    type Item = Result<T, Failure>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(Some((self.get_mut().0)(())))
    }
}

#[tokio::test]
async fn an_error_ends_the_stream_either_way() {
    let (session, mut peer) = joined().await;
    let failing = |_| items(vec![Ok(1), Err(Failure::new("com.example.no").arg("more")), Ok(2)]);
    peer.register(session.register_stream("a", failing)).await;
    peer.send(asked(1)).await;
    peer.expect(json!([70, 1, {"progress": true}, [1]])).await;
    peer.expect(json!([8, 68, 1, {}, "com.example.no", ["more"]])).await;
    peer.send(json!([68, 2, 7, {}])).await;
    peer.expect(json!([8, 68, 2, {}, "com.example.no", ["more"]])).await;
}

#[tokio::test]
async fn a_stream_that_is_not_awaited_is_dropped() {
    let (session, mut peer) = joined().await;
    let (dropped, mut drops) = mpsc::unbounded_channel();
    peer.register(session.register_stream("a", move |_| {
        let items = vec![Ok(1)].into_iter();
        Items { items, endless: true, dropped: Some(dropped.clone()) }
    }))
    .await;
    peer.send(asked(1)).await;
    peer.expect(json!([70, 1, {"progress": true}, [1]])).await;
    peer.send(json!([69, 1, {"mode": "killnowait"}])).await;
    drops.recv().await.unwrap();
    // Also while it collects a list.
    peer.send(json!([68, 2, 7, {}])).await;
    peer.send(json!([69, 2, {"mode": "kill"}])).await;
    peer.expect(json!([8, 68, 2, {}, "wamp.error.canceled"])).await;
    drops.recv().await.unwrap();
}

#[tokio::test]
async fn a_panic_in_a_stream_is_an_error_of_its_call() {
    let (session, mut peer) = joined().await;
    peer.register(session.register_stream("a", |_| Endless::<u8>(Box::new(|_| panic!("a secret"))))).await;
    peer.send(asked(1)).await;
    peer.expect(json!([8, 68, 1, {}, "wamp.error.runtime_error", ["the procedure panicked"]])).await;
}
