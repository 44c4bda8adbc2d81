//! Arguments transcoded from one serializer to another, and forwarded untouched.

use wamp_proto::Serializer::{self, Cbor, Json, MsgPack};
use wamp_transport::Incoming;

use crate::support::{House, Peer, SERIALIZERS, Way, bytes};

/// A caller and a callee with the procedure `com.myapp.echo`, and the next ids of both.
struct Pair {
    house: House,
    caller: Peer,
    callee: Peer,
    request: u64,
}

impl Pair {
    async fn new(caller: Serializer, callee: Serializer) -> Self {
        let house = House::new().await;
        let mut callee = house.join(Way::RawSocket, callee).await;
        callee.register("com.myapp.echo").await;
        let caller = house.join(Way::WebSocket, caller).await;
        Self { house, caller, callee, request: 0 }
    }

    /// Calls, and waits until the callee has the INVOCATION. Returns its id, which is that of the request.
    async fn call(&mut self) -> u64 {
        self.request += 1;
        let options = r#"{"receive_progress":true}"#;
        self.caller.say(&format!(r#"[48,{},{options},"com.myapp.echo"]"#, self.request)).await;
        assert!(self.callee.hear().await.starts_with(&format!("[68,{},", self.request)));
        self.request
    }

    /// The callee sends a YIELD with these arguments, written in its serializer.
    async fn reply(&mut self, options: &str, arguments: &[u8]) {
        let head = match self.callee.serializer() {
            Json => {
                return self
                    .callee
                    .send(format!("[70,{},{options},{}]", self.request, text(arguments)).as_bytes())
                    .await;
            }
            MsgPack => &[0x94, 70][..],
            _ => &[0x84, 0x18, 70],
        };
        let id = bytes(self.callee.serializer(), &self.request.to_string());
        let options = bytes(self.callee.serializer(), options);
        self.callee.send(&[head, &id, &options, arguments].concat()).await;
    }

    /// The caller's call has failed because of its arguments.
    async fn refused(&mut self) {
        let error = self.caller.hear().await;
        let expected = format!(r#"[8,48,{},{{}},"wamp.error.invalid_argument""#, self.request);
        assert!(error.starts_with(&expected), "{error}");
    }

    async fn frame(&mut self) -> Vec<u8> {
        let Ok(Incoming::Message(frame)) = self.caller.incoming().await else { panic!("no message") };
        frame.to_vec()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

// behaviour 55
#[tokio::test]
async fn binary_survives_between_all_serializers() {
    // "hello" as each serializer writes it, as the only argument.
    let hello = |serializer| match serializer {
        Json => &b"\"\\u0000aGVsbG8=\""[..],
        MsgPack => b"\xc4\x05hello",
        _ => b"\x45hello",
    };
    for caller in SERIALIZERS {
        for callee in SERIALIZERS {
            let mut pair = Pair::new(caller, callee).await;
            let arguments = match callee {
                Json => [b"[", hello(Json), b"]"].concat(),
                MsgPack => [b"\x91", hello(MsgPack)].concat(),
                _ => [b"\x81", hello(Cbor)].concat(),
            };
            for options in [r#"{"progress":true}"#, "{}"] {
                if options.len() > 2 {
                    pair.call().await;
                }
                pair.reply(options, &arguments).await;
                let frame = pair.frame().await;
                assert!(contains(&frame, hello(caller)), "{callee} to {caller}: {frame:02x?}");
            }
        }
    }
}

// behaviour 55
#[tokio::test]
async fn binary_and_text_that_json_cannot_express_is_an_error_for_the_call() {
    // A text that begins with U+0000.
    for (callee, arguments) in [(MsgPack, &b"\x91\xa4\0abc"[..]), (Cbor, b"\x81\x64\0abc")] {
        let mut pair = Pair::new(Json, callee).await;
        pair.call().await;
        pair.reply("{}", arguments).await;
        pair.refused().await;
    }
    // Bad base64, with any serializer of the caller.
    let bad = br#"["\u0000!!!"]"#;
    for caller in SERIALIZERS {
        let mut pair = Pair::new(caller, Json).await;
        pair.call().await;
        pair.reply("{}", bad).await;
        pair.refused().await;
        // The session and the next call are unharmed.
        pair.call().await;
        pair.reply("{}", b"[1]").await;
        pair.caller.expect("[50,2,{},[1]]").await;
    }
}

// behaviour 56
#[tokio::test]
async fn great_integers_survive_and_whole_floats_are_ids() {
    for caller in SERIALIZERS {
        for callee in SERIALIZERS {
            let mut pair = Pair::new(caller, callee).await;
            pair.call().await;
            let numbers = "[18446744073709551615,-9223372036854775808,9007199254740993]";
            let arguments = bytes(callee, numbers);
            pair.reply("{}", &arguments).await;
            pair.caller.expect(&format!("[50,1,{{}},{numbers}]")).await;
        }
    }
    let house = House::new().await;
    let uri = |head: &[u8]| [head, b"com.myapp.float"].concat();
    // [64, 1.0, {}, "com.myapp.float"], as JavaScript encoders write it
    for (serializer, bytes) in [
        (Json, b"[64,1.0,{},\"com.myapp.float\"]".to_vec()),
        (MsgPack, uri(b"\x94\x40\xcb\x3f\xf0\0\0\0\0\0\0\x80\xaf")),
        (MsgPack, uri(b"\x94\x40\xca\x3f\x80\0\0\x80\xaf")),
        (Cbor, uri(b"\x84\x18\x40\xfb\x3f\xf0\0\0\0\0\0\0\xa0\x6f")),
        (Cbor, uri(b"\x84\x18\x40\xf9\x3c\0\xa0\x6f")),
    ] {
        let mut peer = house.join(Way::RawSocket, serializer).await;
        peer.send(&bytes).await;
        assert!(peer.hear().await.starts_with("[65,1,"));
        peer.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
        peer.hear().await;
    }
    // 1.5
    for (serializer, bytes) in [
        (Json, b"[64,1.5,{},\"com.myapp.float\"]".to_vec()),
        (MsgPack, uri(b"\x94\x40\xcb\x3f\xf8\0\0\0\0\0\0\x80\xaf")),
        (Cbor, uri(b"\x84\x18\x40\xf9\x3e\0\xa0\x6f")),
    ] {
        let mut peer = house.join(Way::RawSocket, serializer).await;
        peer.send(&bytes).await;
        let (reason, sentence) = peer.aborted().await;
        assert_eq!(reason, "wamp.error.protocol_violation");
        assert!(sentence.contains("REGISTER, element 2 (Request)"), "{sentence}");
    }
}

// behaviour 57
#[tokio::test]
async fn nan_and_infinity_are_an_error_towards_json_and_never_a_dropped_message() {
    let nan = [
        (MsgPack, &b"\x91\xcb\x7f\xf8\0\0\0\0\0\0"[..]),
        (Cbor, b"\x81\xf9\x7e\0"),
        (Cbor, b"\x81\xf9\x7c\0"),
    ];
    for (callee, arguments) in nan {
        let mut pair = Pair::new(Json, callee).await;
        // In a progressive result: the call is over, and the callee is interrupted.
        pair.call().await;
        pair.reply(r#"{"progress":true}"#, &bytes(callee, "[1]")).await;
        pair.caller.expect(r#"[50,1,{"progress":true},[1]]"#).await;
        pair.reply(r#"{"progress":true}"#, arguments).await;
        pair.refused().await;
        pair.callee.expect(r#"[69,1,{"mode":"killnowait","reason":"wamp.error.invalid_argument"}]"#).await;
        // In the last result.
        pair.call().await;
        pair.reply("{}", arguments).await;
        pair.refused().await;
        // Between binary serializers it is forwarded.
        let mut pair = Pair::new(if callee == Cbor { MsgPack } else { Cbor }, callee).await;
        pair.call().await;
        pair.reply("{}", arguments).await;
        assert!(pair.frame().await.len() > 4);
    }
    // In a CALL to a JSON callee; in an event for a JSON subscriber.
    let house = House::new().await;
    let mut callee = house.join(Way::Memory, Json).await;
    callee.register("com.myapp.nan").await;
    callee.say(r#"[32,2,{},"com.myapp.nan"]"#).await;
    callee.hear().await;
    let mut caller = house.join(Way::Memory, Cbor).await;
    caller.send(&[b"\x85\x18\x30\x01\xa0\x6dcom.myapp.nan", nan[1].1].concat()).await;
    assert!(caller.hear().await.starts_with(r#"[8,48,1,{},"wamp.error.invalid_argument""#));
    caller.send(&[b"\x85\x10\x02\xa0\x6dcom.myapp.nan", nan[1].1].concat()).await;
    caller.say(r#"[48,3,{},"com.myapp.nan"]"#).await;
    assert!(callee.hear().await.starts_with("[68,1,"), "the event could not be written for it");
    assert_eq!(house.router.realm_stats("realm1").unwrap().0.events_dropped, 1);
}

// behaviour 57
#[tokio::test]
async fn values_of_cbor_and_messagepack_alone_are_rewritten() {
    let table: &[(Serializer, &[u8], &str)] = &[
        // Indefinite lengths; a tag; undefined.
        (Cbor, b"\x9f\x01\x7f\x61a\x61b\xff\xbf\x61k\x02\xff\xff", r#"[1,"ab",{"k":2}]"#),
        (Cbor, b"\x81\xc1\x1a\x51\x4b\x67\xb0", "[1363896240]"),
        (Cbor, b"\x81\xc2\x49\x01\0\0\0\0\0\0\0\x01", "[18446744073709551617]"),
        (Cbor, b"\x81\xf7", "[null]"),
        (MsgPack, b"\xdd\0\0\0\x01\xd9\x01a", r#"["a"]"#),
    ];
    for (callee, arguments, heard) in table {
        let mut pair = Pair::new(Json, *callee).await;
        pair.call().await;
        pair.reply("{}", arguments).await;
        pair.caller.expect(&format!("[50,1,{{}},{heard}]")).await;
        // To a peer with the same serializer it is forwarded as it is.
        let mut pair = Pair::new(*callee, *callee).await;
        pair.call().await;
        pair.reply("{}", arguments).await;
        assert!(pair.frame().await.ends_with(arguments));
    }
}

/// Payloads that some reader would not survive, in the serializer of their sender.
const POISON: &[(Serializer, &[u8])] = &[
    // behaviour 58: text that is not UTF-8
    (Json, br#"["\ud83d"]"#),
    (MsgPack, b"\x91\xa2\xff\xfe"),
    (Cbor, b"\x81\x62\xff\xfe"),
    // Keys that are not text.
    (Json, br#"[{"\u0000AQID":1}]"#),
    (MsgPack, b"\x91\x82\x01\xa1a\xff\x02"),
    (Cbor, b"\x81\xa2\x01\x61a\xf5\x02"),
    // Types that WAMP does not have, and numbers that not every reader has.
    (Json, b"[1e400]"),
    (MsgPack, b"\x91\xd4\x05\x2a"),
    (MsgPack, b"\x91\xc7\x05\xff12345"),
    (Cbor, b"\x81\xc0\x61x"),
    (Cbor, b"\x81\xd8\x1d\x05"),
    (Cbor, b"\x81\xf8\xff"),
];

#[tokio::test]
async fn a_result_that_would_kill_its_reader_ends_the_call_and_nothing_else() {
    for (callee, arguments) in POISON {
        for caller in SERIALIZERS {
            let mut pair = Pair::new(caller, *callee).await;
            pair.call().await;
            pair.reply("{}", arguments).await;
            pair.refused().await;
            pair.call().await;
            pair.reply(r#"{"progress":true}"#, arguments).await;
            pair.refused().await;
            let interrupt = r#"[69,2,{"mode":"killnowait","reason":"wamp.error.invalid_argument"}]"#;
            pair.callee.expect(interrupt).await;
            pair.call().await;
            pair.reply("{}", &bytes(*callee, "[1]")).await;
            pair.caller.expect("[50,3,{},[1]]").await;
        }
    }
}

// behaviour 56
#[tokio::test]
async fn integers_beyond_64_bits_keep_their_digits_or_are_refused() {
    const NUMBERS: &str = "[18446744073709551617,-9223372036854775809]";
    for (caller, callee) in [(Json, Cbor), (Cbor, Json), (MsgPack, Json), (MsgPack, Cbor)] {
        let mut pair = Pair::new(caller, callee).await;
        pair.call().await;
        pair.reply("{}", &bytes(callee, NUMBERS)).await;
        if caller == MsgPack {
            pair.refused().await;
        } else {
            pair.caller.expect(&format!("[50,1,{{}},{NUMBERS}]")).await;
        }
    }
}

/// The value that the callee sends as number `i`: small, or so large that it is transcoded outside of the
/// realm's lock.
fn chunk(i: usize) -> String {
    let bytes = if i.is_multiple_of(50) { 5000 } else { i % 300 };
    format!("[{i},\"{}\"]", "x".repeat(bytes))
}

// behaviour 62
#[tokio::test]
async fn ten_thousand_chunks_keep_their_order_from_cbor_to_json() {
    const CHUNKS: usize = 10_000;
    for (caller, callee) in [(Json, Cbor), (Cbor, Json)] {
        let mut pair = Pair::new(caller, callee).await;
        pair.call().await;
        let Pair { house, mut caller, callee: mut sender, .. } = pair;
        let send = async {
            for i in 0..CHUNKS {
                sender.say(&format!(r#"[70,1,{{"progress":true}},{}]"#, chunk(i))).await;
            }
            sender.say("[70,1,{},[\"end\"]]").await;
        };
        let receive = async {
            for i in 0..CHUNKS {
                caller.expect(&format!(r#"[50,1,{{"progress":true}},{}]"#, chunk(i))).await;
            }
            caller.expect("[50,1,{},[\"end\"]]").await;
        };
        tokio::join!(send, receive);
        assert_eq!(house.router.realm_stats("realm1").unwrap().0.progressive_results as usize, CHUNKS);
    }
}
