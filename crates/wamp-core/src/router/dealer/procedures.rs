//! Registrations by procedure (Advanced Profile, *Pattern-based Registrations*, *Shared Registration*;
//! behaviour [65](crate::behaviour#rule-65)).
//!
//! A call finds its registration in O(1) if the exact URI is registered, in the length of the URI if a prefix
//! is, and by one probe for each shape of wildcards of its length: never by looking at registrations one by
//! one.

use std::num::NonZeroU32;
use std::time::Duration;

use wamp_proto::message::{InvocationPolicy, MatchPolicy};
use wamp_proto::{RegistrationId, Uri};

use super::loads::Loads;
use crate::Time;
use crate::map::{self, HashSeed, Map, map};
use crate::router::SessionKey;
use crate::router::chance::below;
use crate::router::meta_event::Created;
use crate::router::patterns::{NoRoom, Patterns};
use crate::router::snapshot::{Portion, RegistrationInfo};
use crate::slots::Slots;
use crate::timestamp::Moment;

/// A procedure and its callees. It fills one cache line: among many registrations that is the cost of a call.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Registration {
    procedure: Box<str>,
    pub(super) id: RegistrationId,
    callees: Callees,
    /// The index of the callee whose turn it is.
    turn: u32,
    created: Moment,
    pub(super) policy: MatchPolicy,
    invoke: InvocationPolicy,
}

/// The key of a registration, as long as it has a callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegistrationKey(usize);

/// A change of a registration by one callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) registration: RegistrationId,
    /// The callee is the first of the registration, or was the last.
    pub(super) is_only: bool,
}

/// The reason why a procedure was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRegistered {
    /// It is registered already and not shared, or shared with another policy.
    Exists,
    /// There is no room for a pattern like this.
    NoRoom(NoRoom),
}

/// The callees of a procedure, in the order of registration; never empty.
#[derive(Clone)]
enum Callees {
    One(Callee),
    #[expect(clippy::box_collection, reason = "a registration is to fill one line of the cache")]
    Many(Box<Vec<Callee>>),
}

impl Callees {
    fn as_slice(&self) -> &[Callee] {
        match self {
            Self::One(callee) => std::slice::from_ref(callee),
            Self::Many(callees) => callees,
        }
    }

    fn push(&mut self, callee: Callee) {
        match self {
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, callee])),
            Self::Many(callees) => callees.push(callee),
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Callee {
    pub(super) session: SessionKey,
    /// How many calls of the registration it takes at once.
    pub(super) concurrency: Option<NonZeroU32>,
    /// It watches timeouts itself.
    pub(super) forward_timeout: bool,
    /// It asks for the identity of callers.
    pub(super) disclose_caller: bool,
}

impl Registration {
    /// The sessions of its callees, in the order of registration.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionKey> + '_ {
        self.callees.as_slice().iter().map(|callee| callee.session)
    }

    /// The registration as the meta API shows it.
    pub(super) fn details(&self, epoch: Duration) -> Created {
        Created {
            id: self.id.get(),
            created: self.created.text(epoch),
            uri: self.procedure.to_string(),
            r#match: self.policy.as_str(),
            invoke: Some(self.invoke.as_str()),
        }
    }

    /// Whether there are callees besides these.
    pub(super) fn has_others(&self, is_one: impl Fn(SessionKey) -> bool) -> bool {
        self.sessions().any(|callee| !is_one(callee))
    }

    /// Whether a callee has as many calls as it takes.
    pub(super) fn is_at_limit(&self, loads: &Loads) -> bool {
        self.callees.as_slice().iter().any(|callee| {
            callee.concurrency.is_some_and(|limit| loads.get(self.id, callee.session) >= limit.get())
        })
    }

    /// Whether the running calls of a callee are counted.
    pub(super) fn counts(&self, callee: &Callee) -> bool {
        callee.concurrency.is_some() || self.invoke == InvocationPolicy::LeastLoaded
    }

    /// The callee whose turn it is, and its index. Full ones, and those with as many calls as they take, are skipped;
    /// `None` if no other is left, or if the policy needs a `draw` that is absent.
    pub(super) fn choose(
        &self,
        draw: Option<u64>,
        loads: &Loads,
        is_full: impl Fn(SessionKey) -> bool,
    ) -> Option<(usize, Callee)> {
        let callees = self.callees.as_slice();
        let load = |index: usize| loads.get(self.id, callees[index].session);
        let is_free = |index: &usize| {
            let Callee { session, concurrency, .. } = callees[*index];
            concurrency.is_none_or(|limit| load(*index) < limit.get()) && !is_full(session)
        };
        let first = match self.invoke {
            InvocationPolicy::Random => below(draw?, callees.len()),
            InvocationPolicy::RoundRobin => self.turn as usize % callees.len(),
            InvocationPolicy::LeastLoaded if callees.len() > COMPARED => below(draw?, callees.len()),
            InvocationPolicy::LeastLoaded => self.turn as usize % callees.len(),
            InvocationPolicy::Last => callees.len() - 1,
            _ => 0,
        };
        let index = match self.invoke {
            // The second draw is independent of the first: each has the half of the bits that counts.
            InvocationPolicy::Random if !is_free(&first) => {
                let free = Vec::from_iter((0..callees.len()).filter(is_free));
                *free.get(below(draw?.rotate_left(32), free.len()))?
            }
            InvocationPolicy::LeastLoaded if callees.len() > COMPARED => {
                let second = below(draw?.rotate_left(32), callees.len());
                let better = [first, second].into_iter().filter(is_free).min_by_key(|index| load(*index));
                better.or_else(|| self.in_turn(first).find(is_free))?
            }
            // Of several the first.
            InvocationPolicy::LeastLoaded => {
                self.in_turn(first).filter(is_free).min_by_key(|index| load(*index))?
            }
            _ => self.in_turn(first).find(is_free)?,
        };
        Some((index, callees[index]))
    }

    /// The indexes of all callees, beginning with this one.
    fn in_turn(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let (count, backwards) = (self.callees.as_slice().len(), self.invoke == InvocationPolicy::Last);
        (0..count).map(move |step| if backwards { first - step } else { (first + step) % count })
    }
}

