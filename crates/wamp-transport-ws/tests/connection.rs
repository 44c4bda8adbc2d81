//! Connections after their handshake.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use wamp_proto::Serializer;
use wamp_transport::socket::dial_tcp;
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};
use wamp_transport_ws::{Config, Reader, WebSocket, Writer, accept, connect};

const FIN: u8 = 0x80;
const CONTINUE: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Both ends of a connection over a pipe with this capacity.
async fn pair(buffer: usize, serializer: Serializer) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (ours, theirs) = duplex(buffer);
    let (config, offers) = (Config::default(), [serializer]);
    tokio::try_join!(connect(ours, "ws://localhost/", &offers, &config), accept(theirs, &[], &config))
        .unwrap()
}

/// A server's end, and the bare stream of a client that has shaken hands.
async fn bare(
    buffer: usize,
    serializer: Serializer,
) -> (DuplexStream, (Reader<DuplexStream>, Writer<DuplexStream>)) {
    let (mut ours, theirs) = duplex(buffer);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        serializer.subprotocol()
    );
    let shake = async {
        ours.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n\r\n") {
            reply.push(ours.read_u8().await.unwrap());
        }
    };
    let config = Config::default();
    let ((), server) = tokio::join!(shake, accept(theirs, &[], &config));
    (ours, server.unwrap().split())
}

