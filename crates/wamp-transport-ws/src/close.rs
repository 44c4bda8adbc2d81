//! Close codes (RFC 6455, 7.4).

use wamp_transport::ReadError;

/// No error.
pub(crate) const NORMAL: u16 = 1000;
/// This end is going away, like a server that restarts.
pub(crate) const GOING_AWAY: u16 = 1001;
/// The peer broke the WebSocket protocol.
pub(crate) const PROTOCOL: u16 = 1002;
/// Text frames for binary messages, or the reverse.
pub(crate) const UNSUPPORTED: u16 = 1003;
/// Text that is not UTF-8.
pub(crate) const INVALID: u16 = 1007;
/// A message that is too long.
pub(crate) const SIZE: u16 = 1009;

/// An error that makes reading impossible: its text for this end, and its code for the peer.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: u16,
    pub(crate) error: ReadError,
}

impl Fault {
    pub(crate) fn new(code: u16, what: &str) -> Self {
        Self { code, error: ReadError::Violation(what.into()) }
    }
}

/// The code in the payload of a Close frame, which may be empty.
pub(crate) fn code(payload: &[u8]) -> Result<Option<u16>, Fault> {
    let Some((&code, reason)) = payload.split_first_chunk() else {
        if payload.is_empty() {
            return Ok(None);
        }
        return Err(Fault::new(PROTOCOL, "a closing frame with half a code"));
    };
    let code = u16::from_be_bytes(code);
    // 1004 to 1006 and 1015 are never sent; unlisted codes are for future versions of the protocol.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Fault::new(PROTOCOL, "a closing frame with a code that must not be sent"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Fault::new(INVALID, "a closing frame with a reason that is not UTF-8"));
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_be_sent_and_those_that_may_not() {
        assert_eq!(code(b"").unwrap(), None);
        assert_eq!(code(b"\x03\xe8").unwrap(), Some(NORMAL));
        assert_eq!(code(b"\x03\xe9bye").unwrap(), Some(1001));
        let good = |n: &u16| code(&n.to_be_bytes()).is_ok();
        let (lowest, highest) = ((0..1015).filter(good).count(), (1015..=u16::MAX).filter(good).count());
        assert_eq!((lowest, highest), (4 + 8, 2000));
        for bad in [&b"\x03"[..], &[3, 0xec], &[3, 0xed], &[3, 0xee], &[3, 0xf7], &[0, 0], &[0xff; 2]] {
            assert_eq!(code(bad).unwrap_err().code, PROTOCOL, "{bad:02x?}");
        }
        assert_eq!(code(b"\x03\xe8\xff").unwrap_err().code, INVALID);
    }
}
