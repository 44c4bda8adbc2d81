//! Assembling messages from bytes, without I/O.
//!
//! A short frame that is a whole message is unmasked in the buffer and becomes a slice of it. The payload of
//! any other frame, a fragment or a long one, is moved out of the buffer as it arrives; so the buffer stays
//! short, and no memory is reserved for a length that was only announced.
//!
//! ```text
//!         +-- whole, up to 64 KiB ------------------------> slice ---+
//! buffer -+                                                          +-> UTF-8 if text -> Item::Message
//!         +-- fragment, or longer: piece by piece -> message -- FIN -+
//! ```

use bytes::{Buf, Bytes, BytesMut};
use wamp_transport::{ReadError, UNCOUNTED, Unfinished};

use crate::Role;
use crate::close::{self, Fault};
use crate::frame::{Header, Mask, Opcode, apply_mask};

/// A longer frame is not completed in the buffer.
const MAX_WHOLE: usize = 64 * 1024;

/// Assembles messages from received bytes.
#[derive(Debug)]
pub(crate) struct Assembler {
    role: Role,
    /// Whether messages are text.
    text: bool,
    pub(crate) max_receive: usize,
    /// Received bytes that have not been examined. The reader appends to it.
    pub(crate) buffer: BytesMut,
    /// The frame whose payload is being moved into `message`.
    flowing: Option<Flowing>,
    /// The part of a message that is not a slice of the buffer.
    message: Vec<u8>,
    /// Whether there is such a message, even if only its header has arrived.
    in_message: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flowing {
    fin: bool,
    /// The number of payload bytes still to come.
    left: usize,
    /// The mask for the next byte.
    mask: Mask,
}

/// The item at the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Message(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    /// The peer closes the connection with this code.
    Close(Option<u16>),
    /// Nothing is complete; this many bytes are missing, or 0 if unknown.
    Missing(usize),
}

impl Assembler {
    pub(crate) fn new(role: Role, text: bool, max_receive: usize, buffer: BytesMut) -> Self {
        Self { role, text, max_receive, buffer, flowing: None, message: Vec::new(), in_message: false }
    }

    /// Takes the next item from the buffer.
    pub(crate) fn next(&mut self) -> Result<Item, Fault> {
        loop {
            if let Some(flowing) = self.flowing {
                let left = self.flow(flowing);
                if left > 0 {
                    return Ok(Item::Missing(left));
                }
                self.flowing = None;
                if flowing.fin {
                    self.in_message = false;
                    let message = std::mem::take(&mut self.message);
                    return self.checked(message.into());
                }
            }
            let header = Header::parse(&self.buffer).map_err(|what| Fault::new(close::PROTOCOL, what))?;
            let Some((header, begin)) = header else { return Ok(Item::Missing(0)) };
            let length = self.check(&header)?;
            let is_message = header.fin && header.opcode != Opcode::Continue;
            if is_message && length <= MAX_WHOLE {
                let total = begin + length;
                if self.buffer.len() < total {
                    return Ok(Item::Missing(total - self.buffer.len()));
                }
                if let Some(mask) = header.mask {
                    apply_mask(&mut self.buffer[begin..total], mask);
                }
                let mut payload = self.buffer.split_to(total).freeze();
                payload.advance(begin);
                return match header.opcode {
                    Opcode::Ping => Ok(Item::Ping(payload)),
                    Opcode::Pong => Ok(Item::Pong(payload)),
                    Opcode::Close => Ok(Item::Close(close::code(&payload)?)),
                    _ => self.checked(payload),
                };
            }
            self.buffer.advance(begin);
            self.in_message = true;
            let mask = header.mask.unwrap_or_default();
            self.flowing = Some(Flowing { fin: header.fin, left: length, mask });
        }
    }

