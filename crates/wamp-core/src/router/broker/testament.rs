//! Testaments: publications that are made when their session is over (behaviour [134](crate::behaviour#rule-134),
//! [135](crate::behaviour#rule-135)).

use wamp_proto::message::{self, EventDetails, PublishOptions};
use wamp_proto::{PublicationId, uri};

use super::Broker;
use super::delivery::Publication;
use super::publish::{check_topic, disclose, retains};
use super::receivers::Lists;
use crate::auth::Identity;
use crate::router::context::{Context, Refused};
use crate::router::outbox::FrameInfo;
use crate::router::roles::Actions;
use crate::router::sessions::SessionKey;

impl Broker {
    /// Checks a testament as if its session published it now.
    pub(in crate::router) fn check_testament(
        &self,
        cx: &Context,
        from: SessionKey,
        publish: &message::Publish,
    ) -> Result<(), Refused> {
        let Some(session) = cx.sessions.get(from) else { return Ok(()) };
        if publish.options.ppt.is_some() && !session.announced.publisher_ppt {
            let text = "this session did not announce payload_passthru_mode as a publisher";
            return Err((uri::INVALID_ARGUMENT, text.to_owned()));
        }
        check_topic(&cx.config, &publish.topic, false)?;
        retains(&publish.options)?;
        let disclosure = session.authorize(Actions::PUBLISH, &publish.topic)?;
        let disclosure = disclosure.unwrap_or(cx.config.publisher_disclosure);
        disclose(disclosure, &publish.options, from, &session.identity)?;
        Ok(())
    }

    /// Publishes a testament of a session that is over.
    pub(in crate::router) fn publish_testament(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        identity: &Identity,
        publish: message::Publish,
    ) {
        let message::Publish { options, topic, payload, .. } = publish;
        // They were checked when the testament was made.
        let Ok(ttl) = retains(&options) else { return };
        let role = cx.config.roles.get(&identity.authrole);
        let allowed = role.map_or(Ok(None), |role| role.check(Actions::PUBLISH, &topic));
        let Ok(disclosure) = allowed else { return };
        let disclosure = disclosure.unwrap_or(cx.config.publisher_disclosure);
        let Ok(peer) = disclose(disclosure, &options, from, identity) else { return };
        let publication = Publication {
            id: PublicationId::new(cx.chance.id()).expect("drawn from the range of ids"),
            topic: &topic,
            payload: &payload,
            details: EventDetails {
                ppt: options.ppt,
                peer,
                extra: options.extra.forwarded(&[PublishOptions::RETAIN_TTL]),
                ..EventDetails::default()
            },
            lists: Lists::new(options.receivers),
            except: None,
        };
        self.deliver(cx, &publication, &FrameInfo::none(), self.topics.exact(&topic));
        if let Some(ttl) = ttl {
            self.retain(cx, &publication, ttl);
        }
    }
}