/// A client's frame. Its mask is zero.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..=125 => frame.push(0x80 | n as u8),
        n @ 126..=65_535 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A server's frames, as far as they are complete: first byte and payload.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => panic!("no frame is as long as that"),
            n => (usize::from(*n), rest),
        };
        if rest.len() < length {
            break;
        }
        frames.push((*first, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    frames
}

fn batch(messages: &[&[u8]]) -> Batch {
    let mut batch = Batch::new();
    messages.iter().for_each(|message| batch.push_bytes(message));
    batch
}

fn message(bytes: impl AsRef<[u8]>) -> Incoming {
    Incoming::Message(Bytes::copy_from_slice(bytes.as_ref()))
}

/// All that comes until the connection ends, and how it ends.
async fn read_all(read: &mut impl ReadHalf) -> (Vec<Incoming>, ReadError) {
    let mut came = Vec::new();
    loop {
        if let Err(e) = read.read(&mut came).await {
            return (came, e);
        }
    }
}

/// The result of a server that receives only these bytes, in one piece.
async fn received(bytes: &[u8], serializer: Serializer) -> (Vec<Incoming>, ReadError) {
    let (mut client, (mut read, _write)) = bare(bytes.len() + 4096, serializer).await;
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    read_all(&mut read).await
}

/// Polls once, without a waker and without tokio's budget.
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(tokio::task::coop::unconstrained(future)).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn messages_arrive_in_both_directions_however_small_the_pipe() {
    for (buffer, serializer) in [(1, Serializer::Json), (7, Serializer::Cbor), (100_000, Serializer::MsgPack)]
    {
        let (client, server) = pair(buffer, serializer).await;
        let large = vec![b'x'; 70_000];
        let messages: [&[u8]; 5] = [b"[1]", b"", &large, b"[22]", b"[333]"];
        let ((mut cr, mut cw), (mut sr, mut sw)) = (client.split(), server.split());
        let exchange = async |read: &mut Reader<_>, write: &mut Writer<_>| {
            let mut out = batch(&messages);
            let mut came = Vec::new();
            let send = async {
                write.write(&mut out).await.unwrap();
                assert!(out.is_empty() && write.accepted() > 70_000);
            };
            let receive = async {
                while came.len() < messages.len() {
                    read.read(&mut came).await.unwrap();
                }
            };
            tokio::join!(send, receive);
            came
        };
        let (to_client, to_server) = tokio::join!(exchange(&mut cr, &mut cw), exchange(&mut sr, &mut sw));
        assert!(to_client == messages.map(message), "{buffer}");
        assert!(to_server == messages.map(message), "{buffer}");
    }
}

#[tokio::test]
async fn a_message_of_16_mib() {
    let (client, server) = pair(100_000, Serializer::Cbor).await;
    let ((_cr, mut write), (mut read, _sw)) = (client.split(), server.split());
    let most = vec![b'm'; 16 << 20];
    let mut out = batch(&[&most]);
    let mut came = Vec::new();
    let (written, read) = tokio::join!(write.write(&mut out), read.read(&mut came));
    written.unwrap();
    read.unwrap();
    assert!(came == [message(&most)]);
}

/// Behaviour 53: text for JSON, binary for the others, and nothing else.
#[tokio::test]
async fn the_wrong_kind_of_frame_is_a_violation() {
    for (serializer, right, wrong) in [
        (Serializer::Json, TEXT, BINARY),
        (Serializer::MsgPack, BINARY, TEXT),
        (Serializer::Cbor, BINARY, TEXT),
    ] {
        let bytes = [frame(FIN | right, b"[1]"), frame(FIN | wrong, b"[2]"), frame(FIN | right, b"[3]")];
        let (came, end) = received(&bytes.concat(), serializer).await;
        assert_eq!(came, [message("[1]")]);
        assert!(matches!(end, ReadError::Violation(_)), "{end}");
    }
}

#[tokio::test]
async fn frames_that_websocket_forbids_are_violations() {
    let unmasked = vec![FIN | TEXT, 3, b'[', b'1', b']'];
    for bytes in [
        unmasked,
        frame(FIN | TEXT, b"\xff\xfe"),
        frame(FIN | CONTINUE, b"[1]"),
        frame(FIN | 0x40 | TEXT, b"[1]"),
        frame(FIN | 3, b"[1]"),
        frame(PING, b""),
        frame(FIN | PING, &[0; 126]),
    ] {
        let (came, end) = received(&bytes, Serializer::Json).await;
        assert_eq!(came, []);
        assert!(matches!(end, ReadError::Violation(_)), "{bytes:02x?} {end}");
    }
}

/// Behaviour 51: a PING between two fragments of a message, in one piece and byte by byte.
#[tokio::test]
async fn a_message_in_fragments_with_a_ping_between_them() {
    let bytes = [
        frame(TEXT, b"[1,\"\xc3"),
        frame(FIN | PING, b"hi"),
        frame(CONTINUE, b"\xa9"),
        frame(FIN | CONTINUE, b"\"]"),
        frame(FIN | TEXT, b"[2]"),
    ]
    .concat();
    for buffer in [1, 4096] {
        let (client, (mut read, _write)) = bare(buffer, Serializer::Json).await;
        let (mut from_server, mut to_server) = tokio::io::split(client);
        let send = async {
            to_server.write_all(&bytes).await.unwrap();
        };
        let receive = async {
            let mut came = Vec::new();
            while came.len() < 2 {
                read.read(&mut came).await.unwrap();
            }
            came
        };
        let pong = async {
            let mut pong = [0; 4];
            from_server.read_exact(&mut pong).await.unwrap();
            pong
        };
        let ((), came, pong) = tokio::join!(send, receive, pong);
        assert_eq!(came, [message("[1,\"é\"]"), message("[2]")]);
        assert_eq!(pong, [FIN | PONG, 2, b'h', b'i'], "answered though no task writes");
    }
}

/// Behaviour 51. The clock stands still while a task can go on, so the timeout means that no task was woken.
#[tokio::test(start_paused = true)]
async fn a_pong_that_has_to_wait_for_room_leaves_when_there_is_some() {
    let (client, (mut read, _write)) = bare(1, Serializer::Json).await;
    let (mut from_server, mut to_server) = tokio::io::split(client);
    let mut came = Vec::new();
    let exchange = async {
        to_server.write_all(&frame(FIN | PING, b"hi")).await.unwrap();
        // Now the reader waits for more to read, and for room for the rest of the answer.
        tokio::task::yield_now().await;
        let mut pong = [0; 4];
        from_server.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong, [FIN | PONG, 2, b'h', b'i']);
        to_server.write_all(&frame(FIN | TEXT, b"[1]")).await.unwrap();
    };
    let both = async { tokio::join!(read.read(&mut came), exchange) };
    let (read, ()) = tokio::time::timeout(Duration::from_secs(1), both).await.expect("no task was woken");
    read.unwrap();
}

