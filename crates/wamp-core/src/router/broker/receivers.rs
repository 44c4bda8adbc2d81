//! The receivers of a publication whose publisher restricts them (Advanced Profile, *Subscriber Black- and
//! Whitelisting*; behaviour [110](crate::behaviour#rule-110) to [113](crate::behaviour#rule-113)).

use std::collections::BTreeSet;

use wamp_proto::ByteString;
use wamp_proto::message::Receivers;

use crate::auth::Identity;
use crate::router::SessionKey;
use crate::router::sessions::Sessions;

/// Lists of receivers, sorted. Every list that is present restricts the receivers, even an empty one.
#[derive(Clone, PartialEq)]
pub(super) struct Lists(Box<Receivers>);

impl Lists {
    /// `None` if no list is present.
    pub(super) fn new(receivers: Option<Box<Receivers>>) -> Option<Self> {
        let mut lists = receivers.filter(|receivers| **receivers != Receivers::default())?;
        for ids in [&mut lists.eligible, &mut lists.exclude].into_iter().flatten() {
            ids.sort_unstable();
            ids.dedup();
        }
        let Receivers { eligible_authid, eligible_authrole, exclude_authid, exclude_authrole, .. } =
            &mut *lists;
        for names in
            [eligible_authid, eligible_authrole, exclude_authid, exclude_authrole].into_iter().flatten()
        {
            names.sort_unstable();
            names.dedup();
        }
        Some(Self(lists))
    }

    /// Returns whether a list names sessions.
    pub(super) fn name_sessions(&self) -> bool {
        self.0.eligible.is_some() || self.0.exclude.is_some()
    }

    /// Returns whether a session is a receiver.
    pub(super) fn admit(&self, session: SessionKey, identity: &Identity) -> bool {
        let Receivers {
            eligible,
            eligible_authid,
            eligible_authrole,
            exclude,
            exclude_authid,
            exclude_authrole,
        } = &*self.0;
        has(eligible, &session.id()) != Some(false)
            && has(eligible_authid, &identity.authid) != Some(false)
            && has(eligible_authrole, &identity.authrole) != Some(false)
            && has(exclude, &session.id()) != Some(true)
            && has(exclude_authid, &identity.authid) != Some(true)
            && has(exclude_authrole, &identity.authrole) != Some(true)
    }

    /// Returns the subscribers to check: those whose ids are eligible, if these are fewer than all, in the
    /// order of `subscribers`.
    pub(super) fn candidates(
        &self,
        sessions: &Sessions,
        subscribers: &BTreeSet<SessionKey>,
    ) -> Vec<SessionKey> {
        match &self.0.eligible {
            Some(eligible) if eligible.len() < subscribers.len() => {
                let keys = eligible.iter().filter_map(|id| sessions.key(*id));
                let mut keys: Vec<SessionKey> = keys.filter(|key| subscribers.contains(key)).collect();
                keys.sort_unstable();
                keys
            }
            _ => subscribers.iter().copied().collect(),
        }
    }

    /// Returns the memory that the lists take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        bytes(&self.0)
    }

    /// Returns the same lists in memory of their own, which does not keep a frame alive.
    pub(super) fn detached(&self) -> Self {
        Self(Box::new(self.0.detached()))
    }
}

/// Returns the memory that lists take, in bytes.
pub(in crate::router) fn bytes(lists: &Receivers) -> usize {
    let Receivers { eligible, eligible_authid, eligible_authrole, exclude, exclude_authid, exclude_authrole } =
        lists;
    let ids: usize = [eligible, exclude].into_iter().flatten().map(|ids| size_of_val(&**ids)).sum();
    let names = [eligible_authid, eligible_authrole, exclude_authid, exclude_authrole];
    let name = |name: &ByteString| name.len() + size_of::<ByteString>();
    size_of::<Receivers>() + ids + names.into_iter().flatten().flatten().map(name).sum::<usize>()
}

/// Returns whether a list has an element; `None` without a list.
fn has<T: Ord>(list: &Option<Vec<T>>, element: &T) -> Option<bool> {
    list.as_ref().map(|list| list.binary_search(element).is_ok())
}

#[cfg(test)]
mod tests {
    use wamp_proto::SessionId;

    use super::*;

    const STATES: [Option<bool>; 3] = [None, Some(false), Some(true)];

    // behaviour 111
    #[test]
    fn each_of_the_six_lists_that_is_present_must_hold() {
        let ours = |hit: bool| SessionId::new(if hit { 7 } else { 8 }).unwrap();
        let mut identity = crate::auth::Identity::anonymous("anonymous", 1);
        (identity.authid, identity.authrole) = ("joe".into(), "user".into());
        let session = SessionKey::new(0, ours(true));
        let mut cells = 0;
        for case in 0..3_usize.pow(6) {
            let state = |list: u32| STATES[case / 3_usize.pow(list) % 3];
            let ids = |list| state(list).map(|hit| vec![ours(false), ours(hit)]);
            let names = |list, name: &str| {
                state(list).map(|hit| vec!["x".into(), if hit { name } else { "JOE" }.into()])
            };
            let lists = Lists::new(Some(Box::new(Receivers {
                eligible: ids(0),
                eligible_authid: names(1, "joe"),
                eligible_authrole: names(2, "user"),
                exclude: ids(3),
                exclude_authid: names(4, "joe"),
                exclude_authrole: names(5, "user"),
            })));
            let expected =
                (0..3).all(|list| state(list) != Some(false)) && (3..6).all(|list| state(list) != Some(true));
            match lists {
                Some(lists) => assert_eq!(lists.admit(session, &identity), expected, "{case}"),
                None => assert_eq!(case, 0),
            }
            cells += 1;
        }
        assert_eq!(cells, 729);
    }
}
