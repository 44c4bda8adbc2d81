//! The WebSocket reader, as a server and as a client: all at once, byte by byte and in steps, it reads the same.

#![no_main]

#[path = "stream/mod.rs"]
mod stream;

use libfuzzer_sys::fuzz_target;
use stream::{Pieces, Stream, block_on, read_all};
use tungstenite::handshake::derive_accept_key;
use wamp_proto::Serializer;
use wamp_transport::Incoming;
use wamp_transport::socket::AnyStream;
use wamp_transport_ws::{Config, accept, connect};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.";

fuzz_target!(|input: &[u8]| {
    let Some((&first, frames)) = input.split_first() else { return };
    let (is_server, is_text) = (first & 1 == 0, first & 2 == 0);
    let serializer = if is_text { Serializer::Json } else { Serializer::MsgPack };
    let config = Config { max_receive: 256 << (first >> 2 & 7), ..Config::default() };
    let read = |pieces| -> Option<(Vec<Incoming>, String)> {
        block_on(async {
            if is_server {
                let name = if is_text { "json" } else { "msgpack" };
                let bytes = [REQUEST, name.as_bytes(), b"\r\n\r\n", frames].concat();
                let transport = accept(AnyStream(Stream::new(&bytes, pieces)), &[], &config).await.ok()?;
                return Some(read_all(transport, false).await);
            }
            let answer = if is_text { json } else { msgpack };
            let stream = Stream::new(frames, pieces).answering(answer);
            let transport = connect(AnyStream(stream), "ws://localhost/", &[serializer], &config).await.ok()?;
            Some(read_all(transport, false).await)
        })
    };
    let wanted = read(Pieces::All);
    assert!(wanted.is_some(), "the handshake");
    for pieces in [Pieces::Of(1), Pieces::Of(2 + usize::from(first >> 5)), Pieces::Of(61), Pieces::Growing] {
        assert_eq!(read(pieces), wanted, "{pieces:?}");
    }
});

fn json(request: &[u8]) -> Option<Vec<u8>> {
    response(request, "json")
}

fn msgpack(request: &[u8]) -> Option<Vec<u8>> {
    response(request, "msgpack")
}

/// The answer to a whole request.
fn response(request: &[u8], serializer: &str) -> Option<Vec<u8>> {
    let request = std::str::from_utf8(request).ok()?;
    request.ends_with("\r\n\r\n").then_some(())?;
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    })?;
    let accept = derive_accept_key(key.as_bytes());
    Some(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: wamp.2.{serializer}\r\n\r\n"
        )
        .into_bytes(),
    )
}
