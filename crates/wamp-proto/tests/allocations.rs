//! Decoding allocates nothing for unread parts of a message: the payload is a slice, and so are the unknown
//! keys of a dict, which need one box in all.

use bytes::Bytes;
use wamp_proto::{Limits, Message, Serializer};

#[test]
fn decoding_does_not_allocate_for_payload_and_values_of_unknown_keys() {
    let limits = Limits::default();
    let big = format!(r#"[["{}"],{{"a":[1,2,3,{{"b":null}}]}}]"#, "x".repeat(100_000));
    for written in [
        format!(r#"[70,1,{{"progress":true,"_x":{big},"_y":1}},{big},{{"k":{big}}}]"#),
        format!(r#"[50,1,{{"progress":true,"_x":{big}}},{big}]"#),
        format!(r#"[48,1,{{"receive_progress":true,"_x":{big}}},"com.myapp.longop",{big}]"#),
        format!(r#"[68,1,2,{{"receive_progress":true}},{big}]"#),
        format!(r#"[8,68,1,{{}},"com.myapp.error",{big}]"#),
        r#"[49,1,{"mode":"kill"}]"#.to_owned(),
    ] {
        let json = Bytes::from(written.clone());
        let message = Message::decode(Serializer::Json, &json, &limits).unwrap();
        for serializer in Serializer::ALL {
            // The buffer has been shared before, like one from a transport.
            let frame = message.encode(*serializer).unwrap();
            let _shared = frame.clone();
            let mut decoded = None;
            let allocated = allocation_counter::measure(|| {
                decoded = Some(Message::decode(*serializer, &frame, &limits));
            });
            assert!(decoded.unwrap().is_ok());
            let boxes = u64::from(written.contains("_x"));
            assert_eq!(allocated.count_total, boxes, "{serializer}: {}", &written[..40.min(written.len())]);
        }
    }
}