/// Behaviour 51: a PONG does not wait for the data queue.
#[tokio::test]
async fn a_ping_is_answered_in_the_middle_of_a_full_queue() {
    let (mut client, (mut read, mut write)) = bare(8 * 1024, Serializer::Json).await;
    let long = vec![b'x'; 3_000_000];
    let mut out = batch(&[&long, &long]);
    let mut came = Vec::new();
    assert!(poll(write.write(&mut out)).is_pending());
    client.write_all(&frame(FIN | PING, b"hi")).await.unwrap();
    assert!(poll(read.read(&mut came)).is_pending());
    let mut wire = Vec::new();
    while poll(write.write(&mut out)).is_pending() {
        let mut bytes = [0; 8 * 1024];
        let n = client.read(&mut bytes).await.unwrap();
        wire.extend_from_slice(&bytes[..n]);
    }
    drop((read, write));
    client.read_to_end(&mut wire).await.unwrap();
    let frames = frames(&wire);
    let pong = frames.iter().position(|(first, _)| *first == FIN | PONG).unwrap();
    assert_eq!(frames[pong].1, b"hi");
    let before: usize = frames[..pong].iter().map(|(_, payload)| payload.len()).sum();
    assert!(before <= 128 * 1024, "{before}");
    let data: usize = frames.iter().filter(|(first, _)| first & 8 == 0).map(|(_, p)| p.len()).sum();
    assert_eq!(data, 6_000_000);
    let ends = frames.iter().filter(|(first, _)| first & 8 == 0 && first & FIN != 0).count();
    assert_eq!(ends, 2);
}

#[tokio::test]
async fn a_ping_of_ours_brings_a_pong() {
    let (client, server) = pair(4096, Serializer::Json).await;
    let ((mut cr, mut cw), (mut sr, _sw)) = (client.split(), server.split());
    let mut out = batch(&[b"[1]"]);
    out.ping(Bytes::from(vec![b'p'; 200]));
    cw.write(&mut out).await.unwrap();
    let mut at_server = Vec::new();
    sr.read(&mut at_server).await.unwrap();
    assert_eq!(at_server, [message("[1]")]);
    // The answer leaves when the server looks for more.
    assert!(poll(sr.read(&mut at_server)).is_pending());
    let mut at_client = Vec::new();
    cr.read(&mut at_client).await.unwrap();
    assert_eq!(at_client, [Incoming::Pong(Bytes::from(vec![b'p'; 125]))], "cut to what WebSocket allows");
}

#[tokio::test]
async fn a_flood_of_pings_from_a_peer_that_does_not_read_is_bounded() {
    let (mut client, (mut read, mut write)) = bare(8 * 1024, Serializer::Json).await;
    let mut came = Vec::new();
    for _ in 0..10_000 {
        client.write_all(&frame(FIN | PING, &[b'p'; 125])).await.unwrap();
        assert!(poll(read.read(&mut came)).is_pending());
    }
    // Longer than the room that is left among the answers.
    let mut out = batch(&[&[b'x'; 1000]]);
    let mut wire = Vec::new();
    while poll(write.write(&mut out)).is_pending() {
        let mut bytes = [0; 8 * 1024];
        let n = client.read(&mut bytes).await.unwrap();
        wire.extend_from_slice(&bytes[..n]);
    }
    assert!(wire.len() < 300 * 1024, "{}", wire.len());
    drop((read, write));
    client.read_to_end(&mut wire).await.unwrap();
    assert_eq!(frames(&wire).iter().filter(|(first, _)| *first == FIN | TEXT).count(), 1);
}

