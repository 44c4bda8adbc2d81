//! PUBLISH: its checks and its events.

use wamp_proto::message::{self, Discloser, Millis, PublishOptions, RequestKind};
use wamp_proto::uri::UriKind;
use wamp_proto::{PublicationId, Uri, quoted, uri};

use super::Broker;
use super::delivery::Publication;
use crate::auth::Identity;
use crate::router::config::{Config, Disclosure};
use crate::router::context::{Context, Refused, Violation};
use crate::router::opaque;
use crate::router::outbox::FrameInfo;
use crate::router::roles::Actions;
use crate::router::sessions::SessionKey;

impl Broker {
    pub(in crate::router) fn handle_publish(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        publish: message::Publish,
        prepared: &FrameInfo,
    ) -> Result<(), Violation> {
        cx.check_request(from, "PUBLISH", publish.request)?;
        self.publish(cx, from, publish, prepared)
    }

    /// Handles a PUBLISH whose id has been checked.
    #[inline]
    pub(in crate::router) fn publish(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        publish: message::Publish,
        prepared: &FrameInfo,
    ) -> Result<(), Violation> {
        let message::Publish { request, options, topic, payload } = publish;
        let Some(session) = cx.sessions.get(from) else { return Ok(()) };
        if let Some(ppt) = &options.ppt
            && session.announced.publisher_ppt.forbid(ppt)
        {
            let text = "PUBLISH with ppt_scheme by a publisher that did not announce payload_passthru_mode";
            return Err(text.into());
        }
        let acknowledge = options.acknowledge == Some(true);
        let exact = self.topics.exact(&topic);
        let allowed = || {
            let disclosure = session.authorize(Actions::PUBLISH, &topic)?;
            Ok((disclosure, session.trust(Actions::PUBLISH, &topic)))
        };
        let checked = check_topic(&cx.config, &topic, exact.is_some())
            .and_then(|()| options.ppt.as_ref().map_or(Ok(()), |ppt| opaque::check(ppt, &payload)))
            .and_then(|()| check(&cx.config, from, &session.identity, &options, allowed));
        let Checked { retains, peer } = match checked {
            Ok(checked) => checked,
            Err((error, text)) => {
                cx.stats.publications_refused += 1;
                if acknowledge {
                    cx.refuse(from, RequestKind::Publish, request, error, &text);
                }
                return Ok(());
            }
        };
        let id = PublicationId::new(cx.chance.id()).expect("drawn from the range of ids");
        if acknowledge {
            // Before its own event, if it gets one (behaviour 108).
            cx.out.send(from, message::Published { request, publication: id });
        }
        let except = (options.exclude_me != Some(false)).then_some(from);
        let publication = Publication::new(id, &topic, &payload, options, peer, except);
        self.deliver(cx, &publication, prepared, exact);
        self.histories.keep(cx.now, &publication);
        if let Some(ttl) = retains {
            self.retain(cx, &publication, ttl);
        }
        Ok(())
    }
}

/// The parts of a publication that follow from its options.
pub(super) struct Checked {
    /// Whether the event is retained, and for how long.
    pub(super) retains: Option<Option<Millis>>,
    /// The identity of the publisher, if it is disclosed.
    pub(super) peer: Option<Box<Discloser>>,
}

/// Checks the options and the rights of a publication, whose topic is good. `allowed` returns the disclosure
/// and the trust level of the rule that allows it.
pub(super) fn check(
    config: &Config,
    from: SessionKey,
    publisher: &Identity,
    options: &PublishOptions,
    allowed: impl FnOnce() -> Result<(Option<Disclosure>, Option<u64>), Refused>,
) -> Result<Checked, Refused> {
    let retains = retains(options)?;
    let (disclosure, trustlevel) = allowed()?;
    let disclosure = disclosure.unwrap_or(config.publisher_disclosure);
    let mut peer = disclose(disclosure, options, from, publisher)?;
    if trustlevel.is_some() {
        peer.get_or_insert_default().trustlevel = trustlevel;
    }
    Ok(Checked { retains, peer })
}

/// Checks the topic of a publication. A topic with subscribers was checked when they subscribed.
pub(super) fn check_topic(config: &Config, topic: &Uri, has_subscribers: bool) -> Result<(), Refused> {
    if !has_subscribers {
        config.check_uri(topic, UriKind::Exact)?;
    }
    if topic.is_reserved() {
        return Err((uri::INVALID_URI, format!("{} is reserved: it begins with \"wamp\"", quoted(topic))));
    }
    Ok(())
}

/// Returns whether the event is retained, and for how long.
fn retains(options: &PublishOptions) -> Result<Option<Option<Millis>>, Refused> {
    if options.retain != Some(true) {
        return Ok(None);
    }
    match options.retain_ttl().transpose() {
        Ok(ttl) => Ok(Some(ttl)),
        Err(error) => {
            Err((uri::INVALID_ARGUMENT, format!("the option \"_retain_ttl\" cannot be read: {error}")))
        }
    }
}

/// Returns the identity of the publisher for its events: none, unless it asks for disclosure and the realm
/// allows it (behaviour [114](crate::behaviour#rule-114), [115](crate::behaviour#rule-115)).
fn disclose(
    policy: Disclosure,
    options: &PublishOptions,
    key: SessionKey,
    publisher: &Identity,
) -> Result<Option<Box<Discloser>>, Refused> {
    let asks = options.disclose_me == Some(true);
    match policy {
        Disclosure::Never if asks => {
            let text = "this realm does not disclose publishers";
            return Err((uri::DISCLOSE_ME_DISALLOWED, text.to_owned()));
        }
        Disclosure::Never => return Ok(None),
        Disclosure::OnRequest if !asks => return Ok(None),
        Disclosure::OnRequest | Disclosure::Always => {}
    }
    Ok(Some(Box::new(Discloser {
        publisher: Some(key.id()),
        publisher_authid: Some(publisher.authid.clone()),
        publisher_authrole: Some(publisher.authrole.clone()),
        ..Discloser::default()
    })))
}