    /// Checks a header in its context (RFC 6455, 5.1, 5.4 and 5.6), and the length.
    #[inline]
    fn check(&self, header: &Header) -> Result<usize, Fault> {
        let violation = |what| Err(Fault::new(close::PROTOCOL, what));
        match (self.role, header.mask) {
            (Role::Server, None) => return violation("a frame of a client without a mask"),
            (Role::Client, Some(_)) => return violation("a frame of a server with a mask"),
            _ => {}
        }
        match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(header.length as usize),
            Opcode::Continue if !self.in_message => return violation("a fragment of no message"),
            Opcode::Text | Opcode::Binary if self.in_message => {
                return violation("a message in the middle of another one");
            }
            Opcode::Text if !self.text => {
                return Err(Fault::new(close::UNSUPPORTED, "a text frame, with a binary serializer"));
            }
            Opcode::Binary if self.text => {
                return Err(Fault::new(close::UNSUPPORTED, "a binary frame, with JSON"));
            }
            _ => {}
        }
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let sum = self.message.len().saturating_add(length);
        if sum > self.max_receive {
            let error = ReadError::TooLarge { len: sum, limit: self.max_receive };
            return Err(Fault { code: close::SIZE, error });
        }
        if header.length >> 63 != 0 {
            return violation("a length of 64 bits");
        }
        Ok(length)
    }

    /// Moves the available bytes of a payload; returns how many are missing.
    fn flow(&mut self, Flowing { fin, left, mut mask }: Flowing) -> usize {
        let len = left.min(self.buffer.len());
        let before = self.message.len();
        let wanted = before + len;
        if wanted > self.message.capacity() {
            // Fourfold, but not beyond the end, so that moving is rare and little is left behind in the
            // allocator; twofold if the end is unknown.
            let goal = if fin { (before * 4).min(before + left) } else { before * 2 };
            self.message.reserve_exact(goal.max(wanted) - before);
        }
        self.message.extend_from_slice(&self.buffer[..len]);
        if self.role == Role::Server {
            apply_mask(&mut self.message[before..], mask);
        }
        self.buffer.advance(len);
        mask.rotate_left(len % 4);
        let left = left - len;
        self.flowing = Some(Flowing { fin, left, mask });
        left
    }

    #[inline]
    fn checked(&self, message: Bytes) -> Result<Item, Fault> {
        if self.text && std::str::from_utf8(&message).is_err() {
            return Err(Fault::new(close::INVALID, "a text frame that is not UTF-8"));
        }
        Ok(Item::Message(message))
    }

    /// The number of bytes of the unfinished message, without the headers of its fragments.
    pub(crate) fn gathered(&self) -> usize {
        self.message.len()
    }

    /// The unfinished message.
    pub(crate) fn unfinished(&self) -> Option<Unfinished> {
        let memory = self.message.capacity() + self.buffer.capacity();
        let bytes = self.message.len() + self.buffer.len();
        if let Some(Flowing { fin: true, left, .. }) = self.flowing {
            return Some(Unfinished { bytes, missing: left.saturating_sub(self.buffer.len()), memory });
        }
        if self.in_message {
            // More fragments follow, and their number is unknown.
            return Some(Unfinished {
                bytes,
                missing: self.max_receive.saturating_sub(bytes).max(1),
                memory,
            });
        }
        let missing = match Header::parse(&self.buffer) {
            Ok(Some((header, begin))) => usize::try_from(header.length)
                .unwrap_or(usize::MAX)
                .saturating_add(begin)
                .saturating_sub(self.buffer.len()),
            _ => 1,
        };
        (bytes > 0).then_some(Unfinished { bytes, missing, memory })
    }

    /// The memory of the unfinished message after this many more bytes.
    pub(crate) fn memory_with(&self, room: usize) -> usize {
        let message = self.message.len() + self.buffer.len() + room;
        let capacity = self.message.capacity();
        // It doubles when it does not fit.
        let grown = if message > capacity { message.max(2 * self.message.len()) } else { capacity };
        grown + self.buffer.capacity().max(self.buffer.len() + room)
    }

    /// Frees memory beyond the bytes that have arrived.
    pub(crate) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        } else if self.buffer.len() <= UNCOUNTED {
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
    }

    /// Discards everything.
    pub(crate) fn clear(&mut self) {
        (self.buffer, self.message, self.flowing) = (BytesMut::new(), Vec::new(), None);
        self.in_message = false;
    }
}

#[cfg(test)]
mod tests;
