//! Secrets: wiped from memory when they are dropped, never shown, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// A ticket, a password or a key (behaviour [208](crate::behaviour#rule-208)).
///
/// Its memory is overwritten when it is dropped, `Debug` shows nothing of it, and a comparison takes the same time for
/// all secrets of one length.
///
/// ```
/// use wamp_core::auth::Secret;
///
/// let secret = Secret::from("correct horse");
/// assert_eq!(secret, Secret::from(b"correct horse".to_vec()));
/// assert_eq!(format!("{secret:?}"), "…");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Returns the bytes. They must not be logged.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the secret as text; `None` if it is not UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(mut bytes: Vec<u8>) -> Self {
        // Copied, since giving back unused capacity could move the bytes and leave them behind.
        let secret = Self::from(&*bytes);
        bytes.zeroize();
        secret
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // behaviour 208
    #[test]
    fn a_secret_is_not_shown_and_is_equal_only_to_itself() {
        let secret = Secret::from("correct horse");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "… Some(…)");
        assert_eq!(secret, Secret::from("correct horse".to_owned()));
        for other in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert_ne!(secret, Secret::from(other));
        }
    }
}
