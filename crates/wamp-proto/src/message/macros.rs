//! The macros that define a message, an options dict, a group of options or a set of words. Each becomes a
//! plain struct or enum; its fields stand beside the names that the specification gives them.

/// A fixed set of words, as the value of an option.
macro_rules! word {
    ($(#[$doc:meta])* pub enum $name:ident: $expected:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Returns the word as it is written in a message.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl $crate::message::wire::Wire for $name {
            const LENIENT: bool = true;

            fn read<'de, R: $crate::serializer::Reader<'de>>(
                source: &mut $crate::message::wire::Source<'de, R>,
            ) -> std::result::Result<Self, $crate::error::Fault> {
                match source.reader.value()? {
                    $($crate::serializer::Token::Text(word) if word == $word => Ok($name::$variant),)*
                    other => Err($crate::error::Fault::expected($expected, other.kind())),
                }
            }

            fn write<F: $crate::serializer::Format>(&self, out: &mut Vec<u8>) -> std::result::Result<(), $crate::error::EncodeError> {
                F::text(out, self.as_str())
            }
        }
    };
}
pub(crate) use word;

/// An options or details dict: one field for each key of the specification. Other keys are kept unchanged.
macro_rules! options {
    (
        $(#[$doc:meta])*
        pub struct $name:ident {
            $($(#[$fdoc:meta])* $field:ident: $type:ty = $key:literal,)*
            $(@ $($(#[$gdoc:meta])* $group:ident: $gtype:ty,)*)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
            $($($(#[$gdoc])* pub $group: Option<Box<$gtype>>,)*)?
            /// Keys without a field, and keys whose value could not be used.
            pub extra: $crate::message::Extra,
        }

        impl $name {
            /// Sets a key by its name, as if it were read from a message: a key that has a field sets the field, any
            /// other key is added to `extra`.
            ///
            /// # Errors
            /// The value cannot be written, or is not of the type of the field.
            pub fn set<T: serde::Serialize + ?Sized>(
                &mut self,
                key: &str,
                value: &T,
            ) -> std::result::Result<(), $crate::error::EncodeError> {
                *self = $crate::message::extra::with_key(self, key, value)?;
                Ok(())
            }
        }

        impl $crate::message::wire::Wire for $name {
            fn read<'de, R: $crate::serializer::Reader<'de>>(
                source: &mut $crate::message::wire::Source<'de, R>,
            ) -> std::result::Result<Self, $crate::error::Fault> {
                #[allow(unused_mut)]
                let mut options = Self::default();
                let mut extra = $crate::message::extra::Keeper::begin(source);
                let mut dict = source.dict()?;
                while source.reader.entry(&mut dict)? {
                    let key = source.key()?;
                    #[allow(unused_mut)]
                    let mut used = match &*key {
                        $($key => Some(source.field(&mut options.$field, $key)?),)*
                        _ => None,
                    };
                    $($(if used.is_none() {
                        used = <$gtype as $crate::message::wire::Group>::read(&mut options.$group, &key, source)?;
                    })*)?
                    match used {
                        Some(true) => {}
                        Some(false) => extra.keep(),
                        None => {
                            if source.unknown(&key)? {
                                extra.keep();
                            }
                        }
                    }
                    extra.next();
                }
                options.extra = extra.finish(source);
                Ok(options)
            }

            fn write<F: $crate::serializer::Format>(&self, out: &mut Vec<u8>) -> std::result::Result<(), $crate::error::EncodeError> {
                #[allow(unused_imports)]
                use $crate::message::wire::{Field as _, Group as _};
                let count = self.extra.len()
                    $(+ usize::from(!self.$field.is_absent()))*
                    $($(+ self.$group.as_ref().map_or(0, |group| group.count()))*)?;
                let mut dict = F::begin_dict(out, Some(count));
                $(if !self.$field.is_absent() {
                    $crate::message::wire::write_key::<F>(out, &mut dict, $key)?;
                    $crate::message::wire::Field::write::<F>(&self.$field, out)?;
                })*
                $($(if let Some(group) = &self.$group {
                    group.write::<F>(out, &mut dict)?;
                })*)?
                self.extra.write::<F>(out, &mut dict)?;
                F::end_dict(out, dict);
                Ok(())
            }
        }
    };
}
pub(crate) use options;

/// A `Group`: options that belong together.
macro_rules! group {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }

        impl $crate::message::wire::Group for $name {
            fn read<'de, R: $crate::serializer::Reader<'de>>(
                group: &mut Option<Box<Self>>,
                key: &str,
                source: &mut $crate::message::wire::Source<'de, R>,
            ) -> std::result::Result<Option<bool>, $crate::error::Fault> {
                match key {
                    $($key => source.field(&mut group.get_or_insert_default().$field, $key).map(Some),)*
                    _ => Ok(None),
                }
            }

            fn count(&self) -> usize {
                use $crate::message::wire::Field as _;
                0 $(+ usize::from(!self.$field.is_absent()))*
            }

            fn write<F: $crate::serializer::Format>(
                &self,
                out: &mut Vec<u8>,
                dict: &mut $crate::serializer::Mark,
            ) -> std::result::Result<(), $crate::error::EncodeError> {
                use $crate::message::wire::Field as _;
                $(if !self.$field.is_absent() {
                    $crate::message::wire::write_key::<F>(out, dict, $key)?;
                    $crate::message::wire::Field::write::<F>(&self.$field, out)?;
                })*
                Ok(())
            }
        }
    };
}
pub(crate) use group;

/// A message: its code, its name, its elements, its optional element (behind `?`), and whether a payload may
/// follow.
macro_rules! message {
    (
        $(#[$doc:meta])*
        pub struct $name:ident = $code:literal $word:literal {
            $($(#[$edoc:meta])* $field:ident: $type:ty = $element:literal,)*
            $(? $(#[$odoc:meta])* $optional:ident: $otype:ty = $oelement:literal,)?
        } $($payload:ident)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$edoc])* pub $field: $type,)*
            $($(#[$odoc])* pub $optional: Option<$otype>,)?
            $(
                /// The arguments, or the binary in their place.
                pub $payload: $crate::Payload,
            )?
        }

        impl $name {
            /// The code at the start of the message.
            pub const CODE: u64 = $code;
            /// The message's name in the specification.
            pub const NAME: &'static str = $word;

            pub(crate) fn read<'de, R: $crate::serializer::Reader<'de>>(
                source: &mut $crate::message::wire::Source<'de, R>,
                list: &mut $crate::serializer::Open,
            ) -> std::result::Result<Self, $crate::error::DecodeError> {
                let error = |number, name, fault| {
                    $crate::error::DecodeError::new(Some($word), Some((number, name)), fault)
                };
                let mut number = 1;
                $(
                    number += 1;
                    let $field = match source.element::<$type>(list) {
                        Ok(Some(value)) => value,
                        Ok(None) => {
                            let expected = $element.into();
                            return Err(error(number, $element, $crate::error::Fault::Missing { expected }));
                        }
                        Err(fault) => return Err(error(number, $element, fault)),
                    };
                )*
                $(
                    let $optional = source
                        .element::<$otype>(list)
                        .map_err(|fault| error(number + 1, $oelement, fault))?;
                )?
                $(
                    let $payload = source.payload(list).map_err(|fault| fault.of($word, number + 1))?;
                )?
                Ok(Self { $($field,)* $($optional,)? $($payload,)? })
            }

            pub(crate) fn write_head<F: $crate::serializer::Format>(
                &self,
                out: &mut Vec<u8>,
            ) -> std::result::Result<(), $crate::error::EncodeError> {
                use $crate::message::wire::Wire as _;
                let elements = 1
                    $(+ { let _ = $element; 1 })*
                    $(+ usize::from(self.$optional.is_some()))?
                    $(+ usize::from(self.$payload.elements()))?;
                let mut list = F::begin_list(out, Some(elements));
                F::element(out, &mut list);
                F::unsigned(out, $code);
                $(
                    F::element(out, &mut list);
                    self.$field.write::<F>(out)?;
                )*
                $(if let Some(optional) = &self.$optional {
                    F::element(out, &mut list);
                    optional.write::<F>(out)?;
                })?
                $(if !self.$payload.is_empty() {
                    F::element(out, &mut list);
                })?
                Ok(())
            }

            #[allow(unreachable_code)]
            pub(crate) fn any_payload(&self) -> Option<&$crate::Payload> {
                $(return Some(&self.$payload);)?
                None
            }

            #[allow(unreachable_code)]
            pub(crate) fn any_payload_mut(&mut self) -> Option<&mut $crate::Payload> {
                $(return Some(&mut self.$payload);)?
                None
            }
        }
    };
}
pub(crate) use message;
