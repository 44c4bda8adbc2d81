//! `Message::decode` in each serializer: it does not panic. An accepted message can be encoded, and decoding
//! that returns the same message. A payload that is transcoded there and back twice stays the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wamp_proto::{Limits, Message, Serializer};

fuzz_target!(|input: &[u8]| {
    let Some((&first, frame)) = input.split_first() else { return };
    let serializer = Serializer::ALL[usize::from(first) % Serializer::ALL.len()];
    let frame = bytes::Bytes::copy_from_slice(frame);
    let Ok(message) = Message::decode(serializer, &frame, &Limits::default()) else { return };

    // An option that cannot be written, such as NaN in JSON, fails the message and nothing else.
    if let Ok(written) = message.encode(serializer) {
        assert_eq!(message.encoded_len(serializer).ok(), Some(written.len()), "the length that is counted");
        let again = Message::decode(serializer, &written, &Limits::default()).expect("what was written can be read");
        let rewritten = again.encode(serializer).expect("and written again");
        assert_eq!(rewritten, written, "in the same bytes");
    }
    for &to in Serializer::ALL {
        let Ok(there) = message.payload().transcode(to) else { continue };
        let back = there.transcode(serializer).expect("what came out of a serializer goes back into it");
        let there_again = back.transcode(to).expect("and there again");
        assert_eq!(there_again, there, "{serializer:?} → {to:?} → {serializer:?} → {to:?}");
    }
});
