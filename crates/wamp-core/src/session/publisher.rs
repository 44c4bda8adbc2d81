//! The publisher: publications, and the acknowledgements that they request.

use wamp_proto::message::{self, PublishOptions, Receivers};
use wamp_proto::{Feature, Payload, RequestId, Role, Uri};

use super::{Event, Request, Session};
use crate::{Misuse, Time};

impl Session {
    /// Publishes to a topic. With `options.acknowledge`, [`Event::Published`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], [`Misuse::TooLarge`], [`Misuse::Encode`]; [`Misuse::NotSupported`] for lists of receivers and
    /// for `retain` if the router did not announce them: it would send the event to others, or forget it (behaviour
    /// [292](crate::behaviour#rule-292)).
    pub fn publish(
        &mut self,
        _now: Time,
        options: PublishOptions,
        topic: Uri,
        payload: Payload,
    ) -> Result<RequestId, Misuse> {
        self.check_publish(&options)?;
        let about = (options.acknowledge == Some(true)).then_some(Request::Publish);
        self.request(about, |request| message::Publish { request, options, topic, payload }.into())
    }

    /// Checks the options of a publication, which need not be made now.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], and [`Misuse::NotSupported`] as [`publish`](Self::publish) says.
    pub fn check_publish(&self, options: &PublishOptions) -> Result<(), Misuse> {
        self.check_open()?;
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
