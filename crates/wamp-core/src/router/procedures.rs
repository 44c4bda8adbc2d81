//! Which procedure is registered by whom (Advanced Profile, *Pattern-based Registrations*, *Shared
//! Registration*).
//!
//! A call finds its registration in O(1) where the URI was registered as it is, in the length of the URI where
//! a prefix of it was, and through a tree of components where a wildcard matches: never by looking at
//! registrations one by one.

use wamp_proto::message::{InvocationPolicy, MatchPolicy};
use wamp_proto::{RegistrationId, Uri};

use super::SessionKey;
use super::pattern::{Prefixes, Wildcards};
use crate::map::{Map, map};

/// A procedure, and all that registered it.
#[derive(Clone)]
pub(super) struct Registration {
    procedure: Uri,
    pub(super) policy: MatchPolicy,
    invoke: InvocationPolicy,
    /// In the order in which they registered; never empty.
    callees: Vec<Callee>,
    /// Whose turn it is.
    turn: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Callee {
    pub(super) session: SessionKey,
    /// It watches timeouts itself.
    pub(super) forward_timeout: bool,
    /// It wants to know who calls.
    pub(super) disclose_caller: bool,
}

impl Registration {
    /// The callee whose turn it is, and takes the turn. Those that are full are left out; `None` if all are.
    pub(super) fn take_turn(
        &mut self,
        rng: &mut fastrand::Rng,
        is_full: impl Fn(SessionKey) -> bool,
    ) -> Option<Callee> {
        let first = match self.invoke {
            InvocationPolicy::Random => rng.usize(..self.callees.len()),
            _ => self.first()?,
        };
        let index = self.in_turn(first).find(|index| !is_full(self.callees[*index].session))?;
        if self.invoke == InvocationPolicy::RoundRobin {
            self.turn = index + 1;
        }
        Some(self.callees[index])
    }

    /// The callee that `take_turn` would give, as far as that can be known.
    pub(super) fn next(&self, is_full: impl Fn(SessionKey) -> bool) -> Option<Callee> {
        let index = self.in_turn(self.first()?).find(|index| !is_full(self.callees[*index].session))?;
        Some(self.callees[index])
    }

    /// Who comes first if nobody is full; `None` if nobody can know.
    fn first(&self) -> Option<usize> {
        let count = self.callees.len();
        match self.invoke {
            InvocationPolicy::RoundRobin => Some(self.turn % count),
            InvocationPolicy::Random => None,
            InvocationPolicy::Last => Some(count - 1),
            _ => Some(0),
        }
    }

    /// All callees, beginning with this one.
    fn in_turn(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let (count, backwards) = (self.callees.len(), self.invoke == InvocationPolicy::Last);
        (0..count).map(move |step| if backwards { first - step } else { (first + step) % count })
    }
}

/// The registrations of a realm.
#[derive(Clone)]
pub(super) struct Procedures {
    exact: Map<Uri, RegistrationId>,
    prefixes: Prefixes,
    wildcards: Wildcards,
    registrations: Map<RegistrationId, Registration>,
    next: u64,
}

impl Procedures {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            exact: map(seed),
            prefixes: Prefixes::new(seed),
            wildcards: Wildcards::new(seed),
            registrations: map(seed),
            next: 1,
        }
    }

    /// Registers a procedure. `None`: somebody has, and it is not to be shared, or not like this.
    pub(super) fn register(
        &mut self,
        procedure: &Uri,
        policy: MatchPolicy,
        invoke: InvocationPolicy,
        callee: Callee,
    ) -> Option<RegistrationId> {
        let known = match policy {
            MatchPolicy::Prefix => self.prefixes.get(procedure),
            MatchPolicy::Wildcard => self.wildcards.get(procedure),
            _ => self.exact.get(procedure).copied(),
        };
        if let Some(id) = known {
            let registration = self.registrations.get_mut(&id)?;
            let shared = registration.invoke == invoke && invoke != InvocationPolicy::Single;
            if !shared || registration.callees.iter().any(|other| other.session == callee.session) {
                return None;
            }
            registration.callees.push(callee);
            return Some(id);
        }
        let id =
            RegistrationId::new(self.next).expect("2^53 registrations take longer than any router lives");
        self.next += 1;
        let procedure = procedure.detached();
        match policy {
            MatchPolicy::Prefix => self.prefixes.insert(procedure.clone(), id),
            MatchPolicy::Wildcard => self.wildcards.insert(&procedure, id),
            _ => {
                self.exact.insert(procedure.clone(), id);
            }
        }
        let registration = Registration { procedure, policy, invoke, callees: vec![callee], turn: 0 };
        self.registrations.insert(id, registration);
        Some(id)
    }

    /// The one registration that a call of this procedure goes to: exact before prefix before wildcard; the
    /// longest prefix; of wildcards the one with more components before each gap.
    pub(super) fn find(&self, procedure: &Uri) -> Option<RegistrationId> {
        let exact = self.exact.get(procedure).copied();
        exact.or_else(|| self.prefixes.find(procedure)).or_else(|| self.wildcards.find(procedure))
    }

    pub(super) fn get(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: RegistrationId) -> Option<&mut Registration> {
        self.registrations.get_mut(&id)
    }

    /// Takes a session out of a registration, which ends with its last one.
    pub(super) fn remove(&mut self, id: RegistrationId, session: SessionKey) {
        let Some(registration) = self.registrations.get_mut(&id) else { return };
        if let Some(index) = registration.callees.iter().position(|callee| callee.session == session) {
            registration.callees.remove(index);
            // Whose turn it was, it still is.
            registration.turn -= usize::from(index < registration.turn);
        }
        if registration.callees.is_empty() {
            match registration.policy {
                MatchPolicy::Prefix => self.prefixes.remove(&registration.procedure),
                MatchPolicy::Wildcard => self.wildcards.remove(&registration.procedure),
                _ => {
                    self.exact.remove(&registration.procedure);
                }
            }
            self.registrations.remove(&id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.registrations.len()
    }
}
