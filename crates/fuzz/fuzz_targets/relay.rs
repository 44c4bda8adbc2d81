//! The two ways of a plain result: `relay` and `Message::decode` read the same from a frame, and write the
//! same.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wamp_proto::message::{Yield, YieldOptions};
use wamp_proto::relay::{PlainProgress, PlainReply, PlainYield};
use wamp_proto::{Limits, Message, RequestId, Serializer};

fuzz_target!(|input: &[u8]| {
    let Some((&first, frame)) = input.split_first() else { return };
    let serializer = Serializer::ALL[usize::from(first) % Serializer::ALL.len()];
    let frame = Bytes::copy_from_slice(frame);
    let limits = Limits::default();

    if let Some(plain) = PlainReply::read(serializer, &frame, &limits) {
        let Ok(Message::Result(result)) = Message::decode(serializer, &frame, &limits) else {
            panic!("a frame that is not a RESULT was read as a plain one");
        };
        assert_eq!((result.request, result.details.progress == Some(true)), (plain.request, plain.progress));
        assert_eq!(plain.payload(serializer, frame.slice(plain.tail())), result.payload);
    }

    let Some(plain) = PlainYield::read(serializer, &frame, &limits) else { return };
    let Ok(Message::Yield(result)) = Message::decode(serializer, &frame, &limits) else {
        panic!("a frame that is not a YIELD was read as a plain one");
    };
    assert_eq!((result.request, result.options.progress == Some(true)), (plain.request, plain.progress));

    let request = RequestId::new(1 + u64::from(first)).expect("an id");
    for &to in Serializer::ALL {
        let mut payload = frame[plain.tail()].to_vec();
        if to != serializer {
            payload.clear();
            let rewritten = plain.rewrite(&frame, serializer, to, &mut payload);
            let transcoded = result.payload.transcode(to);
            assert_eq!(rewritten.is_ok(), transcoded.is_ok(), "rewritten and transcoded");
            if rewritten.is_err() {
                continue;
            }
        }
        let head = plain.result(request);
        let written = [head.head(to).as_ref(), &payload, to.end()].concat();
        assert_eq!(head.encoded_len(to, payload.len()), written.len(), "the length that is counted");
        let Ok(Message::Result(read)) = Message::decode(to, &written.into(), &limits) else {
            panic!("a RESULT that cannot be read");
        };
        assert_eq!((read.request, read.details.progress == Some(true)), (request, plain.progress));
        assert_eq!(Ok(read.payload), result.payload.transcode(to), "the payload");
    }

    // The callee's end of the same way.
    let written = PlainProgress::new(request, &result.payload);
    let options = YieldOptions { progress: Some(true), ..YieldOptions::default() };
    let message = Message::from(Yield { request, options, payload: result.payload });
    let len = message.encoded_len(serializer).expect("it came in this serializer");
    assert_eq!(written.encoded_len(serializer), len, "the length that is counted");
});
