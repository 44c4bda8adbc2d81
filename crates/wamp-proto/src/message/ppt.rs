//! Payloads that are opaque to the router, in their two forms.
//!
//! | form | payload | options and details | announced as |
//! |---|---|---|---|
//! | payload passthru mode (Advanced Profile, *Payload Passthru Mode*) | arguments, usually one binary | `ppt_scheme`, `ppt_serializer`, `ppt_cipher`, `ppt_keyid` | `payload_passthru_mode` |
//! | payload transparency, the older form, which Autobahn has | one binary element in the place of the arguments | `enc_algo`, `enc_key`, `enc_serializer` | `payload_transparency` |

use bytestring::ByteString;

use super::macros::group;
use super::wire::Source;
use crate::Feature;
use crate::error::Fault;
use crate::payload::Payload;
use crate::serializer::{Reader, Token};

group! {
    /// How to read a payload that is opaque to the router: in payload passthru mode (`ppt_…`) or by payload
    /// transparency (`enc_…`).
    ///
    /// ```
    /// # use wamp_proto::{Payload, Serializer, message::{Ppt, PptForm}};
    /// # #[cfg(feature = "json")] {
    /// let ppt = Ppt { enc_algo: Some("cryptobox".into()), ..Ppt::default() };
    /// let payload = Payload::from_binary(Serializer::Json, b"sealed");
    /// assert_eq!(ppt.form(), Some(PptForm::Transparency));
    /// assert_eq!(ppt.check(&payload), Ok(()));
    /// # }
    /// ```
    pub struct Ppt {
        /// The schema of the payload.
        scheme: Option<ByteString> = "ppt_scheme",
        /// The serializer used inside the payload.
        serializer: Option<ByteString> = "ppt_serializer",
        /// The cipher that encrypts the payload.
        cipher: Option<ByteString> = "ppt_cipher",
        /// The id of the key.
        keyid: Option<ByteString> = "ppt_keyid",
        /// Payload transparency: the algorithm that encodes or encrypts the binary.
        enc_algo: Option<ByteString> = "enc_algo",
        /// Payload transparency: the key.
        enc_key: Option<ByteString> = "enc_key",
        /// Payload transparency: the serializer used inside the binary.
        enc_serializer: Option<ByteString> = "enc_serializer",
    }
}

/// The form in which a payload is opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PptForm {
    /// Payload passthru mode: arguments, and `ppt_…`.
    Passthru,
    /// Payload transparency: a binary in the place of the arguments, and `enc_…`.
    Transparency,
}

impl PptForm {
    /// Returns the feature that a peer announces if it takes payloads of this form.
    pub fn feature(self) -> Feature {
        match self {
            Self::Passthru => Feature::PayloadPassthruMode,
            Self::Transparency => Feature::PayloadTransparency,
        }
    }
}

/// The values of `enc_algo` besides those that begin with `x_`.
const ALGORITHMS: [&str; 3] = ["cryptobox", "mqtt", "xbr"];

/// The values of `enc_serializer` besides those that begin with `x_`.
const SERIALIZERS: [&str; 5] = ["json", "msgpack", "cbor", "ubjson", "flatbuffers"];

impl Ppt {
    /// Returns the form; `None` if all keys were null.
    pub fn form(&self) -> Option<PptForm> {
        let Self { scheme, serializer, cipher, keyid, enc_algo, enc_key, enc_serializer } = self;
        if enc_algo.is_some() || enc_key.is_some() || enc_serializer.is_some() {
            return Some(PptForm::Transparency);
        }
        let is_used = scheme.is_some() || serializer.is_some() || cipher.is_some() || keyid.is_some();
        is_used.then_some(PptForm::Passthru)
    }

