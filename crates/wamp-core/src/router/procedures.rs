//! Which procedure is registered by whom.

use wamp_proto::{RegistrationId, Uri};

use super::SessionKey;
use crate::map::{Map, map};

pub(super) struct Registration {
    pub(super) procedure: Uri,
    pub(super) callee: SessionKey,
}

/// The registrations of a realm; a procedure is found in O(1).
pub(super) struct Procedures {
    exact: Map<Uri, RegistrationId>,
    registrations: Map<RegistrationId, Registration>,
    next: u64,
}

impl Procedures {
    pub(super) fn new(seed: u64) -> Self {
        Self { exact: map(seed), registrations: map(seed), next: 1 }
    }

    /// Registers a procedure, unless somebody has.
    pub(super) fn register(&mut self, procedure: &Uri, callee: SessionKey) -> Option<RegistrationId> {
        if self.exact.contains_key(procedure) {
            return None;
        }
        let id = RegistrationId::new(self.next).expect("2^53 registrations take longer than any router lives");
        self.next += 1;
        let procedure = procedure.detached();
        self.exact.insert(procedure.clone(), id);
        self.registrations.insert(id, Registration { procedure, callee });
        Some(id)
    }

    pub(super) fn find(&self, procedure: &Uri) -> Option<(RegistrationId, &Registration)> {
        let id = self.exact.get(procedure)?;
        Some((*id, self.registrations.get(id)?))
    }

    pub(super) fn remove(&mut self, id: RegistrationId) -> Option<Registration> {
        let registration = self.registrations.remove(&id)?;
        self.exact.remove(&registration.procedure);
        Some(registration)
    }

    pub(super) fn len(&self) -> usize {
        self.registrations.len()
    }
}
