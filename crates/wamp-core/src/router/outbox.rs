//! What goes out of a realm: checked against its receiver before anything is changed.

use std::collections::VecDeque;

use wamp_proto::message::EventDetails;
use wamp_proto::{EncodeError, Message, Payload, Serializer, Uri, uri};

use super::SessionKey;
use super::sessions::Session;
use crate::Failure;

/// Messages on their way out of a realm, in order.
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
}

impl Transmission {
    /// The sessions, in the order in which they are to be served.
    pub fn receivers(&self) -> impl Iterator<Item = SessionKey> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }

    /// How many sessions there are; one at least.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

/// An empty outbox with room for so many messages keeps it.
const KEPT: usize = 1024;

impl Outbox {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    pub(super) fn send(&mut self, to: SessionKey, message: impl Into<Message>) {
        let message = message.into();
        self.queue.push_back(Transmission { first: to, others: Vec::new(), message });
    }

    /// Sends one message to several sessions with the same serializer.
    pub(super) fn send_to_all(&mut self, mut to: Vec<SessionKey>, message: impl Into<Message>) {
        if to.is_empty() {
            return;
        }
        let first = to.remove(0);
        self.queue.push_back(Transmission { first, others: to, message: message.into() });
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

    /// Removes all messages. Each is shown to `send` where it stands, with all its receivers: it is large to move.
    #[inline]
    pub(super) fn drain(&mut self, send: impl FnMut(&Transmission)) {
        if !self.queue.is_empty() {
            self.queue.iter().for_each(send);
            self.queue.clear();
            self.shrink();
        }
    }

    /// Gives back memory that many messages needed.
    fn shrink(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    /// Takes back everything for a session whose link will not carry it any more.
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

/// What a driver knows about a message before it locks the realm: how long it was on the wire, and its payload
/// in other serializers.
///
/// Large payloads take long to rewrite; a driver that shares a realm among links asks
/// [`Realm::transcodings`](super::Realm::transcodings) which are needed, makes them outside its lock, and hands
/// them in. Whatever is missing is made by the realm.
#[derive(Debug, Default)]
pub struct Prepared {
    octets: Option<usize>,
    payloads: Vec<(Serializer, Result<Payload, EncodeError>)>,
}

impl Prepared {
    /// Nothing is known.
    pub const fn none() -> Self {
        Self { octets: None, payloads: Vec::new() }
    }

    /// The message came in a frame of so many octets.
    pub const fn sized(octets: usize) -> Self {
        Self { octets: Some(octets), payloads: Vec::new() }
    }

    /// And this is its payload in each of these serializers.
    #[must_use]
    pub fn transcoded(mut self, payload: &Payload, serializers: &[Serializer]) -> Self {
        self.payloads.extend(serializers.iter().map(|of| (*of, payload.transcode(*of))));
        self
    }

    pub(super) fn octets(&self) -> Option<usize> {
        self.octets
    }

    fn take(&self, serializer: Serializer) -> Option<Result<Payload, EncodeError>> {
        self.payloads.iter().find(|(of, _)| *of == serializer).map(|(_, made)| made.clone())
    }

    /// The payload as this session wants it.
    pub(super) fn payload(&self, payload: &Payload, to: &Session) -> Result<Payload, Refusal> {
        if payload.is_empty() || payload.serializer() == Some(to.serializer) {
            return Ok(payload.clone());
        }
        let made = self.take(to.serializer).unwrap_or_else(|| payload.transcode(to.serializer));
        made.map_err(|error| Refusal { error: uri::INVALID_ARGUMENT, text: error.to_string() })
    }
}

/// Why a message cannot go to its receiver.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Uri,
    pub(super) text: String,
}

/// What a sentence may take in a message, however it is written: with what stands around it that is less than
/// the 512 octets that every link takes.
const SENTENCE: usize = 384;

/// The beginning of a text, so much of it that every link takes it.
pub(super) fn sentence(text: &str) -> &str {
    let mut octets = 0;
    let end = text.char_indices().find(|(_, c)| {
        octets += match c {
            '"' | '\\' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        };
        octets > SENTENCE
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// A failure with a sentence as its argument.
pub(super) fn failure(error: Uri, text: &str, to: &Session) -> Failure {
    let payload = Payload::new(to.serializer, &(sentence(text),)).unwrap_or_default();
    Failure { error, payload }
}

/// What the longest head can be: three ids, the options that this router writes, and room to spare. URIs
/// count by themselves.
pub(super) const HEAD: usize = 512;

/// Whether nothing in the head of a message has an unknown length.
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

/// Checks that a message can be written for a session and is not too big for its link.
pub(super) fn check(message: &Message, to: &Session) -> Result<(), Refusal> {
    let too_big = |octets: usize| Refusal {
        error: uri::PAYLOAD_SIZE_EXCEEDED,
        text: format!("a message of {octets} bytes, but the receiver accepts {}", to.max_message),
    };
    let payload = message.payload().len();
    if is_plain(message) && payload + HEAD <= to.max_message {
        return Ok(());
    }
    let mut head = Vec::new();
    message
        .encode_head(to.serializer, &mut head)
        .map_err(|error| Refusal { error: uri::INVALID_ARGUMENT, text: error.to_string() })?;
    let octets = head.len() + payload + to.serializer.end().len();
    if octets > to.max_message { Err(too_big(octets)) } else { Ok(()) }
}
