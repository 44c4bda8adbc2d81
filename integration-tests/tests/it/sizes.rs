//! Message sizes, in each direction, before and after WELCOME.

use wamp_proto::{Message, Serializer};
use wamp_transport_rawsocket as rawsocket;
use wamp_transport_ws as ws;

use crate::support::{Bystander, HELLO, House, Peer, SERIALIZERS, WAYS, Way, within};
use crate::wire::{Wire, frame};

const MIB_16: usize = 1 << 24;

/// A message of exactly this length, filled up where there is a `$`.
fn filled(pattern: &str, len: usize) -> String {
    let filler = "x".repeat(len + 1 - pattern.len());
    pattern.replacen('$', &filler, 1)
}

/// A client over RawSocket that accepts no message longer than this.
async fn small(house: &House, serializer: Serializer, max_receive: usize) -> Peer {
    let config = rawsocket::Config { max_receive, ..rawsocket::Config::default() };
    let mut peer =
        Peer::over(within(rawsocket::connect(house.dial().await, serializer, &config)).await.unwrap());
    peer.join().await;
    peer
}

// behaviour 50
#[tokio::test]
async fn a_result_too_long_for_a_caller_of_512_bytes_is_an_error_for_its_call_only() {
    let house = House::new().await;
    let mut callee = house.join(Way::WebSocket, Serializer::Json).await;
    let registration = callee.register("com.myapp.longop").await;
    for (invocation, serializer) in (1..).step_by(3).zip(SERIALIZERS) {
        let mut caller = small(&house, serializer, 512).await;
        caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#).await;
        let details = r#"{"receive_progress":true}"#;
        callee.expect(&format!("[68,{invocation},{registration},{details}]")).await;
        callee.say(&format!(r#"[70,{invocation},{{"progress":true}},[1]]"#)).await;
        caller.expect(r#"[50,1,{"progress":true},[1]]"#).await;
        // A progressive result of 600 bytes: the call is over, and the callee is interrupted.
        callee.say(&filled(&format!(r#"[70,{invocation},{{"progress":true}},["$"]]"#), 600)).await;
        let error = caller.hear().await;
        assert!(error.starts_with(r#"[8,48,1,{},"wamp.error.payload_size_exceeded""#), "{error}");
        let options = r#"{"mode":"killnowait","reason":"wamp.error.payload_size_exceeded"}"#;
        callee.expect(&format!("[69,{invocation},{options}]")).await;
        // Late, and without consequence.
        callee.say(&format!("[70,{invocation},{{}},[2]]")).await;

        // A last result of 600 bytes; an ERROR of 600 bytes.
        for (request, answer) in [(2, r#"[70,ID,{},["$"]]"#), (3, r#"[8,68,ID,{},"com.myapp.error",["$"]]"#)]
        {
            let id = (invocation + request - 1).to_string();
            caller.say(&format!(r#"[48,{request},{{}},"com.myapp.longop"]"#)).await;
            callee.expect(&format!("[68,{id},{registration},{{}}]")).await;
            callee.say(&filled(&answer.replace("ID", &id), 600)).await;
            let error = caller.hear().await;
            let expected = format!(r#"[8,48,{request},{{}},"wamp.error.payload_size_exceeded""#);
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

// behaviour 50
#[tokio::test]
async fn a_call_too_long_for_a_callee_of_512_bytes_is_an_error_for_the_caller() {
    let house = House::new().await;
    let mut callee = small(&house, Serializer::MsgPack, 512).await;
    let registration = callee.register("com.myapp.longop").await;
    let mut caller = house.join(Way::WebSocket, Serializer::Cbor).await;
    caller.say(&filled(r#"[48,1,{},"com.myapp.longop",["$"]]"#, 600)).await;
    let error = caller.hear().await;
    assert!(error.starts_with(r#"[8,48,1,{},"wamp.error.payload_size_exceeded""#), "{error}");
    caller.say(r#"[48,2,{},"com.myapp.longop"]"#).await;
    callee.expect(&format!("[68,1,{registration},{{}}]")).await;
}

// behaviour 50
#[tokio::test]
async fn an_event_that_is_too_long_for_a_subscriber_reaches_the_others() {
    let house = House::new().await;
    let mut small = small(&house, Serializer::Json, 512).await;
    let mut large = house.join(Way::RawSocket, Serializer::Json).await;
    for peer in [&mut small, &mut large] {
        peer.say(r#"[32,1,{},"com.myapp.topic"]"#).await;
        peer.hear().await;
    }
    let mut publisher = house.join(Way::Memory, Serializer::Json).await;
    publisher.say(&filled(r#"[16,1,{},"com.myapp.topic",["$"]]"#, 600)).await;
    publisher.say(r#"[16,2,{},"com.myapp.topic",[2]]"#).await;
    assert!(large.hear().await.ends_with("xx\"]]"));
    for peer in [&mut small, &mut large] {
        assert!(peer.hear().await.ends_with(",[2]]"));
    }
    assert_eq!(house.router.realm_stats("realm1").unwrap().0.events_dropped, 1);
}

// behaviour 50
#[tokio::test]
async fn messages_of_the_router_itself_fit_into_512_bytes() {
    let house = House::new().await;
    let mut peer = small(&house, Serializer::Json, 512).await;
    let name = "x".repeat(600);
    for (request, said) in (1..).zip([
        format!(r#"[48,1,{{}},"{name}"]"#),
        format!(r#"[64,2,{{}},"{name}."]"#),
        format!(r#"[32,3,{{}},"{name}#"]"#),
        format!(r#"[64,4,{{}},"wamp.{name}"]"#),
    ]) {
        peer.say(&said).await;
        let Message::Error(error) = peer.message().await else { panic!("no ERROR") };
        assert_eq!(error.request.get(), request);
    }
    peer.say(&format!("[48,5,{{\"{name}\":NaN}},\"com.myapp.longop\",\"{name}\"]")).await;
    let Message::Error(error) = peer.message().await else { panic!("no ERROR") };
    assert_eq!((error.request.get(), &error.error), (5, &wamp_proto::uri::INVALID_ARGUMENT));
    peer.say(&format!("[48,6,{{\"{name}\":1}},\"com.myapp.longop\",[],{{}},\"{name}\"]")).await;
    assert_eq!(peer.aborted().await.0, "wamp.error.protocol_violation");

    let mut wire = Wire::connect(&house).await;
    wire.write(&[0x7f, 0x01, 0, 0]).await;
    wire.read(4).await;
    wire.write(&frame(&format!(r#"[1,"{name}",{{"roles":{{"caller":{{}}}}}}]"#))).await;
    let abort = wire.text().await;
    assert!(abort.len() <= 512 && abort.contains("wamp.error.no_such_realm"), "{abort}");
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn before_welcome_messages_have_at_most_64_kib() {
    let house = House::new().await;
    let bystander = Bystander::new(&house.router).await;
    for way in WAYS {
        let hello = r#"[1,"realm1",{"roles":{"caller":{}},"x":"$"}]"#;
        let mut peer = house.connect(way, Serializer::Json).await;
        peer.say(&filled(hello, 64 << 10)).await;
        assert!(peer.hear().await.starts_with("[2,"), "{way:?}");
        // After WELCOME the limit is larger.
        peer.say(&filled(r#"[48,1,{},"com.myapp.nobody",["$"]]"#, 1 << 20)).await;
        assert!(peer.hear().await.contains("wamp.error.no_such_procedure"), "{way:?}");

        for len in [(64 << 10) + 1, 8 << 20] {
            let mut peer = house.connect(way, Serializer::Json).await;
            peer.say(&filled(hello, len)).await;
            let (reason, sentence) = peer.aborted().await;
            assert_eq!(reason, "wamp.error.protocol_violation", "{way:?}");
            assert!(sentence.contains("65536"), "{way:?}: {sentence}");
        }
    }
    bystander.finish().await;
}

// behaviour 48
#[tokio::test]
async fn exactly_16_mib_pass_on_rawsocket_and_no_byte_more() {
    let house = House::new().await;
    let mut callee = house.join(Way::RawSocket, Serializer::Json).await;
    callee.register("com.myapp.longop").await;
    let mut caller = house.join(Way::Unix, Serializer::Json).await;
    caller.say(&filled(r#"[48,1,{},"com.myapp.longop",["$"]]"#, MIB_16)).await;
    let invocation = callee.hear().await;
    assert!(invocation.starts_with("[68,1,") && invocation.ends_with("xx\"]]"));
    callee.say(&filled(r#"[70,1,{},["$"]]"#, MIB_16)).await;
    let result = caller.hear().await;
    assert_eq!(result.len(), MIB_16);
    assert!(result.starts_with("[50,1,{},[\"xx") && result.ends_with("xx\"]]"));

    // One byte more cannot be expressed on RawSocket; on WebSocket it is a violation.
    let mut peer = house.join(Way::WebSocket, Serializer::Json).await;
    peer.say(&filled(r#"[48,1,{},"com.myapp.longop",["$"]]"#, MIB_16 + 1)).await;
    let (reason, sentence) = peer.aborted().await;
    assert_eq!(reason, "wamp.error.protocol_violation");
    assert!(sentence.contains("16777216"), "{sentence}");
    // A result that grows beyond it when it is transcoded is an error for the caller.
    caller.say(r#"[48,2,{},"com.myapp.longop"]"#).await;
    callee.hear().await;
    callee.say(&filled(r#"[8,68,2,{},"e",["$"]]"#, MIB_16)).await;
    assert!(caller.hear().await.ends_with("xx\"]]"), "as long as before");
    let mut ws_caller = house.join(Way::WebSocket, Serializer::MsgPack).await;
    ws_caller.say(r#"[48,1,{},"com.myapp.longop"]"#).await;
    callee.hear().await;
    callee.say(&filled(r#"[70,3,{},["$"]]"#, MIB_16)).await;
    let Message::Result(result) = ws_caller.message().await else { panic!("no RESULT") };
    assert!(result.payload.len() > MIB_16 - 100, "MessagePack says it a little shorter");
}

#[tokio::test]
async fn a_message_of_the_router_is_taken_in_fragments_by_a_websocket_client() {
    let house = House::new().await;
    let mut callee = house.join(Way::RawSocket, Serializer::Cbor).await;
    callee.register("com.myapp.longop").await;
    let config = ws::Config::default();
    let url = format!("ws://{}/", house.tcp);
    let caller = within(ws::connect(house.dial().await, &url, &[Serializer::Json], &config)).await.unwrap();
    let mut caller = Peer::over(caller);
    caller.say(HELLO).await;
    caller.hear().await;
    for (request, len) in (1..).zip([65_535, 65_536, 65_537, 1 << 20]) {
        caller.say(&format!(r#"[48,{request},{{}},"com.myapp.longop"]"#)).await;
        callee.hear().await;
        let result = filled(&format!(r#"[50,{request},{{}},["$"]]"#), len);
        callee.say(&result.replacen("[50", "[70", 1)).await;
        caller.expect(&result).await;
    }
}
