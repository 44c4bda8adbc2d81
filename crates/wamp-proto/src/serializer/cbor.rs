//! CBOR (RFC 8949). The writer uses the shortest heads. The reader accepts everything well-formed for which
//! WAMP has values: indefinite lengths, short floats, tags. Tags 2 and 3 are integers, tags 4 and 5 are
//! numbers that no other format has, and the other known tags are skipped.

mod check;
mod tag;

use std::borrow::Cow;

use super::big::Big;
use super::{Format, MAX_DEPTH, Mark, Open, Reader, Token, mend, utf8};
use crate::error::{EncodeError, Fault};

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BINARY: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const DICT: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const FLOAT64: u8 = 0xfb;
const BREAK: u8 = 0xff;

/// The additional information of a head without a length.
const INDEFINITE: u8 = 31;

pub(crate) struct Cbor;

fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if let Ok(argument) = u8::try_from(argument) {
        out.extend_from_slice(&[major | 24, argument]);
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

impl Format for Cbor {
    const ENDS: [&'static [u8]; 3] = [b"", b"\xa0", b"\x80\xa0"];
    const EMPTY_LIST: &'static [u8] = b"\x80";

    type Reader<'de> = CborReader<'de>;

    fn is_binary(first: u8) -> bool {
        first >> 5 == 2
    }

    fn reader(bytes: &[u8], depth: usize) -> Result<CborReader<'_>, Fault> {
        Ok(CborReader { bytes, at: 0, depth: depth.min(MAX_DEPTH) })
    }

    fn null(out: &mut Vec<u8>) {
        out.push(NULL);
    }

    fn bool(out: &mut Vec<u8>, value: bool) {
        out.push(if value { TRUE } else { FALSE });
    }

    fn unsigned(out: &mut Vec<u8>, value: u64) {
        write_head(out, UNSIGNED, value);
    }

    fn signed(out: &mut Vec<u8>, value: i64) {
        match u64::try_from(value) {
            Ok(value) => write_head(out, UNSIGNED, value),
            // CBOR counts down from -1.
            Err(_) => write_head(out, NEGATIVE, !value as u64),
        }
    }

    fn float(out: &mut Vec<u8>, value: f64) -> Result<(), EncodeError> {
        out.push(FLOAT64);
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn big(out: &mut Vec<u8>, value: &Big) -> Result<(), EncodeError> {
        let bytes = value.to_bytes();
        match <[u8; 8]>::try_from(bytes.as_slice()) {
            // CBOR's negative integers reach below the range of `i64`.
            Ok(argument) if value.is_negative() => write_head(out, NEGATIVE, u64::from_be_bytes(argument)),
            _ => {
                write_head(out, TAG, if value.is_negative() { tag::NEGATIVE } else { tag::POSITIVE });
                Self::binary(out, &bytes);
            }
        }
        Ok(())
    }

    fn text(out: &mut Vec<u8>, value: &str) -> Result<(), EncodeError> {
        write_head(out, TEXT, value.len() as u64);
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn binary(out: &mut Vec<u8>, value: &[u8]) {
        write_head(out, BINARY, value.len() as u64);
        out.extend_from_slice(value);
    }

    fn begin_list(out: &mut Vec<u8>, len: Option<usize>) -> Mark {
        let start = out.len();
        write_head(out, LIST, len.unwrap_or(0) as u64);
        Mark { start, count: 0, announced: len }
    }

    fn element(_out: &mut Vec<u8>, list: &mut Mark) {
        list.count += 1;
    }

    fn end_list(out: &mut Vec<u8>, list: Mark) {
        mend(out, list, |out, len| write_head(out, LIST, len as u64));
    }

    fn begin_dict(out: &mut Vec<u8>, len: Option<usize>) -> Mark {
        let start = out.len();
        write_head(out, DICT, len.unwrap_or(0) as u64);
        Mark { start, count: 0, announced: len }
    }

    fn entry(_out: &mut Vec<u8>, dict: &mut Mark) {
        dict.count += 1;
    }

    fn colon(_out: &mut Vec<u8>) {}

    fn end_dict(out: &mut Vec<u8>, dict: Mark) {
        mend(out, dict, |out, len| write_head(out, DICT, len as u64));
    }
}

/// The head of a value.
#[derive(Clone, Copy)]
struct Head {
    major: u8,
    info: u8,
    argument: u64,
}

#[derive(Clone)]
pub(crate) struct CborReader<'de> {
    bytes: &'de [u8],
    at: usize,
    /// The number of further levels of lists and dicts that may be entered.
    depth: usize,
}

impl<'de> Reader<'de> for CborReader<'de> {
    fn position(&self) -> usize {
        self.at
    }

    fn null(&mut self) -> Result<bool, Fault> {
        let start = self.at;
        let (_, head) = self.untagged_head()?;
        let null = head.major == SIMPLE && matches!(head.info, 22 | 23);
        if !null {
            self.at = start;
        }
        Ok(null)
    }

    fn value(&mut self) -> Result<Token<'de>, Fault> {
        let start = self.at;
        let (tag, head) = self.untagged_head()?;
        match tag {
            Some(tag @ (tag::POSITIVE | tag::NEGATIVE)) => return self.bignum(tag, head, start),
            Some(tag::DECIMAL | tag::BIGFLOAT) => {
                return Err(Fault::Malformed {
                    what: "a decimal or big float, which only CBOR has",
                    at: start,
                });
            }
            Some(tag) if !tag::is_known(tag) => return Err(foreign_tag(start)),
            _ => {}
        }
        Ok(match head.major {
            UNSIGNED => Token::Unsigned(head.argument),
            NEGATIVE => negative(head.argument),
            BINARY => Token::Binary(self.binary(head)?),
            TEXT => Token::Text(self.text(head, start)?),
            LIST => Token::List(self.open(head)?),
            DICT => Token::Dict(self.open(head)?),
            _ => match head.info {
                20 => Token::Bool(false),
                21 => Token::Bool(true),
                // JavaScript sends `undefined` in place of a missing value.
                22 | 23 => Token::Null,
                25 => Token::Float(half(head.argument as u16)),
                26 => Token::Float(f32::from_bits(head.argument as u32).into()),
                27 => Token::Float(f64::from_bits(head.argument)),
                _ => return Err(foreign_simple(start)),
            },
        })
    }

    fn element(&mut self, list: &mut Open) -> Result<bool, Fault> {
        let more = if list.left.is_some() { list.count_down() } else { !self.eat_break()? };
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
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.malformed("bytes after the end")) }
    }
}

