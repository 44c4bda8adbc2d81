//! MessagePack, version 5. Text and binary are two types; extension types are not part of WAMP.
//!
//! The parser is our own; `rmp` knows the markers and writes the scalars.

use std::borrow::Cow;

use rmp::{Marker, encode};

use super::big::Big;
use super::{Format, MAX_DEPTH, Mark, Open, Reader, Token, mend, utf8};
use crate::error::{EncodeError, Fault};

const INFALLIBLE: &str = "writing into a Vec does not fail";

pub(crate) struct MsgPack;

/// Converts a length to 32 bits. Longer ones exceed every limit of a message, which refuses them.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn list_header(out: &mut Vec<u8>, len: usize) {
    encode::write_array_len(out, length(len)).expect(INFALLIBLE);
}

fn dict_header(out: &mut Vec<u8>, len: usize) {
    encode::write_map_len(out, length(len)).expect(INFALLIBLE);
}

impl Format for MsgPack {
    const ENDS: [&'static [u8]; 3] = [b"", b"\x80", b"\x90\x80"];
    const EMPTY_LIST: &'static [u8] = b"\x90";

    type Reader<'de> = MsgPackReader<'de>;

    fn is_binary(first: u8) -> bool {
        matches!(first, 0xc4..=0xc6)
    }

    fn reader(bytes: &[u8], depth: usize) -> Result<MsgPackReader<'_>, Fault> {
        Ok(MsgPackReader { bytes, at: 0, depth: depth.min(MAX_DEPTH) })
    }

    fn null(out: &mut Vec<u8>) {
        out.push(Marker::Null.to_u8());
    }

    fn bool(out: &mut Vec<u8>, value: bool) {
        out.push(if value { Marker::True } else { Marker::False }.to_u8());
    }

    fn unsigned(out: &mut Vec<u8>, value: u64) {
        encode::write_uint(out, value).expect(INFALLIBLE);
    }

    fn signed(out: &mut Vec<u8>, value: i64) {
        encode::write_sint(out, value).expect(INFALLIBLE);
    }

    fn float(out: &mut Vec<u8>, value: f64) -> Result<(), EncodeError> {
        encode::write_f64(out, value).expect(INFALLIBLE);
        Ok(())
    }

    fn big(_out: &mut Vec<u8>, value: &Big) -> Result<(), EncodeError> {
        Err(EncodeError::Integer(value.to_string()))
    }

    fn text(out: &mut Vec<u8>, value: &str) -> Result<(), EncodeError> {
        encode::write_str_len(out, length(value.len())).expect(INFALLIBLE);
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn binary(out: &mut Vec<u8>, value: &[u8]) {
        encode::write_bin_len(out, length(value.len())).expect(INFALLIBLE);
        out.extend_from_slice(value);
    }

    fn begin_list(out: &mut Vec<u8>, len: Option<usize>) -> Mark {
        let start = out.len();
        list_header(out, len.unwrap_or(0));
        Mark { start, count: 0, announced: len }
    }

    fn element(_out: &mut Vec<u8>, list: &mut Mark) {
        list.count += 1;
    }

    fn end_list(out: &mut Vec<u8>, list: Mark) {
        mend(out, list, list_header);
    }

    fn begin_dict(out: &mut Vec<u8>, len: Option<usize>) -> Mark {
        let start = out.len();
        dict_header(out, len.unwrap_or(0));
        Mark { start, count: 0, announced: len }
    }

    fn entry(_out: &mut Vec<u8>, dict: &mut Mark) {
        dict.count += 1;
    }

    fn colon(_out: &mut Vec<u8>) {}

    fn end_dict(out: &mut Vec<u8>, dict: Mark) {
        mend(out, dict, dict_header);
    }
}

#[derive(Clone)]
pub(crate) struct MsgPackReader<'de> {
    bytes: &'de [u8],
    at: usize,
    /// The number of further levels of lists and dicts that may be entered.
    depth: usize,
}

