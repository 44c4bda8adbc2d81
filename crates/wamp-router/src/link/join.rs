//! A link until WELCOME: HELLO, the choice of a principal, CHALLENGE and its answer.

use std::future::pending;
use std::sync::Arc;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use wamp_core::Time;
use wamp_core::auth::{Admission, Denied, Method};
use wamp_core::router::{self, Accept, AcceptEvent, Join, Quirks, Realm as Machine, SessionKey};
use wamp_proto::message::{Authenticate, Hello, HelloDetails};
use wamp_proto::{Message, Uri, quoted, uri};
use wamp_transport::socket::Peer;
use wamp_transport::{Incoming, ReadError, ReadHalf};

use super::{Link, garbage};
use crate::attempts::Asking;
use crate::authentication::{Authentication, Later, LinkFacts, Pending, Step};
use crate::connections::{Newcomer, TOO_MANY_NEWCOMERS};
use crate::realm::Realm;

/// The most PINGs before HELLO.
const PINGS_BEFORE_HELLO: usize = 16;

/// A client that has said HELLO.
struct Joining {
    realm: Arc<Realm>,
    /// The authentication that it began with, which may have been replaced since.
    began: Arc<Authentication>,
    /// `HELLO.Details`.
    details: HelloDetails,
    /// The CHALLENGE that it has to answer.
    pending: Option<Pending>,
    /// Its proof counts as a failure until it is verified.
    is_counted: bool,
    /// Present from the first question about it to its end.
    asking: Option<Asking>,
}

/// Waits for the decision of an authenticator, if there is one to wait for.
async fn decided(later: &mut Option<Later>) -> Result<Step, Denied> {
    match later {
        Some(decision) => {
            let step = decision.await;
            *later = None;
            step
        }
        None => pending().await,
    }
}

fn refused(denied: Denied) -> (Uri, String) {
    (denied.reason, denied.text.to_owned())
}

/// An event that a link waits for until it has joined.
enum Came {
    Item(Result<Result<Incoming, ReadError>, Elapsed>),
    Step(Result<Step, Denied>),
}

