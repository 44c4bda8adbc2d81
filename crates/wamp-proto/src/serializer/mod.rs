//! The serializers, and the traits that each of them implements.
//!
//! A new serializer is a file beside this one, a Cargo feature and a line in the table `serializers!`, from
//! which [`Serializer`] and the dispatch to its format are generated. The file has a `Reader`, which reads
//! tokens from bytes, a `Format`, which appends tokens to bytes, and an `impl PlainFormat`, which may be
//! empty. Messages, the serde glue in `value` and transcoding are written once on top of these traits.

#[cfg_attr(not(all(feature = "json", feature = "cbor")), allow(dead_code))]
pub(crate) mod big;
#[cfg(feature = "cbor")]
pub(crate) mod cbor;
#[cfg(feature = "json")]
pub(crate) mod json;
#[cfg(feature = "msgpack")]
pub(crate) mod msgpack;
#[cfg(all(test, feature = "json", feature = "msgpack", feature = "cbor"))]
mod tests;
pub(crate) mod transcode;
#[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
mod utf8;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::{EncodeError, Fault};
use big::Big;

/// The deepest nesting that can be configured, since readers and writers recurse.
pub(crate) const MAX_DEPTH: usize = 128;

/// Makes [`Serializer`] and [`with_format!`] from a table. The name of a serializer is also its Cargo feature.
/// The preferred one comes first. The first token stands for the `$` of the inner macro.
macro_rules! serializers {
    ($d:tt $(
        $(#[$doc:meta])*
        $Variant:ident = $module:ident::$Format:ident($name:literal, $subprotocol:literal, $id:literal, $text:ident);
    )+) => {
        /// A serialization format that WAMP defines (Basic Profile, *Serializers*).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Serializer {
            $(
                $(#[$doc])*
                #[cfg(feature = $name)]
                $Variant,
            )+
        }

        impl Serializer {
            /// The serializers of this build, in order of preference.
            pub const ALL: &'static [Serializer] = &[$(#[cfg(feature = $name)] Serializer::$Variant,)+];

            /// `name, WebSocket subprotocol, RawSocket number, text?`
            const fn row(self) -> (&'static str, &'static str, u8, bool) {
                #[allow(dead_code)]
                const TEXT: bool = true;
                #[allow(dead_code)]
                const BINARY: bool = false;
                match self {
                    $(
                        #[cfg(feature = $name)]
                        Serializer::$Variant => ($name, $subprotocol, $id, $text),
                    )+
                }
            }
        }

        /// Runs an expression with `$F` as the [`Format`] of a serializer.
        macro_rules! with_format {
            ($d serializer:expr, $d F:ident => $d body:expr) => {
                match $d serializer {
                    $(
                        #[cfg(feature = $name)]
                        $crate::Serializer::$Variant => {
                            type $d F = $crate::serializer::$module::$Format;
                            $d body
                        }
                    )+
                }
            };
        }
        pub(crate) use with_format;
    };
}

serializers! { $
    /// MessagePack, version 5.
    MsgPack = msgpack::MsgPack("msgpack", "wamp.2.msgpack", 2, BINARY);
    /// CBOR (RFC 8949).
    Cbor = cbor::Cbor("cbor", "wamp.2.cbor", 3, BINARY);
    /// JSON, with binary as a string of U+0000 and base64 (Advanced Profile, *Binary conversion of JSON
    /// strings*).
    Json = json::Json("json", "wamp.2.json", 1, TEXT);
}

impl Serializer {
    /// Returns the name: `json`, `msgpack` or `cbor`.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// Returns the WebSocket subprotocol, such as `wamp.2.json`.
    pub const fn subprotocol(self) -> &'static str {
        self.row().1
    }

    /// Returns the number in the RawSocket handshake.
    pub const fn rawsocket_id(self) -> u8 {
        self.row().2
    }

    /// Returns whether messages are UTF-8 text, which WebSocket sends in text frames.
    pub const fn is_text(self) -> bool {
        self.row().3
    }

    /// Returns the serializer of a WebSocket subprotocol.
    pub fn from_subprotocol(subprotocol: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.subprotocol() == subprotocol)
    }

    /// Returns the first of some subprotocols, which are separated by commas as in `Sec-WebSocket-Protocol`, that is one of
    /// these serializers.
    ///
    /// ```
    /// # use wamp_proto::Serializer;
    /// # #[cfg(feature = "json")]
    /// assert_eq!(Serializer::first_of("mqtt, wamp.2.json", Serializer::ALL), Some(Serializer::Json));
    /// ```
    pub fn first_of(subprotocols: &str, among: &[Self]) -> Option<Self> {
        let mut named = subprotocols.split(',').filter_map(|name| Self::from_subprotocol(name.trim()));
        named.find(|serializer| among.contains(serializer))
    }

    /// Returns the names of the WebSocket subprotocols of these serializers, such as `wamp.2.cbor, wamp.2.json`.
    ///
    /// ```
    /// # use wamp_proto::Serializer;
    /// # #[cfg(feature = "json")]
    /// assert_eq!(Serializer::subprotocols(&[Serializer::Json]), "wamp.2.json");
    /// ```
    pub fn subprotocols(serializers: &[Self]) -> String {
        let names: Vec<_> = serializers.iter().map(|serializer| serializer.subprotocol()).collect();
        names.join(", ")
    }

    /// Returns the serializer of a number in the RawSocket handshake.
    pub fn from_rawsocket_id(id: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.rawsocket_id() == id)
    }

    /// Returns the bytes that close a message after its payload: `]` in JSON, nothing in the other formats.
    pub const fn end(self) -> &'static [u8] {
        with_format!(self, F => F::ENDS[0])
    }

    /// Returns an empty list.
    pub(crate) const fn empty_list(self) -> &'static [u8] {
        with_format!(self, F => F::EMPTY_LIST)
    }

    /// Returns whether white space may precede a value.
    pub(crate) const fn has_spaces(self) -> bool {
        with_format!(self, F => F::HAS_SPACES)
    }

    /// Returns whether a value that begins with this byte is a binary, if it is a binary or a list.
    pub(crate) fn is_binary(self, first: u8) -> bool {
        with_format!(self, F => F::is_binary(first))
    }

    /// Returns the code of a message in this serializer, such as 70 for YIELD, or `None` if the frame does
    /// not begin like a message. The rest of the frame is not checked.
    ///
    /// ```
    /// # #[cfg(feature = "json")]
    /// assert_eq!(wamp_proto::Serializer::Json.message_code(b"[70,1,{}]"), Some(70));
    /// ```
    pub fn message_code(self, frame: &[u8]) -> Option<u16> {
        with_format!(self, F => F::code(frame))
    }

    /// Returns the separator of two elements of a message: `,` in JSON, nothing in the other formats.
    pub(crate) const fn separator(self) -> &'static [u8] {
        with_format!(self, F => F::SEPARATOR)
    }
}

