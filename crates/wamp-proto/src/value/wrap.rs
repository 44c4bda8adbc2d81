//! Types by which an application chooses one argument, a list of arguments, or keywords.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeTupleStruct, Serializer};

// Names by which our (de)serializer recognizes these types; others see an ordinary newtype or tuple struct.
pub(crate) const KWARGS: &str = "$wamp::Kwargs";
pub(crate) const ARGS_KWARGS: &str = "$wamp::ArgsKwargs";
pub(crate) const VALUE: &str = "$wamp::Value";
pub(crate) const PAYLOAD: &str = "$wamp::Payload";

/// Keyword arguments only: a struct or a map with string keys.
///
/// ```
/// # use wamp_proto::{Kwargs, Payload, Serializer};
/// # #[cfg(feature = "json")] {
/// #[derive(serde::Serialize)]
/// struct Range { from: u32, to: u32 }
///
/// let payload = Payload::new(Serializer::Json, &Kwargs(Range { from: 1, to: 9 }))?;
/// assert_eq!(payload.args_bytes(), b"[]");
/// assert_eq!(payload.kwargs_bytes(), br#"{"from":1,"to":9}"#);
/// # }
/// # Ok::<(), wamp_proto::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kwargs<T>(pub T);

/// Positional arguments (a tuple, an array, a `Vec` or `()`) and keyword arguments (a struct or a map).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ArgsKwargs<A, K>(pub A, pub K);

/// One argument, of any type: `Value((1, 2))` is the one argument `[1, 2]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Value<T>(pub T);

macro_rules! newtype {
    ($name:ident, $magic:expr) => {
        impl<T: Serialize> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_struct($magic, &self.0)
            }
        }

        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_newtype_struct($magic, Inner(PhantomData)).map($name)
            }
        }
    };
}
newtype!(Kwargs, KWARGS);
newtype!(Value, VALUE);

/// Reads the content of a newtype struct.
struct Inner<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Inner<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(deserializer)
    }
}

impl<A: Serialize, K: Serialize> Serialize for ArgsKwargs<A, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut both = serializer.serialize_tuple_struct(ARGS_KWARGS, 2)?;
        both.serialize_field(&self.0)?;
        both.serialize_field(&self.1)?;
        both.end()
    }
}

impl<'de, A: Deserialize<'de>, K: Deserialize<'de>> Deserialize<'de> for ArgsKwargs<A, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both<A, K>(PhantomData<(A, K)>);

        impl<'de, A: Deserialize<'de>, K: Deserialize<'de>> Visitor<'de> for Both<A, K> {
            type Value = ArgsKwargs<A, K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("positional and keyword arguments")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let args = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let kwargs = seq.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                Ok(ArgsKwargs(args, kwargs))
            }
        }

        deserializer.deserialize_tuple_struct(ARGS_KWARGS, 2, Both(PhantomData))
    }
}

/// A list of positional arguments: `()`, a tuple, an array, a slice or a `Vec`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of arguments",
    label = "not a tuple and not a list",
    note = "for one value write `.arg(value)`"
)]
pub trait Args: Serialize {}

impl Args for () {}
impl<T: Serialize> Args for Vec<T> {}
impl<T: Serialize> Args for [T] {}
impl<T: Serialize, const N: usize> Args for [T; N] where [T; N]: Serialize {}
impl<A: Args + ?Sized> Args for &A {}

macro_rules! tuples {
    ($($first:ident $($rest:ident)*)?) => {
        $(
            impl<$first: Serialize, $($rest: Serialize),*> Args for ($first, $($rest),*) {}
            tuples!($($rest)*);
        )?
    };
}
tuples!(A B C D E F G H I J K L);

/// Whether a type is a tuple or `()`, possibly behind references, smart pointers and `Option`.
///
/// Serde calls tuples and arrays of a fixed length both "tuple", but `(1, 2)` is two arguments and `[1, 2]` is
/// one. Only [`std::any::type_name`] tells them apart: it begins with `(` or `[`.
pub(crate) fn is_tuple<T: ?Sized>() -> bool {
    const AROUND: [&str; 8] = [
        "&",
        "mut ",
        "core::option::Option<",
        "alloc::boxed::Box<",
        "alloc::rc::Rc<",
        "alloc::sync::Arc<",
        "alloc::borrow::Cow<",
        "'_, ",
    ];
    let mut name = std::any::type_name::<T>();
    while let Some(inner) = AROUND.iter().find_map(|around| name.strip_prefix(around)) {
        name = inner;
    }
    name.starts_with('(')
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn type_names_tell_tuples_from_arrays() {
        assert!(is_tuple::<()>());
        assert!(is_tuple::<(u8,)>());
        assert!(is_tuple::<(u8, [u8; 2])>());
        assert!(is_tuple::<&&mut (u8, u8)>());
        assert!(is_tuple::<Option<Box<(u8, u8)>>>());
        assert!(is_tuple::<Cow<'static, (u8, u8)>>());
        assert!(!is_tuple::<[u8; 2]>());
        assert!(!is_tuple::<&[(u8, u8); 2]>());
        assert!(!is_tuple::<Option<[(u8, u8); 2]>>());
        assert!(!is_tuple::<Vec<(u8, u8)>>());
        assert!(!is_tuple::<str>());
        assert!(!is_tuple::<Value<(u8, u8)>>());
    }
}
