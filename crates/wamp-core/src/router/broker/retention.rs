//! Retained events (Advanced Profile, *Event Retention*; behaviour [117](crate::behaviour#rule-117) to
//! [122](crate::behaviour#rule-122)).

use std::collections::BTreeMap;

use wamp_proto::message::{EventDetails, MatchPolicy, Millis};
use wamp_proto::{Message, Payload, PublicationId, Uri};

use super::Broker;
use super::delivery::Publication;
use super::receivers::Lists;
use super::topics::Topic;
use crate::Time;
use crate::router::config::Retention;
use crate::router::context::Context;
use crate::router::opaque;
use crate::router::outbox::{FrameInfo, check};
use crate::router::sessions::{Session, SessionKey};

/// An event that was published with `retain`.
#[derive(Clone)]
struct Kept {
    /// A number that grows with every event.
    number: u64,
    id: PublicationId,
    payload: Payload,
    details: EventDetails,
    lists: Option<Lists>,
    /// The publisher, if it does not get the event.
    except: Option<SessionKey>,
    expires: Option<Time>,
    bytes: usize,
}

impl Kept {
    fn is_for(&self, to: SessionKey, session: &Session) -> bool {
        let is_transparent = opaque::is_transparent(self.details.ppt.as_deref());
        (!is_transparent || session.announced.subscriber_ppt.is_transparent())
            && self.except != Some(to)
            && self.lists.as_ref().is_none_or(|lists| lists.admit(to, &session.identity))
    }
}

/// The retained events of a realm: for each topic the last event without lists of receivers, and the later
/// events with lists, one for each set of lists.
#[derive(Clone, Default)]
pub(super) struct Retained {
    topics: BTreeMap<Uri, Vec<Kept>>,
    /// The topics of events that expire.
    expiring: BTreeMap<(Time, u64), Uri>,
    bytes: usize,
    count: u64,
}

impl Retained {
    /// Returns the number of topics.
    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Retains the event of a publication. Returns `false` if that would exceed a limit.
    pub(super) fn keep(
        &mut self,
        now: Time,
        limits: &Retention,
        publication: &Publication<'_>,
        ttl: Option<Millis>,
    ) -> bool {
        self.purge(now);
        if ttl == Some(Millis(0)) {
            self.forget(publication.topic);
            return true;
        }
        let Publication { id, topic, payload, details, lists, except, .. } = publication;
        let bytes = publication.kept_bytes();
        let of_topic = self.topics.get(*topic).map_or(&[][..], Vec::as_slice);
        let is_replaced = |kept: &&Kept| lists.is_none() || kept.lists == *lists;
        let mut gone: Vec<u64> = of_topic.iter().filter(is_replaced).map(|kept| kept.number).collect();
        if lists.is_some() && gone.is_empty() {
            let restricted = of_topic.iter().filter(|kept| kept.lists.is_some()).map(|kept| kept.number);
            let surplus = (restricted.clone().count() + 1).saturating_sub(limits.restricted);
            gone.extend(restricted.take(surplus));
        }
        let is_gone = |kept: &Kept| gone.contains(&kept.number);
        let freed: usize = of_topic.iter().filter(|kept| is_gone(kept)).map(|kept| kept.bytes).sum();
        if bytes > limits.event_bytes
            || self.bytes - freed + bytes > limits.bytes
            || of_topic.is_empty() && self.topics.len() >= limits.topics
        {
            return false;
        }
        self.remove(topic, is_gone);
        self.count += 1;
        let number = self.count;
        let expires = ttl.map(|Millis(ttl)| now + std::time::Duration::from_millis(ttl));
        let topic = topic.detached();
        if let Some(expires) = expires {
            self.expiring.insert((expires, number), topic.clone());
        }
        self.bytes += bytes;
        self.topics.entry(topic).or_default().push(Kept {
            number,
            id: *id,
            payload: (*payload).clone().detached(),
            details: detached(details),
            lists: lists.as_ref().map(Lists::detached),
            except: *except,
            expires,
            bytes,
        });
        true
    }

    /// Removes the events of a topic.
    pub(super) fn forget(&mut self, topic: &Uri) -> bool {
        let is_there = self.topics.contains_key(topic);
        self.remove(topic, |_| true);
        is_there
    }

