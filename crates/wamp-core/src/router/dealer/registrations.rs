//! REGISTER and UNREGISTER.

use std::num::NonZeroU32;

use wamp_proto::message::{
    self, InvocationPolicy, MatchPolicy, RegisterOptions, RequestKind, UnregisteredDetails,
};
use wamp_proto::{RegistrationId, Uri, quoted, uri};

use super::Dealer;
use super::inspect::note_unregistered;
use super::procedures::{Callee, Change, NotRegistered, RegistrationKey};
use crate::auth::Method;
use crate::map;
use crate::router::context::{Context, Refused, Violation};
use crate::router::roles::{Actions, Role};
use crate::router::sessions::{SessionKey, table_bytes};

impl Dealer {
    pub(in crate::router) fn handle_register(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        register: message::Register,
    ) -> Result<(), Violation> {
        cx.check_request(from, "REGISTER", register.request)?;
        self.register_or_refuse(cx, from, &register);
        Ok(())
    }

    /// Handles a REGISTER whose id has been checked.
    pub(in crate::router) fn register_or_refuse(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        register: &message::Register,
    ) {
        if let Err((error, text)) = self.register(cx, from, register) {
            if error == uri::PROCEDURE_ALREADY_EXISTS {
                self.probe_holder(cx, from, register);
            }
            cx.refuse(from, RequestKind::Register, register.request, error, &text);
        }
    }

    fn register(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        register: &message::Register,
    ) -> Result<(), Refused> {
        let Some(session) = cx.sessions.get(from) else { return Ok(()) };
        let message::Register { options, procedure, .. } = register;
        for key in ["match", "invoke"] {
            if options.extra.contains(key) {
                return Err((uri::INVALID_ARGUMENT, format!("unknown value for the option {key:?}")));
            }
        }
        let concurrency = concurrency(options)?;
        let policy = options.policy.unwrap_or(MatchPolicy::Exact);
        let invoke = options.invoke.unwrap_or(InvocationPolicy::Single);
        cx.config.check_uri(procedure, policy.into())?;
        if procedure.is_reserved() {
            return Err((
                uri::INVALID_URI,
                format!("{} is reserved: it begins with \"wamp\"", quoted(procedure)),
            ));
        }
        session.authorize_pattern(Actions::REGISTER, policy, procedure)?;
        let limit = cx.config.limits.registrations;
        if session.dealer.registrations() >= limit {
            return Err((uri::UNAVAILABLE, format!("a session may have at most {limit} registrations")));
        }
        session.check_table(procedure, &cx.config.limits)?;
        let callee = Callee {
            session: from,
            concurrency,
            forward_timeout: options.forward_timeout == Some(true) && session.announced.callee_timeout,
            disclose_caller: options.disclose_caller == Some(true),
        };
        let shapes = cx.config.limits.wildcard_shapes;
        let mut registered = self.procedures.register(procedure, policy, invoke, callee, cx.now, shapes);
        if registered.is_err()
            && let Some((key, gone)) = self.procedures.gone(procedure, policy, |key| cx.sessions.has(key))
            && !gone.is_empty()
        {
            gone.into_iter().for_each(|session| self.remove_callee(cx, key, session));
            registered = self.procedures.register(procedure, policy, invoke, callee, cx.now, shapes);
        }
        if registered == Err(NotRegistered::Exists) && options.force_reregister == Some(true) {
            self.take_over(cx, from, policy, procedure)?;
            // The pattern had its room, whatever the limit is now.
            registered = Ok(self.procedures.insert(procedure, policy, invoke, callee, cx.now));
        }
        let (key, change) = registered.map_err(|reason| match reason {
            NotRegistered::Exists => {
                (uri::PROCEDURE_ALREADY_EXISTS, format!("{} is registered already", quoted(procedure)))
            }
            NotRegistered::NoRoom(reason) => reason.refused(shapes),
        })?;
        let registration = change.registration;
        if let Some(session) = cx.sessions.get_mut(from) {
            session.dealer.registrations.insert(registration, key);
            session.table_bytes += table_bytes(procedure);
        }
        cx.out.send(from, message::Registered { request: register.request, registration });
        self.note_registered(cx, from, change);
        self.queues.note(registration);
        Ok(())
    }

