//! The usual MessagePack encoding of plain messages.

use super::*;
use crate::serializer::msgpack::MsgPack;

impl PlainFormat for MsgPack {
    fn begin(frame: &[u8]) -> Option<(Option<u8>, u8, usize)> {
        match *frame {
            [list @ 0x91..=0x9f, code @ 0..0x80, ..] => Some((Some(list - 0x91), code, 2)),
            _ => None,
        }
    }

    #[inline]
    fn integer(rest: &[u8]) -> Option<(u64, usize)> {
        Some(match *rest.first()? {
            small @ 0..0x80 => (small.into(), 1),
            0xcc => number::<1>(rest)?,
            0xcd => number::<2>(rest)?,
            0xce => number::<4>(rest)?,
            0xcf => number::<8>(rest)?,
            _ => return None,
        })
    }

    fn string(rest: &[u8]) -> Option<(Range<usize>, usize)> {
        let contents = match *rest {
            [head @ 0xa0..=0xbf, ..] => 1..1 + usize::from(head & 0x1f),
            [0xd9, len, ..] => 2..2 + usize::from(len),
            _ => return None,
        };
        let end = contents.end;
        (end <= rest.len()).then_some((contents, end))
    }

    fn flag(rest: &[u8]) -> Option<(Flag, usize)> {
        match *rest.first()? {
            0x80 => Some((None, 1)),
            0x81 => {
                let (key, len) = Self::string(&rest[1..])?;
                let value = match *rest.get(1 + len)? {
                    0xc2 => false,
                    0xc3 => true,
                    _ => return None,
                };
                Some((Some((1 + key.start..1 + key.end, value)), 2 + len))
            }
            _ => None,
        }
    }

    #[inline]
    fn head(frame: &[u8], code: Code) -> Option<Head> {
        let (&[list @ 0x93..=0x95, first], rest) = frame.split_first_chunk()? else { return None };
        (first == code as u8).then_some(())?;
        let (request, len) = Self::integer(rest)?;
        let rest = &rest[len..];
        let (progress, options) = match rest.split_first_chunk() {
            Some((b"\x81\xa8progress\xc3", _)) => (true, 11),
            Some((b"\x81\xa8progress\xc2", _)) => (false, 11),
            _ if *rest.first()? == 0x80 => (false, 1),
            _ => return None,
        };
        Some(Head { request, progress, elements: list - 0x93, end: 2 + len + options })
    }

    #[inline]
    fn tail(frame: &[u8], head: Head, depth: usize) -> Option<Tail> {
        let is_list = |byte: u8| matches!(byte, 0x90..=0x9f | 0xdc | 0xdd);
        let is_dict = |byte: u8| matches!(byte, 0x80..=0x8f | 0xde | 0xdf);
        counted_tail::<MsgPack>(frame, head, depth, is_list, is_dict)
    }

    #[inline]
    fn len(result: &PlainResult) -> usize {
        let request = match result.request.get() {
            ..0x80 => 1,
            0x80..0x100 => 2,
            0x100..0x1_0000 => 3,
            0x1_0000..0x1_0000_0000 => 5,
            _ => 9,
        };
        2 + request + if result.progress { 11 } else { 1 }
    }

    fn write(head: &mut ResultHead, code: Code, result: &PlainResult) {
        head.put(&[0x93 + result.elements, code as u8]);
        let request = result.request.get();
        if request < 0x80 {
            head.put(&[request as u8]);
        } else if let Ok(request) = u8::try_from(request) {
            head.put(&[0xcc, request]);
        } else if let Ok(request) = u16::try_from(request) {
            head.put(&[0xcd]);
            head.put(&request.to_be_bytes());
        } else if let Ok(request) = u32::try_from(request) {
            head.put(&[0xce]);
            head.put(&request.to_be_bytes());
        } else {
            head.put(&[0xcf]);
            head.put(&request.to_be_bytes());
        }
        if result.progress {
            head.put(b"\x81\xa8progress\xc3");
        } else {
            head.put(b"\x80");
        }
    }
}
