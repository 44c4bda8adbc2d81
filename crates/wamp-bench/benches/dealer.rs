//! One progressive result through the rules of a realm, from YIELD to RESULT: no bytes, no I/O.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wamp_core::Time;
use wamp_core::router::{Config, Join, Realm, SessionKey};
use wamp_proto::{Limits, Message, Serializer};

const HELLO: &str = r#"[1,"realm1",{"roles":{
    "caller":{"features":{"progressive_call_results":true,"call_canceling":true}},
    "callee":{"features":{"progressive_call_results":true,"call_canceling":true}}}}]"#;

fn message(json: &str, serializer: Serializer) -> Message {
    let bytes = Bytes::copy_from_slice(json.as_bytes());
    let message = Message::decode(Serializer::Json, &bytes, &Limits::default()).expect("well-formed");
    message.transcode(serializer).expect("each serializer can say it")
}

fn join(realm: &mut Realm, serializer: Serializer) -> SessionKey {
    let Message::Hello(hello) = message(HELLO, serializer) else { unreachable!("it begins with 1") };
    let join =
        Join { details: hello.details, serializer, max_message: 1 << 24, transport: Default::default() };
    realm.join(Time::ORIGIN, join).expect("every client may join")
}

/// A realm with one call under way, and its callee.
fn realm(caller: Serializer, callee: Serializer) -> (Realm, SessionKey) {
    let now = Time::ORIGIN;
    let mut realm = Realm::new(Config::new("realm1"), 1);
    let (from, to) = (join(&mut realm, caller), join(&mut realm, callee));
    realm.handle_message(now, to, message(r#"[64,1,{},"bench"]"#, callee));
    realm.handle_message(now, from, message(r#"[48,1,{"receive_progress":true},"bench"]"#, caller));
    let sent: Vec<_> = std::iter::from_fn(|| realm.poll_transmit()).collect();
    assert!(matches!(sent.last(), Some((key, Message::Invocation(_))) if *key == to));
    (realm, to)
}

fn dealer(c: &mut Criterion) {
    use Serializer::{Json, MsgPack};
    let mut group = c.benchmark_group("YIELD to RESULT");
    group.throughput(Throughput::Elements(1));
    for (name, bytes) in [("16 B", 16), ("1 KiB", 1024)] {
        for (callee, caller) in [(MsgPack, MsgPack), (MsgPack, Json)] {
            let (mut realm, key) = realm(caller, callee);
            let json = format!(r#"[70,1,{{"progress":true}},["{}"]]"#, "x".repeat(bytes));
            let result = message(&json, callee);
            group.bench_function(format!("{name}, {callee} to {caller}"), |b| {
                b.iter_batched(
                    || result.clone(),
                    |result| {
                        realm.handle_message(Time::ORIGIN, key, result);
                        let sent = realm.poll_transmit();
                        assert!(matches!(sent, Some((_, Message::Result(_)))));
                        sent
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

criterion_group!(benches, dealer);
criterion_main!(benches);