    /// Revokes a registration for a session that takes it over, if the session may: it has the authid and the authrole of
    /// all callees and has proved who it is, or its role says so (behaviour [146](crate::behaviour#rule-146)).
    fn take_over(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        policy: MatchPolicy,
        procedure: &Uri,
    ) -> Result<(), Refused> {
        let (Some(session), Some(found)) = (cx.sessions.get(from), self.procedures.lookup(procedure, policy))
        else {
            return Ok(());
        };
        let own = &session.identity;
        let is_same = |callee: SessionKey| {
            let other = cx.sessions.get(callee).map(|callee| &callee.identity);
            other.is_some_and(|other| other.authid == own.authid && other.authrole == own.authrole)
        };
        let is_known = own.authmethod != Method::Anonymous.name();
        if !(session.forces(policy, procedure) || is_known && found.sessions().all(is_same)) {
            let text = format!("{} is registered already by a session that is not yours", quoted(procedure));
            return Err((uri::PROCEDURE_ALREADY_EXISTS, text));
        }
        let Some((registration, callees)) = self.procedures.remove_all(procedure, policy) else {
            return Ok(());
        };
        self.queues.note(registration);
        let count = callees.len();
        for (index, callee) in callees.into_iter().enumerate() {
            if let Some(session) = cx.sessions.get_mut(callee) {
                map::remove(&mut session.dealer.registrations, &registration);
                session.table_bytes -= table_bytes(procedure);
            }
            say_unregistered(cx, callee, registration, Some(uri::UNREGISTERED));
            note_unregistered(cx, callee, Change { registration, is_only: index + 1 == count });
        }
        Ok(())
    }

    pub(in crate::router) fn handle_unregister(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        unregister: message::Unregister,
    ) -> Result<(), Violation> {
        cx.check_request(from, "UNREGISTER", unregister.request)?;
        self.unregister(cx, from, &unregister);
        Ok(())
    }

    /// Handles an UNREGISTER whose id has been checked.
    pub(in crate::router) fn unregister(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        unregister: &message::Unregister,
    ) {
        let message::Unregister { request, registration } = *unregister;
        let Some(session) = cx.sessions.get_mut(from) else { return };
        let Some(key) = map::remove(&mut session.dealer.registrations, &registration) else {
            let text = format!("this session has no registration {registration}");
            cx.refuse(from, RequestKind::Unregister, request, uri::NO_SUCH_REGISTRATION, &text);
            return;
        };
        session.table_bytes -= table_bytes(self.procedures.procedure(key));
        cx.out.send(from, message::Unregistered { request: Some(request), details: None });
        self.remove_callee(cx, key, from);
    }

    /// Revokes a registration of a session, which gets UNREGISTERED if it announced `registration_revocation`
    /// (behaviour [140](crate::behaviour#rule-140)). Its calls go on. Returns `false` if the session does not
    /// have it.
    pub(in crate::router) fn revoke(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        registration: RegistrationId,
        reason: Option<Uri>,
    ) -> bool {
        let Some(session) = cx.sessions.get_mut(from) else { return false };
        let Some(key) = map::remove(&mut session.dealer.registrations, &registration) else { return false };
        session.table_bytes -= table_bytes(self.procedures.procedure(key));
        let fails = session.announced.quirks.fails_on_revocation;
        let Some(change) = self.procedures.remove(key, from) else { return false };
        // Autobahn|Python keeps the registration, and fails when it gets the id of a shared one again (behaviour 141).
        if change.is_only || !fails {
            say_unregistered(cx, from, registration, reason);
        }
        note_unregistered(cx, from, change);
        self.queues.note(change.registration);
        true
    }

    /// Revokes a registration of a session if its role, which was `before`, does not allow it any more (behaviour
    /// [267](crate::behaviour#rule-267)).
    pub(in crate::router) fn judge(
        &mut self,
        cx: &mut Context,
        from: SessionKey,
        registration: RegistrationId,
        before: Option<&Role>,
    ) {
        let Some(session) = cx.sessions.get(from) else { return };
        let Some((key, found)) = self.procedures.get(registration) else { return };
        let procedure = Uri::from(self.procedures.procedure(key));
        if session.may_keep(Actions::REGISTER, found.policy, &procedure, before).is_err() {
            self.revoke(cx, from, registration, Some(uri::NOT_AUTHORIZED));
        }
    }

    /// Removes a callee from a registration, which ends with its last one.
    pub(super) fn remove_callee(&mut self, cx: &mut Context, key: RegistrationKey, session: SessionKey) {
        if let Some(change) = self.procedures.remove(key, session) {
            note_unregistered(cx, session, change);
            self.queues.note(change.registration);
        }
    }
}

/// Tells a session that it has lost a registration, if it announced `registration_revocation`.
fn say_unregistered(
    cx: &mut Context,
    session: SessionKey,
    registration: RegistrationId,
    reason: Option<Uri>,
) {
    if cx.sessions.get(session).is_some_and(|session| session.announced.callee_revocation) {
        let registration = Some(registration);
        let details = UnregisteredDetails { registration, reason, ..UnregisteredDetails::default() };
        cx.out.send(session, message::Unregistered { request: None, details: Some(details) });
    }
}

/// How many calls the callee takes at once. A greater number than any limit is none.
fn concurrency(options: &RegisterOptions) -> Result<Option<NonZeroU32>, Refused> {
    let Some(calls) = options.concurrency else { return Ok(None) };
    if calls == 0 {
        return Err((uri::INVALID_ARGUMENT, "the option \"concurrency\" must be at least 1".to_owned()));
    }
    Ok(u32::try_from(calls).ok().and_then(NonZeroU32::new))
}
