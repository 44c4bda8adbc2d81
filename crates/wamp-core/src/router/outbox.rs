//! What goes out of a realm: checked against its receiver before anything is changed.

use std::collections::VecDeque;

use wamp_proto::{EncodeError, Message, Payload, Serializer, Uri, uri};

use super::SessionKey;
use super::sessions::Session;
use crate::Failure;

/// Messages on their way out of a realm, in order.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: VecDeque<(To, Message)>,
}

/// The receivers of a message; never none.
#[derive(Clone)]
enum To {
    One(SessionKey),
    /// In their order from the end.
    Many(Vec<SessionKey>),
}

/// An empty outbox with room for so many messages keeps it.
const KEPT: usize = 1024;

impl Outbox {
    pub(super) fn new() -> Self {
        Self { queue: VecDeque::new() }
    }

    pub(super) fn send(&mut self, to: SessionKey, message: impl Into<Message>) {
        self.queue.push_back((To::One(to), message.into()));
    }

    /// Sends one message to several sessions with the same serializer.
    pub(super) fn send_to_all(&mut self, mut to: Vec<SessionKey>, message: impl Into<Message>) {
        to.reverse();
        match *to {
            [] => {}
            [to] => self.send(to, message),
            _ => self.queue.push_back((To::Many(to), message.into())),
        }
    }

    pub(super) fn pop(&mut self) -> Option<(SessionKey, Message)> {
        if let Some((To::Many(receivers), message)) = self.queue.front_mut()
            && receivers.len() > 1
            && let Some(to) = receivers.pop()
        {
            return Some((to, message.clone()));
        }
        let (receivers, message) = self.pop_all()?;
        Some((*receivers.first()?, message))
    }

    /// The next message with all its receivers.
    pub(super) fn pop_all(&mut self) -> Option<(Receivers, Message)> {
        let (to, message) = self.queue.pop_front()?;
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
        let receivers = match to {
            To::One(to) => Receivers::One([to]),
            To::Many(mut to) => {
                to.reverse();
                Receivers::Many(to)
            }
        };
        Some((receivers, message))
    }

    /// Takes back everything for a session whose link will not carry it any more.
    pub(super) fn forget(&mut self, to: SessionKey) {
        self.queue.retain_mut(|(receivers, _)| match receivers {
            To::One(receiver) => *receiver != to,
            To::Many(receivers) => {
                receivers.retain(|receiver| *receiver != to);
                !receivers.is_empty()
            }
        });
    }
}

/// The sessions that a message goes to: one, or several with the same serializer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Receivers {
    /// One.
    One([SessionKey; 1]),
    /// Several, in the order in which they are to be served.
    Many(Vec<SessionKey>),
}

impl std::ops::Deref for Receivers {
    type Target = [SessionKey];

    fn deref(&self) -> &[SessionKey] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
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
const HEAD: usize = 512;

/// Checks that a message can be written for a session and is not too big for its link.
pub(super) fn check(message: &Message, to: &Session) -> Result<(), Refusal> {
    let too_big = |octets: usize| Refusal {
        error: uri::PAYLOAD_SIZE_EXCEEDED,
        text: format!("a message of {octets} octets, where the receiver takes {}", to.max_message),
    };
    let payload = message.payload().len();
    let plain = match message {
        Message::Result(result) => result.details.ppt.is_none(),
        Message::Event(event) => event.details.ppt.is_none() && event.details.topic.is_none(),
        _ => false,
    };
    if plain && payload + HEAD <= to.max_message {
        return Ok(());
    }
    let mut head = Vec::new();
    message
        .encode_head(to.serializer, &mut head)
        .map_err(|error| Refusal { error: uri::INVALID_ARGUMENT, text: error.to_string() })?;
    let octets = head.len() + payload + to.serializer.end().len();
    if octets > to.max_message { Err(too_big(octets)) } else { Ok(()) }
}
