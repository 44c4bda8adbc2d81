//! `wamp.subscription.get_events` (Advanced Profile, *Event History*; behaviour [125](crate::behaviour#rule-125) to
//! [127](crate::behaviour#rule-127)).

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use wamp_proto::message::{PastEvent, PastEvents};
use wamp_proto::{PublicationId, SubscriptionId, uri};

use super::{Answer, Procedure, Request, lists};
use crate::router::broker::history::{Log, Past};
use crate::router::context::Refused;
use crate::router::outbox::HEAD;
use crate::router::realm::Realm;
use crate::router::roles::Actions;
use crate::timestamp::{self, rfc_3339};

pub(super) const PROCEDURES: &[Procedure] = &[lists("wamp.subscription.get_events", get_events)];

/// The most events and bytes of one answer. Further ones are for the next call.
const EVENTS: usize = 1_000;
const BYTES: usize = 1 << 20;

/// The most events, and bytes of their payloads, that one call examines, since some of them may be left out of its answer.
const EXAMINED: usize = 4 * EVENTS;
const EXAMINED_BYTES: usize = 4 * BYTES;

/// An upper bound of the bytes of an answer besides its events: the ends of the list, and the keywords.
const FRAME: usize = 64;

/// The keywords: which events are wanted. All that are present must hold.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Filter {
    reverse: Option<bool>,
    limit: Option<u64>,
    from_time: Option<String>,
    after_time: Option<String>,
    before_time: Option<String>,
    until_time: Option<String>,
    topic: Option<String>,
    from_publication: Option<u64>,
    after_publication: Option<u64>,
    before_publication: Option<u64>,
    until_publication: Option<u64>,
}

/// The range of times that a filter leaves.
struct Times {
    from: Option<Duration>,
    after: Option<Duration>,
    before: Option<Duration>,
    until: Option<Duration>,
}

impl Times {
    fn read(filter: &Filter) -> Result<Self, Refused> {
        let read = |key: &str, text: &Option<String>| {
            let Some(text) = text else { return Ok(None) };
            let text = timestamp::read(text);
            text.map(Some).ok_or_else(|| invalid(&format!("{key:?} is not a time as in RFC 3339")))
        };
        Ok(Self {
            from: read("from_time", &filter.from_time)?,
            after: read("after_time", &filter.after_time)?,
            before: read("before_time", &filter.before_time)?,
            until: read("until_time", &filter.until_time)?,
        })
    }

    fn admit(&self, time: Duration) -> bool {
        self.from.is_none_or(|from| time >= from)
            && self.after.is_none_or(|after| time > after)
            && self.before.is_none_or(|before| time < before)
            && self.until.is_none_or(|until| time <= until)
    }
}

impl Filter {
    /// The events between the publications that the filter names. Without the event nothing comes after it, and everything
    /// before it.
    fn range(&self, log: &Log) -> Range<usize> {
        let events = log.events();
        let place = |id: Option<u64>| {
            let id = PublicationId::new(id?);
            Some(events.iter().position(|event| Some(event.id) == id))
        };
        let mut range = 0..events.len();
        for (id, next) in [(self.from_publication, 0), (self.after_publication, 1)] {
            if let Some(place) = place(id) {
                range.start = range.start.max(place.map_or(events.len(), |place| place + next));
            }
        }
        for (id, next) in [(self.before_publication, 0), (self.until_publication, 1)] {
            if let Some(Some(place)) = place(id) {
                range.end = range.end.min(place + next);
            }
        }
        range.start.min(range.end)..range.end
    }
}

fn get_events(realm: &Realm, request: &Request<'_>) -> Result<Answer, Refused> {
    let id: u64 = request.argument()?;
    let filter: Filter = request.keywords()?;
    let limit = match filter.limit {
        Some(0) => return Err(invalid("\"limit\" must be at least 1")),
        limit => {
            limit.map_or(EVENTS, |limit| usize::try_from(limit).map_or(EVENTS, |limit| limit.min(EVENTS)))
        }
    };
    let times = Times::read(&filter)?;
    let cx = &realm.cx;
    let gone = || (uri::CANCELED, "the caller has left".to_owned());
    let session = cx.sessions.get(request.from).ok_or_else(gone)?;
    let subscription = SubscriptionId::new(id);
    let found = subscription.and_then(|id| Some((id, realm.broker.pattern(cx, id)?)));
    let (subscription, (policy, pattern)) =
        found.ok_or_else(|| (uri::NO_SUCH_SUBSCRIPTION, format!("no subscription has the id {id}")))?;
    session.authorize_pattern(Actions::SUBSCRIBE, policy, &pattern)?;
    let log = realm.broker.history(subscription).ok_or_else(|| {
        (uri::HISTORY_UNAVAILABLE, format!("the events of the subscription {id} are not kept"))
    })?;
    let is_wanted = |event: &&Past| {
        event.is_for(request.from, session)
            && times.admit(event.time(cx.config.epoch))
            && filter.topic.as_ref().is_none_or(|topic| topic == event.topic())
    };
    let range = filter.range(log);
    let mut events: Box<dyn Iterator<Item = &Past>> = match filter.reverse {
        Some(true) => Box::new(log.events().range(range).rev().filter(is_wanted)),
        _ => Box::new(log.events().range(range).filter(is_wanted)),
    };
    // The room for one event alone, and for all.
    let alone = session.max_message.saturating_sub(HEAD + FRAME);
    let room = BYTES.min(alone);
    let mut answer = PastEvents::new(request.serializer);
    let (mut count, mut bytes, mut more) = (0, 0, false);
    let (mut examined, mut examined_bytes) = (0, 0);
    for event in events.by_ref() {
        if count == limit || examined == EXAMINED || examined_bytes >= EXAMINED_BYTES {
            more = true;
            break;
        }
        (examined, examined_bytes) = (examined + 1, examined_bytes + event.payload.len());
        let timestamp = rfc_3339(event.time(cx.config.epoch));
        let past = PastEvent {
            timestamp: &timestamp,
            subscription,
            publication: event.id,
            details: &event.details,
            payload: &event.payload,
        };
        let left = if count == 0 { alone } else { room.saturating_sub(bytes) };
        match answer.push_within(&past, left) {
            // One byte is for the comma of JSON.
            Ok(len) if len <= left => (count, bytes) = (count + 1, bytes + len + 1),
            Ok(len) if len <= alone => {
                more = true;
                break;
            }
            // An event that cannot be written for the caller, or never fits, is left out.
            _ => {}
        }
    }
    let payload = answer.finish(count == limit || more, more);
    let payload = payload.map_err(|error| invalid(&format!("the result cannot be written: {error}")))?;
    Ok(Answer { payload, effect: None })
}

fn invalid(text: &str) -> Refused {
    (uri::INVALID_ARGUMENT, text.to_owned())
}
