//! A plain progressive result crosses the router without an allocation: read, judged by the realm, and written
//! behind a new head, in another serializer too.

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::router::{Config, Join, Realm, Relayed, SessionKey};
use wamp_proto::relay::PlainYield;
use wamp_proto::{Limits, Message, Serializer};
use wamp_transport::Batch;

const HELLO: &str = r#"[1,"realm1",{"roles":{
    "caller":{"features":{"progressive_call_results":true}},
    "callee":{"features":{"progressive_call_results":true,"call_canceling":true}}}}]"#;

/// So many results make a batch as large as it may become.
const RESULTS: usize = 1000;

fn message(json: &str, serializer: Serializer) -> Message {
    let octets = Bytes::copy_from_slice(json.as_bytes());
    let message = Message::decode(Serializer::Json, &octets, &Limits::default()).unwrap();
    message.transcode(serializer).unwrap()
}

fn join(realm: &mut Realm, serializer: Serializer) -> SessionKey {
    let Message::Hello(hello) = message(HELLO, serializer) else { panic!("no HELLO") };
    let join = Join { details: hello.details, serializer, max_message: 1 << 24 };
    realm.join(Time::ORIGIN, join).unwrap()
}

/// A realm with a call under way, whose timeout begins again with each result.
fn realm(from: Serializer, to: Serializer) -> (Realm, SessionKey) {
    let mut realm = Realm::new(Config::new("realm1"), 1);
    let (caller, callee) = (join(&mut realm, to), join(&mut realm, from));
    realm.handle_message(Time::ORIGIN, callee, message(r#"[64,1,{},"bench"]"#, from));
    let call = r#"[48,1,{"receive_progress":true,"timeout":1000},"bench"]"#;
    realm.handle_message(Time::ORIGIN, caller, message(call, to));
    while realm.poll_transmit().is_some() {}
    (realm, callee)
}

#[test]
fn a_progressive_result_is_passed_on_without_an_allocation() {
    for &serializer in Serializer::ALL {
        let (mut realm, callee) = realm(serializer, serializer);
        let frame = message(r#"[70,1,{"progress":true},["0123456789abcdef"]]"#, serializer);
        let frame = frame.encode(serializer).unwrap();
        let (limits, mut batch) = (Limits::default(), Batch::new());
        let mut pass = |batch: &mut Batch| {
            for _ in 0..RESULTS {
                let plain = PlainYield::read(serializer, &frame, &limits).expect("plain");
                let relayed = realm.relay(Time::ORIGIN, callee, serializer, &plain, |_| None);
                let Relayed::Result { result, .. } = relayed else { panic!("{relayed:?}") };
                batch.push_result(&result.head(serializer), serializer, &frame, plain.tail());
            }
            assert_eq!(batch.len(), RESULTS);
            batch.clear();
        };
        // Until then the batch grows.
        pass(&mut batch);
        let counted = allocation_counter::measure(|| pass(&mut batch));
        assert_eq!(counted.count_total, 0, "{serializer}: {counted:?}");
    }
}

#[test]
fn so_is_one_for_a_caller_with_another_serializer() {
    let pairs = Serializer::ALL.iter().flat_map(|&from| Serializer::ALL.iter().map(move |&to| (from, to)));
    for (from, to) in pairs.filter(|(from, to)| from != to) {
        let (mut realm, callee) = realm(from, to);
        let frame = r#"[70,1,{"progress":true},["0123456789abcdef",-7,1.5,[true,null]],{"key":[]}]"#;
        let frame = message(frame, from).encode(from).unwrap();
        let (limits, mut batch, mut rewritten) = (Limits::default(), Batch::new(), Vec::new());
        let mut pass = |batch: &mut Batch| {
            for _ in 0..RESULTS / 2 {
                let plain = PlainYield::read(from, &frame, &limits).expect("plain");
                rewritten.clear();
                let rewrite = |to| plain.rewrite(&frame, from, to, &mut rewritten).ok();
                let relayed = realm.relay(Time::ORIGIN, callee, from, &plain, rewrite);
                let Relayed::Result { result, serializer, .. } = relayed else { panic!("{relayed:?}") };
                assert_eq!(serializer, to);
                batch.push_plain(&result.head(to), to, &rewritten);
            }
            assert_eq!(batch.len(), RESULTS / 2);
            batch.clear();
        };
        pass(&mut batch);
        let counted = allocation_counter::measure(|| pass(&mut batch));
        assert_eq!(counted.count_total, 0, "{from} to {to}: {counted:?}");
    }
}
