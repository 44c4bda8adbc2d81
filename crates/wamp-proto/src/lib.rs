//! WAMP messages and their encodings.
//!
//! This crate decodes bytes into typed [`Message`]s and encodes them, in JSON, MessagePack and CBOR. It keeps
//! no state and does no I/O: the meaning of a message is in `wamp-core`, and how it travels in
//! `wamp-transport`.
//!
//! A message is decoded up to its options and its URI. Its arguments stay the bytes they arrived as, a slice of
//! the frame in a [`Payload`]; an application gets values by [`Payload::decode`].
//!
//! ```
//! use bytes::Bytes;
//! use wamp_proto::{Limits, Message, Serializer};
//!
//! let frame = Bytes::from_static(br#"[50, 7, {"progress": true}, ["Y2010", 120]]"#);
//! let message = Message::decode(Serializer::Json, &frame, &Limits::default())?;
//! let Message::Result(result) = &message else { panic!("not a RESULT") };
//! assert_eq!(result.request.get(), 7);
//! assert!(result.details.is_progress());
//! let (year, revenue): (String, u32) = result.payload.decode()?;
//! assert_eq!((year.as_str(), revenue), ("Y2010", 120));
//!
//! // To a peer that speaks another serializer the payload is rewritten without building values.
//! let frame = message.encode(Serializer::MsgPack)?;
//! assert_eq!(frame[0], 0x94);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Without a serializer nothing can be read or written; only the types are left.
#![cfg_attr(
    not(any(feature = "json", feature = "msgpack", feature = "cbor")),
    allow(dead_code, unreachable_code, unused_imports, unused_mut, unused_variables)
)]

mod arguments;
mod error;
mod id;
pub mod message;
mod parts;
mod payload;
mod payload_buffer;
mod quoted;
// For the drivers of this project: an optimization, which applications have no use for.
#[doc(hidden)]
pub mod relay;
mod role;
mod serializer;
pub mod uri;
mod value;

pub use bytestring::ByteString;

pub use arguments::Arguments;
pub use error::{DecodeError, EncodeError, PayloadError};
pub use id::{MAX_ID, PublicationId, RegistrationId, RequestId, SessionId, SubscriptionId};
pub use message::{Extra, Limits, Message};
pub use payload::Payload;
pub use payload_buffer::PayloadBuffer;
pub use quoted::{Quoted, Shown, quoted, shown};
pub use role::{Feature, Features, Role, Roles};
pub use serializer::{Serializer, UnknownSerializer};
pub use uri::Uri;
pub use value::{Args, ArgsKwargs, Kwargs, Value};
