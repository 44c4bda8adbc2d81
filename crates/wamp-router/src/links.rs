//! The links of a realm's sessions.

use std::sync::Arc;

use wamp_core::router::SessionKey;

use crate::outbound::Outbound;

/// The links of sessions, found by index instead of a hash.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// By the index of the session.
    slots: Vec<Option<(SessionKey, Arc<Outbound>)>>,
    len: usize,
}

impl Links {
    pub(crate) fn get(&self, session: SessionKey) -> Option<&Arc<Outbound>> {
        match self.slots.get(session.index())? {
            Some((key, link)) if *key == session => Some(link),
            _ => None,
        }
    }

    pub(crate) fn insert(&mut self, session: SessionKey, link: Arc<Outbound>) {
        let index = session.index();
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        self.len += usize::from(self.slots[index].replace((session, link)).is_none());
    }

    pub(crate) fn remove(&mut self, session: SessionKey) -> Option<Arc<Outbound>> {
        let slot = self.slots.get_mut(session.index())?;
        let (_, link) = slot.take_if(|(key, _)| *key == session)?;
        self.len -= 1;
        if self.len == 0 {
            self.slots = Vec::new();
        }
        Some(link)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}