    fn remove(&mut self, topic: &Uri, which: impl Fn(&Kept) -> bool) {
        let Some(of_topic) = self.topics.get_mut(topic) else { return };
        let (bytes, expiring) = (&mut self.bytes, &mut self.expiring);
        of_topic.retain(|kept| {
            let goes = which(kept);
            if goes {
                *bytes -= kept.bytes;
                if let Some(expires) = kept.expires {
                    expiring.remove(&(expires, kept.number));
                }
            }
            !goes
        });
        if of_topic.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Removes events that have expired.
    pub(super) fn purge(&mut self, now: Time) {
        while let Some(first) = self.expiring.first_entry()
            && first.key().0 <= now
        {
            let ((_, number), topic) = first.remove_entry();
            self.remove(&topic, |kept| kept.number == number);
        }
    }

    /// Returns, for each topic that a subscription matches, the newest event for a session; the oldest of
    /// these events first.
    fn find(&self, of: &Topic, to: SessionKey, session: &Session) -> Vec<(&Uri, &Kept)> {
        // All URIs that a pattern matches begin with the text before its first gap.
        let begin = match of.policy() {
            MatchPolicy::Wildcard => literal(of.uri()),
            _ => of.uri(),
        };
        let topics = self.topics.range(Uri::from(begin)..).take_while(|(topic, _)| topic.starts_with(begin));
        let newest = |kept: &'_ [Kept]| kept.iter().rposition(|kept| kept.is_for(to, session));
        let mut found: Vec<_> = topics
            .take_while(|(topic, _)| of.policy() != MatchPolicy::Exact || *topic == of.uri())
            .filter(|(topic, _)| of.policy() != MatchPolicy::Wildcard || matches(of.uri(), topic))
            .filter_map(|(topic, kept)| newest(kept).map(|at| (topic, &kept[at])))
            .collect();
        found.sort_unstable_by_key(|(_, kept)| kept.number);
        found
    }
}

/// Returns the text of a wildcard pattern before its first gap.
fn literal(pattern: &str) -> &str {
    let mut end = 0;
    for component in pattern.split('.') {
        if component.is_empty() {
            return &pattern[..end];
        }
        end = (end + component.len() + 1).min(pattern.len());
    }
    pattern
}

/// Returns whether a wildcard pattern matches a URI.
fn matches(pattern: &str, uri: &str) -> bool {
    let (mut pattern, mut uri) = (pattern.split('.'), uri.split('.'));
    loop {
        match (pattern.next(), uri.next()) {
            (None, None) => return true,
            (Some(own), Some(component)) if own.is_empty() || own == component => {}
            _ => return false,
        }
    }
}

/// Returns the details in memory of their own, which does not keep a frame alive.
pub(super) fn detached(details: &EventDetails) -> EventDetails {
    EventDetails {
        ppt: details.ppt.as_deref().map(|ppt| Box::new(ppt.detached())),
        extra: details.extra.detached(),
        ..details.clone()
    }
}

impl Broker {
    /// Retains the event of a publication that was delivered.
    pub(super) fn retain(&mut self, cx: &mut Context, publication: &Publication<'_>, ttl: Option<Millis>) {
        if !self.retained.keep(cx.now, &cx.config.retention, publication, ttl) {
            cx.stats.not_retained += 1;
        }
    }

    /// Removes the retained events of a topic. Returns `false` if there are none.
    pub(in crate::router) fn forget_retained(&mut self, topic: &Uri) -> bool {
        self.retained.forget(topic)
    }

    /// Returns the number of topics with retained events, and the bytes of these events.
    pub(in crate::router) fn retained(&self) -> (usize, usize) {
        (self.retained.len(), self.retained.bytes())
    }

    /// Sends a subscriber the retained events that it would have received.
    pub(super) fn send_retained(&mut self, cx: &mut Context, to: SessionKey, of: wamp_proto::SubscriptionId) {
        self.retained.purge(cx.now);
        let (Some(topic), Some(session)) = (self.topics.get(of), cx.sessions.get(to)) else { return };
        let limits = cx.config.retention;
        let (mut sent, mut bytes) = (0, 0);
        for (uri, kept) in self.retained.find(topic, to, session) {
            let event = (sent < limits.sent && bytes < limits.sent_bytes && !session.drops_events())
                .then(|| kept.event(topic, uri, session))
                .flatten();
            let Some(event) = event else {
                cx.stats.events_dropped += 1;
                continue;
            };
            (sent, bytes) = (sent + 1, bytes + kept.bytes);
            cx.stats.events += 1;
            cx.out.send(to, event);
        }
    }
}

impl Kept {
    /// Returns the event for a subscriber; `None` if it cannot be encoded for it.
    fn event(&self, of: &Topic, topic: &Uri, to: &Session) -> Option<Message> {
        let payload = FrameInfo::none().payload(&self.payload, to).ok()?;
        let details = EventDetails { retained: Some(true), ..self.details.clone() };
        let event = of.event(self.id, topic, details, payload);
        check(&event, to).is_ok().then_some(event)
    }
}
