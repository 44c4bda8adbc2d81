//! The end of a holder that is gone: a principal that comes back does not wait until its earlier session is given up
//! (behaviour [299](crate::behaviour#rule-299)).

use wamp_proto::message::{MatchPolicy, Register};

use super::Dealer;
use crate::auth::{Identity, Method};
use crate::router::SessionKey;
use crate::router::context::{Context, Due};
use crate::router::event::Event;

impl Dealer {
    /// Asks for a sign of life of the session that has a procedure, after REGISTER of another session was refused for it.
    /// Each session is asked once at a time.
    pub(super) fn probe_holder(&self, cx: &mut Context, from: SessionKey, register: &Register) {
        let within = cx.config.takeover_after;
        let policy = register.options.policy.unwrap_or(MatchPolicy::Exact);
        let Some(holder) = self.procedures.holder(&register.procedure, policy) else { return };
        if within.is_zero() || holder == from || cx.probed.contains_key(&holder) {
            return;
        }
        let identity = |key| cx.sessions.get(key).map(|session| &*session.identity);
        if let (Some(one), Some(other)) = (identity(from), identity(holder))
            && are_one_principal(one, other)
        {
            let deadline = cx.deadlines.set(cx.now + within, Due::Probe(holder));
            cx.probed.insert(holder, deadline);
            cx.events.push_back(Event::Probe { session: holder, within });
        }
    }
}

/// Whether two sessions have proved the same authid.
fn are_one_principal(one: &Identity, other: &Identity) -> bool {
    let anonymous = Method::Anonymous.name();
    one.authid == other.authid && one.authmethod != anonymous && other.authmethod != anonymous
}