impl<'de> CborReader<'de> {
    fn malformed(&self, what: &'static str) -> Fault {
        Fault::Malformed { what, at: self.at }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let array = rest.first_chunk::<N>().ok_or_else(Fault::truncated)?;
        self.at += N;
        Ok(*array)
    }

    fn take(&mut self, len: u64) -> Result<&'de [u8], Fault> {
        let len = usize::try_from(len).map_err(|_| Fault::Truncated)?;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = rest.get(..len).ok_or_else(Fault::truncated)?;
        self.at += len;
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Head, Fault> {
        let start = self.at;
        let [byte] = self.array()?;
        let (major, info) = (byte >> 5, byte & 31);
        let argument = match info {
            0..=23 => info.into(),
            24 => u8::from_be_bytes(self.array()?).into(),
            25 => u16::from_be_bytes(self.array()?).into(),
            26 => u32::from_be_bytes(self.array()?).into(),
            27 => u64::from_be_bytes(self.array()?),
            INDEFINITE if matches!(major, BINARY..=DICT) => 0,
            INDEFINITE if major == SIMPLE => {
                return Err(Fault::Malformed { what: "a break outside of an indefinite length", at: start });
            }
            _ => return Err(Fault::Malformed { what: "a reserved head", at: start }),
        };
        if major == SIMPLE && info == 24 && argument < 32 {
            return Err(Fault::Malformed { what: "a simple value in two bytes", at: start });
        }
        Ok(Head { major, info, argument })
    }

