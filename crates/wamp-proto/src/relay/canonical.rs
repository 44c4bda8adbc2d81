//! Decoding of messages in their usual encoding, without a walk over tokens.
//!
//! Almost all messages are CALL, PUBLISH, YIELD and the messages that a router makes of them, and almost all
//! of these look alike: short heads, and options that are empty or have one boolean. They are read here. All
//! other frames are left to [`Message::decode_tokens`], which alone finds the fault of a frame.

use bytes::Bytes;
use bytestring::ByteString;

use super::{Head, PlainFormat, Tail};
use crate::id::{PublicationId, RegistrationId, RequestId, SubscriptionId};
use crate::message::{
    Call, CallOptions, Event, EventDetails, Invocation, InvocationDetails, Limits, Message, Publish,
    PublishOptions, Result, ResultDetails, Yield, YieldOptions,
};
use crate::payload::Payload;
use crate::serializer::{MAX_DEPTH, Serializer, with_format};
use crate::uri::Uri;

/// Reads a message in its usual encoding. Returns `None` for every other frame.
pub(crate) fn read(serializer: Serializer, frame: &Bytes, limits: &Limits) -> Option<Message> {
    // The depth left inside the message list. Its dict needs one more level.
    let depth = limits.depth.min(MAX_DEPTH).checked_sub(1).filter(|depth| *depth > 0)?;
    with_format!(serializer, F => {
        let (left, code, at) = F::begin(frame)?;
        let walk = Walk::<F> { serializer, frame, at, left, depth, format: std::marker::PhantomData };
        walk.message(code)
    })
}

/// A frame that is being read.
struct Walk<'a, F> {
    serializer: Serializer,
    frame: &'a Bytes,
    at: usize,
    /// The number of elements to come, if it is known.
    left: Option<u8>,
    depth: usize,
    format: std::marker::PhantomData<F>,
}

impl<'a, F: PlainFormat> Walk<'a, F> {
    fn message(mut self, code: u8) -> Option<Message> {
        Some(match u64::from(code) {
            Yield::CODE => {
                let request = RequestId::new(self.integer()?)?;
                let mut options = YieldOptions::default();
                if let Some((key, value)) = self.flag()? {
                    match key {
                        b"progress" => options.progress = Some(value),
                        _ => return None,
                    }
                }
                Yield { request, options, payload: self.payload()? }.into()
            }
            Result::CODE => {
                let request = RequestId::new(self.integer()?)?;
                let mut details = ResultDetails::default();
                if let Some((key, value)) = self.flag()? {
                    match key {
                        b"progress" => details.progress = Some(value),
                        _ => return None,
                    }
                }
                Result { request, details, payload: self.payload()? }.into()
            }
            Call::CODE => {
                let request = RequestId::new(self.integer()?)?;
                let mut options = CallOptions::default();
                if let Some((key, value)) = self.flag()? {
                    match key {
                        b"progress" => options.progress = Some(value),
                        b"receive_progress" => options.receive_progress = Some(value),
                        _ => return None,
                    }
                }
                let procedure = self.uri()?;
                Call { request, options, procedure, payload: self.payload()? }.into()
            }
            Invocation::CODE => {
                let request = RequestId::new(self.integer()?)?;
                let registration = RegistrationId::new(self.integer()?)?;
                let mut details = InvocationDetails::default();
                if let Some((key, value)) = self.flag()? {
                    match key {
                        b"progress" => details.progress = Some(value),
                        b"receive_progress" => details.receive_progress = Some(value),
                        _ => return None,
                    }
                }
                Invocation { request, registration, details, payload: self.payload()? }.into()
            }
            Publish::CODE => {
                let request = RequestId::new(self.integer()?)?;
                let mut options = PublishOptions::default();
                if let Some((key, value)) = self.flag()? {
                    match key {
                        b"acknowledge" => options.acknowledge = Some(value),
                        b"exclude_me" => options.exclude_me = Some(value),
                        _ => return None,
                    }
                }
                let topic = self.uri()?;
                Publish { request, options, topic, payload: self.payload()? }.into()
            }
            Event::CODE => {
                let subscription = SubscriptionId::new(self.integer()?)?;
                let publication = PublicationId::new(self.integer()?)?;
                if self.flag()?.is_some() {
                    return None;
                }
                let details = EventDetails::default();
                Event { subscription, publication, details, payload: self.payload()? }.into()
            }
            _ => return None,
        })
    }

    /// Moves to the next element. Returns `None` if there is none.
    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        let rest = self.frame.get(self.at..)?.strip_prefix(F::SEPARATOR)?;
        self.at += F::SEPARATOR.len();
        Some(rest)
    }

    fn integer(&mut self) -> Option<u64> {
        let (value, len) = F::integer(self.next()?)?;
        self.at += len;
        Some(value)
    }

    fn flag(&mut self) -> Option<Option<(&'a [u8], bool)>> {
        let rest = self.next()?;
        let (entry, len) = F::flag(rest)?;
        self.at += len;
        Some(entry.map(|(key, value)| (&rest[key], value)))
    }

    fn uri(&mut self) -> Option<Uri> {
        let (text, len) = F::string(self.next()?)?;
        let text = self.frame.slice(self.at + text.start..self.at + text.end);
        self.at += len;
        // An empty text must not keep the frame alive.
        let text = if text.is_empty() { ByteString::new() } else { ByteString::try_from(text).ok()? };
        Some(text.into())
    }

    fn payload(self) -> Option<Payload> {
        let elements = self.left.unwrap_or(0);
        if elements > 2 {
            return None;
        }
        let head = Head { request: 0, progress: false, elements, end: self.at };
        let Tail { elements, tail, kwargs_at } = F::tail(self.frame, head, self.depth)?;
        if elements == 0 {
            return Some(Payload::empty());
        }
        let kwargs_at = kwargs_at.saturating_sub(tail.start);
        Payload::from_parts(Some(self.serializer), elements, self.frame.slice(tail), kwargs_at)
    }
}

#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests;
