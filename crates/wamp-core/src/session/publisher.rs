//! The publisher: publications that want an acknowledgement.

use wamp_proto::message::{self, PublishOptions};
use wamp_proto::{Payload, RequestId, Uri};

use super::{Event, Request, Session};
use crate::{Misuse, Time};

impl Session {
    /// Publishes to a topic. With `options.acknowledge`, [`Event::Published`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    /// [`Misuse::NotOpen`], [`Misuse::TooLarge`], [`Misuse::Encode`].
    pub fn publish(
        &mut self,
        _now: Time,
        options: PublishOptions,
        topic: Uri,
        payload: Payload,
    ) -> Result<RequestId, Misuse> {
        self.check_open()?;
        let about = (options.acknowledge == Some(true)).then_some(Request::Publish);
        self.request(about, |request| message::Publish { request, options, topic, payload }.into())
    }

    pub(super) fn handle_published(&mut self, published: message::Published) {
        let (request, publication) = (published.request, published.publication);
        if self.answered(request, |pending| matches!(pending, Request::Publish)).is_some() {
            self.events.push_back(Event::Published { request, publication });
        }
    }
}