/// Behaviour 50, at the receiver: a message that is too long.
#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_after_those_before_it() {
    let whole = frame(FIN | TEXT, b"[1234]");
    let fragments = [frame(TEXT, b"[12"), frame(FIN | CONTINUE, b"34]")].concat();
    // The length of a frame counts when it is announced.
    let announced = [&[FIN | TEXT, 0x80 | 127], &u64::MAX.to_be_bytes()[..], &[0; 4]].concat();
    for (offender, length) in [(whole, 6), (fragments, 6), (announced, usize::MAX)] {
        let (mut client, (mut read, _write)) = bare(4096, Serializer::Json).await;
        read.set_max_receive(5);
        client.write_all(&frame(FIN | TEXT, b"[123]")).await.unwrap();
        client.write_all(&offender).await.unwrap();
        let (came, end) = read_all(&mut read).await;
        assert_eq!(came, [message("[123]")]);
        assert!(matches!(end, ReadError::TooLarge { limit: 5, len: l } if l == length), "{end}");
        assert!(matches!(read.read(&mut Vec::new()).await, Err(ReadError::Closed)), "over is over");
    }
}

#[tokio::test]
async fn the_limit_can_be_raised() {
    let (mut client, (mut read, _write)) = bare(200_000, Serializer::Json).await;
    read.set_max_receive(5);
    read.set_max_receive(100_000);
    client.write_all(&frame(FIN | TEXT, &[b'x'; 100_000])).await.unwrap();
    let mut came = Vec::new();
    read.read(&mut came).await.unwrap();
    assert_eq!(came, [message([b'x'; 100_000])]);
}

#[tokio::test]
async fn one_read_returns_a_bounded_number_of_messages() {
    let (mut client, (mut read, _write)) = bare(200_000, Serializer::Json).await;
    client.write_all(&frame(FIN | TEXT, b"[1]").repeat(1000)).await.unwrap();
    let mut came = Vec::new();
    for wanted in [256, 512, 768, 1000] {
        read.read(&mut came).await.unwrap();
        assert_eq!(came.len(), wanted);
    }
}

/// `tungstenite` may read 14 bytes at a time if its buffer is not set up well.
#[tokio::test]
async fn reads_are_large() {
    let (mut client, (mut read, _write)) = bare(1 << 20, Serializer::Json).await;
    client.write_all(&frame(FIN | TEXT, &[b'x'; 1000]).repeat(500)).await.unwrap();
    let (mut came, mut reads) = (0, 0);
    while came < 500 {
        let mut into = Vec::new();
        read.read(&mut into).await.unwrap();
        came += into.len();
        reads += 1;
    }
    assert!(reads <= 100, "{reads}");
}

#[tokio::test]
async fn messages_sent_with_the_request_are_not_lost() {
    let (mut ours, theirs) = duplex(4096);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n";
    ours.write_all(&[request.as_bytes(), &frame(FIN | TEXT, b"[1]")].concat()).await.unwrap();
    ours.shutdown().await.unwrap();
    let (mut read, _write) = accept(theirs, &[], &Config::default()).await.unwrap().split();
    let mut came = Vec::new();
    read.read(&mut came).await.unwrap();
    assert_eq!(came, [message("[1]")]);
}

#[tokio::test]
async fn a_dropped_write_goes_on_where_it_was() {
    let (mut client, (_read, mut write)) = bare(5, Serializer::Json).await;
    let long = vec![b'x'; 70_000];
    let mut out = batch(&[b"[1]", &long, b"[2]"]);
    let mut wire = Vec::new();
    let mut polls = 0;
    while poll(write.write(&mut out)).is_pending() {
        let mut bytes = [0; 3];
        let n = client.read(&mut bytes).await.unwrap();
        wire.extend_from_slice(&bytes[..n]);
        polls += 1;
    }
    assert!(polls > 10_000 && out.is_empty());
    drop((_read, write));
    client.read_to_end(&mut wire).await.unwrap();
    let frames = frames(&wire);
    assert_eq!(frames[0], (FIN | TEXT, b"[1]".to_vec()));
    assert_eq!(frames[frames.len() - 1], (FIN | TEXT, b"[2]".to_vec()));
    let (kinds, pieces): (Vec<u8>, Vec<Vec<u8>>) = frames[1..frames.len() - 1].iter().cloned().unzip();
    assert_eq!(kinds, [TEXT, FIN | CONTINUE]);
    assert!(pieces.concat() == long);
}

