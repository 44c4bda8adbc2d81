//! The 25 messages of WAMP and one extension as typed structs, and [`Message`], an enum of all of them.
//!
//! The fields of a struct are the elements of the message, in order. Options and details are structs with the
//! keys of the specification; other keys are kept unchanged. A message with more elements than the last known
//! one is an error, and so is a list of more than 1,024 elements in options. A new message is a struct made
//! with `message!` and a row in the table below.

mod credit;
mod error;
pub(crate) mod extra;
mod handshake;
mod head;
mod history;
mod macros;
mod options;
mod ppt;
mod pubsub;
mod rpc;
mod testament;
pub(crate) mod wire;

use bytes::Bytes;

pub use credit::{Credit, CreditOptions, Total};
pub use error::{Error, ErrorDetails, RequestKind};
pub use extra::Extra;
pub use handshake::{
    Abort, Authenticate, AuthenticateExtra, Challenge, ChallengeExtra, CloseDetails, Goodbye, Hello,
    HelloDetails, Welcome, WelcomeDetails,
};
pub use head::Head;
pub use history::{PastEvent, PastEvents};
pub use options::{CancelMode, Discloser, InvocationPolicy, MatchPolicy, Millis, Receivers};
pub use ppt::{Ppt, PptForm};
pub use pubsub::{
    Event, EventDetails, EventReceived, Publish, PublishOptions, Published, Subscribe, SubscribeOptions,
    Subscribed, Unsubscribe, Unsubscribed, UnsubscribedDetails,
};
pub use rpc::{
    Call, CallOptions, Cancel, CancelOptions, Interrupt, InterruptOptions, Invocation, InvocationDetails,
    Register, RegisterOptions, Registered, Result, ResultDetails, Unregister, Unregistered,
    UnregisteredDetails, Yield, YieldOptions,
};

use crate::error::{DecodeError, EncodeError, Fault};
use crate::payload::Payload;
use crate::relay::canonical;
use crate::serializer::{Format, Reader, Serializer, Token, with_format};
use wire::Source;

/// The limits of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes; 16 MiB by default.
    pub message: usize,
    /// The deepest nesting of lists and dicts, with the message itself as the first level; 64 by default.
    /// More than 128 counts as 128, since the reader recurses.
    pub depth: usize,
    /// Whether a HELLO is accepted. Once the session is open, a HELLO is an error and is not decoded.
    pub hello: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 16 << 20, depth: 64, hello: true }
    }
}

macro_rules! messages {
    ($($name:ident $(($boxed:ident))?,)*) => {
        /// Any message.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Message {
            $(
                #[doc = concat!("[`", stringify!($name), "`]")]
                $name(messages!(@type $name $($boxed)?)),
            )*
        }

        impl Message {
            /// Returns the message's name in the specification, such as `CALL`.
            pub fn name(&self) -> &'static str {
                match self { $(Message::$name(_) => $name::NAME,)* }
            }

            /// Returns the code at the start of the message.
            pub fn code(&self) -> u64 {
                match self { $(Message::$name(_) => $name::CODE,)* }
            }

            /// Returns the arguments; empty for a message that has none.
            pub fn payload(&self) -> &Payload {
                static EMPTY: Payload = Payload::empty();
                match self { $(Message::$name(message) => message.any_payload().unwrap_or(&EMPTY),)* }
            }

            /// Returns the arguments for modification, or `None` for a kind of message without arguments.
            fn payload_mut(&mut self) -> Option<&mut Payload> {
                match self { $(Message::$name(message) => message.any_payload_mut(),)* }
            }

            fn write_head<F: Format>(&self, out: &mut Vec<u8>) -> std::result::Result<(), EncodeError> {
                match self { $(Message::$name(message) => message.write_head::<F>(out),)* }
            }

            fn read<'de, R: Reader<'de>>(
                source: &mut Source<'de, R>,
            ) -> std::result::Result<Self, DecodeError> {
                let cut = source.cut;
                let nameless = |fault: Fault| DecodeError::new(None, None, fault.at_cut(cut));
                let code_fault = |fault: Fault| DecodeError::new(None, Some((1, "Type")), fault.at_cut(cut));
                let mut list = match source.reader.value().map_err(nameless)? {
                    Token::List(open) => open,
                    other => return Err(nameless(Fault::expected("list", other.kind()))),
                };
                if !source.reader.element(&mut list).map_err(nameless)? {
                    return Err(nameless(Fault::Missing { expected: "the code of a message".into() }));
                }
                let code = wire::read_integer(source, "code of a message").map_err(code_fault)?;
                let message: Self = match code {
                    Hello::CODE if !source.hello => return Err(nameless(Fault::Opened)),
                    $($name::CODE => match $name::read(source, &mut list) {
                        Ok(message) => message.into(),
                        Err(error) => return Err(head::add(error, source)),
                    },)*
                    _ => {
                        let fault = Fault::Expected {
                            expected: "code of a message".into(),
                            found: code.to_string().into(),
                        };
                        return Err(code_fault(fault));
                    }
                };
                let named = |fault: Fault| DecodeError::new(Some(message.name()), None, fault.at_cut(cut));
                if source.advance(&mut list).map_err(named)? {
                    return Err(named(Fault::expected("the end of the message", "another element")));
                }
                source.reader.finish().map_err(named)?;
                if cut.is_some() {
                    return Err(named(Fault::Truncated));
                }
                Ok(message)
            }
        }

        $(messages!(@from $name $($boxed)?);)*
    };
    (@type $name:ident) => { $name };
    (@type $name:ident boxed) => { Box<$name> };
    (@from $name:ident) => {
        impl From<$name> for Message {
            fn from(message: $name) -> Self {
                Message::$name(message)
            }
        }
    };
    (@from $name:ident boxed) => {
        impl From<$name> for Message {
            fn from(message: $name) -> Self {
                Message::$name(Box::new(message))
            }
        }
    };
}