impl<'de> Reader<'de> for MsgPackReader<'de> {
    fn position(&self) -> usize {
        self.at
    }

    fn null(&mut self) -> Result<bool, Fault> {
        let null = *self.bytes.get(self.at).ok_or_else(Fault::truncated)? == Marker::Null.to_u8();
        self.at += usize::from(null);
        Ok(null)
    }

    fn value(&mut self) -> Result<Token<'de>, Fault> {
        let start = self.at;
        let marker = self.marker()?;
        Ok(match marker {
            Marker::Null => Token::Null,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixPos(value) => Token::Unsigned(value.into()),
            Marker::FixNeg(value) => signed(value.into()),
            Marker::U8 => Token::Unsigned(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Token::Unsigned(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Token::Unsigned(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => Token::Unsigned(u64::from_be_bytes(self.array()?)),
            Marker::I8 => signed(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => signed(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => signed(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => signed(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Token::Text(Cow::Borrowed(utf8::text(self.content(marker)?, start)?))
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                Token::Binary(Cow::Borrowed(self.content(marker)?))
            }
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => Token::List(self.open(marker)?),
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => Token::Dict(self.open(marker)?),
            Marker::Reserved => return Err(reserved(start)),
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => return Err(extension(start)),
        })
    }

    fn element(&mut self, list: &mut Open) -> Result<bool, Fault> {
        let more = list.count_down();
        self.depth += usize::from(!more);
        Ok(more)
    }

    fn entry(&mut self, dict: &mut Open) -> Result<bool, Fault> {
        self.element(dict)
    }

    fn colon(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn skip(&mut self) -> Result<(), Fault> {
        self.skip_values(1, self.depth)
    }

    fn check(&mut self) -> Result<(), Fault> {
        self.check_values::<false>(1, self.depth)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(Fault::Malformed { what: "bytes after the end", at: self.at })
        }
    }
}

fn signed(value: i64) -> Token<'static> {
    u64::try_from(value).map_or(Token::Signed(value), Token::Unsigned)
}

fn reserved(at: usize) -> Fault {
    Fault::Malformed { what: "the byte 0xC1, which is never used", at }
}

#[cold]
fn extension(at: usize) -> Fault {
    Fault::Foreign { what: "an extension type", at }
}

impl<'de> MsgPackReader<'de> {
    fn marker(&mut self) -> Result<Marker, Fault> {
        let byte = *self.bytes.get(self.at).ok_or_else(Fault::truncated)?;
        self.at += 1;
        Ok(Marker::from_u8(byte))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let array = rest.first_chunk::<N>().ok_or_else(Fault::truncated)?;
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..len).ok_or_else(Fault::truncated)?;
        self.at += len;
        Ok(bytes)
    }

    /// Reads the length that follows a marker, in bytes, elements or entries.
    #[inline]
    fn length(&mut self, marker: Marker) -> Result<usize, Fault> {
        use Marker::*;
        Ok(match marker {
            FixStr(len) | FixArray(len) | FixMap(len) => len.into(),
            Str8 | Bin8 | Ext8 => u8::from_be_bytes(self.array()?).into(),
            Str16 | Bin16 | Ext16 | Array16 | Map16 => u16::from_be_bytes(self.array()?).into(),
            Str32 | Bin32 | Ext32 | Array32 | Map32 => u32::from_be_bytes(self.array()?) as usize,
            U8 | I8 | FixExt1 => 1,
            U16 | I16 | FixExt2 => 2,
            U32 | I32 | F32 | FixExt4 => 4,
            U64 | I64 | F64 | FixExt8 => 8,
            FixExt16 => 16,
            FixPos(_) | FixNeg(_) | Null | True | False | Reserved => 0,
        })
    }

    fn content(&mut self, marker: Marker) -> Result<&'de [u8], Fault> {
        let len = self.length(marker)?;
        self.take(len)
    }

    fn open(&mut self, marker: Marker) -> Result<Open, Fault> {
        self.depth = self.depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
        Ok(Open { left: Some(self.length(marker)? as u64), first: true })
    }

    /// Recurses, at most as deep as the reader's limit. Every value takes at least a byte, so a declared
    /// length costs no more than the bytes that are present.
    fn skip_values(&mut self, count: u64, depth: usize) -> Result<(), Fault> {
        use Marker::*;
        for _ in 0..count {
            // The most frequent values, decided by their first byte.
            match self.bytes.get(self.at) {
                Some(0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff) => {
                    self.at += 1;
                    continue;
                }
                Some(byte @ 0xa0..=0xbf) => {
                    self.at += 1;
                    self.take((byte & 0x1f).into())?;
                    continue;
                }
                _ => {}
            }
            let marker = self.marker()?;
            match marker {
                FixPos(_) | FixNeg(_) | Null | True | False => {}
                FixArray(_) | Array16 | Array32 | FixMap(_) | Map16 | Map32 => {
                    let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                    let each = if matches!(marker, FixMap(_) | Map16 | Map32) { 2 } else { 1 };
                    let count = self.length(marker)? as u64 * each;
                    self.skip_values(count, depth)?;
                }
                FixExt1 | FixExt2 | FixExt4 | FixExt8 | FixExt16 | Ext8 | Ext16 | Ext32 => {
                    // Opaque forwarding ignores the contents. The additional byte is the type of the
                    // extension.
                    let len = self.length(marker)?;
                    self.take(1)?;
                    self.take(len)?;
                }
                Reserved => return Err(reserved(self.at - 1)),
                _ => {
                    self.content(marker)?;
                }
            }
        }
        Ok(())
    }

    /// Checks `count` values, or keys and values in turn, as [`Reader::check`] does. Recurses, at most as
    /// deep as the reader's limit.
    fn check_values<const DICT: bool>(&mut self, count: u64, depth: usize) -> Result<(), Fault> {
        use Marker::*;
        for index in 0..count {
            let start = self.at;
            let is_key = DICT && index % 2 == 0;
            // The most frequent values, decided by their first byte.
            match self.bytes.get(start) {
                Some(0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff) if !is_key => {
                    self.at += 1;
                    continue;
                }
                Some(byte @ 0xa0..=0xbf) => {
                    self.at += 1;
                    utf8::check(self.take((byte & 0x1f).into())?, start)?;
                    continue;
                }
                _ => {}
            }
            let marker = self.marker()?;
            match marker {
                Str8 | Str16 | Str32 => utf8::check(self.content(marker)?, start)?,
                _ if is_key => return Err(Fault::key(start)),
                FixArray(_) | Array16 | Array32 => {
                    let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                    let count = self.length(marker)? as u64;
                    self.check_values::<false>(count, depth)?;
                }
                FixMap(_) | Map16 | Map32 => {
                    let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                    let count = self.length(marker)? as u64 * 2;
                    self.check_values::<true>(count, depth)?;
                }
                FixExt1 | FixExt2 | FixExt4 | FixExt8 | FixExt16 | Ext8 | Ext16 | Ext32 => {
                    return Err(extension(start));
                }
                Reserved => return Err(reserved(start)),
                _ => {
                    self.content(marker)?;
                }
            }
        }
        Ok(())
    }
}
