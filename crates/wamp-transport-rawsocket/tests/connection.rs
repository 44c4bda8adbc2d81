//! Connections over in-memory streams and over sockets.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use wamp_proto::Serializer;
use wamp_transport::socket::{dial_tcp, dial_unix};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteError, WriteHalf};
use wamp_transport_rawsocket::{
    Config, ErrorCode, HandshakeError, RawSocket, Reader, Writer, accept, connect, handshake, refuse,
};

type Halves = (Reader<tokio::io::ReadHalf<DuplexStream>>, Writer<tokio::io::WriteHalf<DuplexStream>>);

/// Both ends of a connection over a pipe with this capacity.
async fn pair(buffer: usize) -> (RawSocket<DuplexStream>, RawSocket<DuplexStream>) {
    let (ours, theirs) = duplex(buffer);
    let config = Config::default();
    tokio::try_join!(connect(ours, Serializer::Json, &config), accept(theirs, &[], &config)).unwrap()
}

/// A server's end, and the bare stream of a client that has shaken hands.
async fn bare(buffer: usize) -> (DuplexStream, Halves) {
    let (mut ours, theirs) = duplex(buffer);
    let config = Config::default();
    let shake = async {
        ours.write_all(&[0x7f, 0xf1, 0, 0]).await?;
        let mut reply = [0; 4];
        ours.read_exact(&mut reply).await?;
        assert_eq!(reply, [0x7f, 0xf1, 0, 0]);
        Ok(())
    };
    let ((), server) = tokio::try_join!(shake, accept(theirs, &[], &config)).unwrap();
    (ours, server.split())
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
async fn received(bytes: &[u8]) -> (Vec<Incoming>, ReadError) {
    let (mut client, (mut read, _write)) = bare(bytes.len().max(8)).await;
    client.write_all(bytes).await.unwrap();
    drop(client);
    read_all(&mut read).await
}

#[tokio::test]
async fn messages_arrive_in_both_directions_however_small_the_pipe() {
    for buffer in [1, 3, 7, 64, 100_000] {
        let (client, server) = pair(buffer).await;
        let large = vec![b'x'; 20_000];
        let messages: [&[u8]; 5] = [b"[1]", b"", &large, b"[22]", b"[333]"];
        let ((mut cr, mut cw), (mut sr, mut sw)) = (client.split(), server.split());
        let send = async |write: &mut Writer<_>| {
            let mut batch = batch(&messages);
            write.write(&mut batch).await.unwrap();
            assert!(batch.is_empty());
            assert_eq!(write.accepted(), 20_000 + 3 + 4 + 5 + 5 * 4);
            write.close().await;
        };
        let ((), (to_server, end), (), (to_client, _)) =
            tokio::join!(send(&mut cw), read_all(&mut sr), send(&mut sw), read_all(&mut cr));
        assert!(matches!(end, ReadError::Closed), "{end}");
        assert_eq!(to_server, messages.map(message), "{buffer}");
        assert_eq!(to_client, messages.map(message), "{buffer}");
    }
}

/// Behaviour 48.
#[tokio::test]
async fn messages_of_16_mib_and_one_byte_less() {
    let (client, server) = pair(100_000).await;
    assert_eq!((client.max_send(), server.max_send()), (1 << 24, 1 << 24));
    let ((_cr, mut write), (mut read, _sw)) = (client.split(), server.split());
    let most = vec![b'm'; 1 << 24];
    let send = async {
        write.write(&mut batch(&[&most[1..], &most, b"[1]"])).await.unwrap();
        write.close().await;
    };
    let ((), (came, _)) = tokio::join!(send, read_all(&mut read));
    assert_eq!(came.len(), 3);
    assert!(came == [message(&most[1..]), message(&most), message("[1]")]);
}

/// Behaviour 48.
#[tokio::test]
async fn a_message_that_the_peer_does_not_take_is_not_begun() {
    let (ours, theirs) = duplex(1024);
    let small = Config { max_receive: 600, ..Config::default() };
    let default = Config::default();
    let (client, server) =
        tokio::try_join!(connect(ours, Serializer::Json, &default), accept(theirs, &[], &small)).unwrap();
    assert_eq!(client.max_send(), 512);
    let ((_cr, mut write), (mut read, _sw)) = (client.split(), server.split());
    assert!(matches!(write.write(&mut batch(&[&[b'x'; 513]])).await, Err(WriteError::Io(_))));
    write.write(&mut batch(&[&[b'x'; 512]])).await.unwrap();
    write.close().await;
    assert_eq!(read_all(&mut read).await.0, [message([b'x'; 512])]);
}

/// Behaviours 48 and 59.
#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_before_its_body_and_after_those_before_it() {
    let (mut client, (mut read, _write)) = bare(64).await;
    read.set_max_receive(3);
    client.write_all(b"\0\0\0\x03[1]\0\0\0\x04").await.unwrap();
    let mut came = Vec::new();
    read.read(&mut came).await.unwrap();
    assert_eq!(came, [message("[1]")]);
    for _ in 0..2 {
        let refused = read.read(&mut came).await;
        assert!(matches!(refused, Err(ReadError::TooLarge { len: 4, limit: 3 })), "{refused:?}");
    }
}