impl<R: ReadHalf> Link<R> {
    /// Runs the link until WELCOME, with its time counted from `start`. Returns `None` if it does not join.
    pub(super) async fn join(&mut self, first: bool, start: Instant) -> Option<(Arc<Realm>, SessionKey)> {
        let crate::Limits { join: wait, message, message_before_welcome, .. } = self.settings().limits;
        let (mut accept, max_receive) = match first {
            true => (Accept::new(Time::ORIGIN, wait), message_before_welcome),
            // Messages for the previous session may still arrive.
            false => (Accept::again(Time::ORIGIN, wait), message),
        };
        self.read.set_max_receive(max_receive);
        let (newcomer, router) = (self.newcomer.take(), self.router.clone());
        let mut pings = 0;
        let (mut joining, mut later): (Option<Joining>, Option<Later>) = (None, None);
        loop {
            self.turn.check().await;
            let came = tokio::select! {
                item = timeout_at(start + wait, self.next()) => Came::Item(item),
                step = decided(&mut later) => Came::Step(step),
                () = gives_way(newcomer.as_deref()) => {
                    let connections = &self.router.connections;
                    self.lingers = self.permit.as_mut().is_some_and(|permit| connections.refuse(permit));
                    self.refuse(&mut accept, uri::UNAVAILABLE, TOO_MANY_NEWCOMERS);
                    return None;
                }
                () = router.closing.cancelled() => {
                    self.refuse(&mut accept, uri::SYSTEM_SHUTDOWN, "the router is shutting down");
                    return None;
                }
            };
            let now = Time::after(start.elapsed());
            let mut step = match came {
                Came::Step(step) => {
                    if let Some(Joining { realm, details, is_counted, .. }) = &joining {
                        // From now on its result counts, and not the failure recorded in advance.
                        if *is_counted {
                            self.router.attempts.forgive(self.peer.ip());
                        }
                        self.note(&step, realm, details.authid.as_deref().unwrap_or_default());
                    }
                    Some(step)
                }
                Came::Item(item) => {
                    match item {
                        Ok(Ok(Incoming::Message(frame))) => {
                            match Message::decode(self.serializer, &frame, &self.message_limits()) {
                                Ok(message) => accept.handle_message(now, message),
                                Err(error) => accept.handle_garbage(now, &error.to_string()),
                            }
                        }
                        Ok(Ok(Incoming::Ping(_))) if pings == PINGS_BEFORE_HELLO => {
                            accept.refuse(uri::PROTOCOL_VIOLATION, "too many PINGs before HELLO");
                        }
                        Ok(Ok(Incoming::Ping(payload))) => {
                            pings += 1;
                            self.pings = true;
                            self.outbound.pong(payload);
                        }
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => match garbage(&error).filter(|_| first) {
                            Some(text) => accept.handle_garbage(now, &text),
                            None => return None,
                        },
                        Err(_) => accept.handle_timeout(Time::after(wait)),
                    }
                    None
                }
            };
            match accept.poll_event() {
                None => {}
                Some(AcceptEvent::Hello(hello)) => {
                    let Some(realm) = self.router.realms.get(&hello.realm) else {
                        let text = format!("there is no realm {}", quoted(&hello.realm));
                        self.refuse(&mut accept, uri::NO_SUCH_REALM, &text);
                        return None;
                    };
                    let began = realm.authentication();
                    step = Some(self.greet(&began, &hello));
                    let details = hello.details;
                    joining = Some(Joining {
                        realm,
                        began,
                        details,
                        pending: None,
                        is_counted: false,
                        asking: None,
                    });
                }
                Some(AcceptEvent::Authenticate(said)) => {
                    // The machine passes it on only after CHALLENGE.
                    let joining = joining.as_mut()?;
                    let pending = joining.pending.take()?;
                    joining.is_counted = pending.is_slow();
                    step = Some(self.verify(&joining.realm, &joining.began, pending, said));
                }
                Some(_) => {
                    self.transmit(&mut accept);
                    return None;
                }
            }
            let refused = match step {
                None => continue,
                Some(Ok(Step::Later(decision))) => {
                    if let Some(Joining { asking, is_counted: false, .. }) = &mut joining {
                        asking.get_or_insert_with(|| Asking::new(&self.router, self.peer.ip()));
                    }
                    later = Some(decision);
                    continue;
                }
                Some(Ok(Step::Challenge(pending))) => {
                    accept.challenge(pending.challenge());
                    self.transmit(&mut accept);
                    joining.as_mut()?.pending = Some(pending);
                    continue;
                }
                Some(Ok(Step::Admit(admission))) => {
                    let Joining { realm, began, details, asking, .. } = joining.take()?;
                    asking.into_iter().for_each(Asking::settle);
                    match self.welcome(&realm, &began, details, admission).await {
                        Ok(session) => return Some((realm, session)),
                        Err(refused) => refused,
                    }
                }
                Some(Err(denied)) => {
                    // If its proof was wrong, that is counted already.
                    joining.and_then(|joining| joining.asking).into_iter().for_each(Asking::settle);
                    refused(denied)
                }
            };
            self.refuse(&mut accept, refused.0, &refused.1);
            return None;
        }
    }

    /// Decides about a client.
    fn greet(&self, authentication: &Authentication, hello: &Hello) -> Result<Step, Denied> {
        let (security, protocol, peer) = (self.security.as_deref(), self.protocol, &self.peer);
        let facts = LinkFacts { security, protocol, peer, router: &self.router };
        let step = authentication.begin(hello, &facts)?;
        if !matches!(step, Step::Admit(_)) {
            self.check_attempts()?;
        }
        Ok(step)
    }