/// Of more callees than these, the less loaded of two is chosen, instead of the least loaded of all.
const COMPARED: usize = 16;

/// The registrations of a realm.
#[derive(Clone)]
pub(super) struct Procedures {
    registrations: Slots<Registration>,
    patterns: Patterns,
    /// The entries by their ids.
    ids: Map<RegistrationId, usize>,
    next: u64,
}

impl Procedures {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { registrations: Slots::new(), patterns: Patterns::new(seed), ids: map(seed), next: 1 }
    }

    /// The registrations at the places from `from` on, of which `places` are looked at.
    pub(super) fn portion(&self, from: usize, places: usize) -> Portion<RegistrationInfo> {
        let (rows, next) = self.registrations.portion(from, places, |_, registration: &Registration| {
            Some(RegistrationInfo {
                id: registration.id,
                uri: registration.procedure.clone(),
                policy: registration.policy,
                invoke: registration.invoke,
                callees: registration.callees.as_slice().len(),
            })
        });
        Portion { rows, next }
    }

    /// Registers a procedure, with a limit on the shapes of wildcards.
    pub(super) fn register(
        &mut self,
        procedure: &Uri,
        policy: MatchPolicy,
        invoke: InvocationPolicy,
        callee: Callee,
        now: Time,
        shapes: usize,
    ) -> Result<(RegistrationKey, Change), NotRegistered> {
        self.patterns.check_room(policy, procedure, shapes).map_err(NotRegistered::NoRoom)?;
        if let Some(entry) = self.registered(procedure, policy) {
            let registration = &mut self.registrations[entry];
            let shared = registration.invoke == invoke && invoke != InvocationPolicy::Single;
            let mut callees = registration.callees.as_slice().iter();
            if !shared || callees.any(|other| other.session == callee.session) {
                return Err(NotRegistered::Exists);
            }
            registration.callees.push(callee);
            let change = Change { registration: registration.id, is_only: false };
            return Ok((RegistrationKey(entry), change));
        }
        Ok(self.insert(procedure, policy, invoke, callee, now))
    }

    /// Adds a registration that is not there yet. Limits are not checked.
    pub(super) fn insert(
        &mut self,
        procedure: &Uri,
        policy: MatchPolicy,
        invoke: InvocationPolicy,
        callee: Callee,
        now: Time,
    ) -> (RegistrationKey, Change) {
        let id =
            RegistrationId::new(self.next).expect("2^53 registrations take longer than any router lives");
        self.next += 1;
        let (own, callees) = (procedure.as_str().into(), Callees::One(callee));
        let registration =
            Registration { procedure: own, id, callees, turn: 0, created: Moment::new(now), policy, invoke };
        let entry = self.registrations.insert(registration);
        self.patterns.insert(policy, procedure, entry);
        self.ids.insert(id, entry);
        (RegistrationKey(entry), Change { registration: id, is_only: true })
    }

    /// The registration that a call of this procedure goes to: exact before prefix before wildcard; the longest
    /// prefix; of wildcards the one with more components before each gap.
    pub(super) fn find(&self, procedure: &Uri) -> Option<(RegistrationKey, &Registration)> {
        // A pattern such as the prefix "w" covers reserved URIs too, and its callee could pose as the router
        // (behaviour 101).
        if procedure.is_reserved() {
            return None;
        }
        let entry = self.entry(procedure)?;
        Some((RegistrationKey(entry), &self.registrations[entry]))
    }

    /// The callee with this index has had its turn.
    pub(super) fn take_turn(&mut self, key: RegistrationKey, index: usize) {
        if let Some(registration) = self.registrations.get_mut(key.0)
            && matches!(registration.invoke, InvocationPolicy::RoundRobin | InvocationPolicy::LeastLoaded)
        {
            registration.turn = u32::try_from(index).map_or(0, |index| index.wrapping_add(1));
        }
    }

    /// The sessions of a registration that are not in the realm any more.
    pub(super) fn gone(
        &self,
        procedure: &Uri,
        policy: MatchPolicy,
        is_in_realm: impl Fn(SessionKey) -> bool,
    ) -> Option<(RegistrationKey, Vec<SessionKey>)> {
        let entry = self.registered(procedure, policy)?;
        let callees = self.registrations[entry].sessions();
        Some((RegistrationKey(entry), callees.filter(|session| !is_in_realm(*session)).collect()))
    }

    /// The entry of exactly this registration.
    fn registered(&self, procedure: &Uri, policy: MatchPolicy) -> Option<usize> {
        self.patterns.get(policy, procedure, |entry| &self.registrations[entry].procedure)
    }

    fn entry(&self, procedure: &str) -> Option<usize> {
        self.patterns.best(procedure, |entry| &self.registrations[entry].procedure)
    }

    /// The procedure of a registration.
    pub(super) fn procedure(&self, key: RegistrationKey) -> &str {
        self.registrations.get(key.0).map_or("", |registration| &registration.procedure)
    }

    /// Removes a session from its registration, which ends with its last callee.
    /// Returns the change, if the session was in it.
    pub(super) fn remove(&mut self, key: RegistrationKey, session: SessionKey) -> Option<Change> {
        let RegistrationKey(entry) = key;
        let registration = self.registrations.get_mut(entry)?;
        // A session that has left may have been removed before, and another registration be in its slot.
        let callees = registration.callees.as_slice();
        let index = callees.iter().position(|callee| callee.session == session)?;
        let id = registration.id;
        if let Callees::Many(callees) = &mut registration.callees
            && callees.len() > 1
        {
            callees.remove(index);
            // The turn stays with the same callee.
            registration.turn -= u32::from(index < registration.turn as usize);
            return Some(Change { registration: id, is_only: false });
        }
        self.remove_entry(entry);
        Some(Change { registration: id, is_only: true })
    }

    /// Removes a registration with all its callees. Returns its id, and their sessions in the order of registration.
    pub(super) fn remove_all(
        &mut self,
        procedure: &Uri,
        policy: MatchPolicy,
    ) -> Option<(RegistrationId, Vec<SessionKey>)> {
        let entry = self.registered(procedure, policy)?;
        let removed = self.remove_entry(entry);
        Some((removed.id, removed.sessions().collect()))
    }

    fn remove_entry(&mut self, entry: usize) -> Registration {
        let removed = self.registrations.remove(entry);
        self.patterns.remove(removed.policy, &removed.procedure, entry);
        map::remove(&mut self.ids, &removed.id);
        removed
    }

    /// The registration with this id.
    pub(super) fn get(&self, id: RegistrationId) -> Option<(RegistrationKey, &Registration)> {
        let entry = *self.ids.get(&id)?;
        Some((RegistrationKey(entry), &self.registrations[entry]))
    }

    /// The registration of exactly this URI and policy.
    pub(super) fn lookup(&self, procedure: &Uri, policy: MatchPolicy) -> Option<&Registration> {
        self.registered(procedure, policy).map(|entry| &self.registrations[entry])
    }

    /// The session that has exactly this procedure, if it is not shared.
    pub(super) fn holder(&self, procedure: &Uri, policy: MatchPolicy) -> Option<SessionKey> {
        let registration = self.lookup(procedure, policy)?;
        let is_shared = registration.invoke != InvocationPolicy::Single;
        registration.sessions().next().filter(|_| !is_shared)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.iter().map(|(_, registration)| registration)
    }

    pub(super) fn len(&self) -> usize {
        self.registrations.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_fills_one_line_in_a_slab_too() {
        assert_eq!(size_of::<Option<Registration>>(), 64);
    }
}
