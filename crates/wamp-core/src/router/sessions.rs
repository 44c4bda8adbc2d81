//! The sessions of a realm.

use std::sync::Arc;
use std::time::Duration;

use wamp_proto::message::MatchPolicy;
use wamp_proto::{RequestId, Serializer, SessionId, Uri, uri};

use super::chance::Chance;
use super::config::{Disclosure, Limits};
use super::features::Announced;
use super::join::Transport;
use super::refused::Refused;
use super::roles::{Actions, Role};
pub(super) use super::session_key::SessionKey;
use super::snapshot::Portion;
use super::verdicts::Verdict;
use super::waiting::Waiting;
use super::{broker, dealer, meta, pace};
use crate::Time;
use crate::auth::Identity;
use crate::map::{self, HashSeed, Map, map};
use crate::request_ids::Watermark;
use crate::slots::Slots;

/// The facts about a session that only administrators see.
#[derive(Clone)]
pub(super) struct About {
    /// The time of WELCOME.
    pub(super) joined: Time,
    /// The beginning of its agent.
    pub(super) agent: Option<Box<str>>,
    /// The address of the other end.
    pub(super) peer: Option<Box<str>>,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) identity: Arc<Identity>,
    /// `None` if it may do everything.
    pub(super) role: Option<Arc<Role>>,
    pub(super) transport: Transport,
    pub(super) about: Box<About>,
    pub(super) announced: Announced,
    /// See [`Realm::set_without_goodbye`](super::Realm::set_without_goodbye).
    pub(super) without_goodbye: bool,
    pub(super) serializer: Serializer,
    /// The longest message that its link accepts.
    pub(super) max_message: usize,
    /// The ids of its requests; `None` if they may be any.
    pub(super) requests: Option<Watermark>,
    /// The bytes of its registrations and subscriptions; see
    /// [`Limits::table_bytes`](super::Limits::table_bytes).
    pub(super) table_bytes: usize,
    /// The parts of its state that the parts of the realm own.
    pub(super) dealer: dealer::SessionPart,
    pub(super) broker: broker::SessionPart,
    /// `None` as long as its link and the links that it feeds have kept up.
    pub(super) pace: Option<Box<pace::SessionPart>>,
    /// `None` as long as it has not asked the meta API for a list and has no testament.
    pub(super) meta: Option<Box<meta::SessionPart>>,
    /// `None` if its role has no authorizer.
    pub(super) waiting: Option<Box<Waiting>>,
}

impl Session {
    /// Checks whether it may do this. Returns the disclosure that the rule sets, if any.
    #[inline]
    pub(super) fn authorize(&self, action: Actions, uri: &Uri) -> Result<Option<Disclosure>, Refused> {
        match &self.role {
            None => Ok(None),
            Some(role) => role
                .check(action, uri)
                .or_else(|refused| self.decided(role.asks(action, MatchPolicy::Exact, uri), refused)),
        }
    }

    /// The verdict that allows a publication to this topic, if its authorizer decides about that.
    pub(super) fn verdict_on(&self, topic: &Uri) -> Option<Verdict> {
        let asks = self.role.as_ref()?.asks(Actions::PUBLISH, MatchPolicy::Exact, topic);
        self.waiting.as_ref().filter(|_| asks)?.verdict
    }

    /// The trust level of a request that it may make, if the rule has one (behaviour
    /// [116](crate::behaviour#rule-116)).
    #[inline]
    pub(super) fn trust(&self, action: Actions, uri: &Uri) -> Option<u64> {
        self.role.as_ref()?.trust(action, uri)
    }

    /// Whether it may take over any registration of this procedure or pattern.
    pub(super) fn forces(&self, policy: MatchPolicy, uri: &Uri) -> bool {
        self.role.as_ref().is_some_and(|role| role.forces(policy, uri))
    }

    /// Checks whether it may do this with all URIs of a pattern.
    pub(super) fn authorize_pattern(
        &self,
        action: Actions,
        policy: MatchPolicy,
        uri: &Uri,
    ) -> Result<(), Refused> {
        match &self.role {
            None => Ok(()),
            Some(role) => role
                .check_pattern(action, policy, uri)
                .or_else(|refused| self.decided(role.asks(action, policy, uri), refused).map(|_| ())),
        }
    }

    /// Whether it may keep what it has declared for this URI or pattern, after a change of its role, which was `before`
    /// (behaviour [267](crate::behaviour#rule-267)). Its authorizer is not asked again: what it decided about stays.
    pub(super) fn may_keep(
        &self,
        action: Actions,
        policy: MatchPolicy,
        uri: &Uri,
        before: Option<&Role>,
    ) -> Result<(), Refused> {
        let asks = |role: &Role| role.asks(action, policy, uri);
        match (before, &self.role) {
            (Some(before), Some(now)) if asks(before) && asks(now) => Ok(()),
            _ => self.authorize_pattern(action, policy, uri),
        }
    }

