//! The check of a request or reply against the longest message that the router accepts, before any state
//! changes.
//!
//! It applies to messages with a payload or a URI of the application. Those that the session writes itself have
//! at most 512 bytes, which every router accepts.

use wamp_proto::{EncodeError, Message, Serializer};

use super::Session;
use crate::{Misuse, ReplyError};

/// The longest message that the router accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaxSend {
    /// The serializer of the connection.
    pub serializer: Serializer,
    /// The limit in bytes.
    pub len: usize,
}

impl MaxSend {
    /// A limit of `len` bytes, for messages in this serializer.
    pub const fn new(serializer: Serializer, len: usize) -> Self {
        Self { serializer, len }
    }
}

/// The longest head without its URI.
const HEAD: usize = 512;

/// The longest encoding of one byte of a URI.
const ESCAPED: usize = 6;

/// A message that cannot be sent.
#[derive(Debug)]
pub(super) enum Unsendable {
    TooLarge { len: usize, limit: usize },
    Encode(EncodeError),
}

impl From<Unsendable> for Misuse {
    fn from(unsendable: Unsendable) -> Self {
        match unsendable {
            Unsendable::TooLarge { len, limit } => Misuse::TooLarge { len, limit },
            Unsendable::Encode(error) => Misuse::Encode(error),
        }
    }
}

impl From<Unsendable> for ReplyError {
    fn from(unsendable: Unsendable) -> Self {
        match unsendable {
            Unsendable::TooLarge { len, limit } => ReplyError::TooLarge { len, limit },
            Unsendable::Encode(error) => ReplyError::Encode(error),
        }
    }
}

impl Session {
    /// Checks that a message can be written and is not too long. Only a message close to the limit is measured.
    pub(super) fn check_size(&self, message: &Message) -> Result<(), Unsendable> {
        let Some(MaxSend { serializer, len: limit }) = self.config.max_send else { return Ok(()) };
        let uri = match message {
            Message::Call(call) => &*call.procedure,
            Message::Register(register) => &*register.procedure,
            Message::Subscribe(subscribe) => &*subscribe.topic,
            Message::Publish(publish) => &*publish.topic,
            Message::Error(error) => &*error.error,
            _ => "",
        };
        let at_most = message.payload().len().saturating_add(ESCAPED * uri.len() + HEAD);
        // JSON cannot write a text that begins with U+0000.
        if at_most <= limit && !uri.starts_with('\0') {
            return Ok(());
        }
        check(message.encoded_len(serializer).map_err(Unsendable::Encode)?, limit)
    }

    /// Checks a message of this length.
    pub(super) fn check_len(&self, len: impl FnOnce(Serializer) -> usize) -> Result<(), Unsendable> {
        match self.config.max_send {
            Some(MaxSend { serializer, len: limit }) => check(len(serializer), limit),
            None => Ok(()),
        }
    }
}

fn check(len: usize, limit: usize) -> Result<(), Unsendable> {
    if len > limit { Err(Unsendable::TooLarge { len, limit }) } else { Ok(()) }
}
