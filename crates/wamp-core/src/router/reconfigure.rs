//! Changes of the configuration while sessions are open (behaviour [267](crate::behaviour#rule-267),
//! [268](crate::behaviour#rule-268)).
//!
//! Each session is judged anew: it ends if it could not join any more, gets the rules of its role, and loses the
//! registrations and subscriptions that these do not allow. That is done in portions, like
//! [the end of sessions](super::departure). A session that joins or declares something in the meantime is judged by the
//! new rules already.

use std::fmt;
use std::sync::Arc;

use wamp_proto::{RegistrationId, SubscriptionId, uri};

use super::config::{Config, Credit};
use super::departure::Ending;
use super::realm::Realm;
use super::roles::Role;
use super::sessions::SessionKey;
use crate::Time;
use crate::auth::Identity;

const NOT_ADMITTED: &str = "the configuration has changed: join again";
const NO_ROLE: &str = "this realm does not have the role of the session any more";

/// Decides whether the identity of a session is still admitted.
type Admits = Arc<dyn Fn(&Identity) -> bool + Send + Sync>;

/// Sessions that are judged anew, the last of the list first.
#[derive(Clone)]
pub(super) struct Judgement {
    admits: Admits,
    sessions: Vec<SessionKey>,
    /// The remaining entries of the session that is being judged.
    current: Option<(SessionKey, Entries)>,
}

#[derive(Clone)]
struct Entries {
    registrations: Vec<RegistrationId>,
    subscriptions: Vec<SubscriptionId>,
    /// The role of the session when it declared them.
    before: Option<Arc<Role>>,
}

impl fmt::Debug for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judgement").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl Realm {
    /// Changes the configuration of the realm, and judges its sessions by it. A session that `admits` rejects ends with
    /// GOODBYE `wamp.error.authentication_failed`, one whose role is gone with `wamp.error.no_such_role`. Registrations
    /// and subscriptions without a right are revoked with `wamp.error.not_authorized`. Calls that have begun go on. Of
    /// many sessions the rest is judged in [`handle_timeout`](Self::handle_timeout).
    ///
    /// `name`, `agent`, `epoch` and `history` stay. So does whether there is [credit](Config::credit), and its window, since
    /// WELCOME has told the clients. `max_window` and `patience` change.
    pub fn reconfigure(
        &mut self,
        now: Time,
        mut config: Config,
        admits: impl Fn(&Identity) -> bool + Send + Sync + 'static,
    ) {
        self.cx.now = now;
        let old = &self.cx.config;
        (config.name, config.agent, config.epoch) = (old.name.clone(), old.agent.clone(), old.epoch);
        config.credit = old.credit.map(|old| Credit { window: old.window, ..config.credit.unwrap_or(old) });
        config.history.clone_from(&old.history);
        self.cx.config = config;
        let sessions = self.cx.sessions.keys();
        self.judge_all(Judgement { admits: Arc::new(admits), sessions, current: None });
    }

    /// Ends all sessions with GOODBYE `wamp.close.close_realm` and accepts no more, since the realm is removed. If there
    /// are many, the rest follows in [`handle_timeout`](Self::handle_timeout).
    pub fn close_realm(&mut self, now: Time) {
        self.cx.now = now;
        self.begin_ending(Ending::Removed);
    }

    /// Judges one session, or one entry of it. Returns how much that counts for, or `None` if none was left.
    pub(super) fn judge_one(&mut self, judgement: &mut Judgement) -> Option<usize> {
        let Judgement { admits, sessions, current } = judgement;
        if let Some((session, entries)) = current {
            if let Some(registration) = entries.registrations.pop() {
                self.dealer.judge(&mut self.cx, *session, registration, entries.before.as_deref());
                return Some(1);
            }
            if let Some(subscription) = entries.subscriptions.pop() {
                self.broker.judge(&mut self.cx, *session, subscription, entries.before.as_deref());
                return Some(1);
            }
            *current = None;
        }
        let key = sessions.pop()?;
        let Some(session) = self.cx.sessions.get_mut(key) else { return Some(1) };
        if !admits(&session.identity) {
            self.say_goodbye(self.cx.now, key, uri::AUTHENTICATION_FAILED, Some(NOT_ADMITTED));
            return Some(1);
        }
        let roles = &self.cx.config.roles;
        let role = roles.get(&session.identity.authrole).cloned();
        if role.is_none() && !roles.is_empty() {
            self.say_goodbye(self.cx.now, key, uri::NO_SUCH_ROLE, Some(NO_ROLE));
            return Some(1);
        }
        let before = std::mem::replace(&mut session.role, role);
        let entries = Entries {
            registrations: session.dealer.registration_ids(),
            subscriptions: session.broker.subscription_ids(),
            before,
        };
        let waiting = self.update_waiting(key);
        *current = Some((key, entries));
        Some(1 + waiting)
    }
}
