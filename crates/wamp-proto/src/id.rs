//! Identifiers: integers from 1 to 2^53 (Basic Profile, *IDs*).

use std::fmt;

/// The greatest identifier, 2^53.
pub const MAX_ID: u64 = 1 << 53;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// Returns the identifier with this number, if it is between 1 and 2^53.
            pub const fn new(id: u64) -> Option<Self> {
                if id >= 1 && id <= MAX_ID { Some(Self(id)) } else { None }
            }

            /// Returns the number, between 1 and 2^53.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// A session, in the global scope: random in the whole range.
    SessionId
}
id! {
    /// A publication, in the global scope: random in the whole range.
    PublicationId
}
id! {
    /// A subscription, in the router's scope.
    SubscriptionId
}
id! {
    /// A registration, in the router's scope.
    RegistrationId
}
id! {
    /// A request, in the scope of a session and a direction: 1, 2, 3, … and 1 again after 2^53.
    RequestId
}

impl RequestId {
    /// The first id of a session and direction.
    pub const FIRST: RequestId = RequestId(1);

    /// Returns the id after this one.
    pub const fn next(self) -> RequestId {
        if self.0 == MAX_ID { RequestId(1) } else { RequestId(self.0 + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_between_1_and_2_to_the_53() {
        assert_eq!(SessionId::new(0), None);
        assert_eq!(SessionId::new(MAX_ID).map(SessionId::get), Some(9_007_199_254_740_992));
        assert_eq!(SessionId::new(MAX_ID + 1), None);
    }

    #[test]
    fn request_ids_wrap_from_2_to_the_53_to_1() {
        assert_eq!(RequestId::FIRST.next().get(), 2);
        assert_eq!(RequestId::new(MAX_ID).unwrap().next(), RequestId::FIRST);
    }
}
