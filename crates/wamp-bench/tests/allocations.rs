//! A plain progressive result causes no allocation on its whole way: its callee writes and sends it, the
//! realm reads and checks it and writes it with a new head, also in another serializer, and its caller reads
//! it.

use bytes::Bytes;
use wamp_core::Time;
use wamp_core::router::{Config, Join, Realm, Relayed, SessionKey};
use wamp_core::session::{self, PlainVerdict, Session};
use wamp_proto::message::CallOptions;
use wamp_proto::relay::{PlainProgress, PlainReply, PlainYield};
use wamp_proto::{Limits, Message, Payload, PayloadBuffer, RequestId, Serializer};
use wamp_transport::{Batch, Queue};

const HELLO: &str = r#"[1,"realm1",{"roles":{
    "caller":{"features":{"progressive_call_results":true}},
    "callee":{"features":{"progressive_call_results":true,"call_canceling":true}}}}]"#;

/// The number of results in a batch of the greatest size.
const RESULTS: usize = 1000;

fn message(json: &str, serializer: Serializer) -> Message {
    let bytes = Bytes::copy_from_slice(json.as_bytes());
    let message = Message::decode(Serializer::Json, &bytes, &Limits::default()).unwrap();
    message.transcode(serializer).unwrap()
}

fn join(realm: &mut Realm, serializer: Serializer) -> SessionKey {
    let Message::Hello(hello) = message(HELLO, serializer) else { panic!("no HELLO") };
    let join =
        Join { details: hello.details, serializer, max_message: 1 << 24, transport: Default::default() };
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
                batch.push_result(&result.head(serializer), &frame, plain.tail());
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
                batch.push_plain(&result.head(to), &rewritten);
            }
            assert_eq!(batch.len(), RESULTS / 2);
            batch.clear();
        };
        pass(&mut batch);
        let counted = allocation_counter::measure(|| pass(&mut batch));
        assert_eq!(counted.count_total, 0, "{from} to {to}: {counted:?}");
    }
}

/// A session that has been welcomed.
fn session(serializer: Serializer) -> Session {
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    let welcome = r#"[2,1,{"roles":{"dealer":{"features":{"progressive_call_results":true}},"broker":{}}}]"#;
    session.handle_message(Time::ORIGIN, message(welcome, serializer));
    session
}

fn said(session: &mut Session) {
    while session.poll_transmit().is_some() || session.poll_event().is_some() {}
}

#[test]
fn a_callee_writes_and_sends_one_without_an_allocation() {
    for &serializer in Serializer::ALL {
        let mut callee = session(serializer);
        callee.register(Time::ORIGIN, Default::default(), "bench".into()).unwrap();
        callee.handle_message(Time::ORIGIN, message("[65,1,7]", serializer));
        callee.handle_message(Time::ORIGIN, message(r#"[68,1,7,{"receive_progress":true}]"#, serializer));
        said(&mut callee);
        let (request, mut buffer) = (RequestId::new(1).unwrap(), PayloadBuffer::default());
        let (mut queue, mut chunk) = (Queue::new(serializer), 0);
        let mut pass = |queue: &mut Queue| {
            for _ in 0..RESULTS {
                buffer.write(serializer, "0123456789abcdef").unwrap();
                let head = PlainProgress::written(request, &buffer);
                callee.progress(|| Time::ORIGIN, &head).unwrap();
                queue.push_plain(&head.head(serializer), buffer.as_bytes());
            }
            let batch = queue.pop().unwrap();
            chunk += batch.len();
            queue.recycle(batch);
        };
        pass(&mut queue);
        let counted = allocation_counter::measure(|| pass(&mut queue));
        assert_eq!((counted.count_total, chunk), (0, 2 * RESULTS), "{serializer}: {counted:?}");
    }
}

#[test]
fn a_caller_reads_one_without_an_allocation() {
    for &serializer in Serializer::ALL {
        let mut caller = session(serializer);
        let options = CallOptions { receive_progress: Some(true), ..CallOptions::default() };
        caller.call(Time::ORIGIN, options, "bench".into(), Payload::empty()).unwrap();
        said(&mut caller);
        let frame = message(r#"[50,1,{"progress":true},["0123456789abcdef"]]"#, serializer);
        let frame = frame.encode(serializer).unwrap();
        let mut pass = || {
            for _ in 0..RESULTS {
                let plain = PlainReply::read(serializer, &frame, &Limits::default()).expect("plain");
                let verdict = caller.handle_plain(Time::ORIGIN, &plain);
                assert_eq!(verdict, PlainVerdict::Deliver { cost: 0 });
                let text = plain.payload(serializer, frame.slice(plain.tail()));
                assert_eq!(text.decode::<&str>(), Ok("0123456789abcdef"));
            }
        };
        pass();
        let counted = allocation_counter::measure(&mut pass);
        assert_eq!(counted.count_total, 0, "{serializer}: {counted:?}");
    }
}