/// Behaviour 48.
#[tokio::test]
async fn reserved_bits_types_and_lengths_are_violations() {
    for prefix in [[0x10, 0, 0, 3], [0x80, 0, 0, 3], [0x03, 0, 0, 3], [0x07, 0, 0, 3], [0x08, 0, 0, 3]] {
        let bytes = [b"\0\0\0\x03[1]".as_slice(), &prefix, b"[2]"].concat();
        let (came, end) = received(&bytes).await;
        assert_eq!(came, [message("[1]")], "{prefix:02x?}");
        assert!(matches!(end, ReadError::Violation(_)), "{prefix:02x?} {end}");
    }
}

#[tokio::test]
async fn an_end_inside_a_message_is_no_ordinary_end() {
    for bytes in [b"\0".as_slice(), b"\0\0\0\x03", b"\0\0\0\x03[1"] {
        let (came, end) = received(bytes).await;
        assert_eq!(came, []);
        assert!(matches!(end, ReadError::Io(_)), "{end}");
    }
    assert!(matches!(received(b"").await.1, ReadError::Closed));
}

/// Behaviour 51.
#[tokio::test]
async fn ping_and_pong_between_messages() {
    let (came, _) = received(b"\0\0\0\x03[1]\x01\0\0\x02hi\0\0\0\x03[2]\x02\0\0\0").await;
    let hi = Incoming::Ping(Bytes::from_static(b"hi"));
    assert_eq!(came, [message("[1]"), hi, message("[2]"), Incoming::Pong(Bytes::new())]);
}

/// Behaviour 51.
#[tokio::test]
async fn ping_and_pong_go_before_the_messages_of_their_batch() {
    let (mut client, (_read, mut write)) = bare(1024).await;
    let mut out = batch(&[b"[1]"]);
    out.pong(Bytes::from_static(b"hi"));
    out.ping(Bytes::new());
    write.write(&mut out).await.unwrap();
    write.close().await;
    let mut wire = Vec::new();
    client.read_to_end(&mut wire).await.unwrap();
    assert_eq!(wire, b"\x02\0\0\x02hi\x01\0\0\0\0\0\0\x03[1]");
}

/// A write that is dropped at any point and begun again leaves the stream whole; a PONG that arrives
/// meanwhile does not get into the middle of a message (behaviour 51).
#[tokio::test]
async fn a_dropped_write_goes_on_where_it_was() {
    let (mut client, (_read, mut write)) = bare(5).await;
    let mut out = batch(&[b"[1,11111]", b"[2,22222]"]);
    out.ping(Bytes::from_static(b"ping"));
    let mut wire = Vec::new();
    let mut ponged = false;
    loop {
        if out.in_message() && !ponged {
            out.pong(Bytes::from_static(b"pong"));
            ponged = true;
        }
        let done = pin!(write.write(&mut out)).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let mut bytes = [0; 3];
        let n = client.read(&mut bytes).await.unwrap();
        wire.extend_from_slice(&bytes[..n]);
        if done {
            break;
        }
    }
    assert!(out.is_empty());
    write.close().await;
    client.read_to_end(&mut wire).await.unwrap();
    assert_eq!(wire.len() as u64, write.accepted());
    assert_eq!(wire, b"\x01\0\0\x04ping\0\0\0\x09[1,11111]\0\0\0\x09[2,22222]\x02\0\0\x04pong");
}

#[tokio::test]
async fn a_write_without_a_peer_fails() {
    let (client, (_read, mut write)) = bare(64).await;
    drop(client);
    assert!(matches!(write.write(&mut batch(&[b"[1]"])).await, Err(WriteError::Io(_))));
}

/// The client's result, with a server that sends these bytes and closes.
async fn reply(bytes: &[u8]) -> HandshakeError {
    let (ours, mut theirs) = duplex(64);
    theirs.write_all(bytes).await.unwrap();
    theirs.shutdown().await.unwrap();
    connect(ours, Serializer::Json, &Config::default()).await.unwrap_err()
}

