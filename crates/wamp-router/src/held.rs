//! A look at the messages of a held session.
//!
//! A held session is not read from, since its messages would feed the full link of another session. It may
//! also send messages for others: a SUBSCRIBE, a call of its own, a PING. Only reading can show that, so
//! after a moment a little is read ahead and kept. PINGs are answered at once; a request is [reported to the
//! realm](Machine::set_waiting), which ends the hold when its share is used up. So is one that has waited for
//! an authorizer and is decided. The order of all other messages is kept.

use std::time::Duration;

use wamp_core::router::{Realm as Machine, SessionKey};
use wamp_proto::{Limits, Message, Serializer};
use wamp_transport::{Incoming, ReadError, ReadHalf};

use crate::budget::Budget;
use crate::inbound::messages;
use crate::outbound::Outbound;
use crate::pending::Pending;
use crate::realm::{Hold, Realm};

/// The time after which most holds are over.
const MOMENT: Duration = Duration::from_millis(200);

/// The most bytes that are read ahead.
const AHEAD: usize = 64 << 10;

/// A link whose session is held.
pub(crate) struct Held<'a, R> {
    pub(crate) realm: &'a Realm,
    pub(crate) session: SessionKey,
    pub(crate) outbound: &'a Outbound,
    pub(crate) read: &'a mut R,
    pub(crate) serializer: Serializer,
    pub(crate) limits: Limits,
    /// The items that were read ahead.
    pub(crate) pending: &'a mut Pending,
    /// The error that ended reading ahead.
    pub(crate) failed: &'a mut Option<ReadError>,
    pub(crate) budget: &'a Budget,
    /// The bytes that were read before and are not handled yet.
    pub(crate) unhandled: usize,
}

/// The memory of items that were read ahead, counted as long as this lives.
struct Counted<'a>(&'a Budget, usize);

impl Counted<'_> {
    fn set(&mut self, bytes: usize) {
        self.0.receive(std::mem::replace(&mut self.1, bytes), bytes);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl<R: ReadHalf> Held<'_, R> {
    /// Waits until the session is released or over. `asks` tells that it has already sent a request. Returns whether requests
    /// that have waited for an authorizer can be handled.
    pub(crate) async fn released(mut self, asks: bool) -> bool {
        let (mut looks, mut told, mut seen) = (false, false, 0);
        let mut counted = Counted(self.budget, 0);
        // An earlier hold may have read ahead.
        counted.set(self.unhandled + self.ahead());
        let moment = tokio::time::sleep(MOMENT);
        tokio::pin!(moment);
        loop {
            let has_decided = match self.realm.hold(self.session).await {
                Hold::Over { can_advance } => return can_advance,
                Hold::Waits { .. } if self.outbound.is_over() => return false,
                Hold::Waits { asks } => asks,
            };
            if looks && (asks || has_decided) && !told {
                told = true;
                self.tell().await;
                continue;
            }
            let reads = looks
                && !told
                && counted.1 < self.unhandled + AHEAD
                && self.failed.is_none()
                && self.budget.has_memory(AHEAD);
            tokio::select! {
                () = self.outbound.changed() => {}
                () = &mut moment, if !looks => looks = true,
                read = self.read.read_runs(self.pending.buffer()), if reads => {
                    if let Err(error) = read {
                        *self.failed = Some(error);
                        continue;
                    }
                    let asks = self.look(&mut seen).await;
                    counted.set(self.unhandled + self.ahead());
                    if asks {
                        told = true;
                        self.tell().await;
                    }
                }
            }
        }
    }

    /// Returns the number of bytes that were read ahead.
    fn ahead(&self) -> usize {
        self.pending.items().iter().map(bytes).sum()
    }

    async fn tell(&mut self) {
        let session = self.session;
        self.realm.with(|machine, now| machine.set_waiting(now, session)).await;
    }

    /// Looks at the items that were not `seen` yet. Answers PINGs, and returns whether there is a request.
    async fn look(&mut self, seen: &mut usize) -> bool {
        let mut calls = Vec::new();
        let mut asks = false;
        for item in &mut self.pending.items_mut()[*seen..] {
            *seen += 1;
            if let Incoming::Ping(payload) = item {
                self.outbound.pong(std::mem::take(payload));
                *item = Incoming::Pong(bytes::Bytes::new());
                continue;
            }
            for (frame, range) in messages(item) {
                match self.serializer.message_code(&frame[range.clone()]) {
                    Some(YIELD | ERROR | CREDIT | EVENT_RECEIVED) => {}
                    Some(CALL) => calls.push(frame.slice(range)),
                    _ => asks = true,
                }
            }
        }
        if asks || calls.is_empty() {
            return asks;
        }
        // A chunk of a running call is not a request.
        let requests: Vec<_> = calls
            .iter()
            .map(|frame| match Message::decode(self.serializer, frame, &self.limits) {
                Ok(Message::Call(call)) => Some(call.request),
                _ => None,
            })
            .collect();
        let session = self.session;
        let is_new = |machine: &Machine, request| !machine.is_calling(session, request);
        self.realm
            .with(|machine, _| {
                requests.into_iter().any(|request| request.is_none_or(|request| is_new(machine, request)))
            })
            .await
    }
}

fn bytes(item: &Incoming) -> usize {
    match item {
        Incoming::Message(bytes) | Incoming::Ping(bytes) | Incoming::Pong(bytes) => bytes.len(),
        Incoming::Run(run) => run.buffer().len(),
        _ => 0,
    }
}

const ERROR: u16 = 8;
const CALL: u16 = 48;
const YIELD: u16 = 70;
const CREDIT: u16 = 256;
const EVENT_RECEIVED: u16 = 337;

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_message_is_where_it_is_looked_for() {
        let json = [
            r#"[70,1,{}]"#,
            r#"[8,68,1,{},"com.myapp.error"]"#,
            r#"[48,1,{},"com.myapp.procedure",[1]]"#,
            r#"[32,1,{},"com.myapp.topic"]"#,
            r#"[6,{},"wamp.close.close_realm"]"#,
        ];
        for (json, expected) in json.iter().zip([YIELD, ERROR, CALL, 32, 6]) {
            let message = Message::decode(
                Serializer::Json,
                &bytes::Bytes::from_static(json.as_bytes()),
                &Limits::default(),
            )
            .unwrap();
            assert_eq!(
                Serializer::Json.message_code(format!(" [ {}", &json[1..]).as_bytes()),
                Some(expected)
            );
            for serializer in Serializer::ALL.iter().copied() {
                let frame = message.encode(serializer).unwrap_or_else(|_| panic!("{json}"));
                assert_eq!(serializer.message_code(&frame), Some(expected), "{serializer}");
            }
        }
        assert_eq!(Serializer::MsgPack.message_code(&[0x95, 0xcd, 1, 0, 0]), Some(CREDIT));
        assert_eq!(Serializer::Cbor.message_code(&[0x85, 0x19, 1, 0, 0]), Some(CREDIT));
        for serializer in Serializer::ALL.iter().copied() {
            assert_eq!(serializer.message_code(b""), None);
        }
    }
}
