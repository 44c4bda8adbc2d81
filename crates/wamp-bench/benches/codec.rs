//! Reading and writing the messages of the hot path, in each serializer.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wamp_proto::{Limits, Message, Serializer};

/// The bytes before the arguments.
const HEADS: [(&str, &str); 4] = [
    ("YIELD", r#"[70,123456,{"progress":true}"#),
    ("RESULT", r#"[50,123456,{"progress":true}"#),
    ("CALL", r#"[48,123456,{"receive_progress":true},"com.example.report""#),
    ("EVENT", r#"[36,5512315355,4429313566,{}"#),
];

const PAYLOADS: [(&str, usize); 2] = [("16 B", 16), ("1 KiB", 1024)];

fn codec(c: &mut Criterion) {
    let limits = Limits::default();
    for (name, head) in HEADS {
        for (size, bytes) in PAYLOADS {
            let json = Bytes::from(format!(r#"{head},["{}"]]"#, "x".repeat(bytes)));
            let message = Message::decode(Serializer::Json, &json, &limits).expect("well-formed");
            let mut group = c.benchmark_group(format!("{name}, {size}"));
            group.throughput(Throughput::Elements(1));
            for serializer in Serializer::ALL {
                let message = message.clone().transcode(*serializer).expect("each serializer can say it");
                let frame = message.encode(*serializer).expect("each serializer can say it");
                group.bench_function(format!("decode {serializer}"), |b| {
                    b.iter(|| Message::decode(*serializer, black_box(&frame), &limits));
                });
                // As a queue does it: head and payload are appended to other messages.
                let mut out = Vec::with_capacity(frame.len());
                group.bench_function(format!("encode {serializer}"), |b| {
                    b.iter(|| {
                        out.clear();
                        black_box(&message).encode_head(*serializer, &mut out).expect("as above");
                        out.extend_from_slice(message.payload_tail());
                        out.extend_from_slice(serializer.end());
                        black_box(&out);
                    });
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = codec
}
criterion_main!(benches);