impl fmt::Display for Serializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error for a name that is not a serializer of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown serializer {0:?}: expected one of {names}", names = Serializer::ALL.iter().map(|s| s.name()).collect::<Vec<_>>().join(", "))]
pub struct UnknownSerializer(pub String);

impl FromStr for Serializer {
    type Err = UnknownSerializer;

    fn from_str(name: &str) -> Result<Self, UnknownSerializer> {
        Self::ALL.iter().copied().find(|s| s.name() == name).ok_or_else(|| UnknownSerializer(name.to_owned()))
    }
}

/// One step of reading: a scalar, or the start of a list or dict.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// Always below zero.
    Signed(i64),
    /// An integer that does not fit into 64 bits.
    #[cfg_attr(not(any(feature = "json", feature = "cbor")), allow(dead_code))]
    Big(Big),
    Float(f64),
    Text(Cow<'de, str>),
    Binary(Cow<'de, [u8]>),
    List(Open),
    Dict(Open),
}

impl Token<'_> {
    /// Returns the word for this type of value in an error text.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Token::Null => "null",
            Token::Bool(_) => "boolean",
            Token::Unsigned(_) | Token::Signed(_) => "integer",
            Token::Big(_) => "integer beyond 64 bits",
            Token::Float(_) => "float",
            Token::Text(_) => "string",
            Token::Binary(_) => "binary",
            Token::List(_) => "list",
            Token::Dict(_) => "dict",
        }
    }
}

