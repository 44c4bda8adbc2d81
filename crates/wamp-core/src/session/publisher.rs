//! The publisher: publications, and the acknowledgements that they request.

use wamp_proto::message::{self, PublishOptions, Receivers};
use wamp_proto::{Feature, Payload, RequestId, Role, Uri};

use super::{Event, Request, Session};
use crate::{Misuse, Time};

impl Session {
    /// Publishes to a topic. With `options.acknowledge`, [`Event::Published`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], [`Misuse::TooLarge`], [`Misuse::Encode`]; [`Misuse::NotSupported`] for lists of receivers,
    /// for `retain` and for opaque payloads if the router did not announce them: it would send the event to others, or forget it (behaviour
    /// [292](crate::behaviour#rule-292)).
    pub fn publish(
        &mut self,
        _now: Time,
        options: PublishOptions,
        topic: Uri,
        payload: Payload,
    ) -> Result<RequestId, Misuse> {
        self.check_publish(&options, &payload)?;
        let about = (options.acknowledge == Some(true)).then_some(Request::Publish);
        self.request(about, |request| message::Publish { request, options, topic, payload }.into())
    }

    /// Checks the options and the payload of a publication, which need not be made now.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], [`Misuse::Encode`] for options of an opaque payload, and [`Misuse::NotSupported`] as
    /// [`publish`](Self::publish) says.
    pub fn check_publish(&self, options: &PublishOptions, payload: &Payload) -> Result<(), Misuse> {
        self.check_open()?;
        self.check_opaque(Role::Broker, options.ppt.as_deref(), payload)?;
        let restricts = options.receivers.as_deref().is_some_and(|of| *of != Receivers::default());
        if restricts && !self.router.has(Role::Broker, Feature::SubscriberBlackwhiteListing)
            || options.retain == Some(true) && !self.router.has(Role::Broker, Feature::EventRetention)
        {
            return Err(Misuse::NotSupported);
        }
        Ok(())
    }

    pub(super) fn handle_published(&mut self, published: message::Published) {
        let (request, publication) = (published.request, published.publication);
        if self.answered(request, |pending| matches!(pending, Request::Publish)).is_some() {
            self.events.push_back(Event::Published { request, publication });
        }
    }
}
