//! The outgoing messages of a realm. Each is checked against its receiver before anything is changed.

use std::collections::VecDeque;

use wamp_proto::message::EventDetails;
use wamp_proto::{EncodeError, Message, Payload, Serializer, Uri, uri};

use super::session_key::SessionKey;
use super::sessions::Session;
use crate::Failure;

/// The outgoing messages of a realm, in order.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: VecDeque<Transmission>,
}

/// A message, and the sessions that it goes to: one, or several with the same serializer.
#[derive(Clone, Debug)]
pub struct Transmission {
    first: SessionKey,
    others: Vec<SessionKey>,
    message: Message,
    is_meta: bool,
}

impl Transmission {
    /// Returns the sessions, in the order in which they are served.
    pub fn receivers(&self) -> impl Iterator<Item = SessionKey> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// Returns the number of sessions; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// Returns whether this is a meta event for several sessions. Such events of the router have an order, as those of a
    /// publisher have.
    pub fn is_meta(&self) -> bool {
        self.is_meta
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// An empty outbox keeps room for at most this many messages.
const KEPT: usize = 1024;

impl Outbox {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    pub(super) fn send(&mut self, to: SessionKey, message: impl Into<Message>) {
        let message = message.into();
        self.queue.push_back(Transmission { first: to, others: Vec::new(), message, is_meta: false });
    }

    /// Sends one message to several sessions with the same serializer.
    pub(super) fn send_to_all(
        &mut self,
        mut to: Vec<SessionKey>,
        message: impl Into<Message>,
        is_meta: bool,
    ) {
        if to.is_empty() {
            return;
        }
        let first = to.remove(0);
        self.queue.push_back(Transmission { first, others: to, message: message.into(), is_meta });
    }

    pub(super) fn pop(&mut self) -> Option<(SessionKey, Message)> {
        if let Some(front) = self.queue.front_mut()
            && !front.others.is_empty()
        {
            let next = front.others.remove(0);
            return Some((std::mem::replace(&mut front.first, next), front.message.clone()));
        }
        let Transmission { first, message, .. } = self.queue.pop_front()?;
        self.shrink();
        Some((first, message))
    }

    /// Removes all messages. `send` gets a reference to each, with all its receivers, since messages are
    /// large to move.
    #[inline]
    pub(super) fn drain(&mut self, send: impl FnMut(&Transmission)) {
        if !self.queue.is_empty() {
            self.queue.iter().for_each(send);
            self.queue.clear();
            self.shrink();
        }
    }

    /// Frees the memory that many messages needed.
    fn shrink(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    /// Removes all messages for a session whose link will not send them.
    pub(super) fn forget(&mut self, to: SessionKey) {
        self.queue.retain_mut(|transmission| {
            transmission.others.retain(|receiver| *receiver != to);
            if transmission.first != to {
                return true;
            }
            let is_left = !transmission.others.is_empty();
            if is_left {
                transmission.first = transmission.others.remove(0);
            }
            is_left
        });
    }
}

/// Facts about a message that a driver prepares before it locks the realm: its length on the wire, and its
/// payload in other serializers.
///
/// Large payloads take long to transcode. A driver that shares a realm among links asks
/// [`Realm::transcodings`](super::Realm::transcodings) which ones are needed, makes them outside its lock,
/// and passes them in. The realm makes any that are missing.
#[derive(Debug, Default)]
pub struct FrameInfo {
    len: Option<usize>,
    payloads: Vec<(Serializer, Result<Payload, EncodeError>)>,
}

impl FrameInfo {
    /// Creates it without any facts.
    pub const fn none() -> Self {
        Self { len: None, payloads: Vec::new() }
    }

    /// Creates it for a message from a frame of this many bytes.
    pub const fn sized(len: usize) -> Self {
        Self { len: Some(len), payloads: Vec::new() }
    }

    /// Adds the payload in each of these serializers.
    #[must_use]
    pub fn transcoded(mut self, payload: &Payload, serializers: &[Serializer]) -> Self {
        self.payloads.extend(serializers.iter().map(|of| (*of, payload.transcode(*of))));
        self
    }

    pub(super) fn len(&self) -> Option<usize> {
        self.len
    }

    fn take(&self, serializer: Serializer) -> Option<Result<Payload, EncodeError>> {
        self.payloads.iter().find(|(of, _)| *of == serializer).map(|(_, made)| made.clone())
    }

    /// Returns the payload in the serializer of this session.
    pub(super) fn payload(&self, payload: &Payload, to: &Session) -> Result<Payload, Refusal> {
        if payload.is_empty() || payload.serializer() == Some(to.serializer) {
            return Ok(payload.clone());
        }
        let made = self.take(to.serializer).unwrap_or_else(|| payload.transcode(to.serializer));
        made.map_err(|error| Refusal { error: uri::INVALID_ARGUMENT, text: error.to_string() })
    }
}

/// The reason why a message cannot be sent to its receiver.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Uri,
    pub(super) text: String,
}

/// The longest error text, encoded. With its surroundings it stays below 512 bytes, which every link accepts.
const SENTENCE: usize = 384;

/// Returns the longest beginning of a text that every link accepts.
pub(super) fn sentence(text: &str) -> &str {
    let mut len = 0;
    let end = text.char_indices().find(|(_, c)| {
        len += match c {
            '"' | '\\' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        };
        len > SENTENCE
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// Returns an error with a text as its argument.
pub(super) fn failure(error: Uri, text: &str, to: &Session) -> Failure {
    let payload = Payload::new(to.serializer, &(sentence(text),)).unwrap_or_default();
    Failure { error, payload }
}

/// An upper bound of the length of a head without its URIs: three ids, the options that this router writes,
/// and some reserve.
pub(super) const HEAD: usize = 512;

/// Returns whether the length of a message's head has a known bound.
pub(super) fn is_plain(message: &Message) -> bool {
    match message {
        Message::Result(result) => result.details.ppt.is_none(),
        Message::Event(event) => {
            let EventDetails { topic, retained: _, ppt, peer, extra } = &event.details;
            topic.is_none() && ppt.is_none() && peer.is_none() && extra.is_empty()
        }
        _ => false,
    }
}

/// Checks that a message can be encoded for a session and is not too long for its link.
pub(super) fn check(message: &Message, to: &Session) -> Result<(), Refusal> {
    let too_big = |len: usize| Refusal {
        error: uri::PAYLOAD_SIZE_EXCEEDED,
        text: format!("a message of {len} bytes, but the receiver accepts {}", to.max_message),
    };
    let payload = message.payload().len();
    if is_plain(message) && payload + HEAD <= to.max_message {
        return Ok(());
    }
    let mut head = Vec::new();
    message
        .encode_head(to.serializer, &mut head)
        .map_err(|error| Refusal { error: uri::INVALID_ARGUMENT, text: error.to_string() })?;
    let len = head.len() + payload + to.serializer.end().len();
    if len > to.max_message { Err(too_big(len)) } else { Ok(()) }
}
