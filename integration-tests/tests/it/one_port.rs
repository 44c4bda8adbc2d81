//! One port for RawSocket and WebSocket, and other software that connects to it.

use tokio::net::{TcpStream, UnixStream};
use wamp_proto::Serializer;

use crate::support::{Bystander, HELLO, House, SERIALIZERS, Way, bytes, within};
use crate::wire::{HANDSHAKE, UPGRADE, Wire, frame, ws_frame};

// behaviour 52
#[tokio::test]
async fn one_listener_serves_rawsocket_and_websocket_on_any_path() {
    let house = House::new().await;
    let mut peers = Vec::new();
    for serializer in SERIALIZERS {
        peers.push(house.join(Way::RawSocket, serializer).await);
        peers.push(house.join(Way::WebSocket, serializer).await);
    }
    for path in ["/", "/ws", "/a/b?c=d"] {
        let mut wire = Wire::connect(&house).await;
        wire.write(UPGRADE.replacen(" / ", &format!(" {path} "), 1).as_bytes()).await;
        assert!(wire.response().await.starts_with("HTTP/1.1 101 "), "{path}");
    }
    // The same on a Unix socket.
    let mut wire = Wire { stream: within(UnixStream::connect(&house.unix)).await.unwrap() };
    wire.join_ws(HELLO).await;
    let mut wire = Wire { stream: within(UnixStream::connect(&house.unix)).await.unwrap() };
    wire.join_rawsocket(HELLO).await;
    assert_eq!(house.router.realm_stats("realm1").unwrap().1.sessions, 8);
}

// behaviour 52
#[tokio::test]
async fn a_client_that_does_not_wait_for_the_handshake_joins_too() {
    let house = House::new().await;
    let rawsocket = [&HANDSHAKE[..], &frame(HELLO)].concat();
    let websocket = [UPGRADE.as_bytes(), &ws_frame(0x81, HELLO.as_bytes())].concat();
    let mut wire = Wire::connect(&house).await;
    wire.write(&rawsocket).await;
    assert_eq!(wire.read(4).await, HANDSHAKE);
    assert!(wire.text().await.starts_with("[2,"));
    let mut wire = Wire { stream: within(UnixStream::connect(&house.unix)).await.unwrap() };
    wire.write(&rawsocket).await;
    assert_eq!(wire.read(4).await, HANDSHAKE);
    assert!(wire.text().await.starts_with("[2,"));
    let mut wire = Wire::connect(&house).await;
    wire.write(&websocket).await;
    assert!(wire.response().await.starts_with("HTTP/1.1 101 "));
    assert!(wire.ws_frame().await.1.starts_with(b"[2,"));
}

// behaviour 52
#[tokio::test]
async fn a_client_of_another_protocol_is_refused_without_harm() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    let long_head = format!("GET / HTTP/1.1\r\nX: {}\r\n", "x".repeat(20_000));
    let table: &[(&[u8], &str)] = &[
        // An ordinary HTTP request is answered with an explanation.
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "),
        (b"POST /call HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.1 4"),
        (b"GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 505 "),
        (b"NONSENSE\r\n\r\n", "HTTP/1.1 400 "),
        // A TLS ClientHello, SSH, a stray byte, a head without an end.
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP/1.1 400 "),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "HTTP/1.1 400 "),
        (b"\0", "HTTP/1.1 400 "),
        (long_head.as_bytes(), "HTTP/1.1 431 "),
    ];
    for (said, answer) in table {
        for unix in [false, true] {
            let rest = if unix {
                let mut wire = Wire { stream: within(UnixStream::connect(&house.unix)).await.unwrap() };
                wire.write(said).await;
                wire.end().await
            } else {
                let mut wire = Wire::connect(&house).await;
                wire.write(said).await;
                wire.end().await
            };
            let rest = String::from_utf8(rest).unwrap();
            assert!(rest.starts_with(answer), "{said:02x?}: {rest}");
            bystander.progress().await;
        }
    }
    bystander.finish().await;
}

