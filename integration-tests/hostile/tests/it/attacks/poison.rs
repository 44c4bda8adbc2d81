//! Payloads that no conforming reader survives: the router stops them, in every message that has a payload.

use std::io;
use std::time::Duration;

use wamp_client::{Invocation, Serializer, Session, connect};

use crate::case::{Case, Outcome, When, broken};
use crate::head::{Value, code, empty, message};
use crate::msgpack::{self, Item};
use crate::process::Router;
use crate::wire::{CBOR, JSON, MESSAGE, MSGPACK, Peer, frame};

pub const CASES: &[Case] = &[
    Case { name: "poison/MessagePack", run: || poison(MSGPACK), when: When::Together },
    Case { name: "poison/CBOR", run: || poison(CBOR), when: When::Together },
    Case { name: "poison/JSON", run: || poison(JSON), when: When::Together },
];

/// Payloads, each a whole list of arguments, by their fault.
fn payloads(serializer: u8) -> Vec<(&'static str, Vec<u8>)> {
    match serializer {
        MSGPACK => vec![
            ("text that is not UTF-8", b"\x91\xa2\xff\xfe".to_vec()),
            ("long text that is not UTF-8", [&b"\x91\xd9\x28"[..], &[b'a'; 39], b"\xff"].concat()),
            ("a surrogate in UTF-8", b"\x91\xa3\xed\xa0\x80".to_vec()),
            ("an overlong zero", b"\x91\xa2\xc0\x80".to_vec()),
            ("an integer as a key", b"\x91\x81\x01\x02".to_vec()),
            ("a list as a key", b"\x91\x81\x91\x01\x02".to_vec()),
            ("a key that is not UTF-8", b"\x91\x81\xa1\xff\x02".to_vec()),
            ("a binary key", b"\x91\x81\xc4\x01a\x02".to_vec()),
            ("a timestamp of a wrong length", b"\x91\xc7\x05\xff12345".to_vec()),
            ("a byte that means nothing", b"\x91\xc1".to_vec()),
        ],
        CBOR => vec![
            ("text that is not UTF-8", b"\x81\x62\xff\xfe".to_vec()),
            ("text in pieces that is not UTF-8", b"\x81\x7f\x61a\x61\xff\xff".to_vec()),
            ("a surrogate in UTF-8", b"\x81\x63\xed\xa0\x80".to_vec()),
            ("an integer as a key", b"\x81\xa1\x01\x02".to_vec()),
            ("a list as a key", b"\x81\xa1\x81\x01\x02".to_vec()),
            ("a key that is not UTF-8", b"\x81\xa1\x61\xff\x02".to_vec()),
            ("a date that is none", b"\x81\xc0\x61x".to_vec()),
            ("a bignum that is a list", b"\x81\xc2\x81\x01".to_vec()),
        ],
        _ => vec![
            ("a number without end", br#"[1e]"#.to_vec()),
            ("half a surrogate pair", br#"["\ud800"]"#.to_vec()),
            ("U+0000 without base64", br#"["\u0000not base64!"]"#.to_vec()),
            ("NaN", br#"[NaN]"#.to_vec()),
            ("text that is not UTF-8", b"[\"\xff\"]".to_vec()),
            ("a key without quotes", br#"[{a:1}]"#.to_vec()),
        ],
    }
}

fn poison(serializer: u8) -> Outcome {
    let runtime = tokio::runtime::Runtime::new().map_err(broken)?;
    let router = Router::start().map_err(broken)?;
    let mut problems = Vec::new();
    let payloads = payloads(serializer);
    for (what, payload) in &payloads {
        let outcome = runtime.block_on(Victims::join(&router.url())).and_then(|victims| {
            attack(&router, serializer, payload).map_err(broken)?;
            runtime.block_on(victims.survive())
        });
        if let Err(why) = outcome {
            problems.push(format!("{what}: {why}"));
        }
    }
    if problems.is_empty() {
        Ok(format!("{} payloads in PUBLISH, CALL, YIELD and ERROR", payloads.len()))
    } else {
        Err(problems.join("; "))
    }
}

/// Sessions of our client, one in each serializer.
struct Victims {
    sessions: Vec<Session>,
    events: tokio::sync::mpsc::UnboundedReceiver<()>,
}

impl Victims {
    async fn join(url: &str) -> Result<Self, String> {
        let (event, events) = tokio::sync::mpsc::unbounded_channel();
        let mut sessions = Vec::new();
        for serializer in [Serializer::Json, Serializer::MsgPack, Serializer::Cbor] {
            let session = connect(url).serializer(serializer).await.map_err(|error| error.to_string())?;
            let event = event.clone();
            let heard = move |_| {
                let _ = event.send(());
                async {}
            };
            session.subscribe("poison.topic", heard).await.map_err(|error| error.to_string())?;
            let procedure = format!("poison.{serializer:?}").to_lowercase();
            let answer = |_: Invocation| async move { Ok(()) };
            session.register(procedure, answer).await.map_err(|error| error.to_string())?;
            sessions.push(session);
        }
        Ok(Self { sessions, events })
    }

    /// All sessions are open, have received no poisoned event, and receive a good one.
    async fn survive(mut self) -> Result<(), String> {
        if self.events.try_recv().is_ok() {
            return Err("it was delivered as an event".to_owned());
        }
        let sessions = std::mem::take(&mut self.sessions);
        let publisher = &sessions[0];
        publisher.publish("poison.topic").args((1,)).await.map_err(|error| error.to_string())?;
        for session in &sessions[1..] {
            if !session.is_open() {
                return Err(format!("a session with {:?} has ended", session.serializer()));
            }
            tokio::time::timeout(Duration::from_secs(5), self.events.recv())
                .await
                .map_err(|_| "a good event did not arrive".to_owned())?;
        }
        for session in sessions {
            session.leave().await;
        }
        Ok(())
    }
}

/// The payload in each message that has one. Each is refused and the session goes on; none is forwarded.
fn attack(router: &Router, serializer: u8, payload: &[u8]) -> io::Result<()> {
    use Value::{Number, Text};
    let mut attacker = Attacker::join(router, serializer)?;
    let acknowledge = Value::Dict(vec![("acknowledge", Value::True)]);
    attacker.say(&[Number(16), Number(1), acknowledge, Text("poison.topic")], payload)?;
    attacker.refused("PUBLISH")?;
    for (id, victim) in (2..).zip(["poison.json", "poison.msgpack", "poison.cbor"]) {
        attacker.say(&[Number(48), Number(id), empty(), Text(victim)], payload)?;
        attacker.refused("CALL")?;
    }
    attacker.say(&[Number(64), Number(5), empty(), Text("poison.attacker")], b"")?;
    attacker.hear()?;
    // As a callee: its caller gets an answer, and not the payload.
    let mut caller = Peer::join(router.port)?;
    for invocation in [1, 2] {
        let id = caller.id();
        caller.say(msgpack::call(id, msgpack::NO_OPTIONS, "poison.attacker"))?;
        attacker.hear()?;
        let head = match invocation {
            1 => vec![Number(70), Number(invocation), empty()],
            _ => vec![Number(8), Number(68), Number(invocation), empty(), Text("poison.error")],
        };
        attacker.say(&head, payload)?;
        let answer = caller.hear()?;
        let error = answer.get(4);
        if answer.first() != Some(&Item::Uint(8)) || error == Some(&Item::Text("poison.error".to_owned())) {
            return Err(io::Error::other(format!("a poisoned reply reached its caller: {answer:?}")));
        }
    }
    Ok(())
}

struct Attacker {
    peer: Peer,
    serializer: u8,
}

impl Attacker {
    fn join(router: &Router, serializer: u8) -> io::Result<Self> {
        let roles = ["caller", "callee", "publisher", "subscriber"].map(|role| (role, empty()));
        let details = Value::Dict(vec![("roles", Value::Dict(roles.to_vec()))]);
        let hello = message(serializer, &[Value::Number(1), Value::Text("realm1"), details], b"");
        Ok(Self { peer: Peer::join_with(router.port, serializer, &hello)?, serializer })
    }

    fn say(&mut self, head: &[Value], payload: &[u8]) -> io::Result<()> {
        self.peer.send(&frame(MESSAGE, &message(self.serializer, head, payload)))
    }

    fn hear(&mut self) -> io::Result<Vec<u8>> {
        let (_, bytes) = self.peer.frame()?;
        match code(self.serializer, &bytes) {
            3 => {
                Err(io::Error::other(format!("the session was aborted: {}", String::from_utf8_lossy(&bytes))))
            }
            _ => Ok(bytes),
        }
    }

    fn refused(&mut self, what: &str) -> io::Result<()> {
        let bytes = self.hear()?;
        match code(self.serializer, &bytes) {
            8 => Ok(()),
            _ => {
                Err(io::Error::other(format!("{what} was answered with {}", String::from_utf8_lossy(&bytes))))
            }
        }
    }
}
