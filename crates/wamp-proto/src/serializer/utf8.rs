//! UTF-8 checks of text from peers.

use crate::error::Fault;

/// Shorter texts are mostly ASCII, and a loop finds that faster than a call of the library does.
const SHORT: usize = 64;

/// Returns the bytes as text.
#[inline]
pub(crate) fn text(bytes: &[u8], at: usize) -> Result<&str, Fault> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(at))
}

/// Checks that the bytes are UTF-8.
#[inline]
pub(crate) fn check(bytes: &[u8], at: usize) -> Result<(), Fault> {
    if bytes.len() < SHORT && is_ascii(bytes) { Ok(()) } else { text(bytes, at).map(drop) }
}

/// Returns whether all bytes are ASCII, eight at a time.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    let highs = words.iter().fold(0, |highs, word| highs | u64::from_ne_bytes(*word));
    (highs & HIGHS == 0) && rest.iter().fold(0, |highs, byte| highs | byte) < 0x80
}

#[cold]
fn not_utf8(at: usize) -> Fault {
    Fault::Malformed { what: "a string that is not UTF-8", at }
}

/// Returns the length of the leading bytes that are UTF-8, and whether those are all bytes.
#[cfg(feature = "json")]
pub(crate) fn prefix(bytes: &[u8]) -> (&str, bool) {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return (text, true);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(valid).unwrap_or_default(), false)
        }
    }
}
