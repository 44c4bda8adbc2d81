//! Unknown keys of an options dict, kept unchanged and written out again.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::wire::{Source, Wire, write_key};
use crate::error::{EncodeError, Fault, PayloadError};
use crate::parts::{READ_DEPTH, copy};
use crate::serializer::{Format, Mark, Reader, Serializer, Token, with_format};
use crate::value::{De, Ser};

/// The keys of an options or details dict that have no field in its struct.
///
/// After decoding this is the dict's slice of the frame, with one bit for each entry that counts; no value is
/// copied. Without such keys, which is the usual case, it is one word.
#[derive(Clone, Default)]
pub struct Extra(Option<Box<Kept>>);

/// A dict with at least one entry that counts.
#[derive(Clone)]
struct Kept {
    /// The whole dict.
    dict: Bytes,
    serializer: Serializer,
    /// One bit for each of the first 64 entries: whether the entry counts.
    kept: u64,
    /// The same for the later entries, 64 in each word.
    more: Box<[u64]>,
    /// The number of entries that count.
    len: u32,
}

impl Extra {
    /// Returns whether there are no such keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the number of such keys.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.len as usize)
    }

    /// Returns whether `key` is one of them.
    pub fn contains(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Returns the value of a key, or `None` if the key is missing.
    pub fn get<'de, T: Deserialize<'de>>(&'de self, key: &str) -> Option<Result<T, PayloadError>> {
        let (serializer, value) = self.value(key)?;
        Some(with_format!(serializer, F => {
            F::reader(value, READ_DEPTH).map_err(PayloadError::from).and_then(|mut reader| T::deserialize(De(&mut reader)))
        }))
    }

    /// Returns the value of a key, if it is a string. For a missing key, null and a value of another type it is `None`.
    ///
    /// ```
    /// use wamp_proto::message::Extra;
    ///
    /// let mut authextra = Extra::default();
    /// authextra.insert("nonce", "egVDf3DMJh0=")?;
    /// assert_eq!(authextra.text("nonce").as_deref(), Some("egVDf3DMJh0="));
    /// assert_eq!(authextra.text("pubkey"), None);
    /// # Ok::<(), wamp_proto::EncodeError>(())
    /// ```
    pub fn text(&self, key: &str) -> Option<String> {
        self.get::<Option<String>>(key)?.ok().flatten()
    }

    /// Returns the keys in their order in the message.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        self.each(|key, _| keys.push(key.to_owned()));
        keys
    }

    /// Adds a key, or replaces its value.
    pub fn insert<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), EncodeError> {
        let serializer = self.0.as_ref().map(|kept| kept.serializer);
        let Some(serializer) = serializer.or_else(|| Serializer::ALL.first().copied()) else {
            return Ok(());
        };
        with_format!(serializer, F => {
            let (mut out, mut dict) = self.copied::<F>(Some(key))?;
            write_key::<F>(&mut out, &mut dict, key)?;
            value.serialize(Ser::<F>::of_argument(&mut out))?;
            let len = dict.count;
            F::end_dict(&mut out, dict);
            *self = Self::all(serializer, out.into(), len);
            Ok(())
        })
    }

    /// Returns the keys that a router copies from a request into the message for the other end: `_` and at
    /// least three of `a-z`, `0-9` and `_`, such as `_traceparent`. The first 8 are copied, up to 512 bytes
    /// of keys and values in all. The keys in `except`, which the router itself understands, are not copied.
    #[must_use]
    pub fn forwarded(&self, except: &[&str]) -> Self {
        const KEYS: u32 = 8;
        const BYTES: usize = 512;
        let Some(of) = &self.0 else { return Self::default() };
        let (mut kept, mut len, mut bytes) = (0_u64, 0, 0);
        of.each_index(|index, key, value| {
            let is_custom = key.len() > 3
                && key.starts_with('_')
                && key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            let with = bytes + key.len() + value.len();
            if is_custom && !except.contains(&key) && len < KEYS && with <= BYTES && index < 64 {
                (kept, len, bytes) = (kept | 1 << index, len + 1, with);
            }
        });
        if len == 0 {
            return Self::default();
        }
        let (dict, serializer) = (of.dict.clone(), of.serializer);
        Self(Some(Box::new(Kept { dict, serializer, kept, more: Box::default(), len })))
    }

    /// Returns the same keys in memory of their own. The decoded ones keep the whole frame in memory.
    #[must_use]
    pub fn detached(&self) -> Self {
        let Some(kept) = &self.0 else { return Self::default() };
        with_format!(kept.serializer, F => {
            // A key that cannot be written would make each message with it fail.
            let Ok((mut out, dict)) = self.copied::<F>(None) else { return Self::default() };
            let len = dict.count;
            F::end_dict(&mut out, dict);
            Self::all(kept.serializer, out.into(), len)
        })
    }

    /// Returns the length of all keys and values, in bytes.
    pub fn encoded_len(&self) -> usize {
        let mut sum = 0;
        self.each(|key, value| sum += key.len() + value.len());
        sum
    }

    /// Copies the entries, except one key, into a new dict of their format, which is left open.
    fn copied<F: Format>(&self, except: Option<&str>) -> Result<(Vec<u8>, Mark), EncodeError> {
        let mut out = Vec::new();
        let mut dict = F::begin_dict(&mut out, None);
        let mut result = Ok(());
        self.each(|key, value| {
            if Some(key) != except && result.is_ok() {
                result = write_key::<F>(&mut out, &mut dict, key);
                out.extend_from_slice(value);
            }
        });
        result.map(|()| (out, dict))
    }

    fn all(serializer: Serializer, dict: Bytes, len: usize) -> Self {
        let more = vec![u64::MAX; len.saturating_sub(1) / 64].into_boxed_slice();
        Self(Some(Box::new(Kept { dict, serializer, kept: u64::MAX, more, len: len as u32 })))
    }

    fn value(&self, key: &str) -> Option<(Serializer, &[u8])> {
        let mut found = None;
        self.each(|name, value| {
            if name == key {
                found = Some(value);
            }
        });
        Some((self.0.as_ref()?.serializer, found?))
    }

    /// Passes each entry that counts to `show`: the key, and the bytes of the value.
    fn each<'a>(&'a self, show: impl FnMut(&str, &'a [u8])) {
        if let Some(kept) = &self.0 {
            kept.each(show);
        }
    }

    /// Writes the entries into an open dict. A value that the format cannot express is written as null.
    pub(crate) fn write<F: Format>(&self, out: &mut Vec<u8>, into: &mut Mark) -> Result<(), EncodeError> {
        let Some(kept) = &self.0 else { return Ok(()) };
        let mut result = Ok(());
        self.each(|key, bytes| {
            if result.is_err() {
                return;
            }
            result = write_key::<F>(out, into, key);
            let start = out.len();
            let copied: Result<(), EncodeError> =
                with_format!(kept.serializer, From => copy::<From, F>(bytes, out));
            if result.is_ok() && copied.is_err() {
                out.truncate(start);
                F::null(out);
            }
        });
        result
    }
}

