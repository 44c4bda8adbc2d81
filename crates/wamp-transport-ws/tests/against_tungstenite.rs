//! A comparison with `tungstenite`: each reads the frames of the other.

use std::io::{self, Read, Write};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, duplex};
use tungstenite::Message;
use tungstenite::protocol::{Role as TheirRole, WebSocket as Theirs};
use wamp_proto::{Limits, Serializer};
use wamp_transport::{Batch, Incoming, ReadError, ReadHalf, Transport, WriteHalf};
use wamp_transport_ws::{Config, Role, WebSocket};

/// A stream: its input and its output.
#[derive(Default)]
struct Wire {
    input: io::Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.input, into)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: Role, input: Vec<u8>) -> Theirs<Wire> {
    let role = if role == Role::Client { TheirRole::Client } else { TheirRole::Server };
    Theirs::from_raw_socket(Wire { input: io::Cursor::new(input), output: Vec::new() }, role, None)
}

fn other(role: Role) -> Role {
    if role == Role::Client { Role::Server } else { Role::Client }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The bytes that we write, through a pipe of this size.
fn written(role: Role, serializer: Serializer, batches: Vec<Batch>, pipe: usize) -> Vec<u8> {
    let (ours, mut end) = duplex(pipe);
    let connection = WebSocket::upgraded(ours, role, serializer, &Config::default());
    let (read, mut write) = connection.split();
    let write = async move {
        for mut batch in batches {
            write.write(&mut batch).await.unwrap();
        }
        write.close().await;
        drop((read, write));
    };
    let mut bytes = Vec::new();
    block_on(async { tokio::join!(write, end.read_to_end(&mut bytes)).1.unwrap() });
    bytes
}

/// The items that we read from these bytes.
fn read(role: Role, serializer: Serializer, bytes: &[u8], pipe: usize) -> Vec<Incoming> {
    let (ours, end) = duplex(pipe);
    let connection = WebSocket::upgraded(ours, role, serializer, &Config::default());
    let (mut read, _write) = connection.split();
    let send = async {
        let (mut from, mut to) = tokio::io::split(end);
        let discard = async {
            let mut answers = Vec::new();
            let _ = from.read_to_end(&mut answers).await;
        };
        let send = tokio::io::AsyncWriteExt::write_all(&mut to, bytes);
        tokio::select! {
            sent = send => sent.unwrap(),
            () = discard => {}
        }
    };
    let mut came = Vec::new();
    block_on(async {
        let receive = async {
            loop {
                match read.read(&mut came).await {
                    Ok(()) => {}
                    Err(ReadError::Closed) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::join!(send, receive);
    });
    came
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let short = proptest::collection::vec(any::<u8>(), 0..300);
    let border =
        prop_oneof![120..130_usize, 65_530..65_540_usize, 131_060..131_080_usize, 4_000..9_000_usize];
    let long = (border, any::<u8>()).prop_map(|(n, byte)| vec![byte; n]);
    prop_oneof![3 => short, 1 => long]
}

fn pipe() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1000), Just(70_000), Just(1 << 22)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn tungstenite_reads_our_frames(
        role in role(),
        batches in proptest::collection::vec(proptest::collection::vec(message(), 0..8), 0..4),
        pipe in pipe(),
    ) {
        let made = batches.iter().map(|messages| {
            let mut batch = Batch::new();
            messages.iter().for_each(|message| batch.push_bytes(message));
            batch.ping(Bytes::from_static(b"hi"));
            batch
        });
        let len = written(role, Serializer::MsgPack, made.collect(), pipe);
        let mut theirs = theirs(other(role), len);
        for messages in &batches {
            prop_assert_eq!(theirs.read().unwrap(), Message::Ping(Bytes::from_static(b"hi")));
            for message in messages {
                prop_assert!(theirs.read().unwrap() == Message::Binary(message.clone().into()));
            }
        }
        prop_assert!(matches!(theirs.read().unwrap(), Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
    }

    /// With payloads that lie outside of the batch's arena.
    #[test]
    fn they_read_the_messages_of_wamp(role in role(), sizes in proptest::collection::vec(0..200_000_usize, 1..6), pipe in pipe()) {
        let texts: Vec<String> =
            sizes.iter().map(|&n| format!("[70,1,{{}},[\"{}\"]]", "é".repeat(n / 2))).collect();
        let mut batch = Batch::new();
        for text in &texts {
            let frame = Bytes::from(text.clone());
            let message = wamp_proto::Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap();
            batch.push(&message, Serializer::Json).unwrap();
        }
        let len = written(role, Serializer::Json, vec![batch], pipe);
        let mut theirs = theirs(other(role), len);
        for text in texts {
            prop_assert!(theirs.read().unwrap() == Message::text(text));
        }
    }

    #[test]
    fn we_read_frames_of_tungstenite(
        role in role(),
        messages in proptest::collection::vec(message(), 0..10),
        pipe in pipe(),
    ) {
        let mut theirs = theirs(other(role), Vec::new());
        for message in &messages {
            theirs.write(Message::Binary(message.clone().into())).unwrap();
            theirs.write(Message::Pong(Bytes::from_static(b"hi"))).unwrap();
        }
        theirs.close(None).unwrap();
        let bytes = std::mem::take(&mut theirs.get_mut().output);
        let came = read(role, Serializer::MsgPack, &bytes, pipe);
        prop_assert_eq!(came.len(), 2 * messages.len());
        for (came, message) in came.chunks(2).zip(messages) {
            prop_assert!(came[0] == Incoming::Message(message.into()));
            prop_assert_eq!(&came[1], &Incoming::Pong(Bytes::from_static(b"hi")));
        }
    }
}
