//! The 25 messages of WAMP and one extension as typed structs, and [`Message`], which is any of them.
//!
//! A struct's fields are the elements of the message in their order; options and details are structs with
//! the keys of the specification, and keep other keys as they came. No element follows the last known one, and
//! a list in options has at most 1,024 elements. A new message is a struct made with `message!` and a row in the table below.

mod credit;
mod define;
pub(crate) mod extra;
mod failure;
mod head;
mod options;
mod pubsub;
mod rpc;
mod session;
pub(crate) mod wire;

use bytes::Bytes;

pub use credit::{Credit, CreditOptions, Total};
pub use extra::Extra;
pub use failure::{Error, ErrorDetails, RequestKind};
pub use head::Head;
pub use options::{CancelMode, Discloser, InvocationPolicy, MatchPolicy, Millis, Ppt, Receivers};
pub use pubsub::{
    Event, EventDetails, EventReceived, Publish, PublishOptions, Published, Subscribe, SubscribeOptions,
    Subscribed, Unsubscribe, Unsubscribed, UnsubscribedDetails,
};
pub use rpc::{
    Call, CallOptions, Cancel, CancelOptions, Interrupt, InterruptOptions, Invocation, InvocationDetails,
    Register, RegisterOptions, Registered, Result, ResultDetails, Unregister, Unregistered,
    UnregisteredDetails, Yield, YieldOptions,
};
pub use session::{
    Abort, Authenticate, AuthenticateExtra, Challenge, ChallengeExtra, CloseDetails, Goodbye, Hello,
    HelloDetails, Welcome, WelcomeDetails,
};

use crate::error::{DecodeError, EncodeError, Fault};
use crate::payload::Payload;
use crate::relay::canonical;
use crate::serializer::{Format, Reader, Serializer, Token, with_format};
use wire::Source;

/// What a decoder accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message; 16 MiB by default.
    pub message: usize,
    /// Lists and dicts inside each other, the message itself being the first; 64 by default, and at most 128,
    /// since reading goes that deep into the stack.
    pub depth: usize,
    /// Whether a HELLO is read. Where the session is open already it need not be, and is an error by itself.
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
            /// The message's name in the specification, as `CALL`.
            pub fn name(&self) -> &'static str {
                match self { $(Message::$name(_) => $name::NAME,)* }
            }

            /// The code that it begins with.
            pub fn code(&self) -> u64 {
                match self { $(Message::$name(_) => $name::CODE,)* }
            }

            /// The arguments; empty for a message that has none.
            pub fn payload(&self) -> &Payload {
                static EMPTY: Payload = Payload::empty();
                match self { $(Message::$name(message) => message.any_payload().unwrap_or(&EMPTY),)* }
            }

            /// The arguments, of a message that can have some.
            pub fn payload_mut(&mut self) -> Option<&mut Payload> {
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

// What is large and rare stands in a box: a message is moved several times on its way.
messages! {
    Hello(boxed),
    Welcome(boxed),
    Abort,
    Challenge,
    Authenticate,
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
    /// Reads a whole message. Options and URI are read, the payload is checked for being well-formed and
    /// stays a slice of `frame`. An option whose value is of a type that WAMP does not have, as a MessagePack
    /// extension, counts as absent.
    ///
    /// # Errors
    /// [`DecodeError`] names the message and the element. Where it has a [`head`](DecodeError::head), that request
    /// fails; else it is `wamp.error.protocol_violation` to the peer (Basic Profile, *Protocol Errors*).
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

    /// Reads a message token by token.
    pub(crate) fn decode_tokens(
        serializer: Serializer,
        frame: &Bytes,
        limits: &Limits,
    ) -> std::result::Result<Self, DecodeError> {
        let nameless = |fault| DecodeError::new(None, None, fault);
        with_format!(serializer, F => {
            let (reader, cut) = F::reader_of_prefix(frame, limits.depth).map_err(nameless)?;
            let begin = reader.clone();
            Self::read(&mut Source { frame, serializer, reader, begin, cut, hello: limits.hello })
        })
    }

    /// Appends everything that goes before the payload. After it come the octets of [`Payload`] and then
    /// [`Serializer::end`].
    ///
    /// # Errors
    /// [`EncodeError::Untranscoded`] if the payload is in another serializer; and what the serializer has no
    /// way to write, as a URI that begins with U+0000 in JSON. Then nothing has been appended.
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

    /// The length of the whole message in this serializer, in bytes.
    ///
    /// # Errors
    /// As [`encode_head`](Self::encode_head).
    pub fn encoded_len(&self, serializer: Serializer) -> std::result::Result<usize, EncodeError> {
        let mut head = Vec::with_capacity(64);
        self.encode_head(serializer, &mut head)?;
        Ok(head.len() + self.payload_tail().len() + serializer.end().len())
    }

    /// The octets between the head and [`Serializer::end`].
    pub fn payload_tail(&self) -> &Bytes {
        self.payload().tail()
    }

    /// The whole message in one piece, its payload transcoded where it has to be.
    ///
    /// # Errors
    /// What this serializer has no way to write, as NaN in JSON.
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

    /// The message with its payload in this serializer.
    ///
    /// # Errors
    /// What this serializer has no way to write, as NaN in JSON.
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

    /// It is moved several times on its way.
    #[test]
    fn a_message_is_not_larger_than_it_has_to_be() {
        assert!(size_of::<Message>() <= 144, "{}", size_of::<Message>());
    }
}
