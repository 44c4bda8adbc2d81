//! The delivery of events: each is built once for a subscription and a serializer.

use wamp_proto::message::{Discloser, EventDetails, Ppt, PublishOptions};
use wamp_proto::{ByteString, Message, Payload, PublicationId, Serializer, Uri};

use super::Broker;
use super::receivers::Lists;
use super::topics::Topic;
use crate::router::context::Context;
use crate::router::opaque;
use crate::router::outbox::{FrameInfo, HEAD, is_plain};
use crate::router::sessions::{Session, SessionKey, Sessions};

/// The bytes that a kept event counts in addition to its contents.
const OVERHEAD: usize = 256;

/// A publication.
pub(super) struct Publication<'a> {
    pub(super) id: PublicationId,
    pub(super) topic: &'a Uri,
    pub(super) payload: &'a Payload,
    /// The details of its events, without `topic`.
    pub(super) details: EventDetails,
    pub(super) lists: Option<Lists>,
    /// A session that gets no event.
    pub(super) except: Option<SessionKey>,
    /// Only subscribers that announced payload transparency take its events.
    is_transparent: bool,
}

/// The payload of a publication in the serializers of its subscribers, made on demand.
struct Payloads<'a> {
    payload: &'a Payload,
    prepared: &'a FrameInfo,
    made: Vec<(Serializer, Option<Payload>)>,
}

impl Payloads<'_> {
    /// Returns the payload in the serializer of this session; `None` if that cannot express it.
    fn get(&mut self, to: &Session) -> Option<Payload> {
        if self.payload.is_empty() || self.payload.serializer() == Some(to.serializer) {
            return Some(self.payload.clone());
        }
        if let Some((_, payload)) = self.made.iter().find(|(serializer, _)| *serializer == to.serializer) {
            return payload.clone();
        }
        let payload = self.prepared.payload(self.payload, to).ok();
        self.made.push((to.serializer, payload.clone()));
        payload
    }
}

/// The subscribers with the same serializer.
struct Group {
    serializer: Serializer,
    /// `None` if the serializer cannot express it.
    event: Option<Built>,
    receivers: Vec<SessionKey>,
}

/// An event in a serializer.
struct Built {
    event: Message,
    /// Its length, if it was needed.
    bytes: Option<usize>,
}

impl Built {
    /// Returns whether a session accepts an event of this length.
    fn fits(&mut self, to: &Session) -> bool {
        if is_plain(&self.event) && self.event.payload().len() + HEAD <= to.max_message {
            return true;
        }
        let event = &self.event;
        let measure = || event.encoded_len(to.serializer).unwrap_or(usize::MAX);
        *self.bytes.get_or_insert_with(measure) <= to.max_message
    }
}

impl<'a> Publication<'a> {
    /// A publication with these options, which have been checked.
    pub(super) fn new(
        id: PublicationId,
        topic: &'a Uri,
        payload: &'a Payload,
        options: PublishOptions,
        peer: Option<Box<Discloser>>,
        except: Option<SessionKey>,
    ) -> Self {
        let extra = options.extra.forwarded(&[PublishOptions::RETAIN_TTL]);
        let is_transparent = opaque::is_transparent(options.ppt.as_deref());
        let details = EventDetails { ppt: options.ppt, peer, extra, ..EventDetails::default() };
        Self { id, topic, payload, details, lists: Lists::new(options.receivers), except, is_transparent }
    }

    /// Returns the bytes that its event counts where it is kept: its contents and 256.
    pub(super) fn kept_bytes(&self) -> usize {
        OVERHEAD
            + self.topic.len()
            + self.payload.len()
            + self.lists.as_ref().map_or(0, Lists::bytes)
            + details_len(&self.details)
    }

    /// Returns whether a session gets it according to the publisher.
    fn is_for(&self, sessions: &Sessions, lists: &Lists, to: SessionKey) -> bool {
        sessions.get(to).is_some_and(|session| lists.admit(to, &session.identity))
    }
}

impl Broker {
    /// Sends the events of a publication. `exact` is the subscription of exactly its topic.
    #[inline]
    pub(super) fn deliver(
        &self,
        cx: &mut Context,
        publication: &Publication<'_>,
        prepared: &FrameInfo,
        exact: Option<&Topic>,
    ) {
        let mut payloads = Payloads { payload: publication.payload, prepared, made: Vec::new() };
        if let Some(topic) = exact {
            deliver(cx, topic, publication, &mut payloads);
        }
        self.topics.each_pattern(publication.topic, |topic| deliver(cx, topic, publication, &mut payloads));
    }
}

