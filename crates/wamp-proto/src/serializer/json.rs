//! JSON (RFC 8259), strict, with WAMP's encoding of binary: a string of U+0000 and base64 (behaviour 55).
//!
//! The parser is our own; `serde_json` writes numbers, `base64` the binary.

mod check;

use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::big::Big;
use super::{Format, MAX_DEPTH, Mark, Open, Reader, Token, utf8};
use crate::error::{EncodeError, Fault};

/// Padding is written, but not required when reading.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The beginning of a string that stands for binary. JSON does not allow a raw NUL, so this is its only
/// spelling.
const BINARY: &str = r"\u0000";

const INFALLIBLE: &str = "writing into a Vec does not fail";

pub(crate) struct Json;

impl Format for Json {
    const SEPARATOR: &'static [u8] = b",";
    const ENDS: [&'static [u8]; 3] = [b"]", b",{}]", b"[],{}]"];
    const EMPTY_LIST: &'static [u8] = b"[]";
    const HAS_SPACES: bool = true;

    type Reader<'de> = JsonReader<'de>;

    fn is_binary(first: u8) -> bool {
        first == b'"'
    }

    fn reader(bytes: &[u8], depth: usize) -> Result<JsonReader<'_>, Fault> {
        match Self::reader_of_prefix(bytes, depth)? {
            (reader, None) => Ok(reader),
            (_, Some(at)) => Err(Fault::not_utf8(at)),
        }
    }

    fn reader_of_prefix(bytes: &[u8], depth: usize) -> Result<(JsonReader<'_>, Option<usize>), Fault> {
        let (text, is_all) = utf8::prefix(bytes);
        let mut reader = JsonReader { text, at: 0, depth: depth.min(MAX_DEPTH) };
        reader.space();
        Ok((reader, (!is_all).then_some(text.len())))
    }

    /// Reads the beginning of the frame only; the rest may be long.
    fn code(frame: &[u8]) -> Option<u16> {
        let rest = frame.trim_ascii_start().strip_prefix(b"[")?.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
    }

    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }

    fn bool(out: &mut Vec<u8>, value: bool) {
        out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn unsigned(out: &mut Vec<u8>, value: u64) {
        serde_json::to_writer(out, &value).expect(INFALLIBLE);
    }

    fn signed(out: &mut Vec<u8>, value: i64) {
        serde_json::to_writer(out, &value).expect(INFALLIBLE);
    }

    fn float(out: &mut Vec<u8>, value: f64) -> Result<(), EncodeError> {
        if value.is_nan() {
            return Err(EncodeError::NotFinite("NaN"));
        }
        if value.is_infinite() {
            return Err(EncodeError::NotFinite("an infinity"));
        }
        serde_json::to_writer(out, &value).expect(INFALLIBLE);
        Ok(())
    }

    fn big(out: &mut Vec<u8>, value: &Big) -> Result<(), EncodeError> {
        write!(out, "{value}").expect(INFALLIBLE);
        Ok(())
    }

    fn text(out: &mut Vec<u8>, value: &str) -> Result<(), EncodeError> {
        if value.starts_with('\0') {
            return Err(EncodeError::NulText);
        }
        out.reserve(value.len() + 2);
        out.push(b'"');
        escaped(out, value.as_bytes());
        out.push(b'"');
        Ok(())
    }

    fn binary(out: &mut Vec<u8>, value: &[u8]) {
        out.push(b'"');
        out.extend_from_slice(BINARY.as_bytes());
        let mut encoder = base64::write::EncoderWriter::new(&mut *out, &BASE64);
        encoder.write_all(value).and_then(|()| encoder.finish()).expect(INFALLIBLE);
        drop(encoder);
        out.push(b'"');
    }

    fn begin_list(out: &mut Vec<u8>, _len: Option<usize>) -> Mark {
        let start = out.len();
        out.push(b'[');
        Mark { start, count: 0, announced: None }
    }

    fn element(out: &mut Vec<u8>, list: &mut Mark) {
        if list.count > 0 {
            out.push(b',');
        }
        list.count += 1;
    }

    fn end_list(out: &mut Vec<u8>, _list: Mark) {
        out.push(b']');
    }

    fn begin_dict(out: &mut Vec<u8>, _len: Option<usize>) -> Mark {
        let start = out.len();
        out.push(b'{');
        Mark { start, count: 0, announced: None }
    }

    fn entry(out: &mut Vec<u8>, dict: &mut Mark) {
        Self::element(out, dict);
    }

    fn colon(out: &mut Vec<u8>) {
        out.push(b':');
    }

    fn end_dict(out: &mut Vec<u8>, _dict: Mark) {
        out.push(b'}');
    }
}