    /// What is left of the timeout of a call, which may have waited for a decision.
    #[inline]
    pub(super) fn time_left(&self, timeout: Option<Duration>) -> Option<Duration> {
        match &self.waiting {
            None => timeout,
            Some(waiting) => waiting.left.or(timeout),
        }
    }

    /// The decision of its authorizer, if that `decides`, about the request that is being handled.
    #[cold]
    fn decided(&self, decides: bool, refused: Refused) -> Result<Option<Disclosure>, Refused> {
        let waiting = self.waiting.as_ref().filter(|_| decides);
        match waiting.and_then(|waiting| waiting.verdict) {
            Some(verdict) if verdict.is_allowed() => Ok(verdict.disclosure()),
            Some(verdict) if verdict.is_undecided() => {
                let text = "it could not be decided whether this session is authorized to do this";
                Err((uri::AUTHORIZATION_FAILED, text.to_owned()))
            }
            _ => Err(refused),
        }
    }

    /// Whether it has a call under way, or waiting for authorization, that it made by this request.
    #[inline]
    pub(super) fn is_calling(&self, request: RequestId) -> bool {
        self.dealer.is_calling(request)
            || self.waiting.as_ref().is_some_and(|waiting| waiting.is_calling(request))
    }

    /// The bytes of its tables with one more registration or subscription for this URI.
    ///
    /// # Errors
    /// The URI and the text of an ERROR, if that exceeds the limit.
    pub(super) fn check_table(&self, uri: &str, limits: &Limits) -> Result<usize, (Uri, String)> {
        let (bytes, limit) = (self.table_bytes + table_bytes(uri), limits.table_bytes);
        if bytes > limit {
            let text = format!("the registrations and subscriptions of a session may hold {limit} bytes");
            return Err((uri::UNAVAILABLE, text));
        }
        Ok(bytes)
    }

    /// Returns the total time for which the router has not read from it.
    pub(super) fn held(&self, now: Time) -> Duration {
        self.pace.as_ref().map_or(Duration::ZERO, |pace| pace.held(now))
    }
}

/// The bytes that a registration or subscription of this URI counts, including its places in the tables.
pub(super) fn table_bytes(uri: &str) -> usize {
    uri.len() + 256
}

#[derive(Clone)]
pub(super) struct Sessions {
    slab: Slots<(SessionId, Session)>,
    ids: Map<SessionId, usize>,
}

impl Sessions {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { slab: Slots::new(), ids: map(seed) }
    }

    /// Adds a session under this id, or else under a random one that no other session has. Returns `None` if another
    /// session has the id.
    pub(super) fn insert(
        &mut self,
        chance: &mut Chance,
        id: Option<SessionId>,
        session: Session,
    ) -> Option<SessionKey> {
        let id = match id {
            Some(id) => Some(id).filter(|id| !self.ids.contains_key(id))?,
            None => loop {
                let id = SessionId::new(chance.id()).expect("drawn from the range of ids");
                if !self.ids.contains_key(&id) {
                    break id;
                }
            },
        };
        let index = self.slab.insert((id, session));
        self.ids.insert(id, index);
        Some(SessionKey::new(index, id))
    }

    pub(super) fn has(&self, key: SessionKey) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.slab.get(key.index()).filter(|(id, _)| *id == key.id()).map(|(_, session)| session)
    }

    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.slab.get_mut(key.index()).filter(|(id, _)| *id == key.id()).map(|(_, session)| session)
    }

    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        self.get(key)?;
        map::remove(&mut self.ids, &key.id());
        Some(self.slab.remove(key.index()).1)
    }

    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.slab.iter().map(|(index, (id, _))| SessionKey::new(index, *id)).collect()
    }

    /// The session with this id.
    pub(super) fn key(&self, id: SessionId) -> Option<SessionKey> {
        self.ids.get(&id).map(|index| SessionKey::new(*index, id))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        self.slab.iter().map(|(index, (id, session))| (SessionKey::new(index, *id), session))
    }

    /// The sessions at the places from `from` on, of which `places` are looked at.
    pub(super) fn portion<T>(
        &self,
        from: usize,
        places: usize,
        show: impl Fn(SessionKey, &Session) -> T,
    ) -> Portion<T> {
        let row =
            |index, (id, session): &(SessionId, Session)| Some(show(SessionKey::new(index, *id), session));
        let (rows, next) = self.slab.portion(from, places, row);
        Portion { rows, next }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }
}
