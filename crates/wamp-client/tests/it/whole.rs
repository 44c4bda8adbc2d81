//! The client at both ends of our own router.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use wamp_client::{Client, Event, Failure, Invocation, Serializer, Session};
use wamp_router::Router;
use wamp_transport::memory;

async fn join(router: &Router, serializer: Serializer) -> Session {
    let (ours, theirs) = memory::pair(serializer);
    router.attach(theirs);
    Client::over(ours).await.unwrap()
}

async fn longop(call: Invocation) -> Result<(i64,), Failure> {
    let (n,): (i64,) = call.args()?;
    if let Some(progress) = call.progress() {
        for i in 0..n {
            progress.send((i,)).await?;
        }
    }
    Ok((n,))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
    address: std::net::Ipv4Addr,
    kind: Kind,
    note: Option<f64>,
    counts: HashMap<String, i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(i32),
    Tuple(i32, String),
    Struct { a: Vec<u8> },
}

fn rows() -> Vec<Row> {
    let kinds = [Kind::Unit, Kind::New(-1), Kind::Tuple(2, "x".into()), Kind::Struct { a: vec![0, 255] }];
    kinds
        .into_iter()
        .enumerate()
        .map(|(i, kind)| Row {
            name: format!("row {i}\0\u{1F980}"),
            address: [127, 0, 0, i as u8].into(),
            kind,
            note: (i > 1).then_some(0.5),
            counts: HashMap::from([("a".to_owned(), i64::MAX), ("b".to_owned(), i64::MIN)]),
        })
        .collect()
}

#[tokio::test]
async fn values_survive_every_pair_of_serializers() {
    let router = Router::default();
    for &theirs in Serializer::ALL {
        let callee = join(&router, theirs).await;
        let uri = format!("com.example.rows.{theirs}");
        callee
            .register(uri.as_str(), |call: Invocation| async move {
                let (mut rows,): (Vec<Row>,) = call.args()?;
                let progress = call.progress().expect("the caller asks");
                let last = rows.pop();
                for row in rows {
                    progress.send(row).await?;
                }
                Ok(last)
            })
            .await
            .unwrap();
        for &ours in Serializer::ALL {
            let caller = join(&router, ours).await;
            let mut stream = caller.call(uri.as_str()).args((rows(),)).progressive::<Row>().await.unwrap();
            let mut came = Vec::new();
            while let Some(row) = stream.next().await {
                came.push(row.unwrap());
            }
            came.push(stream.finish().await.unwrap());
            assert_eq!(came, rows(), "{ours} to {theirs}");
        }
    }
}

#[tokio::test]
async fn the_three_snippets() {
    let router = Router::default();
    let (callee, caller) = (join(&router, Serializer::ALL[0]).await, join(&router, Serializer::ALL[0]).await);
    callee.register("com.myapp.longop", longop).await.unwrap();
    let total: i64 = caller.call("com.myapp.longop").args((3,)).await.unwrap().decode().unwrap();
    assert_eq!(total, 3);
    let mut seen = Vec::new();
    let call = caller.call("com.myapp.longop").args((3,)).on_progress(|i: i64| seen.push(i));
    assert_eq!(call.await.unwrap().decode::<i64>().unwrap(), 3);
    assert_eq!(seen, [0, 1, 2]);
    let error = caller.call("com.myapp.nothing").await.unwrap_err();
    assert_eq!(error.uri().unwrap(), &"wamp.error.no_such_procedure");
    let error = caller.call("com.myapp.longop").args(("x",)).await.unwrap_err();
    assert_eq!(error.to_string(), "wamp.error.invalid_argument: argument 1: expected i64, found string");
}

#[tokio::test]
async fn events_reach_their_subscribers() {
    let router = Router::default();
    let (one, two) = (join(&router, Serializer::ALL[0]).await, join(&router, Serializer::ALL[0]).await);
    let mut events = one.subscribe_stream("com.example.topic").await.unwrap();
    let (told, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let subscription = two
        .subscribe("com.example.topic", move |event: Event| {
            let told = told.clone();
            async move { drop(told.send(event.decode::<String>().unwrap())) }
        })
        .await
        .unwrap();
    two.publish("com.example.topic").arg("x").acknowledge().await.unwrap().unwrap();
    assert_eq!(events.next().await.unwrap().decode::<String>().unwrap(), "x");
    two.publish("com.example.topic").arg("y").exclude_me(false).await.unwrap();
    assert_eq!(hear.recv().await.unwrap(), "y");
    subscription.unsubscribe().await.unwrap();
}

// behaviour 47
#[tokio::test]
async fn a_session_calls_itself_with_a_flood_while_its_handler_calls_on() {
    let router = Router::default();
    let session = join(&router, Serializer::ALL[0]).await;
    session.register("longop", longop).await.unwrap();
    session
        .register("outer", |call: Invocation| async move {
            let progress = call.progress().expect("the caller asks");
            let mut inner =
                call.session().call("longop").args(call.args::<(i64,)>()?).progressive::<i64>().await?;
            while let Some(i) = inner.next().await {
                progress.send((i?, "x".repeat(4096))).await?;
            }
            Ok(inner.finish::<i64>().await?)
        })
        .await
        .unwrap();
    let mut stream = session.call("outer").args((1_000,)).progressive::<(i64, String)>().await.unwrap();
    let mut next = 0;
    while let Some(item) = stream.next().await {
        assert_eq!(item.unwrap().0, next);
        next += 1;
    }
    assert_eq!((next, stream.finish::<i64>().await.unwrap()), (1_000, 1_000));
    session.leave().await;
    let (_, sizes) = router.realm_stats("realm1").unwrap();
    assert_eq!((sizes.sessions, sizes.calls, sizes.registrations), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_and_one_callee_on_many_threads() {
    const CALLS: i64 = 50;
    const ITEMS: i64 = 40;
    let router = Router::default();
    let callee = join(&router, Serializer::ALL[0]).await;
    let handled = Arc::new(AtomicU64::new(0));
    let count = handled.clone();
    callee
        .register("longop", move |call: Invocation| {
            count.fetch_add(1, Ordering::Relaxed);
            longop(call)
        })
        .await
        .unwrap();
    let mut tasks = Vec::new();
    for i in 0..8 {
        let caller = join(&router, Serializer::ALL[i % Serializer::ALL.len()]).await;
        tasks.push(tokio::spawn(async move {
            for call in 0..CALLS {
                let mut stream = caller.call("longop").args((ITEMS,)).progressive::<i64>().await.unwrap();
                let mut next = 0;
                while let Some(item) = stream.next().await {
                    assert_eq!(item.unwrap(), next);
                    next += 1;
                    if call % 5 == 4 && next == ITEMS / 2 {
                        break;
                    }
                }
                if call % 5 != 4 {
                    assert_eq!((next, stream.finish::<i64>().await.unwrap()), (ITEMS, ITEMS));
                }
            }
            caller.leave().await;
            caller.stats()
        }));
    }
    for task in tasks {
        let stats = task.await.unwrap();
        assert_eq!((stats.unsolicited, stats.unknown), (0, 0));
    }
    assert_eq!(handled.load(Ordering::Relaxed), 8 * CALLS as u64);
    callee.leave().await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.calls, 0);
}
