//! Reading arguments as routers write them: surplus ones are ignored, and ids are checked.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use wamp_proto::{Payload, PayloadError, RegistrationId, SessionId, SubscriptionId};

/// The first arguments of a list. An `Option` may be absent.
pub(super) struct Leading<A, B = Option<IgnoredAny>, C = Option<IgnoredAny>>(
    pub(super) A,
    pub(super) B,
    pub(super) C,
);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>, C: Deserialize<'de>> Deserialize<'de>
    for Leading<A, B, C>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LeadingVisitor<A, B, C>(PhantomData<(A, B, C)>);

        impl<'de, A: Deserialize<'de>, B: Deserialize<'de>, C: Deserialize<'de>> Visitor<'de>
            for LeadingVisitor<A, B, C>
        {
            type Value = Leading<A, B, C>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of arguments")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let missing = || de::Error::invalid_length(0, &self);
                let first = seq.next_element()?.ok_or_else(missing)?;
                let second = seq.next_element()?.ok_or_else(missing)?;
                let third = seq.next_element()?.ok_or_else(missing)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Leading(first, second, third))
            }
        }

        deserializer.deserialize_tuple(3, LeadingVisitor(PhantomData))
    }
}

/// The first argument.
pub(super) fn first<'de, T: Deserialize<'de>>(payload: &'de Payload) -> Result<Leading<T>, PayloadError> {
    payload.args()
}

/// An id between 1 and 2^53.
pub(super) trait Id: Copy {
    fn new(id: u64) -> Option<Self>;
}

macro_rules! ids {
    ($($name:ident)*) => {
        $(impl Id for $name {
            fn new(id: u64) -> Option<Self> {
                Self::new(id)
            }
        })*
    };
}

ids! { SessionId RegistrationId SubscriptionId }

/// An id in an argument.
#[derive(Clone, Copy)]
pub(super) struct Read<T>(pub(super) T);

impl<'de, T: Id> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = u64::deserialize(deserializer)?;
        T::new(id)
            .map(Read)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Unsigned(id), &"an id from 1 to 2^53"))
    }
}

/// For `deserialize_with`: an id.
pub(super) fn id<'de, D: Deserializer<'de>, T: Id>(deserializer: D) -> Result<T, D::Error> {
    Read::deserialize(deserializer).map(|Read(id)| id)
}

/// A list of ids in the first argument; null is an empty one.
pub(super) fn ids<T: Id>(payload: &Payload) -> Result<Vec<T>, PayloadError> {
    let Leading(ids, ..) = first::<Option<Vec<Read<T>>>>(payload)?;
    Ok(ids.into_iter().flatten().map(|Read(id)| id).collect())
}

/// An id in the first argument; null is none, and so is the 0 that some routers write instead.
pub(super) fn optional_id<T: Id>(payload: &Payload) -> Result<Option<T>, PayloadError> {
    let Leading(id, ..) = first::<Option<u64>>(payload)?;
    Ok(id.and_then(T::new))
}
