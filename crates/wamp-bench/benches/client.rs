//! Caller, callee and router in one thread, over in-memory pipes: the whole way of a result, without sockets.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::{Builder, Runtime};
use wamp_client::{Client, Failure, Invocation, Serializer, Session};
use wamp_router::Router;
use wamp_transport::memory;

/// Results of one stream.
const RESULTS: u64 = 1_000;

/// A router, a callee with two procedures, and a caller.
async fn connected(serializer: Serializer) -> (Router, Session, Session) {
    let router = Router::default();
    let join = || {
        let (ours, theirs) = memory::pair(serializer);
        router.attach(theirs);
        Client::over(ours)
    };
    let (callee, caller) = (join().await.expect("open"), join().await.expect("open"));
    let echo = |call: Invocation| async move { Ok::<_, Failure>(call.payload().clone()) };
    callee.register("bench.echo", echo).await.expect("free");
    let stream = |call: Invocation| async move {
        let (text, results): (String, u64) = call.args()?;
        if let Some(progress) = call.progress() {
            for _ in 0..results {
                progress.send(text.as_str()).await?;
            }
        }
        Ok::<_, Failure>(results)
    };
    callee.register("bench.stream", stream).await.expect("free");
    (router, callee, caller)
}

async fn stream(caller: &Session, text: &str) {
    let call = caller.call("bench.stream").args((text, RESULTS));
    let mut results = call.progressive::<String>().await.expect("open");
    let mut count = 0;
    while let Some(result) = results.next().await {
        assert_eq!(result.expect("a text").len(), text.len());
        count += 1;
    }
    assert_eq!(count, RESULTS);
    assert_eq!(results.finish::<u64>().await.expect("an end"), RESULTS);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn client(c: &mut Criterion) {
    let runtime = runtime();
    for serializer in Serializer::ALL {
        let (_router, _callee, caller) = runtime.block_on(connected(*serializer));
        let mut group = c.benchmark_group(format!("memory, {serializer}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("call", |b| {
            b.iter(|| runtime.block_on(caller.call("bench.echo").args((1,)).into_future()).expect("an echo"));
        });
        group.throughput(Throughput::Elements(RESULTS));
        for (name, bytes) in [("16 B", 16), ("1 KiB", 1024)] {
            let text = "x".repeat(bytes);
            group.bench_function(format!("{RESULTS} progressive results, {name}"), |b| {
                b.iter(|| runtime.block_on(stream(&caller, &text)));
            });
        }
    }
}

criterion_group!(benches, client);
criterion_main!(benches);