/// Appends the content of a string. Runs without characters to escape are copied in one piece.
fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut from = 0;
    loop {
        let at = plain(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(byte) = bytes.get(at) else { return };
        let short = match byte {
            b'"' | b'\\' => *byte,
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                from = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
        from = at + 1;
    }
}

/// A reader, positioned at the first byte of a value or right after the last one.
#[derive(Clone)]
pub(crate) struct JsonReader<'de> {
    text: &'de str,
    at: usize,
    /// The number of further levels of lists and dicts that may be entered.
    depth: usize,
}

impl<'de> Reader<'de> for JsonReader<'de> {
    fn position(&self) -> usize {
        self.at
    }

    fn null(&mut self) -> Result<bool, Fault> {
        let null = self.peek()? == b'n';
        if null {
            self.word("null")?;
        }
        Ok(null)
    }

    fn value(&mut self) -> Result<Token<'de>, Fault> {
        match self.peek()? {
            b'"' => self.string(),
            b'[' => Ok(Token::List(self.open()?)),
            b'{' => Ok(Token::Dict(self.open()?)),
            b't' => self.word("true").map(|()| Token::Bool(true)),
            b'f' => self.word("false").map(|()| Token::Bool(false)),
            b'n' => self.word("null").map(|()| Token::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.malformed("no value")),
        }
    }

    fn element(&mut self, list: &mut Open) -> Result<bool, Fault> {
        self.next(list, b']')
    }

    fn entry(&mut self, dict: &mut Open) -> Result<bool, Fault> {
        let more = self.next(dict, b'}')?;
        if more && self.peek()? != b'"' {
            return Err(self.malformed("a key that is not a string"));
        }
        Ok(more)
    }

    fn colon(&mut self) -> Result<(), Fault> {
        self.space();
        self.expect(b':', "no colon after a key")?;
        self.space();
        Ok(())
    }

    fn skip(&mut self) -> Result<(), Fault> {
        self.skip_within::<false>(self.depth)
    }

    fn check(&mut self) -> Result<(), Fault> {
        self.skip_within::<true>(self.depth)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.malformed("bytes after the end")) }
    }
}

impl<'de> JsonReader<'de> {
    fn malformed(&self, what: &'static str) -> Fault {
        Fault::Malformed { what, at: self.at }
    }

    fn bytes(&self) -> &'de [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Result<u8, Fault> {
        self.bytes().get(self.at).copied().ok_or_else(Fault::truncated)
    }

    fn slice(&self, range: Range<usize>) -> Result<&'de str, Fault> {
        self.text.get(range).ok_or_else(Fault::truncated)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes().get(self.at) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Fault> {
        if self.peek()? != byte {
            return Err(self.malformed(what));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        let rest = &self.bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else if word.as_bytes().starts_with(rest) {
            Err(Fault::Truncated)
        } else {
            Err(self.malformed("no value"))
        }
    }

    fn open(&mut self) -> Result<Open, Fault> {
        self.depth = self.depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
        self.at += 1;
        Ok(Open { left: None, first: true })
    }

    /// Moves to the next element or key, or past `close`.
    fn next(&mut self, open: &mut Open, close: u8) -> Result<bool, Fault> {
        self.space();
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            self.depth += 1;
            return Ok(false);
        }
        if !open.first {
            self.expect(b',', "no comma between two values")?;
            self.space();
        }
        open.first = false;
        Ok(true)
    }

    /// [`Reader::skip`], or [`Reader::check`] with `CHECK`. Recurses, at most as deep as the reader's limit.
    fn skip_within<const CHECK: bool>(&mut self, depth: usize) -> Result<(), Fault> {
        let (dict, close) = match self.peek()? {
            b'"' if CHECK => return self.check_string(),
            b'"' => return self.scan_string().map(drop),
            b'-' | b'0'..=b'9' if CHECK => return self.check_number(),
            b'-' | b'0'..=b'9' => return self.scan_number().map(drop),
            b't' => return self.word("true"),
            b'f' => return self.word("false"),
            b'n' => return self.word("null"),
            b'[' => (false, b']'),
            b'{' => (true, b'}'),
            _ => return Err(self.malformed("no value")),
        };
        let depth = depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
        self.at += 1;
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            if dict {
                if self.peek()? != b'"' {
                    return Err(self.malformed("a key that is not a string"));
                }
                if CHECK {
                    self.check_key()?;
                } else {
                    self.scan_string()?;
                }
                self.colon()?;
            }
            self.skip_within::<CHECK>(depth)?;
            self.space();
            if self.peek()? == close {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',', "no comma between two values")?;
            self.space();
        }
    }

    fn number(&mut self) -> Result<Token<'de>, Fault> {
        let start = self.at;
        let integer = self.scan_number()?;
        let text = self.slice(start..self.at)?;
        if integer {
            match text.strip_prefix('-') {
                None => {
                    if let Ok(value) = text.parse() {
                        return Ok(Token::Unsigned(value));
                    }
                }
                // Integers have no negative zero.
                Some("0") => return Ok(Token::Float(-0.0)),
                Some(_) => {
                    if let Ok(value) = text.parse() {
                        return Ok(Token::Signed(value));
                    }
                }
            }
            let big = Big::from_digits(text).map(Token::Big);
            return big.ok_or(Fault::Malformed { what: "an integer of too many digits", at: start });
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Token::Float(value)),
            _ => Err(Fault::Malformed { what: "a number beyond the range of floats", at: start }),
        }
    }

    /// Skips a number. Returns whether it has neither a fraction nor an exponent.
    fn scan_number(&mut self) -> Result<bool, Fault> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if let Ok(b'.') = self.peek() {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Ok(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let b'+' | b'-' = self.peek()? {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(integer)
    }

    /// Skips at least one digit.
    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek()?.is_ascii_digit() {
            return Err(self.malformed("no digit in a number"));
        }
        while let Some(b'0'..=b'9') = self.bytes().get(self.at) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Token<'de>, Fault> {
        let start = self.at;
        let (range, escaped) = self.scan_string()?;
        let content = self.slice(range)?;
        if !escaped {
            return Ok(Token::Text(Cow::Borrowed(content)));
        }
        let Some(base64) = content.strip_prefix(BINARY) else {
            return Ok(Token::Text(Cow::Owned(unescape(content)?)));
        };
        // Some encoders write every `/` as `\/`.
        let base64 = if base64.contains('\\') { unescape(base64)?.into() } else { Cow::Borrowed(base64) };
        match BASE64.decode(base64.as_bytes()) {
            Ok(bytes) => Ok(Token::Binary(Cow::Owned(bytes))),
            Err(_) => Err(Fault::Malformed { what: "binary that is not base64", at: start }),
        }
    }

    /// Skips a string. Returns the range of its content, and whether it has escapes.
    fn scan_string(&mut self) -> Result<(Range<usize>, bool), Fault> {
        let start = self.at + 1;
        let (mut at, mut escaped) = (start, false);
        loop {
            at = plain(self.bytes(), at);
            match self.bytes().get(at) {
                None => return Err(Fault::Truncated),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = escape(self.bytes(), at)?.1;
                }
                Some(_) => return Err(Fault::Malformed { what: "a control character in a string", at }),
            }
        }
        self.at = at + 1;
        Ok((start..at, escaped))
    }
}