    /// Reads past all tags. Returns the innermost tag and the head after it.
    fn untagged_head(&mut self) -> Result<(Option<u64>, Head), Fault> {
        let mut tag = None;
        loop {
            let head = self.head()?;
            if head.major != TAG {
                return Ok((tag, head));
            }
            tag = Some(head.argument);
        }
    }

    fn eat_break(&mut self) -> Result<bool, Fault> {
        let found = *self.bytes.get(self.at).ok_or_else(Fault::truncated)? == BREAK;
        self.at += usize::from(found);
        Ok(found)
    }

    fn open(&mut self, head: Head) -> Result<Open, Fault> {
        self.depth = self.depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
        Ok(Open { left: (head.info != INDEFINITE).then_some(head.argument), first: true })
    }

    /// Reads the next chunk of a string of indefinite length.
    fn chunk(&mut self, major: u8) -> Result<Option<&'de [u8]>, Fault> {
        if self.eat_break()? {
            return Ok(None);
        }
        let start = self.at;
        let head = self.head()?;
        if head.major != major || head.info == INDEFINITE {
            return Err(Fault::Malformed { what: "a chunk of a different type than its string", at: start });
        }
        self.take(head.argument).map(Some)
    }

    fn binary(&mut self, head: Head) -> Result<Cow<'de, [u8]>, Fault> {
        if head.info != INDEFINITE {
            return self.take(head.argument).map(Cow::Borrowed);
        }
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk(BINARY)? {
            all.extend_from_slice(chunk);
        }
        Ok(Cow::Owned(all))
    }

    fn text(&mut self, head: Head, at: usize) -> Result<Cow<'de, str>, Fault> {
        if head.info != INDEFINITE {
            return utf8::text(self.take(head.argument)?, at).map(Cow::Borrowed);
        }
        let mut all = String::new();
        while let Some(chunk) = self.chunk(TEXT)? {
            all.push_str(utf8::text(chunk, at)?);
        }
        Ok(Cow::Owned(all))
    }

    fn bignum(&mut self, tag: u64, head: Head, at: usize) -> Result<Token<'de>, Fault> {
        if head.major != BINARY {
            return Err(Fault::Malformed { what: "a big number that is not a byte string", at });
        }
        let bytes = self.binary(head)?;
        let big = if tag == tag::POSITIVE { Big::from_bytes(false, &bytes) } else { Big::below_zero(&bytes) };
        let big = big.ok_or(Fault::Malformed { what: "an integer of too many bytes", at })?;
        Ok(big.narrow().unwrap_or(Token::Big(big)))
    }

    /// Recurses, at most as deep as the reader's limit. Every value takes at least a byte, so a declared
    /// length costs no more than the bytes that are present.
    fn skip_values(&mut self, count: u64, depth: usize) -> Result<(), Fault> {
        for _ in 0..count {
            let (_, head) = self.untagged_head()?;
            match head.major {
                BINARY | TEXT if head.info == INDEFINITE => while self.chunk(head.major)?.is_some() {},
                BINARY | TEXT => {
                    self.take(head.argument)?;
                }
                LIST | DICT => {
                    let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
                    let each = if head.major == DICT { 2 } else { 1 };
                    if head.info == INDEFINITE {
                        while !self.eat_break()? {
                            self.skip_values(each, depth)?;
                        }
                    } else {
                        let count = head.argument.checked_mul(each).ok_or_else(Fault::truncated)?;
                        self.skip_values(count, depth)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns -1 - `argument`.
fn negative(argument: u64) -> Token<'static> {
    match i64::try_from(argument) {
        Ok(argument) => Token::Signed(!argument),
        Err(_) => Big::below_zero(&argument.to_be_bytes()).map_or(Token::Null, Token::Big),
    }
}

#[cold]
fn foreign_simple(at: usize) -> Fault {
    Fault::Foreign { what: "a simple value", at }
}

#[cold]
fn foreign_tag(at: usize) -> Fault {
    Fault::Foreign { what: "a value with an unsupported tag", at }
}

/// Converts a float of 16 bits: 1 of sign, 5 of exponent, 10 of fraction.
fn half(bits: u16) -> f64 {
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f64::from(bits & 0x3ff);
    let value = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -value } else { value }
}
