//! Registrations by procedure (Advanced Profile, *Pattern-based Registrations*, *Shared Registration*;
//! behaviour [65](crate::behaviour#rule-65)).
//!
//! A call finds its registration in O(1) if the exact URI is registered, in the length of the URI if a prefix
//! is, and by one probe for each shape of wildcards of its length: never by looking at registrations one by
//! one.

use wamp_proto::message::{InvocationPolicy, MatchPolicy};
use wamp_proto::{RegistrationId, Uri};

use crate::map::HashSeed;
use crate::router::SessionKey;
use crate::router::chance::below;
use crate::router::patterns::{NoRoom, Patterns};
use crate::slots::Slots;

/// A procedure and its callees. It fills one cache line: among many registrations that is the cost of a call.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Registration {
    procedure: Box<str>,
    pub(super) id: RegistrationId,
    callees: Callees,
    /// The index of the callee whose turn it is.
    turn: usize,
    pub(super) policy: MatchPolicy,
    invoke: InvocationPolicy,
}

/// The key of a registration, as long as it has a callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RegistrationKey(usize);

/// Why a procedure was not registered.
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
    /// It watches timeouts itself.
    pub(super) forward_timeout: bool,
    /// It asks for the identity of callers.
    pub(super) disclose_caller: bool,
}

impl Registration {
    /// The callee whose turn it is, and its index. Full ones are skipped; `None` if all are full, or if the
    /// policy is random and there is no `draw`.
    pub(super) fn choose(
        &self,
        draw: Option<u64>,
        is_full: impl Fn(SessionKey) -> bool,
    ) -> Option<(usize, Callee)> {
        let callees = self.callees.as_slice();
        let first = match self.invoke {
            InvocationPolicy::Random => below(draw?, callees.len()),
            InvocationPolicy::RoundRobin => self.turn % callees.len(),
            InvocationPolicy::Last => callees.len() - 1,
            _ => 0,
        };
        let index = self.in_turn(first).find(|index| !is_full(callees[*index].session))?;
        Some((index, callees[index]))
    }

    /// The indexes of all callees, beginning with this one.
    fn in_turn(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let (count, backwards) = (self.callees.as_slice().len(), self.invoke == InvocationPolicy::Last);
        (0..count).map(move |step| if backwards { first - step } else { (first + step) % count })
    }
}

/// The registrations of a realm.
#[derive(Clone)]
pub(super) struct Procedures {
    registrations: Slots<Registration>,
    patterns: Patterns,
    next: u64,
}

impl Procedures {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self { registrations: Slots::new(), patterns: Patterns::new(seed), next: 1 }
    }

    /// Registers a procedure, with a limit on the shapes of wildcards.
    pub(super) fn register(
        &mut self,
        procedure: &Uri,
        policy: MatchPolicy,
        invoke: InvocationPolicy,
        callee: Callee,
        shapes: usize,
    ) -> Result<(RegistrationId, RegistrationKey), NotRegistered> {
        self.patterns.check_room(policy, procedure, shapes).map_err(NotRegistered::NoRoom)?;
        if let Some(entry) = self.registered(procedure, policy) {
            let registration = &mut self.registrations[entry];
            let shared = registration.invoke == invoke && invoke != InvocationPolicy::Single;
            let mut callees = registration.callees.as_slice().iter();
            if !shared || callees.any(|other| other.session == callee.session) {
                return Err(NotRegistered::Exists);
            }
            registration.callees.push(callee);
            return Ok((registration.id, RegistrationKey(entry)));
        }
        let id =
            RegistrationId::new(self.next).expect("2^53 registrations take longer than any router lives");
        self.next += 1;
        let (own, callees) = (procedure.as_str().into(), Callees::One(callee));
        let registration = Registration { procedure: own, id, callees, turn: 0, policy, invoke };
        let entry = self.registrations.insert(registration);
        self.patterns.insert(policy, procedure, entry);
        Ok((id, RegistrationKey(entry)))
    }

    /// The registration that a call of this procedure goes to: exact before prefix before wildcard; the longest
    /// prefix; of wildcards the one with more components before each gap.
    pub(super) fn find(&self, procedure: &Uri) -> Option<(RegistrationKey, &Registration)> {
        let entry = self.entry(procedure)?;
        Some((RegistrationKey(entry), &self.registrations[entry]))
    }

    /// The callee with this index has had its turn.
    pub(super) fn take_turn(&mut self, key: RegistrationKey, index: usize) {
        if let Some(registration) = self.registrations.get_mut(key.0)
            && registration.invoke == InvocationPolicy::RoundRobin
        {
            registration.turn = index + 1;
        }
    }

    /// Removes the sessions that are not in the realm any more from a registration. Returns whether there was
    /// one.
    pub(super) fn retain(
        &mut self,
        procedure: &Uri,
        policy: MatchPolicy,
        is_in_realm: impl Fn(SessionKey) -> bool,
    ) -> bool {
        let Some(entry) = self.registered(procedure, policy) else { return false };
        let callees = self.registrations[entry].callees.as_slice().iter();
        let gone: Vec<SessionKey> =
            callees.map(|callee| callee.session).filter(|session| !is_in_realm(*session)).collect();
        for session in &gone {
            self.remove(RegistrationKey(entry), *session);
        }
        !gone.is_empty()
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
    pub(super) fn remove(&mut self, key: RegistrationKey, session: SessionKey) {
        let RegistrationKey(entry) = key;
        let Some(registration) = self.registrations.get_mut(entry) else { return };
        // A session that has left may have been removed before, and another registration be in its slot.
        let callees = registration.callees.as_slice();
        let Some(index) = callees.iter().position(|callee| callee.session == session) else { return };
        if let Callees::Many(callees) = &mut registration.callees
            && callees.len() > 1
        {
            callees.remove(index);
            // The turn stays with the same callee.
            registration.turn -= usize::from(index < registration.turn);
            return;
        }
        let Registration { procedure, policy, .. } = self.registrations.remove(entry);
        self.patterns.remove(policy, &procedure, entry);
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
