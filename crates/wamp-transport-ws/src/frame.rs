//! The header of a frame, and its mask (RFC 6455, 5.2 and 5.3).
//!
//! ```text
//! FRRR oooo  MLLL LLLL  [16 or 64 bits of length]  [32 bits of mask]
//! ```
//!
//! `F` is set for the last frame of a message, `R` is reserved, `o` the opcode, `M` says that there is a mask.
//! `L` is the length, or 126 or 127 if a longer length follows; a length that is written longer than necessary
//! is accepted.

use bytes::BytesMut;

/// The longest content of a PING, PONG or CLOSE (RFC 6455, 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The longest header.
const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const CONTROL: u8 = 0x08;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The mask of a payload.
pub(crate) type Mask = [u8; 4];

/// `oooo`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continue = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continue,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether the frame is a control frame.
    pub(crate) fn is_control(self) -> bool {
        self as u8 & CONTROL != 0
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether the message ends with this frame.
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: Option<Mask>,
    /// The length of the payload. Its top bit must be 0, which the check of the limit covers.
    pub(crate) length: u64,
}

impl Header {
    /// Parses the header at the beginning of these bytes. Returns it with its length; `None` if it is
    /// incomplete.
    ///
    /// # Errors
    /// The fault of the header.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err("a frame with reserved bits set");
        }
        let Some(opcode) = Opcode::from_bits(first & 0x0f) else { return Err("a frame of a reserved type") };
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err("a control frame in fragments");
        }
        if opcode.is_control() && usize::from(second & !MASKED) > MAX_CONTROL {
            return Err("a control frame of more than 125 bytes");
        }
        let (length, rest) = match second & !MASKED {
            LENGTH_16 => {
                let Some((&length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(length)), rest)
            }
            LENGTH_64 => {
                let Some((&length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(length), rest)
            }
            length => (u64::from(length), rest),
        };
        let (mask, rest) = if second & MASKED != 0 {
            let Some((&mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(mask), rest)
        } else {
            (None, rest)
        };
        Ok(Some((Self { fin, opcode, mask, length }, bytes.len() - rest.len())))
    }

    /// Appends the header.
    #[inline]
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let mut header = [0; MAX_HEADER];
        header[0] = self.opcode as u8 | if self.fin { FIN } else { 0 };
        let mut end = match self.length {
            0..126 => {
                header[1] = self.length as u8;
                2
            }
            126..0x1_0000 => {
                header[1] = LENGTH_16;
                header[2..4].copy_from_slice(&(self.length as u16).to_be_bytes());
                4
            }
            _ => {
                header[1] = LENGTH_64;
                header[2..10].copy_from_slice(&self.length.to_be_bytes());
                10
            }
        };
        if let Some(mask) = self.mask {
            header[1] |= MASKED;
            header[end..end + 4].copy_from_slice(&mask);
            end += 4;
        }
        out.extend_from_slice(&header[..end]);
    }
}

/// Masks or unmasks a payload from its beginning; both are the same operation.
#[inline]
pub(crate) fn apply_mask(bytes: &mut [u8], mask: Mask) {
    let [a, b, c, d] = mask;
    let twice = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ twice).to_ne_bytes();
    }
    for (at, byte) in rest.iter_mut().enumerate() {
        *byte ^= mask[at & 3];
    }
}

#[cfg(test)]
mod tests;