// behaviour 53
#[tokio::test]
async fn a_subprotocol_is_picked_from_the_offers_or_the_handshake_fails() {
    let house = House::new().await;
    // behaviours 54 and 61: batched subprotocols and UBJSON are not offered
    for offers in
        ["", "foo", "wamp.2.json.batched", "wamp.2.msgpack.batched, wamp.2.ubjson", "wamp.2", "WAMP"]
    {
        let line = format!("Sec-WebSocket-Protocol: {offers}\r\n");
        let line = if offers.is_empty() { "" } else { &line };
        let mut wire = Wire::connect(&house).await;
        wire.write(UPGRADE.replacen("Sec-WebSocket-Protocol: wamp.2.json\r\n", line, 1).as_bytes()).await;
        let answer = String::from_utf8(wire.rest().await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{offers}: {answer}");
        assert!(answer.contains("only wamp.2.msgpack, wamp.2.cbor, wamp.2.json"), "{offers}: {answer}");
    }
    for (offers, picked, opcode) in [
        ("wamp.2.cbor,wamp.2.json", "wamp.2.cbor", 0x82),
        ("wamp.2.json.batched, wamp.2.json, wamp.2.msgpack", "wamp.2.json", 0x81),
        ("foo\r\nSec-WebSocket-Protocol: wamp.2.msgpack", "wamp.2.msgpack", 0x82),
    ] {
        let mut wire = Wire::connect(&house).await;
        wire.write(UPGRADE.replacen("wamp.2.json", offers, 1).as_bytes()).await;
        let answer = wire.response().await.to_lowercase();
        assert!(answer.contains(&format!("sec-websocket-protocol: {picked}\r\n")), "{offers}: {answer}");
        let serializer = Serializer::from_subprotocol(picked).unwrap();
        wire.write(&ws_frame(opcode, &bytes(serializer, HELLO))).await;
        let (first, _) = wire.ws_frame().await;
        assert_eq!(first, opcode, "text for JSON, binary for the others");
    }
}

// behaviour 49
#[tokio::test]
async fn a_rawsocket_handshake_is_answered_also_when_it_is_refused() {
    let house = House::new().await;
    let table = [
        // serializer 0, UBJSON (behaviour 61), FlatBuffers, 15
        ([0x7f, 0xf0, 0, 0], [0x7f, 0x10, 0, 0]),
        ([0x7f, 0xf4, 0, 0], [0x7f, 0x10, 0, 0]),
        ([0x7f, 0xf5, 0, 0], [0x7f, 0x10, 0, 0]),
        ([0x7f, 0x0f, 0, 0], [0x7f, 0x10, 0, 0]),
        // reserved bytes
        ([0x7f, 0xf1, 0, 1], [0x7f, 0x30, 0, 0]),
        ([0x7f, 0xf1, 0x80, 0], [0x7f, 0x30, 0, 0]),
    ];
    for (request, reply) in table {
        let mut wire = Wire::connect(&house).await;
        wire.write(&request).await;
        assert_eq!(wire.rest().await, reply, "{request:02x?}");
        let mut wire = Wire { stream: within(UnixStream::connect(&house.unix)).await.unwrap() };
        wire.write(&request).await;
        assert_eq!(wire.rest().await, reply, "{request:02x?}");
    }
    for serializer in 1..=3 {
        for length in 0..=15 {
            let mut wire = Wire::connect(&house).await;
            wire.write(&[0x7f, length << 4 | serializer, 0, 0]).await;
            assert_eq!(
                wire.read(4).await,
                [0x7f, 0xf0 | serializer, 0, 0],
                "16 MiB, independent of the client's limit"
            );
        }
    }
}

#[tokio::test]
async fn bytes_one_by_one_are_as_good_as_all_at_once() {
    let house = House::new().await;
    let call = r#"[48,1,{},"com.myapp.nobody",["é"]]"#;
    let error = r#"[8,48,1,{},"wamp.error.no_such_procedure""#;

    let mut wire = Wire::connect(&house).await;
    wire.dribble(&HANDSHAKE).await;
    assert_eq!(wire.read(4).await, HANDSHAKE);
    wire.dribble(&frame(HELLO)).await;
    assert!(wire.text().await.starts_with("[2,"));
    wire.dribble(&frame(call)).await;
    assert!(wire.text().await.starts_with(error));

    let mut wire = Wire::connect(&house).await;
    wire.dribble(UPGRADE.as_bytes()).await;
    assert!(wire.response().await.starts_with("HTTP/1.1 101 "));
    wire.dribble(&ws_frame(0x81, HELLO.as_bytes())).await;
    assert!(wire.ws_frame().await.1.starts_with(b"[2,"));
    // In fragments of one byte, with a PING in the middle.
    let (first, rest) = call.as_bytes().split_first().unwrap();
    wire.dribble(&ws_frame(0x01, &[*first])).await;
    wire.dribble(&ws_frame(0x89, b"hey")).await;
    assert_eq!(wire.ws_frame().await, (0x8a, b"hey".to_vec()));
    for byte in rest {
        wire.write(&ws_frame(0x00, &[*byte])).await;
    }
    wire.dribble(&ws_frame(0x80, b"")).await;
    let (_, heard) = wire.ws_frame().await;
    assert!(heard.starts_with(error.as_bytes()), "{}", String::from_utf8_lossy(&heard));
}

/// Everything that a client writes from its first byte to the middle of a call.
fn whole_lives() -> [Vec<u8>; 2] {
    let said =
        [HELLO, r#"[64,1,{},"com.myapp.mine"]"#, r#"[48,2,{"receive_progress":true},"com.myapp.mine"]"#];
    let rawsocket = [HANDSHAKE.to_vec(), said.map(frame).concat()].concat();
    let ws =
        [UPGRADE.as_bytes().to_vec(), said.map(|text| ws_frame(0x81, text.as_bytes())).concat()].concat();
    [rawsocket, ws]
}

#[tokio::test]
async fn a_client_may_vanish_after_any_byte() {
    let house = House::new().await;
    let mut bystander = Bystander::new(&house.router).await;
    for life in whole_lives() {
        for bytes in 0..life.len() {
            let mut stream = within(TcpStream::connect(&house.tcp)).await.unwrap();
            if bytes % 2 == 0 {
                // A reset instead of an orderly end.
                stream.set_zero_linger().unwrap();
            }
            tokio::io::AsyncWriteExt::write_all(&mut stream, &life[..bytes]).await.unwrap();
        }
        bystander.progress().await;
    }
    bystander.finish().await;
    // All their resources are free again as soon as the router has noticed.
    let sizes = within(async {
        loop {
            let (_, sizes) = house.router.realm_stats("realm1").unwrap();
            if sizes.sessions == 0 {
                return sizes;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((sizes.calls, sizes.registrations, sizes.deadlines), (0, 0, 0));
    house.router.shut_down().await;
}
