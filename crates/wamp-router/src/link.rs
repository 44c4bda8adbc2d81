//! A link: one connection, and the sessions that it carries one after another.
//!
//! Its reader decodes what one read brought, takes the realm's lock once for all of it, and puts what comes
//! out into the queues of the receiving links. Where one of these is full, it does not read on until there is
//! room. Its writer is a task of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;
use wamp_core::Time;
use wamp_core::router::{Accept, AcceptEvent, Closing, Join, Quirks, SessionKey};
use wamp_proto::message::Hello;
use wamp_proto::{Limits as MessageLimits, Message, Serializer, quoted, uri};
use wamp_transport::{Incoming, ReadError, ReadHalf, Transport};

use crate::arrived::{self, Arrived};
use crate::keepalive::{Keepalive, Seen, Verdict};
use crate::outbound::Outbound;
use crate::peer::Peer;
use crate::realm::Realm;
use crate::router::Shared;
use crate::writer::Writer;

/// How long a link is read on after ABORT, so that the ABORT arrives.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// The transport that has PINGs which some clients fail on.
const RAWSOCKET: &str = "rawsocket";

/// After so many octets other links have their turn, however much more there is to read.
const TURN: usize = 512 << 10;

/// Serves a connection, that stands since then, until its end.
pub(crate) fn serve<T: Transport>(
    router: Arc<Shared>,
    transport: T,
    peer: Peer,
    since: Instant,
) -> impl Future<Output = ()> + Send {
    let (serializer, name) = (transport.serializer(), transport.name());
    let max_message = transport.max_send().min(router.limits.message);
    let outbound = Arc::new(Outbound::new(serializer, &router.limits, router.budget.clone()));
    let (read, write) = transport.split();
    let mut writer = Writer::new(write, outbound.clone());
    let limits = router.clone();
    let writer = tokio::spawn(async move { writer.run(&limits.limits).await });
    let (pings, pending) = (name != RAWSOCKET, Vec::with_capacity(1));
    let mut link = Link { router, read, outbound, serializer, max_message, pings, peer, pending };
    async move {
        link.serve(since).await;
        link.outbound.close();
        if !link.outbound.is_dead() {
            // What the peer still sends must be read: a socket that is closed over it may drop our last words.
            let _ = Box::pin(timeout(LINGER, link.read.discard())).await;
        }
        // The writer ends by itself: its queue is closed, and it gives up a peer that accepts nothing.
        let _ = writer.await;
    }
}

struct Link<R> {
    router: Arc<Shared>,
    read: R,
    outbound: Arc<Outbound>,
    serializer: Serializer,
    /// The greatest message that goes out.
    max_message: usize,
    /// The peer is known to answer a PING. Over RawSocket not all do.
    pings: bool,
    peer: Peer,
    /// What has come and has not been handled yet.
    pending: Vec<Incoming>,
}

impl<R: ReadHalf> Link<R> {
    async fn serve(&mut self, since: Instant) {
        let (mut first, mut since) = (true, since);
        // In a box, since it is large and a session lasts longer.
        while let Some((realm, session)) = Box::pin(self.join(first, since)).await {
            let span =
                tracing::info_span!("session", id = %session.id(), realm = %realm.name(), peer = %self.peer);
            let closing = self.session(&realm, session).instrument(span).await;
            if closing != Closing::Goodbye || self.router.is_closing() {
                return;
            }
            (first, since) = (false, Instant::now());
        }
    }

