//! A link until WELCOME: HELLO, the choice of a principal, CHALLENGE and its answer.

use std::future::pending;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};
use wamp_core::Time;
use wamp_core::auth::{Admission, Begun, Denied, Exchange};
use wamp_core::router::{self, Accept, AcceptEvent, Join, Quirks, Realm as Machine, SessionKey};
use wamp_proto::message::{Authenticate, Hello, HelloDetails};
use wamp_proto::{Message, Uri, quoted, uri};
use wamp_transport::socket::Peer;
use wamp_transport::{Incoming, ReadHalf};

use super::{Link, garbage};
use crate::connections::{Newcomer, TOO_MANY_NEWCOMERS};
use crate::realm::Realm;

/// The most PINGs before HELLO.
const PINGS_BEFORE_HELLO: usize = 16;

/// A session that has joined, or the reason of the ABORT and its text.
type Joining = Result<(Arc<Realm>, SessionKey), (Uri, String)>;

/// The outcome of HELLO.
enum Greeted {
    Joined(Arc<Realm>, SessionKey),
    Challenged(Box<Challenged>),
}

/// A client that has to answer a CHALLENGE.
struct Challenged {
    realm: Arc<Realm>,
    /// `HELLO.Details`.
    details: HelloDetails,
    exchange: Box<Exchange>,
}

fn refused(denied: Denied) -> (Uri, String) {
    (denied.reason, denied.text.to_owned())
}

impl<R: ReadHalf> Link<R> {
    /// Runs the link until WELCOME, with its time counted from `start`. Returns `None` if it does not come to
    /// that.
    pub(super) async fn join(&mut self, first: bool, start: Instant) -> Option<(Arc<Realm>, SessionKey)> {
        let crate::Limits { join: wait, message, message_before_welcome, .. } = self.router.limits;
        let (mut accept, max_receive) = match first {
            true => (Accept::new(Time::ORIGIN, wait), message_before_welcome),
            // Messages for the previous session may still arrive.
            false => (Accept::again(Time::ORIGIN, wait), message),
        };
        self.read.set_max_receive(max_receive);
        let (newcomer, router) = (self.newcomer.take(), self.router.clone());
        let mut pings = 0;
        let mut challenged = None;
        loop {
            self.turn.check().await;
            let item = tokio::select! {
                item = timeout_at(start + wait, self.next()) => item,
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
            match accept.poll_event() {
                None => {}
                Some(AcceptEvent::Hello(hello)) => match self.greet(*hello).await {
                    Ok(Greeted::Joined(realm, session)) => return Some((realm, session)),
                    Ok(Greeted::Challenged(next)) => {
                        accept.challenge(next.exchange.challenge());
                        self.transmit(&mut accept);
                        challenged = Some(next);
                    }
                    Err((reason, text)) => {
                        self.refuse(&mut accept, reason, &text);
                        return None;
                    }
                },
                Some(AcceptEvent::Authenticate(said)) => {
                    // The machine passes it on only after CHALLENGE.
                    let challenged = challenged.take()?;
                    match self.verified(*challenged, &said).await {
                        Ok(joined) => return Some(joined),
                        Err((reason, text)) => {
                            self.refuse(&mut accept, reason, &text);
                            return None;
                        }
                    }
                }
                Some(_) => {
                    self.transmit(&mut accept);
                    return None;
                }
            }
        }
    }

    /// Lets a client join, or demands a proof.
    async fn greet(&mut self, hello: Hello) -> Result<Greeted, (Uri, String)> {
        let Some(realm) = self.router.realms.get(&hello.realm).cloned() else {
            return Err((uri::NO_SUCH_REALM, format!("there is no realm {}", quoted(&hello.realm))));
        };
        match realm.door().begin(&hello.details, self.channel.as_deref()).map_err(refused)? {
            Begun::Admitted(admission) => {
                let session = self.welcome(&realm, hello.details, admission).await?;
                Ok(Greeted::Joined(realm, session))
            }
            Begun::Challenged(exchange) => {
                let details = hello.details;
                Ok(Greeted::Challenged(Box::new(Challenged { realm, details, exchange })))
            }
        }
    }

    /// Lets a client join if its proof is right.
    async fn verified(&mut self, challenged: Challenged, said: &Authenticate) -> Joining {
        let Challenged { realm, details, exchange } = challenged;
        let authid = exchange.authid().clone();
        let admission = exchange.verify(said).map_err(|denied| {
            tracing::info!(peer = %self.peer, realm = %realm.name(), %authid, "refused a proof");
            refused(denied)
        })?;
        let session = self.welcome(&realm, details, admission).await?;
        Ok((realm, session))
    }

    async fn welcome(
        &mut self,
        realm: &Arc<Realm>,
        details: HelloDetails,
        admission: Admission,
    ) -> Result<SessionKey, (Uri, String)> {
        let quirks = Quirks::of(&details);
        self.pings |= self.can_ping && quirks.answers_pings;
        let without_goodbye = self.closes_for_restart() && quirks.goodbye_is_final;
        let peer = (self.peer != Peer::Other).then(|| self.peer.to_string().into());
        let transport = router::Transport { protocol: self.protocol, peer };
        let (serializer, max_message) = (self.serializer, self.max_message);
        let join = Join { details, serializer, max_message, transport };
        let join = |machine: &mut Machine, now| {
            let session = machine.join_as(now, join, admission)?;
            if without_goodbye {
                machine.set_without_goodbye(session);
            }
            Ok(session)
        };
        realm.join(&self.outbound, join).await
    }

    /// Refuses a link that has not joined. A client may treat ABORT as final like GOODBYE, and its HELLO,
    /// which would show that, may not have arrived. So a router that will restart sends only the close code
    /// for that.
    fn refuse(&self, accept: &mut Accept, reason: Uri, text: &str) {
        if self.closes_for_restart() && reason == uri::SYSTEM_SHUTDOWN {
            return self.outbound.set_going_away();
        }
        accept.refuse(reason, text);
        self.transmit(accept);
    }

    fn transmit(&self, accept: &mut Accept) {
        while let Some(message) = accept.poll_transmit() {
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
