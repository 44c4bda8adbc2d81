//! A publication whose parts are the arguments of a call of `wamp.session.add_testament` (Advanced Profile, *Testament
//! Meta API*).

use std::ops::Range;

use serde::de::{DeserializeOwned, Error as _};

use super::wire::{Wire as _, write_key};
use super::{Limits, Message, Publish, PublishOptions};
use crate::error::{EncodeError, Fault, PayloadError};
use crate::parts::{Parts, READ_DEPTH};
use crate::payload::Payload;
use crate::serializer::{Format, Reader, Serializer, Token, with_format};
use crate::value::De;

/// The keyword with the options of the publication.
const OPTIONS: &str = "publish_options";

impl Message {
    /// Returns the options of a request as a value of this type; `None` if they cannot be read as one.
    pub fn options<T: DeserializeOwned>(&self) -> Option<T> {
        let serializer = self.payload().serializer().or_else(|| Serializer::ALL.first().copied())?;
        let frame = self.encode(serializer).ok()?;
        with_format!(serializer, F => {
            let [_, _, options] = positions::<F, 3>(&frame).ok()?;
            let mut reader = F::reader(&frame[options?], READ_DEPTH).ok()?;
            T::deserialize(De(&mut reader)).ok()
        })
    }
}

impl Publish {
    /// Reads the publication that the arguments of `wamp.session.add_testament` describe: `topic`, `args` and
    /// `kwargs`, and the keyword `publish_options`. The arguments of the publication are copied as they are, and not
    /// decoded. Null counts as absent. The request id has no meaning.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use wamp_proto::message::Publish;
    /// use wamp_proto::{Arguments, Serializer};
    ///
    /// let call = Arguments::new(Serializer::Json).args(&("com.example.gone", ["till 3"])).finish()?;
    /// let publish = Publish::from_testament(&call).unwrap();
    /// assert_eq!(publish.topic, "com.example.gone");
    /// assert_eq!(publish.payload.args_bytes(), br#"["till 3"]"#);
    /// # }
    /// # Ok::<(), wamp_proto::EncodeError>(())
    /// ```
    ///
    /// # Errors
    /// Says which argument or option is missing or has a wrong type.
    pub fn from_testament(call: &Payload) -> Result<Self, PayloadError> {
        let missing = || PayloadError::custom("argument 1, the topic, is missing");
        let serializer = call.serializer().ok_or_else(missing)?;
        let frame: Vec<u8> = with_format!(serializer, F => {
            let [topic, args, kwargs] = positions::<F, 3>(call.args_bytes())?;
            let options = keyword::<F>(call.kwargs_bytes())?;
            let part = |range: Option<Range<usize>>| range.map(|range| &call.args_bytes()[range]);
            let (topic, args, kwargs) = (part(topic).ok_or_else(missing)?, part(args), part(kwargs));
            let mut frame = Vec::with_capacity(call.len() + 16);
            let mut list = F::begin_list(&mut frame, None);
            for number in [16, 1] {
                F::element(&mut frame, &mut list);
                F::unsigned(&mut frame, number);
            }
            F::element(&mut frame, &mut list);
            match options {
                Some(range) => frame.extend_from_slice(&call.kwargs_bytes()[range]),
                None => {
                    let dict = F::begin_dict(&mut frame, Some(0));
                    F::end_dict(&mut frame, dict);
                }
            }
            F::element(&mut frame, &mut list);
            frame.extend_from_slice(topic);
            if args.is_some() || kwargs.is_some() {
                F::element(&mut frame, &mut list);
                frame.extend_from_slice(args.unwrap_or(F::EMPTY_LIST));
            }
            if let Some(kwargs) = kwargs {
                F::element(&mut frame, &mut list);
                frame.extend_from_slice(kwargs);
            }
            F::end_list(&mut frame, list);
            frame
        });
        let limits = Limits { message: frame.len(), ..Limits::default() };
        match Message::decode(serializer, &frame.into(), &limits) {
            Ok(Message::Publish(publish)) => Ok(publish),
            Ok(other) => Err(PayloadError::custom(format!("a {} cannot be a testament", other.name()))),
            Err(error) => Err(PayloadError::custom(error)),
        }
    }
}

impl Publish {
    /// Returns the arguments for `wamp.session.add_testament` that describe this publication, as
    /// [`from_testament`](Self::from_testament) reads them. `acknowledge` and the request id are left out.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that the serializer cannot express.
    pub fn to_testament(&self, serializer: Serializer, scope: Option<&str>) -> Result<Payload, EncodeError> {
        let payload = self.payload.transcode(serializer)?;
        let options = PublishOptions { acknowledge: None, ..self.options.clone() };
        with_format!(serializer, F => {
            let mut parts = Parts::begin(serializer, Vec::new());
            let mut list = F::begin_list(&mut parts.bytes, None);
            F::element(&mut parts.bytes, &mut list);
            F::text(&mut parts.bytes, &self.topic)?;
            for part in [payload.args_bytes(), payload.kwargs_bytes()].into_iter().filter(|part| !part.is_empty()) {
                F::element(&mut parts.bytes, &mut list);
                parts.bytes.extend_from_slice(part);
            }
            F::end_list(&mut parts.bytes, list);
            parts.elements = 2;
            parts.begin_kwargs::<F>();
            let mut dict = F::begin_dict(&mut parts.bytes, None);
            write_key::<F>(&mut parts.bytes, &mut dict, OPTIONS)?;
            options.write::<F>(&mut parts.bytes)?;
            if let Some(scope) = scope {
                write_key::<F>(&mut parts.bytes, &mut dict, "scope")?;
                F::text(&mut parts.bytes, scope)?;
            }
            F::end_dict(&mut parts.bytes, dict);
            Ok(Payload::from_written(parts))
        })
    }
}