/// Behaviour 49.
#[tokio::test]
async fn a_client_describes_the_fault_of_its_server() {
    for (bytes, words) in [
        (b"\x7f\x40\0\0".as_slice(), "the server refused the connection: maximum connection count reached"),
        (b"\x7f\x10\0\0", "the server refused the connection: serializer unsupported"),
        (b"\x7f\xf2\0\0", "asked for json, the server answered with serializer 2"),
        (
            b"\x7f\0\0\0",
            "invalid answer of the server: the error code is 0, which means no error ([7f, 00, 00, 00])",
        ),
        (
            b"HTTP/1.1 400 Bad Request",
            "the peer does not speak RawSocket: an HTTP response came, the port seems to be for WebSocket",
        ),
        (
            b"\x15\x03\x01\0",
            "the peer does not speak RawSocket: a TLS alert came, the port seems to want TLS",
        ),
        (b"\x7f\xf1", "the peer closed the connection in the handshake"),
    ] {
        assert_eq!(reply(bytes).await.to_string(), words);
    }
}

/// Behaviour 49: the server answers, and then closes.
#[tokio::test]
async fn a_refused_client_is_told_why() {
    for (request, answer) in [
        (b"\x7f\xf5\0\0".as_slice(), b"\x7f\x10\0\0".as_slice()),
        (b"\x7f\xf0\0\0", b"\x7f\x10\0\0"),
        (b"\x7f\xf1\0\x01", b"\x7f\x30\0\0"),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
    ] {
        let (mut ours, theirs) = duplex(64);
        ours.write_all(request).await.unwrap();
        assert!(accept(theirs, &[], &Config::default()).await.is_err());
        let mut came = Vec::new();
        ours.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, answer);
    }
}

/// Behaviour 49.
#[tokio::test]
async fn a_server_that_is_full_says_so() {
    let (ours, theirs) = duplex(64);
    let config = Config::default();
    let (refused, told) = tokio::join!(
        connect(ours, Serializer::Json, &config),
        refuse(theirs, &[], ErrorCode::ConnectionLimit),
    );
    told.unwrap();
    assert!(matches!(refused, Err(HandshakeError::Refused(ErrorCode::ConnectionLimit))));
}

/// The transport's part of behaviour 52.
#[tokio::test]
async fn a_server_that_has_looked_at_the_first_byte_goes_on() {
    for known in 0..=4 {
        let (ours, mut theirs) = duplex(64);
        let config = Config::default();
        let server = async {
            let mut first = vec![0; known];
            theirs.read_exact(&mut first).await?;
            accept(theirs, &first, &config).await
        };
        let (client, server) = tokio::join!(connect(ours, Serializer::Cbor, &config), server);
        assert_eq!(client.unwrap().serializer(), server.unwrap().serializer());
    }
}

#[tokio::test]
async fn bytes_read_beyond_the_request_are_the_first_message() {
    let (mut ours, theirs) = duplex(64);
    let first = [&handshake::request(Serializer::Json, 1 << 24)[..], &[0, 0, 0, 3, b'[', b'1']].concat();
    let server = accept(theirs, &first, &Config::default()).await.unwrap();
    ours.write_all(b"]").await.unwrap();
    drop(ours);
    assert_eq!(read_all(&mut server.split().0).await.0, [message("[1]")]);
}

#[tokio::test]
async fn over_tcp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = Config::default();
    let server = async { accept(listener.accept().await.unwrap().0, &[], &config).await };
    let client = async { connect(dial_tcp(&address).await.unwrap(), Serializer::MsgPack, &config).await };
    let (client, server) = tokio::try_join!(client, server).unwrap();
    let ((mut cr, mut cw), (mut sr, mut sw)) = (client.split(), server.split());
    let most = vec![b'm'; 3_000_000];
    let send = async {
        cw.write(&mut batch(&[b"[1]", &most])).await.unwrap();
        cw.close().await;
        read_all(&mut cr).await
    };
    let answer = async {
        let (came, end) = read_all(&mut sr).await;
        assert!(matches!(end, ReadError::Closed));
        sw.write(&mut batch(&[b"[2]"])).await.unwrap();
        drop((sr, sw));
        came
    };
    let ((back, _), came) = tokio::join!(send, answer);
    assert!(came == [message("[1]"), message(&most)]);
    assert_eq!(back, [message("[2]")]);
}

#[cfg(unix)]
#[tokio::test]
async fn over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("wamp-rawsocket-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let config = Config::default();
    let server = async { accept(listener.accept().await.unwrap().0, &[], &config).await };
    let client = async { connect(dial_unix(&path).await.unwrap(), Serializer::Json, &config).await };
    let connected = tokio::try_join!(client, server);
    std::fs::remove_file(&path).unwrap();
    let (client, server) = connected.unwrap();
    let ((_cr, mut cw), (mut sr, _sw)) = (client.split(), server.split());
    cw.write(&mut batch(&[b"[1]"])).await.unwrap();
    cw.close().await;
    assert_eq!(read_all(&mut sr).await.0, [message("[1]")]);
}
