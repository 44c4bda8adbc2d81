//! The key of a session.

use wamp_proto::SessionId;

/// The key of a session of a realm, from [`Realm::join`](super::Realm::join) until its end. It does not match a
/// later session in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    index: usize,
    id: SessionId,
}

impl SessionKey {
    /// The caller of calls that the router makes itself. No session has this key.
    pub(super) const ROUTER: Self = Self { index: usize::MAX, id: SessionId::new(1).expect("1 is an id") };

    /// Whether it stands for the router.
    pub(super) fn is_router(self) -> bool {
        self.index == usize::MAX
    }

    /// A small number that no other session of the realm has at the same time.
    #[inline]
    pub fn index(self) -> usize {
        self.index
    }

    pub(super) fn new(index: usize, id: SessionId) -> Self {
        Self { index, id }
    }

    /// The session's id, as WELCOME said it.
    #[inline]
    pub fn id(self) -> SessionId {
        self.id
    }
}