    /// Until WELCOME, counted from `start`; `None` if it does not come to that.
    async fn join(&mut self, first: bool, start: Instant) -> Option<(Arc<Realm>, SessionKey)> {
        self.read.set_max_receive(self.router.limits.message_before_welcome);
        let wait = self.router.limits.join;
        let mut accept = Accept::new(Time::ORIGIN, wait);
        let mut closing = self.router.closing.subscribe();
        loop {
            let item = tokio::select! {
                item = timeout_at(start + wait, self.next()) => item,
                _ = closing.wait_for(|closing| *closing) => {
                    accept.refuse(uri::SYSTEM_SHUTDOWN, "the router is shutting down");
                    self.transmit(&mut accept);
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
                Ok(Ok(Incoming::Ping(payload))) => {
                    self.pings = true;
                    self.outbound.pong(payload);
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => match garbage(&error) {
                    Some(text) => accept.handle_garbage(now, &text),
                    None => return None,
                },
                // After a GOODBYE nothing more is owed.
                Err(_) if !first => return None,
                Err(_) => accept.handle_timeout(Time::after(wait)),
            }
            match accept.poll_event() {
                None => {}
                Some(AcceptEvent::Hello(hello)) => match self.welcome(*hello) {
                    Ok(joined) => return Some(joined),
                    Err((reason, text)) => {
                        accept.refuse(reason, &text);
                        self.transmit(&mut accept);
                        return None;
                    }
                },
                Some(_) => {
                    self.transmit(&mut accept);
                    return None;
                }
            }
        }
    }

    fn welcome(&mut self, hello: Hello) -> Result<(Arc<Realm>, SessionKey), (wamp_proto::Uri, String)> {
        let Some(realm) = self.router.realms.get(&hello.realm) else {
            return Err((uri::NO_SUCH_REALM, format!("there is no realm {}", quoted(&hello.realm))));
        };
        self.pings |= Quirks::of(&hello.details).answers_pings;
        let join =
            Join { details: hello.details, serializer: self.serializer, max_message: self.max_message };
        let session = realm.join(&self.outbound, |machine, now| machine.join(now, join))?;
        Ok((realm.clone(), session))
    }

    fn transmit(&self, accept: &mut Accept) {
        while let Some(message) = accept.poll_transmit() {
            self.outbound.push(&message);
        }
    }

    /// From WELCOME to the end of the session.
    async fn session(&mut self, realm: &Realm, session: SessionKey) -> Closing {
        tracing::info!("joined");
        let closing = self.drive(realm, session).await;
        tracing::info!(?closing, "left");
        closing
    }

    async fn drive(&mut self, realm: &Realm, session: SessionKey) -> Closing {
        self.read.set_max_receive(self.router.limits.message);
        let mut served = 0;
        let mut keepalive = Keepalive::new(&self.router.limits, Instant::now(), self.read.received());
        keepalive.set_asks(self.pings);
        let silence = tokio::time::sleep_until(keepalive.deadline());
        tokio::pin!(silence);
        loop {
            if let Some(closing) = self.outbound.take_fate() {
                return closing;
            }
            if self.outbound.is_dead() {
                tracing::info!("gave up a link that does not accept what it is sent");
                realm.with(|machine, now| machine.handle_closed(now, session));
                continue;
            }
            if self.pending.is_empty() {
                tokio::select! {
                    biased;
                    read = self.read.read_runs(&mut self.pending) => match read {
                        Ok(()) => {
                            let has_message = self.pending.iter().any(is_message);
                            keepalive.handle_read(Instant::now(), self.read.received(), has_message);
                        }
                        Err(error) => {
                            realm.with(|machine, now| match garbage(&error) {
                                Some(text) => machine.handle_garbage(now, session, &text),
                                None => machine.handle_closed(now, session),
                            });
                            tracing::debug!(%error, "nothing more to read");
                            continue;
                        }
                    },
                    () = self.outbound.changed() => continue,
                    () = &mut silence => {
                        let seen = Seen {
                            received: self.read.received(),
                            unfinished: self.read.unfinished(),
                            is_writing: self.outbound.is_busy(),
                        };
                        match keepalive.handle_timeout(Instant::now(), seen) {
                            Verdict::Wait => {}
                            Verdict::Ping => self.outbound.ping(),
                            Verdict::GiveUp(why) => {
                                tracing::info!(why, "gave up a link");
                                self.outbound.kill();
                            }
                        }
                        silence.as_mut().reset(keepalive.deadline());
                        continue;
                    }
                }
            }
            served += self.pending.iter().map(octets).sum::<usize>();
            if !self.pings && self.pending.iter().any(is_ping) {
                self.pings = true;
                keepalive.set_asks(true);
            }
            if self.handle_pending(realm, session) {
                // Its release wakes it up, and so does its end.
                while realm.is_held(session) && !self.outbound.is_over() {
                    self.outbound.changed().await;
                }
                // What it has said meanwhile could not be heard.
                keepalive.handle_pause(Instant::now());
                silence.as_mut().reset(keepalive.deadline());
            }
            if served >= TURN {
                served = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Handles all that has come, under one lock. What comes after the end of the session is left alone. Says
    /// whether the session is held for it.
    fn handle_pending(&mut self, realm: &Realm, session: SessionKey) -> bool {
        let limits = self.message_limits();
        let arrived = Arrived::decode(&self.pending, self.serializer, limits, realm, session);
        let (left, held) = realm.with_express(session, |express| arrived.handle(express, &self.outbound));
        arrived::leave(&mut self.pending, left);
        held
    }

    /// The next item of a link that has no session.
    async fn next(&mut self) -> Result<Incoming, ReadError> {
        if self.pending.is_empty() {
            self.read.read(&mut self.pending).await?;
        }
        Ok(self.pending.remove(0))
    }

    fn message_limits(&self) -> MessageLimits {
        let mut limits = MessageLimits::default();
        limits.message = self.router.limits.message;
        limits.depth = self.router.limits.depth;
        limits
    }
}

/// How much of the link an item has taken.
fn octets(item: &Incoming) -> usize {
    match item {
        Incoming::Message(octets) | Incoming::Ping(octets) | Incoming::Pong(octets) => octets.len(),
        Incoming::Run(run) => run.octets().len(),
        _ => 0,
    }
}

fn is_message(item: &Incoming) -> bool {
    matches!(item, Incoming::Message(_) | Incoming::Run(_))
}

/// A peer that sends one of these knows them.
fn is_ping(item: &Incoming) -> bool {
    matches!(item, Incoming::Ping(_) | Incoming::Pong(_))
}

/// What a peer is told about octets that are no messages; `None` if there is nobody to be told.
fn garbage(error: &ReadError) -> Option<String> {
    match error {
        ReadError::TooLarge { .. } | ReadError::Violation(_) => Some(error.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of_val;

    use wamp_transport::memory;

    use super::*;
    use crate::Router;

    /// What a session costs while nothing happens is mostly this.
    #[tokio::test]
    async fn the_two_tasks_of_a_link_are_small() {
        let router = Router::default();
        let shared = router.shared();
        let transport = memory::pair(Serializer::Json).0;
        let outbound = Arc::new(Outbound::new(Serializer::Json, &shared.limits, shared.budget.clone()));
        let (_, write) = memory::pair(Serializer::Json).0.split();
        let mut writer = Writer::new(write, outbound);
        let itself = size_of_val(&writer);
        let writer = itself + size_of_val(&writer.run(&shared.limits));
        let link = size_of_val(&serve(shared.clone(), transport, Peer::Attached, Instant::now()));
        assert!(link <= 800 && writer <= 560, "{link} and {writer} octets");
    }
}