/// Returns options with one more key, or with another value of a key.
pub(crate) fn with_key<O: Wire, T: Serialize + ?Sized>(
    options: &O,
    key: &str,
    value: &T,
) -> Result<O, EncodeError> {
    let Some(serializer) = Serializer::ALL.first().copied() else {
        return Err(EncodeError::Custom("there is no serializer".to_owned()));
    };
    with_format!(serializer, F => {
        let mut dict: Extra = read_dict::<F, _>(serializer, write_dict::<F, _>(options)?)?;
        dict.insert(key, value)?;
        read_dict::<F, _>(serializer, write_dict::<F, _>(&dict)?)
    })
}

fn write_dict<F: Format, O: Wire>(options: &O) -> Result<Bytes, EncodeError> {
    let mut out = Vec::new();
    options.write::<F>(&mut out)?;
    Ok(out.into())
}

fn read_dict<F: Format, O: Wire>(serializer: Serializer, dict: Bytes) -> Result<O, EncodeError> {
    let read = F::reader(&dict, READ_DEPTH).and_then(|reader| {
        let begin = reader.clone();
        O::read(&mut Source {
            frame: &dict,
            serializer,
            reader,
            begin,
            cut: None,
            hello: false,
            binary: false,
        })
    });
    read.map_err(|fault| EncodeError::Custom(fault.to_string()))
}