/// The places of the first `N` elements of a list; `None` for one that is absent or null.
fn positions<F: Format, const N: usize>(bytes: &[u8]) -> Result<[Option<Range<usize>>; N], Fault> {
    let mut places = [const { None }; N];
    let mut reader = F::reader(bytes, READ_DEPTH)?;
    let Token::List(mut list) = reader.value()? else { return Ok(places) };
    for place in &mut places {
        if !reader.element(&mut list)? {
            break;
        }
        let start = reader.position();
        *place = if reader.null()? {
            None
        } else {
            reader.skip()?;
            Some(start..reader.position())
        };
    }
    Ok(places)
}

/// The place of the value of the options in a dict; `None` if they are absent or null.
fn keyword<F: Format>(bytes: &[u8]) -> Result<Option<Range<usize>>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut place = None;
    let mut reader = F::reader(bytes, READ_DEPTH)?;
    let Token::Dict(mut dict) = reader.value()? else { return Ok(None) };
    while reader.entry(&mut dict)? {
        let is_options = reader.value()?.into_key()? == OPTIONS;
        reader.colon()?;
        let start = reader.position();
        if reader.null()? {
            continue;
        }
        reader.skip()?;
        if is_options {
            place = Some(start..reader.position());
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::{Arguments, RequestId};

    #[derive(Serialize)]
    struct Options {
        publish_options: Option<Inner>,
    }

    #[derive(Serialize)]
    struct Inner {
        retain: bool,
        eligible: Vec<u64>,
    }

    #[test]
    fn a_publication_is_cut_out_of_the_arguments_in_each_serializer() {
        for &serializer in Serializer::ALL {
            let args =
                ("com.a", (1, vec![2; 40], "x"), std::collections::BTreeMap::from([("k", 2.5)]), "surplus");
            let call = Arguments::new(serializer)
                .args(&args)
                .kwarg("scope", "detached")
                .kwargs(&Options { publish_options: Some(Inner { retain: true, eligible: vec![3] }) })
                .finish()
                .unwrap();
            let publish = Publish::from_testament(&call).unwrap();
            assert_eq!(publish.topic, "com.a");
            assert_eq!(publish.options.retain, Some(true));
            assert_eq!(publish.options.receivers.unwrap().eligible.unwrap().len(), 1);
            let expected = Arguments::new(serializer).args(&args.1).kwarg("k", &2.5).finish().unwrap();
            assert_eq!(publish.payload, expected);

            let call = Arguments::new(serializer)
                .args(&("com.a", (), ()))
                .kwargs(&Options { publish_options: None })
                .finish()
                .unwrap();
            let publish = Publish::from_testament(&call).unwrap();
            assert!(publish.payload.is_empty());
            let only_kwargs = ("com.a", (), std::collections::BTreeMap::from([("k", 1)]));
            let publish =
                Publish::from_testament(&Arguments::new(serializer).args(&only_kwargs).finish().unwrap());
            assert!(!publish.unwrap().payload.kwargs_bytes().is_empty());
        }
    }

    #[test]
    fn a_publication_becomes_the_same_again() {
        for &serializer in Serializer::ALL {
            let payloads = [
                Payload::empty(),
                Arguments::new(serializer).args(&(1, "x")).finish().unwrap(),
                Arguments::new(serializer).arg(&1).kwarg("k", &2).finish().unwrap(),
                Arguments::new(serializer).kwarg("k", &2).finish().unwrap(),
            ];
            for payload in payloads {
                let options = PublishOptions { retain: Some(true), ..PublishOptions::default() };
                let publish = Publish { request: RequestId::FIRST, options, topic: "com.a".into(), payload };
                for scope in [None, Some("detached")] {
                    let call = publish.to_testament(serializer, scope).unwrap();
                    assert_eq!(Publish::from_testament(&call).unwrap(), publish);
                    let scopes: std::collections::BTreeMap<String, serde::de::IgnoredAny> =
                        call.kwargs().unwrap();
                    assert_eq!(scopes.contains_key("scope"), scope.is_some());
                }
            }
        }
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for &serializer in Serializer::ALL {
            let error =
                |call: Arguments| Publish::from_testament(&call.finish().unwrap()).unwrap_err().to_string();
            let new = || Arguments::new(serializer);
            assert!(error(new()).contains("topic"));
            assert!(error(new().arg(&())).contains("topic"));
            assert!(error(new().arg(&1)).contains("Topic"), "{}", error(new().arg(&1)));
            assert!(error(new().args(&("a", 1))).contains("Arguments"));
            assert!(error(new().args(&("a", (), 1))).contains("ArgumentsKw"));
            assert!(error(new().arg("a").kwarg("publish_options", &1)).contains("Options"));
            let options = std::collections::BTreeMap::from([("retain", 1)]);
            assert!(error(new().arg("a").kwarg("publish_options", &options)).contains("retain"));
        }
    }
}
