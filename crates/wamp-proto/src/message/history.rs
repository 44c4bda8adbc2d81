//! The result of `wamp.subscription.get_events` (Advanced Profile, *Event History*).

use super::EventDetails;
use super::wire::{Wire as _, write_key};
use crate::error::EncodeError;
use crate::id::{PublicationId, SubscriptionId};
use crate::parts::Parts;
use crate::payload::Payload;
use crate::serializer::{Format, Mark, Serializer, with_format};

/// An event of the history of a subscription.
#[derive(Clone, Copy, Debug)]
pub struct PastEvent<'a> {
    /// The time of the publication, as in RFC 3339.
    pub timestamp: &'a str,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The publication.
    pub publication: PublicationId,
    /// The details of the event, with its topic.
    pub details: &'a EventDetails,
    /// The arguments of the event, which become `args` and `kwargs`, or its binary, which becomes `payload`.
    pub payload: &'a Payload,
}

/// A builder of the result of `wamp.subscription.get_events`: the list of arguments is the list of events. The arguments
/// of the events are copied or transcoded, and not decoded.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use wamp_proto::message::{EventDetails, PastEvent, PastEvents};
/// use wamp_proto::{Payload, PublicationId, Serializer, SubscriptionId};
///
/// let payload = Payload::new(Serializer::Json, &(7,))?;
/// let mut events = PastEvents::new(Serializer::Json);
/// events.push(&PastEvent {
///     timestamp: "2026-03-01T12:00:00.000Z",
///     subscription: SubscriptionId::new(1).unwrap(),
///     publication: PublicationId::new(2).unwrap(),
///     details: &EventDetails::default(),
///     payload: &payload,
/// })?;
/// let result = events.finish(true, false)?;
/// let event = br#"{"timestamp":"2026-03-01T12:00:00.000Z","subscription":1,"publication":2,"details":{},"args":[7]}"#;
/// assert_eq!(result.args_bytes(), [b"[".as_slice(), event, b"]"].concat());
/// assert_eq!(result.kwargs_bytes(), br#"{"is_limit_reached":true,"more":false}"#);
/// # }
/// # Ok::<(), wamp_proto::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct PastEvents {
    serializer: Serializer,
    bytes: Vec<u8>,
    list: Mark,
}

impl PastEvents {
    /// No events yet.
    pub fn new(serializer: Serializer) -> Self {
        let mut bytes = Vec::new();
        let list = with_format!(serializer, F => F::begin_list(&mut bytes, None));
        Self { serializer, bytes, list }
    }

    /// Adds an event. Returns the number of bytes that it takes.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that the serializer cannot express. Then nothing is added.
    pub fn push(&mut self, event: &PastEvent<'_>) -> Result<usize, EncodeError> {
        self.push_within(event, usize::MAX)
    }

    /// Adds an event unless it takes more bytes than `limit`. Returns the number of bytes that it takes, added or not.
    ///
    /// # Errors
    /// [`EncodeError`] for a value that the serializer cannot express. Then nothing is added.
    pub fn push_within(&mut self, event: &PastEvent<'_>, limit: usize) -> Result<usize, EncodeError> {
        let mut one = Vec::<u8>::new();
        let payload = event.payload.transcode(self.serializer)?;
        with_format!(self.serializer, F => {
            write::<F>(&mut one, event, &payload)?;
            if one.len() <= limit {
                F::element(&mut self.bytes, &mut self.list);
                self.bytes.extend_from_slice(&one);
            }
        });
        Ok(one.len())
    }

    /// Ends the list, and adds the keywords `is_limit_reached` and `more`.
    ///
    /// # Errors
    /// None in practice: every serializer can express them.
    pub fn finish(self, is_limit_reached: bool, more: bool) -> Result<Payload, EncodeError> {
        let Self { serializer, bytes, list } = self;
        let mut parts = Parts::begin(serializer, bytes);
        with_format!(serializer, F => {
            F::end_list(&mut parts.bytes, list);
            parts.elements = 2;
            parts.begin_kwargs::<F>();
            let mut dict = F::begin_dict(&mut parts.bytes, Some(2));
            for (key, value) in [("is_limit_reached", is_limit_reached), ("more", more)] {
                write_key::<F>(&mut parts.bytes, &mut dict, key)?;
                F::bool(&mut parts.bytes, value);
            }
            F::end_dict(&mut parts.bytes, dict);
        });
        Ok(Payload::from_written(parts))
    }
}

fn write<F: Format>(out: &mut Vec<u8>, event: &PastEvent<'_>, payload: &Payload) -> Result<(), EncodeError> {
    let (args, kwargs) = (payload.args_bytes(), payload.kwargs_bytes());
    let first = if payload.is_binary() { "payload" } else { "args" };
    let parts = [(first, args), ("kwargs", kwargs)].into_iter().filter(|(_, bytes)| !bytes.is_empty());
    let mut dict = F::begin_dict(out, Some(4 + parts.clone().count()));
    write_key::<F>(out, &mut dict, "timestamp")?;
    F::text(out, event.timestamp)?;
    let ids = [("subscription", event.subscription.get()), ("publication", event.publication.get())];
    for (key, id) in ids {
        write_key::<F>(out, &mut dict, key)?;
        F::unsigned(out, id);
    }
    write_key::<F>(out, &mut dict, "details")?;
    event.details.write::<F>(out)?;
    for (key, bytes) in parts {
        write_key::<F>(out, &mut dict, key)?;
        out.extend_from_slice(bytes);
    }
    F::end_dict(out, dict);
    Ok(())
}
