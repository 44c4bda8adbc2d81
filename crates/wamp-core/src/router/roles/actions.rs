//! The kinds of requests that a rule allows.

use std::fmt;
use std::ops::BitOr;

/// A set of kinds of requests.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Actions(u8);

impl Actions {
    /// None.
    pub const NONE: Self = Self(0);
    /// CALL.
    pub const CALL: Self = Self(1);
    /// REGISTER.
    pub const REGISTER: Self = Self(2);
    /// PUBLISH.
    pub const PUBLISH: Self = Self(4);
    /// SUBSCRIBE.
    pub const SUBSCRIBE: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);

    /// The one with this name: `call`, `register`, `publish` or `subscribe`.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.into_iter().find(|(_, known)| *known == name).map(|(action, _)| action)
    }

    /// Returns the name of a set of one kind.
    pub(in crate::router) fn name(self) -> &'static str {
        NAMES.into_iter().find(|(action, _)| *action == self).map_or("", |(_, name)| name)
    }

    /// Returns the set as a number.
    pub(in crate::router) const fn bits(self) -> u8 {
        self.0
    }

    /// Returns whether all of these are in the set.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

const NAMES: [(Actions, &str); 4] = [
    (Actions::CALL, "call"),
    (Actions::REGISTER, "register"),
    (Actions::PUBLISH, "publish"),
    (Actions::SUBSCRIBE, "subscribe"),
];

impl BitOr for Actions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = NAMES.into_iter().filter(|(action, _)| self.has(*action)).map(|(_, name)| name);
        f.debug_set().entries(names).finish()
    }
}
