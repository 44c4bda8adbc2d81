//! The four bytes before each frame (Advanced Profile, *RawSocket Transport*, *Framing*).
//!
//! ```text
//! RRRR XTTT  LLLL LLLL  LLLL LLLL  LLLL LLLL
//! ```
//!
//! `X` is set for a length of exactly 2^24, which 24 bits cannot express; `L` is zero then. `R` is zero.
//! [`wamp_transport::Batch`] writes the prefix of a message.

use wamp_transport::ReadError;

use crate::MAX_MESSAGE;

pub(crate) const PREFIX: usize = 4;

/// The longest content of a PING or PONG, in bytes. The specification sets no limit, but a PING has to be kept
/// until it is answered (behaviour 86).
pub(crate) const MAX_CONTROL: usize = 4 * 1024;

/// `TTT`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message = 0,
    Ping = 1,
    Pong = 2,
}

/// The type and length of a frame.
pub(crate) fn parse(prefix: [u8; PREFIX]) -> Result<(Kind, usize), ReadError> {
    let [first, length @ ..] = prefix;
    let violation = |what| Err(ReadError::Violation(format!("{what} in the frame prefix {prefix:02x?}")));
    if first & 0xf0 != 0 {
        return violation("reserved bits are set");
    }
    let kind = match first & 0x07 {
        0 => Kind::Message,
        1 => Kind::Ping,
        2 => Kind::Pong,
        _ => return violation("there is a reserved type"),
    };
    let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
    match (first & 0x08 != 0, length) {
        (false, length) => Ok((kind, length)),
        (true, 0) => Ok((kind, MAX_MESSAGE)),
        (true, _) => violation("the 25th bit and other bits of the length are set"),
    }
}

/// The prefix for this length, at most 2^24.
pub(crate) fn prefix(kind: Kind, len: usize) -> Option<[u8; PREFIX]> {
    if len > MAX_MESSAGE {
        return None;
    }
    if len == MAX_MESSAGE {
        return Some([0x08 | kind as u8, 0, 0, 0]);
    }
    let [_, a, b, c] = (len as u32).to_be_bytes();
    Some([kind as u8, a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behaviour 48.
    #[test]
    fn lengths_both_ways() {
        for (kind, len, prefixed) in [
            (Kind::Message, 0, [0x00, 0, 0, 0]),
            (Kind::Ping, 1, [0x01, 0, 0, 1]),
            (Kind::Pong, 0x01_02_03, [0x02, 1, 2, 3]),
            (Kind::Message, (1 << 24) - 1, [0x00, 0xff, 0xff, 0xff]),
            (Kind::Message, 1 << 24, [0x08, 0, 0, 0]),
            (Kind::Pong, 1 << 24, [0x0a, 0, 0, 0]),
        ] {
            assert_eq!(prefix(kind, len), Some(prefixed));
            assert_eq!(parse(prefixed).unwrap(), (kind, len));
        }
        assert_eq!(prefix(Kind::Ping, (1 << 24) + 1), None);
    }

    /// Behaviour 48.
    #[test]
    fn everything_else_is_a_violation() {
        let mut good = 0;
        for first in 0..=255 {
            let prefix = [first, 0, 0, 0];
            match parse(prefix) {
                Ok(_) => good += 1,
                Err(e) => assert!(matches!(e, ReadError::Violation(_)), "{e}"),
            }
            let both = parse([first, 0, 0, 1]).is_ok();
            assert_eq!(both, first < 3, "the 25th bit is alone: {first:02x}");
        }
        assert_eq!(good, 6, "three types, with and without the 25th bit");
    }
}