/// Returns the position of the next byte, from `at` on, that ends a plain run of a string: a quote, a
/// backslash, a control character or the end. It compares many bytes at a time, since a router mostly skips
/// strings.
fn plain(bytes: &[u8], mut at: usize) -> usize {
    // No branch for each byte, so that it compiles to vector instructions.
    let ends = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<32>) {
        if chunk.iter().fold(false, |any, byte| any | ends(byte)) {
            break;
        }
        at += 32;
    }
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // The lowest bit set is exact; higher ones may be due to a borrow.
        let hits = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let hits = hits & HIGHS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|o| matches!(o, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Decodes the escape at `at`. Returns the character and the position after it.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Fault> {
    let malformed = || Fault::Malformed { what: "an invalid escape", at };
    let plain = match bytes.get(at + 1).ok_or_else(Fault::truncated)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = hex(bytes, at + 2, malformed)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return Ok((char::from_u32(unit).ok_or_else(malformed)?, at + 6));
            }
            for (index, expected) in [(at + 6, b'\\'), (at + 7, b'u')] {
                if *bytes.get(index).ok_or_else(Fault::truncated)? != expected {
                    return Err(malformed());
                }
            }
            let low = hex(bytes, at + 8, malformed)?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(malformed());
            }
            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return Ok((char::from_u32(code).ok_or_else(malformed)?, at + 12));
        }
        _ => return Err(malformed()),
    };
    Ok((plain, at + 2))
}

fn hex(bytes: &[u8], at: usize, malformed: impl Fn() -> Fault) -> Result<u32, Fault> {
    let mut unit = 0;
    for index in at..at + 4 {
        let digit = char::from(*bytes.get(index).ok_or_else(Fault::truncated)?).to_digit(16);
        unit = unit << 4 | digit.ok_or_else(&malformed)?;
    }
    Ok(unit)
}

/// Returns the text of a string's content, which `scan_string` has already checked.
fn unescape(content: &str) -> Result<String, Fault> {
    let mut text = String::with_capacity(content.len());
    let mut at = 0;
    while let Some(run) = content.get(at..).and_then(|rest| rest.find('\\')) {
        text.push_str(&content[at..at + run]);
        let (char, end) = escape(content.as_bytes(), at + run)?;
        text.push(char);
        at = end;
    }
    text.push_str(content.get(at..).unwrap_or_default());
    Ok(text)
}