    /// Refuses proofs from an address of which too many have failed.
    fn check_attempts(&self) -> Result<(), Denied> {
        if self.router.attempts.are_too_many(self.peer.ip(), Instant::now()) {
            let text = "too many proofs from this address have failed; try again later";
            return Err(Denied { reason: uri::AUTHENTICATION_FAILED, text });
        }
        Ok(())
    }

    /// Verifies the proof of a client.
    fn verify(
        &self,
        realm: &Realm,
        authentication: &Authentication,
        pending: Pending,
        said: Box<Authenticate>,
    ) -> Result<Step, Denied> {
        // Many connections may have got their CHALLENGE before.
        self.check_attempts()?;
        let authid = pending.authid().to_owned();
        if pending.is_slow() {
            // Counted in advance, so that a client that disconnects is counted too.
            self.router.attempts.count(self.peer.ip(), Instant::now());
            return pending.verify(said, authentication.places());
        }
        let verified = pending.verify(said, authentication.places());
        self.note(&verified, realm, &authid);
        verified
    }

    /// Counts and logs a proof that was wrong.
    fn note(&self, verified: &Result<Step, Denied>, realm: &Realm, authid: &str) {
        if verified.as_ref().is_err_and(|denied| denied.reason == uri::AUTHENTICATION_DENIED) {
            self.router.attempts.count(self.peer.ip(), Instant::now());
            self.router.refusals.proof(&self.peer, realm.name(), authid);
        }
    }

    async fn welcome(
        &mut self,
        realm: &Arc<Realm>,
        began: &Arc<Authentication>,
        details: HelloDetails,
        admission: Admission,
    ) -> Result<SessionKey, (Uri, String)> {
        let quirks = Quirks::of(&details);
        self.pings |= self.can_ping && quirks.answers_pings;
        let without_goodbye = self.closes_for_restart() && quirks.goodbye_is_final;
        let peer = (self.peer != Peer::Other).then(|| self.peer.to_string().into());
        let is_secure = self.security.as_ref().is_some_and(|security| security.is_confidential);
        let transport = router::Transport { protocol: self.protocol, peer, is_secure };
        let (serializer, max_message) = (self.serializer, self.max_message);
        let join = Join { details, serializer, max_message, transport };
        let is_anonymous = Method::from_name(&admission.identity.authmethod) == Some(Method::Anonymous);
        let join = |machine: &mut Machine, now| {
            // The realm may have been opened after the connection began.
            if self.is_public && is_anonymous && !self.router.settings().anonymous_on_public {
                let text = "clients of an address that other machines can reach have to prove their identity";
                return Err((uri::NO_MATCHING_AUTH_METHOD, text.to_owned()));
            }
            // Its sessions are judged by the new configuration under the same lock.
            realm.authentication().check(began, &admission.identity).map_err(refused)?;
            let session = machine.join_as(now, join, admission)?;
            if without_goodbye {
                machine.set_without_goodbye(session);
            }
            Ok(session)
        };
        realm.join(&self.outbound, join).await
    }

    /// Refuses a link that has not joined. A client may treat ABORT as final like GOODBYE, which only its
    /// HELLO would show. So a router that will restart sends only the close code for a restart.
    fn refuse(&self, accept: &mut Accept, reason: Uri, text: &str) {
        if self.closes_for_restart() && reason == uri::SYSTEM_SHUTDOWN {
            return self.outbound.set_going_away();
        }
        accept.refuse(reason, text);
        self.transmit(accept);
    }

    fn transmit(&self, accept: &mut Accept) {
        while let Some(message) = accept.poll_transmit() {
            if let Message::Abort(abort) = &message {
                self.router.refusals.count_join(&abort.reason);
            }
            self.outbound.push(&message);
        }
    }
}

/// Waits until a link that has not joined must give way to another one.
async fn gives_way(newcomer: Option<&Newcomer>) {
    match newcomer {
        Some(newcomer) => newcomer.gives_way().await,
        None => pending().await,
    }
}