    /// Checks `enc_…` and the kind of the payload that comes with them. `ppt_…` and the payload of payload
    /// passthru mode are for the peers alone.
    ///
    /// Autobahn ends a session upon other values of `enc_algo` and `enc_serializer`, so they are not forwarded.
    ///
    /// # Errors
    /// A text that names the key.
    pub fn check(&self, payload: &Payload) -> Result<(), String> {
        if self.form() != Some(PptForm::Transparency) {
            return Ok(());
        }
        let Self { scheme, serializer, cipher, keyid, enc_algo, enc_key: _, enc_serializer } = self;
        if [scheme, serializer, cipher, keyid].into_iter().any(Option::is_some) {
            return Err("\"enc_…\" and \"ppt_…\" exclude each other".to_owned());
        }
        let Some(enc_algo) = enc_algo else { return Err("\"enc_algo\" is missing".to_owned()) };
        if !is_known(enc_algo, &ALGORITHMS) {
            return Err("\"enc_algo\" must be one of cryptobox, mqtt, xbr, or begin with x_".to_owned());
        }
        if !enc_serializer.as_ref().is_none_or(|serializer| is_known(serializer, &SERIALIZERS)) {
            let text = "\"enc_serializer\" must be one of json, msgpack, cbor, ubjson, flatbuffers, or begin with x_";
            return Err(text.to_owned());
        }
        if !payload.is_binary() {
            return Err("\"enc_algo\" needs one binary in the place of the arguments".to_owned());
        }
        Ok(())
    }

    /// Returns the same in memory of its own, which does not keep a frame alive.
    pub fn detached(&self) -> Self {
        let text = |text: &Option<ByteString>| text.as_ref().map(|text| ByteString::from(&**text));
        let Self { scheme, serializer, cipher, keyid, enc_algo, enc_key, enc_serializer } = self;
        Self {
            scheme: text(scheme),
            serializer: text(serializer),
            cipher: text(cipher),
            keyid: text(keyid),
            enc_algo: text(enc_algo),
            enc_key: text(enc_key),
            enc_serializer: text(enc_serializer),
        }
    }

    /// Returns the length of its texts, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "it is the sum of several lengths")]
    pub fn len(&self) -> usize {
        let Self { scheme, serializer, cipher, keyid, enc_algo, enc_key, enc_serializer } = self;
        let texts = [scheme, serializer, cipher, keyid, enc_algo, enc_key, enc_serializer];
        texts.into_iter().flatten().map(|text| text.len()).sum()
    }
}

/// Whether a value is one of these words, or an application's own: `x_`, alone or before a letter and at least one
/// letter, digit or underscore.
fn is_known(value: &str, words: &[&str]) -> bool {
    let is_own = |own: &str| {
        let mut bytes = own.bytes();
        match bytes.next() {
            None => true,
            Some(first) => {
                let is_more = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                first.is_ascii_lowercase() && own.len() > 1 && bytes.all(is_more)
            }
        }
    };
    words.contains(&value) || value.strip_prefix("x_").is_some_and(is_own)
}

impl<'de, R: Reader<'de>> Source<'de, R> {
    /// Returns whether the options or details of this message, its first dict, have a text as `enc_algo`. Only
    /// then may a binary take the place of the arguments.
    #[cold]
    pub(super) fn is_transparent(&self) -> bool {
        self.has_algorithm().unwrap_or(false)
    }

    fn has_algorithm(&self) -> Result<bool, Fault> {
        let mut reader = self.begin.clone();
        let Token::List(mut list) = reader.value()? else { return Ok(false) };
        while reader.element(&mut list)? {
            if !matches!(reader.clone().value()?, Token::Dict(_)) {
                reader.skip()?;
                continue;
            }
            let Token::Dict(mut dict) = reader.value()? else { return Ok(false) };
            let mut found = false;
            while reader.entry(&mut dict)? {
                let is_it = matches!(reader.value()?, Token::Text(key) if key == "enc_algo");
                reader.colon()?;
                if is_it {
                    // Of a repeated key the last counts.
                    found = matches!(reader.clone().value(), Ok(Token::Text(_)));
                }
                reader.skip()?;
            }
            return Ok(found);
        }
        Ok(false)
    }
}