/// Sends the events of one subscription.
fn deliver(cx: &mut Context, topic: &Topic, publication: &Publication<'_>, payloads: &mut Payloads<'_>) {
    let except = publication.except;
    let build = |session: &Session| {
        let payload = payloads.get(session)?;
        Some(topic.event(publication.id, publication.topic, publication.details.clone(), payload))
    };
    match &publication.lists {
        None if publication.is_transparent => {
            let receivers = topic.subscribers.iter().copied().filter(|to| Some(*to) != except).collect();
            let receivers = transparent(cx, receivers);
            send(cx, Source::Session, receivers.into_iter(), build);
        }
        None => {
            let receivers = topic.subscribers.iter().copied();
            send(cx, Source::Session, receivers.filter(|to| Some(*to) != except), build);
        }
        Some(lists) => {
            let mut receivers = lists.candidates(&cx.sessions, &topic.subscribers);
            receivers.retain(|to| Some(*to) != except && publication.is_for(&cx.sessions, lists, *to));
            if publication.is_transparent {
                receivers = transparent(cx, receivers);
            }
            send(cx, Source::Session, receivers.into_iter(), build);
        }
    }
}

/// Returns the receivers that take a payload by payload transparency; the events of the others are counted as dropped.
#[cold]
fn transparent(cx: &mut Context, mut receivers: Vec<SessionKey>) -> Vec<SessionKey> {
    let all = receivers.len();
    let sessions = &cx.sessions;
    receivers.retain(|to| sessions.get(*to).is_some_and(|to| to.announced.subscriber_ppt.is_transparent()));
    cx.stats.events_dropped += (all - receivers.len()) as u64;
    receivers
}

/// The source of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Session,
    /// The event is a meta event.
    Router,
}

/// Sends an event to these sessions. `build` makes it for a session, and for all others with the same serializer.
pub(super) fn send(
    cx: &mut Context,
    source: Source,
    mut receivers: impl Iterator<Item = SessionKey>,
    mut build: impl FnMut(&Session) -> Option<Message>,
) {
    let (Some(first), second) = (receivers.next(), receivers.next()) else { return };
    let mut build = |session: &Session| build(session).map(|event| Built { event, bytes: None });
    let Some(second) = second else {
        let Some(session) = cx.sessions.get(first) else { return };
        let event = if session.drops_events() { None } else { build(session) };
        if let Some(mut event) = event
            && event.fits(session)
        {
            cx.stats.events += 1;
            cx.out.send(first, event.event);
        } else {
            cx.stats.events_dropped += 1;
        }
        return;
    };
    let mut groups: Vec<Group> = Vec::new();
    for to in [first, second].into_iter().chain(receivers) {
        let Some(session) = cx.sessions.get(to) else { continue };
        if session.drops_events() {
            cx.stats.events_dropped += 1;
            continue;
        }
        let serializer = session.serializer;
        let known = groups.iter().position(|group| group.serializer == serializer);
        let index = known.unwrap_or_else(|| {
            // Once for all subscribers with this serializer.
            groups.push(Group { serializer, event: build(session), receivers: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[index];
        if group.event.as_mut().is_some_and(|event| event.fits(session)) {
            group.receivers.push(to);
        } else {
            cx.stats.events_dropped += 1;
        }
    }
    for Group { event, receivers, .. } in groups {
        cx.stats.events += receivers.len() as u64;
        if let Some(Built { event, .. }) = event {
            cx.out.send_to_all(receivers, event, source == Source::Router);
        }
    }
}

/// Returns the length of the texts and of the publisher's own keys in the details, in bytes.
fn details_len(details: &EventDetails) -> usize {
    let len =
        |texts: &[&Option<ByteString>]| texts.iter().copied().flatten().map(|text| text.len()).sum::<usize>();
    details.ppt.as_deref().map_or(0, Ppt::len)
        + details.peer.as_deref().map_or(0, |peer| len(&[&peer.publisher_authid, &peer.publisher_authrole]))
        + details.extra.encoded_len()
}
