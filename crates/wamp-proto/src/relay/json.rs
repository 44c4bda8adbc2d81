//! The usual JSON encoding of plain messages.

use super::*;
use crate::serializer::json::Json;

/// The most digits of an integer that are read: those of the greatest id.
const DIGITS: usize = 16;

/// Returns the beginning of a message with this code.
fn begin(code: Code) -> &'static [u8; 4] {
    match code {
        Code::Result => b"[50,",
        Code::Yield => b"[70,",
    }
}

impl PlainFormat for Json {
    fn begin(frame: &[u8]) -> Option<(Option<u8>, u8, usize)> {
        let (code, len) = Self::integer(frame.strip_prefix(b"[")?)?;
        Some((None, u8::try_from(code).ok()?, 1 + len))
    }

    /// Refuses a leading zero, which JSON does not allow.
    #[inline]
    fn integer(rest: &[u8]) -> Option<(u64, usize)> {
        let mut value = 0;
        let mut len = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(len) {
            value = value * 10 + u64::from(digit - b'0');
            len += 1;
            if len > DIGITS {
                return None;
            }
        }
        // Anything else continues an integer with a fraction or an exponent, or is no number.
        let ends = matches!(rest.get(len), Some(b',' | b']'));
        (len > 0 && rest[0] != b'0' && ends).then_some((value, len))
    }

    fn string(rest: &[u8]) -> Option<(Range<usize>, usize)> {
        let contents = rest.strip_prefix(b"\"")?;
        let end = contents.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
        (contents[end] == b'"').then_some((1..1 + end, 2 + end))
    }

    fn flag(rest: &[u8]) -> Option<(Flag, usize)> {
        if rest.starts_with(b"{}") {
            return Some((None, 2));
        }
        let (key, len) = Self::string(rest.strip_prefix(b"{")?)?;
        let value = &rest[1 + len..];
        let (value, end) = match value {
            _ if value.starts_with(b":true}") => (true, 6),
            _ if value.starts_with(b":false}") => (false, 7),
            _ => return None,
        };
        Some((Some((1 + key.start..1 + key.end, value)), 1 + len + end))
    }

    #[inline]
    fn head(frame: &[u8], code: Code) -> Option<Head> {
        let rest = frame.strip_prefix(begin(code))?;
        let (request, len) = Self::integer(rest)?;
        let rest = rest[len..].strip_prefix(b",{")?;
        let (progress, options) = match rest.split_first_chunk::<17>() {
            _ if rest.first() == Some(&b'}') => (false, 1),
            _ if rest.starts_with(br#""progress":true}"#) => (true, 16),
            Some((br#""progress":false}"#, _)) => (false, 17),
            _ => return None,
        };
        Some(Head { request, progress, elements: 0, end: 4 + len + 2 + options })
    }

    #[inline]
    fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let rest = frame.get(head.end..)?;
        if rest == b"]" {
            return Some(Tail { elements: 0, tail: 0..0, kwargs_at: 0 });
        }
        let args = head.end + 1;
        let args_end = args + value(rest.strip_prefix(b",")?, b'[', depth)?;
        let rest = &frame[args_end..];
        if rest == b"]" {
            return Some(Tail { elements: 1, tail: args..args_end, kwargs_at: 0 });
        }
        let kwargs_end = args_end + 1 + value(rest.strip_prefix(b",")?, b'{', depth)?;
        let kwargs_at = args_end + 1;
        (&frame[kwargs_end..] == b"]").then_some(Tail { elements: 2, tail: args..kwargs_end, kwargs_at })
    }

    #[inline]
    fn len(result: &PlainResult) -> usize {
        let details = if result.progress { 18 } else { 3 };
        4 + digits(result.request) + details + usize::from(result.elements > 0)
    }

    fn write(head: &mut ResultHead, code: Code, result: &PlainResult) {
        head.put(begin(code));
        let mut request = result.request.get();
        let len = digits(result.request);
        for digit in head.bytes[head.len..head.len + len].iter_mut().rev() {
            *digit = b'0' + (request % 10) as u8;
            request /= 10;
        }
        head.len += len;
        if result.progress {
            head.put(br#",{"progress":true}"#);
        } else {
            head.put(b",{}");
        }
        if result.elements > 0 {
            head.put(b",");
        }
    }
}

/// Returns the length of a value that begins with the byte `first`.
fn value(bytes: &[u8], first: u8, depth: usize) -> Option<usize> {
    bytes.first().filter(|byte| **byte == first)?;
    let mut reader = Json::reader(bytes, depth).ok()?;
    reader.check().ok()?;
    Some(reader.position())
}

fn digits(request: RequestId) -> usize {
    1 + request.get().ilog10() as usize
}
