//! The usual CBOR encoding of plain messages.

use super::*;
use crate::serializer::cbor::Cbor;

impl PlainFormat for Cbor {
    fn begin(frame: &[u8]) -> Option<(Option<u8>, u8, usize)> {
        match *frame {
            [list @ 0x81..=0x97, code @ 0..24, ..] => Some((Some(list - 0x81), code, 2)),
            [list @ 0x81..=0x97, 0x18, code, ..] => Some((Some(list - 0x81), code, 3)),
            _ => None,
        }
    }

    #[inline]
    fn integer(rest: &[u8]) -> Option<(u64, usize)> {
        Some(match *rest.first()? {
            small @ 0..24 => (small.into(), 1),
            24 => number::<1>(rest)?,
            25 => number::<2>(rest)?,
            26 => number::<4>(rest)?,
            27 => number::<8>(rest)?,
            _ => return None,
        })
    }

    fn string(rest: &[u8]) -> Option<(Range<usize>, usize)> {
        let contents = match *rest {
            [head @ 0x60..=0x77, ..] => 1..1 + usize::from(head & 0x1f),
            [0x78, len, ..] => 2..2 + usize::from(len),
            _ => return None,
        };
        let end = contents.end;
        (end <= rest.len()).then_some((contents, end))
    }

    fn flag(rest: &[u8]) -> Option<(Flag, usize)> {
        match *rest.first()? {
            0xa0 => Some((None, 1)),
            0xa1 => {
                let (key, len) = Self::string(&rest[1..])?;
                let value = match *rest.get(1 + len)? {
                    0xf4 => false,
                    0xf5 => true,
                    _ => return None,
                };
                Some((Some((1 + key.start..1 + key.end, value)), 2 + len))
            }
            _ => None,
        }
    }

    #[inline]
    fn head(frame: &[u8], code: Code) -> Option<Head> {
        let (&[list @ 0x83..=0x85, 0x18, first], rest) = frame.split_first_chunk()? else { return None };
        (first == code as u8).then_some(())?;
        let (request, len) = Self::integer(rest)?;
        let rest = &rest[len..];
        let (progress, options) = match rest.split_first_chunk() {
            Some((b"\xa1\x68progress\xf5", _)) => (true, 11),
            Some((b"\xa1\x68progress\xf4", _)) => (false, 11),
            _ if *rest.first()? == 0xa0 => (false, 1),
            _ => return None,
        };
        Some(Head { request, progress, elements: list - 0x83, end: 3 + len + options })
    }

    #[inline]
    fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let is_list = |byte: u8| byte >> 5 == 4;
        let is_dict = |byte: u8| byte >> 5 == 5;
        counted_tail::<Cbor>(frame, head, depth, is_list, is_dict)
    }

    #[inline]
    fn len(result: &PlainResult) -> usize {
        let request = match result.request.get() {
            ..24 => 1,
            24..0x100 => 2,
            0x100..0x1_0000 => 3,
            0x1_0000..0x1_0000_0000 => 5,
            _ => 9,
        };
        3 + request + if result.progress { 11 } else { 1 }
    }

    fn write(head: &mut ResultHead, code: Code, result: &PlainResult) {
        head.put(&[0x83 + result.elements, 0x18, code as u8]);
        let request = result.request.get();
        if request < 24 {
            head.put(&[request as u8]);
        } else if let Ok(request) = u8::try_from(request) {
            head.put(&[24, request]);
        } else if let Ok(request) = u16::try_from(request) {
            head.put(&[25]);
            head.put(&request.to_be_bytes());
        } else if let Ok(request) = u32::try_from(request) {
            head.put(&[26]);
            head.put(&request.to_be_bytes());
        } else {
            head.put(&[27]);
            head.put(&request.to_be_bytes());
        }
        if result.progress {
            head.put(b"\xa1\x68progress\xf5");
        } else {
            head.put(b"\xa0");
        }
    }
}