// Large and rare messages are boxed, since a message is moved several times on its way.
messages! {
    Hello(boxed),
    Welcome(boxed),
    Abort,
    Challenge(boxed),
    Authenticate(boxed),
    Goodbye,
    Error,
    Publish,
    Published,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    Event,
    EventReceived,
    Call,
    Cancel,
    Result,
    Register,
    Registered,
    Unregister,
    Unregistered,
    Invocation,
    Interrupt,
    Yield,
    Credit,
}

impl Message {
    /// Decodes a whole message. Options and URIs are decoded; the payload is only checked and stays a slice
    /// of `frame`. An option whose value has a type that WAMP lacks, such as a MessagePack extension, counts
    /// as absent.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] names the message and the element. If it has a [`head`](DecodeError::head), only that
    /// request fails; otherwise the session ends with `wamp.error.protocol_violation` (Basic Profile,
    /// *Protocol Errors*).
    pub fn decode(
        serializer: Serializer,
        frame: &Bytes,
        limits: &Limits,
    ) -> std::result::Result<Self, DecodeError> {
        let nameless = |fault| DecodeError::new(None, None, fault);
        if frame.len() > limits.message {
            let found = format!("{}", frame.len());
            let expected = format!("at most {} bytes", limits.message);
            return Err(nameless(Fault::Expected { expected: expected.into(), found: found.into() }));
        }
        match canonical::read(serializer, frame, limits) {
            Some(message) => Ok(message),
            None => Self::decode_tokens(serializer, frame, limits),
        }
    }

    /// Decodes a message token by token.
    pub(crate) fn decode_tokens(
        serializer: Serializer,
        frame: &Bytes,
        limits: &Limits,
    ) -> std::result::Result<Self, DecodeError> {
        let nameless = |fault| DecodeError::new(None, None, fault);
        with_format!(serializer, F => {
            let (reader, cut) = F::reader_of_prefix(frame, limits.depth).map_err(nameless)?;
            let begin = reader.clone();
            Self::read(&mut Source { frame, serializer, reader, begin, cut, hello: limits.hello, binary: false })
        })
    }

    /// Appends everything before the payload. The bytes of the [`Payload`] and then [`Serializer::end`]
    /// complete the message.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Untranscoded`] if the payload is in another serializer, and other variants for a value
    /// that the serializer cannot express, such as a URI that begins with U+0000 in JSON. On an error nothing
    /// is appended.
    pub fn encode_head(
        &self,
        serializer: Serializer,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), EncodeError> {
        let payload = self.payload();
        if !payload.is_empty() && payload.serializer() != Some(serializer) {
            return Err(EncodeError::Untranscoded);
        }
        let before = out.len();
        let written: std::result::Result<(), EncodeError> =
            with_format!(serializer, F => self.write_head::<F>(out));
        written.inspect_err(|_| out.truncate(before))
    }

    /// Returns the length of the whole message in this serializer, in bytes.
    ///
    /// # Errors
    /// As [`encode_head`](Self::encode_head).
    pub fn encoded_len(&self, serializer: Serializer) -> std::result::Result<usize, EncodeError> {
        let mut head = Vec::with_capacity(64);
        self.encode_head(serializer, &mut head)?;
        Ok(head.len() + self.payload_tail().len() + serializer.end().len())
    }

    /// Returns the bytes between the head and [`Serializer::end`].
    pub fn payload_tail(&self) -> &Bytes {
        self.payload().tail()
    }

    /// Encodes the whole message in one piece. The payload is transcoded if it is in another serializer.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] for a value that this serializer cannot express, such as NaN in JSON.
    pub fn encode(&self, serializer: Serializer) -> std::result::Result<Bytes, EncodeError> {
        let payload = self.payload();
        if !payload.is_empty() && payload.serializer() != Some(serializer) {
            let mut message = self.clone();
            if let Some(slot) = message.payload_mut() {
                *slot = payload.transcode(serializer)?;
            }
            return message.encode(serializer);
        }
        let mut out = Vec::with_capacity(64 + self.payload_tail().len());
        self.encode_head(serializer, &mut out)?;
        out.extend_from_slice(self.payload_tail());
        out.extend_from_slice(serializer.end());
        Ok(out.into())
    }

    /// Returns the message with its payload in this serializer.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] for a value that this serializer cannot express, such as NaN in JSON.
    pub fn transcode(mut self, serializer: Serializer) -> std::result::Result<Self, EncodeError> {
        if let Some(payload) = self.payload_mut() {
            *payload = payload.transcode(serializer)?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages are moved several times on their way.
    #[test]
    fn a_message_is_not_larger_than_it_has_to_be() {
        assert!(size_of::<Message>() <= 144, "{}", size_of::<Message>());
    }
}
