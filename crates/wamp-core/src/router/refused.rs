//! The answers to a request or a message that is not right.

use wamp_proto::{Uri, uri};

/// A breach of the protocol by a session, which the realm answers with ABORT.
#[derive(Debug)]
pub(super) struct Violation(pub(super) String);

impl From<&str> for Violation {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Violation {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A request that is answered with an ERROR: its URI and a sentence.
pub(super) type Refused = (Uri, String);

/// The refusal of what a session may not do with the meta API, the same whatever exists.
pub(super) fn meta_denied() -> Refused {
    (uri::NOT_AUTHORIZED, "this session is not authorized to use this part of the meta API".to_owned())
}