impl<'de> Token<'de> {
    /// Returns the text of a dict key. Besides texts, foreign peers write integers and booleans.
    pub(crate) fn into_key(self) -> Result<Cow<'de, str>, Fault> {
        match self {
            Token::Text(text) => Ok(text),
            Token::Unsigned(value) => Ok(value.to_string().into()),
            Token::Signed(value) => Ok(value.to_string().into()),
            Token::Big(value) => Ok(value.to_string().into()),
            Token::Bool(value) => Ok(if value { "true" } else { "false" }.into()),
            other => Err(Fault::expected("string as dict key", other.kind())),
        }
    }
}

/// A list or dict that has been entered but not left.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Open {
    /// The number of elements (of a dict: entries) to come, if the format gives it in advance.
    pub(crate) left: Option<u64>,
    /// Whether nothing has been read yet.
    pub(crate) first: bool,
}

impl Open {
    /// Counts one element down, if the length was given in advance. Returns `false` at the end.
    #[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
    pub(crate) fn count_down(&mut self) -> bool {
        match &mut self.left {
            None | Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// A reader of tokens from unchecked bytes. It never allocates by a declared length and never goes deeper
/// than its limit.
///
/// After a value, the position is right behind its last byte. Before a value (at the start, and after
/// `element`, `entry` and `colon`) it is at its first byte.
pub(crate) trait Reader<'de>: Sized + Clone {
    /// Returns the number of bytes that have been read.
    fn position(&self) -> usize;

    /// Reads a null, if it comes next. Returns `false` otherwise and reads nothing.
    fn null(&mut self) -> Result<bool, Fault>;

    /// Reads a scalar, or the start of a list or dict.
    fn value(&mut self) -> Result<Token<'de>, Fault>;

    /// Moves to the next element of an open list. At the end, moves past it and returns `false`.
    fn element(&mut self, list: &mut Open) -> Result<bool, Fault>;

    /// Moves to the next key of an open dict. At the end, moves past it and returns `false`. The key is read
    /// with `value`; `colon` and the value follow.
    fn entry(&mut self, dict: &mut Open) -> Result<bool, Fault>;

    /// Moves from a key to its value.
    fn colon(&mut self) -> Result<(), Fault>;

    /// Skips one whole value and checks that it is well-formed: structure, depth and lengths, and in JSON
    /// also UTF-8. The strings of binary formats are not checked. It does not allocate.
    fn skip(&mut self) -> Result<(), Fault>;

    /// Skips one value like [`skip`](Self::skip) and checks that every reader of this format can read it. All
    /// payloads from peers pass this check. The rules are in the docs of [`crate::Payload`]. It allocates
    /// only for base64 with escapes.
    fn check(&mut self) -> Result<(), Fault>;

    /// Checks that nothing follows.
    fn finish(&mut self) -> Result<(), Fault>;
}

/// A list or dict that is being written.
#[derive(Debug)]
#[must_use]
#[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
pub(crate) struct Mark {
    /// The position of its first byte in the output.
    pub(crate) start: usize,
    /// The number of elements (of a dict: entries) written so far.
    pub(crate) count: usize,
    /// The length in the header, if it is already there.
    pub(crate) announced: Option<usize>,
}

/// The grammar of a format: its reader, and functions that append one token each.
pub(crate) trait Format {
    type Reader<'de>: Reader<'de>;

    /// The separator of two elements of a message.
    const SEPARATOR: &'static [u8] = b"";

    /// The bytes that close a message: after its payload, after a payload and an explicit empty dict, and
    /// after an explicit empty list and dict without a payload.
    const ENDS: [&'static [u8]; 3];

    /// An empty list.
    const EMPTY_LIST: &'static [u8];

    /// Whether white space may precede a value, at the position of a reader.
    const HAS_SPACES: bool = false;

    /// Returns whether a value that begins with this byte is a binary, if it is a binary or a list.
    fn is_binary(first: u8) -> bool;

    /// Returns a reader of `bytes` that enters at most `depth` nested lists and dicts.
    fn reader(bytes: &[u8], depth: usize) -> Result<Self::Reader<'_>, Fault>;

    /// Returns the code of a message, or `None` if the frame does not begin like a message. The rest of the
    /// frame is not checked.
    fn code(frame: &[u8]) -> Option<u16> {
        let mut reader = Self::reader(frame, MAX_DEPTH).ok()?;
        let Token::List(mut list) = reader.value().ok()? else { return None };
        match reader.element(&mut list).ok()?.then(|| reader.value())?.ok()? {
            Token::Unsigned(code) => u16::try_from(code).ok(),
            _ => None,
        }
    }

    /// Returns a reader of the readable beginning of `bytes`, and the end of that beginning if it is not the
    /// end of `bytes`. Only JSON is checked as a whole: a frame with invalid UTF-8 further on still has a
    /// head.
    fn reader_of_prefix(bytes: &[u8], depth: usize) -> Result<(Self::Reader<'_>, Option<usize>), Fault> {
        Ok((Self::reader(bytes, depth)?, None))
    }

    fn null(out: &mut Vec<u8>);
    fn bool(out: &mut Vec<u8>, value: bool);
    fn unsigned(out: &mut Vec<u8>, value: u64);
    fn signed(out: &mut Vec<u8>, value: i64);
    /// Fails in JSON for NaN and infinities.
    fn float(out: &mut Vec<u8>, value: f64) -> Result<(), EncodeError>;
    /// Fails in MessagePack, which has no integers beyond 64 bits.
    fn big(out: &mut Vec<u8>, value: &Big) -> Result<(), EncodeError>;
    /// Fails in JSON for a text that begins with U+0000, since it would be read back as binary.
    fn text(out: &mut Vec<u8>, value: &str) -> Result<(), EncodeError>;
    fn binary(out: &mut Vec<u8>, value: &[u8]);

    /// Begins a list. Without a length, `end_list` corrects the header.
    fn begin_list(out: &mut Vec<u8>, len: Option<usize>) -> Mark;
    /// Goes before each element.
    fn element(out: &mut Vec<u8>, list: &mut Mark);
    fn end_list(out: &mut Vec<u8>, list: Mark);

    fn begin_dict(out: &mut Vec<u8>, len: Option<usize>) -> Mark;
    /// Goes before each key.
    fn entry(out: &mut Vec<u8>, dict: &mut Mark);
    /// Goes between a key and its value.
    fn colon(out: &mut Vec<u8>);
    fn end_dict(out: &mut Vec<u8>, dict: Mark);
}

/// The longest header of a list or dict: CBOR's, with a length of 64 bits.
#[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
const MAX_HEADER: usize = 9;

/// Corrects the header of a list or dict to the number of elements written after it. Allocates only if the
/// output has no room.
#[cfg_attr(not(any(feature = "msgpack", feature = "cbor")), allow(dead_code))]
fn mend(out: &mut Vec<u8>, mark: Mark, write: impl Fn(&mut Vec<u8>, usize)) {
    let announced = mark.announced.unwrap_or(0);
    if announced == mark.count {
        return;
    }
    let end = out.len();
    write(out, announced);
    let old = mark.start..mark.start + out.len() - end;
    out.truncate(end);
    write(out, mark.count);
    let mut header = [0; MAX_HEADER];
    let header = &mut header[..out.len() - end];
    header.copy_from_slice(&out[end..]);
    out.truncate(end);
    if old.len() == header.len() {
        out[old].copy_from_slice(header);
    } else {
        out.splice(old, header.iter().copied());
    }
}