impl Kept {
    fn counts(&self, index: usize) -> bool {
        let word = match index / 64 {
            0 => self.kept,
            word => self.more.get(word - 1).copied().unwrap_or(0),
        };
        word >> (index % 64) & 1 == 1
    }

    fn each<'a>(&'a self, mut show: impl FnMut(&str, &'a [u8])) {
        self.each_index(|_, key, value| show(key, value));
    }

    fn each_index<'a>(&'a self, mut show: impl FnMut(usize, &str, &'a [u8])) {
        let serializer = self.serializer;
        let walked: Result<(), Fault> = with_format!(serializer, F => (|| {
            let mut reader = F::reader(&self.dict, usize::MAX)?;
            let Token::Dict(mut dict) = reader.value()? else { return Ok(()) };
            let mut index = 0;
            while reader.entry(&mut dict)? {
                let key = reader.value()?;
                reader.colon()?;
                let start = reader.position();
                reader.skip()?;
                if let (Token::Text(key), true) = (key, self.counts(index)) {
                    show(index, &key, self.dict[start..reader.position()].trim_ascii_start_if(F::HAS_SPACES));
                }
                index += 1;
            }
            Ok(())
        })());
        debug_assert!(walked.is_ok(), "the dict was read once already");
    }
}

/// A dict without known keys, as the value of an option.
impl Wire for Extra {
    fn read<'de, R: Reader<'de>>(source: &mut Source<'de, R>) -> Result<Self, Fault> {
        let mut keeper = Keeper::begin(source);
        let mut dict = source.dict()?;
        while source.reader.entry(&mut dict)? {
            let key = source.key()?;
            if source.unknown(&key)? {
                keeper.keep();
            }
            keeper.next();
        }
        Ok(keeper.finish(source))
    }

    fn write<F: Format>(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut dict = F::begin_dict(out, Some(self.len()));
        Extra::write::<F>(self, out, &mut dict)?;
        F::end_dict(out, dict);
        Ok(())
    }
}

trait TrimIf {
    fn trim_ascii_start_if(&self, yes: bool) -> &Self;
}

impl TrimIf for [u8] {
    fn trim_ascii_start_if(&self, yes: bool) -> &Self {
        if yes { self.trim_ascii_start() } else { self }
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        let entries = |extra: &Self| {
            let mut all = Vec::new();
            extra.each(|key, bytes| all.push((key.to_owned(), bytes.to_vec())));
            all
        };
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(two)) => {
                one.len == two.len && one.serializer == two.serializer && entries(self) == entries(other)
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

/// Records, while a dict is read, which of its entries are kept.
pub(crate) struct Keeper {
    start: usize,
    index: usize,
    kept: u64,
    more: Vec<u64>,
    len: u32,
}

impl Keeper {
    /// Starts a record; called before the dict is read.
    pub(crate) fn begin<'de, R: Reader<'de>>(source: &Source<'de, R>) -> Self {
        Self { start: source.reader.position(), index: 0, kept: 0, more: Vec::new(), len: 0 }
    }

    /// Marks the entry just read as one to keep.
    pub(crate) fn keep(&mut self) {
        let bit = 1 << (self.index % 64);
        match self.index / 64 {
            0 => self.kept |= bit,
            word => {
                if self.more.len() < word {
                    self.more.resize(word, 0);
                }
                self.more[word - 1] |= bit;
            }
        }
        self.len += 1;
    }

    /// Moves to the next entry; called after each entry.
    pub(crate) fn next(&mut self) {
        self.index += 1;
    }

    /// Returns the kept entries; called after the dict.
    pub(crate) fn finish<'de, R: Reader<'de>>(self, source: &Source<'de, R>) -> Extra {
        if self.len == 0 {
            return Extra::default();
        }
        Extra(Some(Box::new(Kept {
            dict: source.frame.slice(self.start..source.reader.position()),
            serializer: source.serializer,
            kept: self.kept,
            more: self.more.into_boxed_slice(),
            len: self.len,
        })))
    }
}
