//! Testaments: publications that are made when their session is over (behaviour [134](crate::behaviour#rule-134),
//! [135](crate::behaviour#rule-135)).

use wamp_proto::message::{self, MatchPolicy};
use wamp_proto::{PublicationId, uri};

use super::Broker;
use super::delivery::Publication;
use super::publish::{check, check_topic};
use crate::auth::Identity;
use crate::router::context::{Context, Refused};
use crate::router::meta::Testament;
use crate::router::opaque;
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
        if let Some(ppt) = &publish.options.ppt {
            if session.announced.publisher_ppt.forbid(ppt) {
                let text = "this session did not announce payload_passthru_mode as a publisher";
                return Err((uri::INVALID_ARGUMENT, text.to_owned()));
            }
            opaque::check(ppt, &publish.payload)?;
        }
        check_topic(&cx.config, &publish.topic, false)?;
        let allowed = || Ok((session.authorize(Actions::PUBLISH, &publish.topic)?, None));
        check(&cx.config, from, &session.identity, &publish.options, allowed).map(|_| ())
    }

    /// Publishes a testament of a session that is over.
    pub(in crate::router) fn publish_testament(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        identity: &Identity,
        testament: Testament,
    ) {
        let Testament { publish, verdict, .. } = testament;
        let message::Publish { options, topic, payload, .. } = publish;
        let roles = &cx.config.roles;
        let role = roles.get(&identity.authrole);
        // The role is gone since the configuration changed: nothing is allowed any more.
        if role.is_none() && !roles.is_empty() {
            return;
        }
        let allowed = || match role {
            None => Ok((None, None)),
            // Its authorizer was asked when the testament was made. What a rule has allowed needs a rule.
            Some(role) => match verdict {
                Some(verdict) if role.asks(Actions::PUBLISH, MatchPolicy::Exact, &topic) => {
                    Ok((verdict.disclosure(), None))
                }
                _ => {
                    let disclosure = role.check(Actions::PUBLISH, &topic)?;
                    Ok((disclosure, role.trust(Actions::PUBLISH, &topic)))
                }
            },
        };
        // They were checked when the testament was made.
        let Ok(checked) = check(&cx.config, from, identity, &options, allowed) else { return };
        let id = PublicationId::new(cx.chance.id()).expect("drawn from the range of ids");
        let publication = Publication::new(id, &topic, &payload, options, checked.peer, None);
        self.deliver(cx, &publication, &FrameInfo::none(), self.topics.exact(&topic));
        self.histories.keep(cx.now, &publication);
        if let Some(ttl) = checked.retains {
            self.retain(cx, &publication, ttl);
        }
    }
}
