//! Outgoing frames, without I/O.
//!
//! Headers and short payloads are packed in one buffer; the payload of a long message is not copied, unless it
//! has to be masked. Frames are always added whole, so any other frame may follow.
//!
//! ```text
//! queue   [header|message|header|message|header] [large payload] [header] [large payload]
//! packed                                                                                 [header|message …
//! ```

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use wamp_transport::Outgoing;

use crate::Role;
use crate::frame::{Header, MAX_CONTROL, Mask, Opcode, apply_mask};

/// A shorter part of a payload is copied.
const COPIED_BELOW: usize = 2 * 1024;

/// The length of the header of a message below 64 KiB, with a mask.
const SHORT_HEADER: usize = 8;

/// Frames, to be written from the front.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    queue: VecDeque<Bytes>,
    packed: BytesMut,
    /// The length of all frames.
    len: usize,
    /// Frames have to be masked.
    masks: bool,
    /// Payloads are copied.
    copies: bool,
}

impl WriteBuffer {
    /// `vectored` says whether several slices can be written at once.
    pub(crate) fn new(role: Role, vectored: bool) -> Self {
        let masks = role == Role::Client;
        let copies = masks || !vectored;
        Self { queue: VecDeque::new(), packed: BytesMut::new(), len: 0, masks, copies }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Reserves room for this many short messages of this length.
    pub(crate) fn reserve(&mut self, messages: usize, len: usize) {
        self.packed.reserve(messages * SHORT_HEADER + len);
    }

    /// Adds a control frame, cut to the longest content.
    pub(crate) fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        let payload = &payload[..payload.len().min(MAX_CONTROL)];
        let (mask, begin) = self.header(true, opcode, payload.len());
        self.packed.extend_from_slice(payload);
        self.seal(mask, begin);
        self.len += payload.len();
    }

    /// Adds a frame with a part of a message.
    pub(crate) fn data(&mut self, opcode: Opcode, fin: bool, message: &Outgoing<'_>, part: Range<usize>) {
        let (mask, begin) = self.header(fin, opcode, part.len());
        if message.payload.is_empty() && message.end.is_empty() {
            self.packed.extend_from_slice(&message.head[part.clone()]);
        } else {
            let head = message.head.len();
            let end = head + message.payload.len();
            self.packed.extend_from_slice(&message.head[within(&part, 0, head)]);
            let payload = within(&part, head, end);
            if self.copies || payload.len() < COPIED_BELOW {
                self.packed.extend_from_slice(&message.payload[payload]);
            } else {
                self.queue.push_back(self.packed.split().freeze());
                self.queue.push_back(message.payload.slice(payload));
            }
            self.packed.extend_from_slice(&message.end[within(&part, end, message.encoded_len())]);
        }
        self.seal(mask, begin);
        self.len += part.len();
    }

    /// Adds a header; returns its mask, and where its payload begins if that is packed.
    #[inline]
    fn header(&mut self, fin: bool, opcode: Opcode, length: usize) -> (Option<Mask>, usize) {
        // Unpredictable for the author of the payload (RFC 6455, 5.3 and 10.3).
        let mask = self.masks.then(rand::random);
        let before = self.packed.len();
        Header { fin, opcode, mask, length: length as u64 }.write(&mut self.packed);
        let begin = self.packed.len();
        self.len += begin - before;
        (mask, begin)
    }

    #[inline]
    fn seal(&mut self, mask: Option<Mask>, begin: usize) {
        // Masked payloads were copied, so all of it is packed.
        if let Some(mask) = mask {
            apply_mask(&mut self.packed[begin..], mask);
        }
    }

    /// Fills in the first slices; returns their number.
    pub(crate) fn slices<'a>(&'a self, out: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.queue.iter().map(|piece| &piece[..]).chain([&self.packed[..]]);
        let mut filled = 0;
        for (slot, piece) in out.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        filled
    }

    /// Removes written bytes.
    pub(crate) fn advance(&mut self, mut len: usize) {
        self.len -= len;
        while let Some(piece) = self.queue.front_mut() {
            if len < piece.len() {
                piece.advance(len);
                return;
            }
            len -= piece.len();
            self.queue.pop_front();
        }
        self.packed.advance(len);
    }

    /// Frees the memory if the buffer is empty.
    pub(crate) fn rest(&mut self) {
        if self.len == 0 {
            (self.queue, self.packed) = (VecDeque::new(), BytesMut::new());
        }
    }
}

/// The part of `part` between two positions, counted from its beginning.
fn within(part: &Range<usize>, from: usize, to: usize) -> Range<usize> {
    part.start.clamp(from, to) - from..part.end.clamp(from, to) - from
}

#[cfg(test)]
mod tests;