#[tokio::test]
async fn both_ends_see_a_close() {
    let (client, server) = pair(4096, Serializer::Json).await;
    let ((mut cr, mut cw), (mut sr, mut sw)) = (client.split(), server.split());
    cw.write(&mut batch(&[b"[1]"])).await.unwrap();
    cw.close().await;
    let (came, end) = read_all(&mut sr).await;
    assert_eq!(came, [message("[1]")]);
    assert!(matches!(end, ReadError::Closed), "{end}");
    sw.write(&mut batch(&[b"[2]"])).await.unwrap();
    sw.close().await;
    assert!(matches!(sw.write(&mut batch(&[b"[3]"])).await, Err(WriteError::Closed)));
    let (came, end) = read_all(&mut cr).await;
    assert_eq!(came, [message("[2]")]);
    assert!(matches!(end, ReadError::Closed), "the closing frame of the peer");
    assert!(matches!(cw.write(&mut batch(&[b"[2]"])).await, Err(WriteError::Closed)));
}

#[tokio::test]
async fn an_end_without_a_closing_frame_is_an_end() {
    let (came, end) = received(&frame(FIN | TEXT, b"[1]"), Serializer::Json).await;
    assert_eq!(came, [message("[1]")]);
    assert!(matches!(end, ReadError::Closed), "{end}");
}

/// An ABORT can still be sent (behaviour 45), and the closing frame has the code of the violation.
#[tokio::test]
async fn after_a_violation_the_writer_still_writes() {
    for (offender, code) in [
        (frame(FIN | BINARY, b"[1]"), 1003_u16),
        (frame(FIN | TEXT, b"\xff"), 1007),
        (frame(FIN | CONTINUE, b""), 1002),
        ([&[FIN | TEXT, 0x80 | 127], &u64::MAX.to_be_bytes()[..], &[0; 4]].concat(), 1009),
    ] {
        let (mut client, (mut read, mut write)) = bare(4096, Serializer::Json).await;
        client.write_all(&offender).await.unwrap();
        assert!(read.read(&mut Vec::new()).await.is_err());
        write.write(&mut batch(&[b"[3,{},\"x\"]"])).await.unwrap();
        write.close().await;
        let mut wire = Vec::new();
        client.read_to_end(&mut wire).await.unwrap();
        let close = code.to_be_bytes().to_vec();
        assert_eq!(frames(&wire), [(FIN | TEXT, b"[3,{},\"x\"]".to_vec()), (FIN | CLOSE, close)]);
    }
}

#[tokio::test]
async fn over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let url = format!("ws://{address}/ws");
    let config = Config::default();
    let server = async { accept(listener.accept().await.unwrap().0, &[], &config).await };
    let offers = [Serializer::MsgPack];
    let client = async {
        let socket = dial_tcp(&address).await.unwrap();
        connect(socket, &url, &offers, &config).await
    };
    let (client, server) = tokio::try_join!(client, server).unwrap();
    let ((mut cr, mut cw), (mut sr, mut sw)) = (client.split(), server.split());
    let most = vec![b'm'; 3_000_000];
    let send = async {
        cw.write(&mut batch(&[b"[1]", &most])).await.unwrap();
        read_all(&mut cr).await
    };
    let answer = async {
        let mut came = Vec::new();
        while came.len() < 2 {
            sr.read(&mut came).await.unwrap();
        }
        sw.write(&mut batch(&[b"[2]"])).await.unwrap();
        sw.close().await;
        came
    };
    let ((back, end), came) = tokio::join!(send, answer);
    assert!(came == [message("[1]"), message(&most)]);
    assert_eq!(back, [message("[2]")]);
    assert!(matches!(end, ReadError::Closed), "{end}");
}
