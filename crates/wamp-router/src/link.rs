//! A link: one connection, and the sessions that it carries one after another.
//!
//! Its reader decodes the messages of one read, takes the realm's lock once for all of them, and puts the
//! resulting messages into the queues of the receiving links. If one of these is full, it stops reading until
//! there is room. Its writer is a separate task.

mod join;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::Instrument;
use wamp_core::router::{Closing, Protocol, Realm as Machine, SessionKey};
use wamp_proto::{Limits as MessageLimits, Serializer};
use wamp_transport::socket::Peer;
use wamp_transport::{Allowance, Incoming, ReadError, ReadHalf, Security, Transport};

use crate::config::Shutdown;
use crate::connections::{Admitted, Newcomer, Permit};
use crate::held::Held;
use crate::inbound::{Handled, Inbound};
use crate::keepalive::{Keepalive, Seen, Verdict};
use crate::outbound::Outbound;
use crate::pending::Pending;
use crate::realm::{Realm, Turned};
use crate::router::RouterState;
use crate::settings::Settings;
use crate::turn::RealmTurn;
use crate::wakes::Wakes;
use crate::writer::{LINGER, Writer};

/// The transport with PINGs that some clients fail on.
const RAWSOCKET: &str = "rawsocket";

/// The transport that can give a reason for closing.
const WEBSOCKET: &str = "websocket";

/// After this time other links have their turn, even if there is more to read.
const TURN: Duration = Duration::from_millis(1);

/// The same after this many bytes.
const TURN_BYTES: usize = 512 << 10;

/// The cost of a message or PING beyond its length, in bytes.
const ITEM: usize = 64;

/// Serves a connection, established at `since`, until it closes.
pub(crate) fn serve<T: Transport>(
    router: Arc<RouterState>,
    settings: Arc<Settings>,
    transport: T,
    peer: Peer,
    since: Instant,
    admitted: Option<Admitted>,
) -> impl Future<Output = ()> + Send {
    let (serializer, name, can_ping) = (transport.serializer(), transport.name(), transport.pings());
    let max_message = transport.max_send().min(settings.limits.message);
    let security = Some(transport.security()).filter(|security| {
        // A proxy on this machine has the connection of a client elsewhere.
        let is_forwarded = *security == Security::local() && is_elsewhere(&peer);
        *security != Security::default() && !is_forwarded
    });
    let security = security.map(Box::new);
    let outbound = Arc::new(Outbound::new(serializer, settings, router.budget.clone()));
    router.budget.holders.add(outbound.receiving().id(), &outbound);
    let (mut read, write) = transport.split();
    read.set_allowance(outbound.receiving().clone());
    let mut writer = Writer::new(write, outbound.clone());
    let writer = tokio::spawn(async move { writer.run().await });
    let (pings, pending, turn) = (can_ping && name != RAWSOCKET, Pending::default(), Turn::new());
    let is_public = admitted.as_ref().is_some_and(|admitted| admitted.is_public);
    let admitted = admitted.map(|Admitted { permit, newcomer, .. }| (permit, Box::new(newcomer)));
    let (permit, newcomer) = admitted.unzip();
    let mut link = Link {
        router,
        read,
        outbound,
        serializer,
        protocol: protocol(name),
        max_message,
        can_ping,
        pings,
        peer,
        security,
        pending,
        failed: None,
        turn,
        permit,
        newcomer,
        is_public,
        lingers: true,
    };
    async move {
        link.serve(since).await;
        if let Some(abort) = link.outbound.take_abort() {
            let text = abort.details.message.as_deref().unwrap_or_default();
            link.router.refusals.abort(&link.peer, abort.reason.as_str(), text);
        }
        link.outbound.close();
        if link.lingers && !link.outbound.is_dead() {
            // The peer's further input must be read: closing a socket with unread input may discard the last
            // output.
            let _ = Box::pin(timeout(LINGER, link.read.discard())).await;
        }
        link.outbound.receiving().release();
        // The writer ends by itself: its queue is closed, and it drops a peer that accepts nothing.
        let _ = writer.await;
    }
}

/// Returns whether a peer is on another machine.
fn is_elsewhere(peer: &Peer) -> bool {
    peer.ip().is_some() && !peer.is_loopback()
}

/// Returns the kind of a transport, as the meta API names it.
fn protocol(name: &str) -> Protocol {
    match name {
        WEBSOCKET => Protocol::WebSocket,
        RAWSOCKET => Protocol::RawSocket,
        _ => Protocol::Memory,
    }
}

struct Link<R> {
    router: Arc<RouterState>,
    read: R,
    outbound: Arc<Outbound>,
    serializer: Serializer,
    protocol: Protocol,
    /// The longest outgoing message, in bytes.
    max_message: usize,
    /// Whether the transport has PINGs.
    can_ping: bool,
    /// Whether the peer is known to answer a PING. Over RawSocket not all peers do.
    pings: bool,
    peer: Peer,
    /// `None` if nothing is known about it.
    security: Option<Box<Security>>,
    /// The items that were read and are not handled yet.
    pending: Pending,
    /// The error that ended reading after these items.
    failed: Option<ReadError>,
    turn: Turn,
    /// `None` for an attached connection.
    permit: Option<Permit>,
    /// Present until WELCOME.
    newcomer: Option<Box<Newcomer>>,
    /// Whether other machines can reach its listener.
    is_public: bool,
    /// Whether the peer gets time at the end to read the last messages.
    lingers: bool,
}

/// The turn of a link: the time and bytes since other links had theirs.
struct Turn {
    since: Instant,
    bytes: usize,
    /// Whether the last turn at the realm was as long as one may be.
    was_long: bool,
}

impl Turn {
    fn new() -> Self {
        Self { since: Instant::now(), bytes: 0, was_long: false }
    }

    /// Begins a turn, after others have had theirs.
    fn begin(&mut self, now: Instant) {
        *self = Self { since: now, bytes: 0, ..*self };
    }

    /// Yields to other links if this turn was long enough.
    async fn check(&mut self) {
        if self.bytes >= TURN_BYTES || self.since.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.begin(Instant::now());
        }
    }
}

impl<R: ReadHalf> Link<R> {
    /// The settings of the connection.
    fn settings(&self) -> &Settings {
        self.outbound.settings()
    }

    /// Returns whether the transport itself can tell the peer at a shutdown to come back.
    fn closes_for_restart(&self) -> bool {
        self.protocol == Protocol::WebSocket && self.settings().shutdown == Shutdown::Restart
    }

    async fn serve(&mut self, since: Instant) {
        let (mut first, mut since) = (true, since);
        // Boxed, since it is large and a session lasts longer.
        while let Some((realm, session)) = Box::pin(self.join(first, since)).await {
            let span =
                tracing::info_span!("session", id = %session.id(), realm = %realm.name(), peer = %self.peer);
            let closing = self.drive(&realm, session).instrument(span).await;
            if closing == Closing::Restart {
                self.outbound.set_going_away();
            }
            if closing != Closing::Goodbye || self.router.is_closing() {
                return;
            }
            (first, since) = (false, Instant::now());
            if self.permit.is_some() {
                let newcomer = self.router.connections.newcomer(self.peer.ip());
                self.newcomer = Some(Box::new(newcomer));
            }
        }
    }

    /// Runs a session from WELCOME to its end. One future and no second one around it, since it lasts as long as the
    /// session.
    async fn drive(&mut self, realm: &Realm, session: SessionKey) -> Closing {
        tracing::info!("joined");
        self.read.set_max_receive(self.settings().limits.message);
        let mut keepalive = Keepalive::new(&self.settings().limits, Instant::now(), self.read.received());
        keepalive.set_asks(self.pings);
        let silence = tokio::time::sleep_until(keepalive.deadline());
        tokio::pin!(silence);
        loop {
            if let Some(closing) = self.outbound.take_fate() {
                tracing::info!(?closing, "left");
                return closing;
            }
            if self.outbound.is_dead() {
                tracing::info!("closed a link that accepts nothing");
                Box::pin(realm.with(|machine, now| machine.handle_closed(now, session))).await;
                continue;
            }
            // Requests that an authorizer has decided about are handled as if they arrived now.
            if self.pending.is_empty() && !self.outbound.take_verdicts() {
                if let Some(error) = self.failed.take() {
                    Box::pin(self.handle_failure(realm, session, &error)).await;
                    continue;
                }
                let mut waited = false;
                tokio::select! {
                    biased;
                    read = self.read.read_runs(self.pending.buffer()) => match read {
                        Ok(()) => {
                            let now = Instant::now();
                            let has_message = self.pending.items().iter().any(is_message);
                            let received = self.read.received();
                            self.outbound.set_received(received);
                            keepalive.handle_read(now, received, has_message);
                            if waited {
                                self.turn.begin(now);
                            }
                        }
                        Err(error) => {
                            Box::pin(self.handle_failure(realm, session, &error)).await;
                            continue;
                        }
                    },
                    // Polled only if there is nothing to read.
                    () = async {
                        waited = true;
                        self.outbound.changed().await;
                    } => {
                        if let Some(within) = self.outbound.take_probe() {
                            let received = self.read.received();
                            if keepalive.probe(Instant::now(), received, within) == Verdict::Ping {
                                self.outbound.ping();
                            }
                            silence.as_mut().reset(keepalive.deadline());
                        }
                        continue;
                    }
                    () = &mut silence => {
                        let seen = Seen {
                            received: self.read.received(),
                            unfinished: self.read.unfinished(),
                            is_writing: self.outbound.is_busy(),
                            stands_still: self.outbound.stands_still(),
                        };
                        let now = Instant::now();
                        if self.outbound.receiving().is_waiting() {
                            keepalive.handle_pause(now);
                        }
                        match keepalive.handle_timeout(now, seen) {
                            Verdict::Wait => {}
                            Verdict::Ping => self.outbound.ping(),
                            Verdict::GiveUp(why) => {
                                tracing::info!(why, "closed a link");
                                self.outbound.kill();
                            }
                        }
                        silence.as_mut().reset(keepalive.deadline());
                        continue;
                    }
                }
            }
            if !self.pings && self.pending.items().iter().any(is_ping) {
                self.pings = true;
                keepalive.set_asks(true);
            }
            self.turn.bytes += self.pending.items().iter().map(bytes).sum::<usize>();
            // Boxed, so that a link that waits for input is small.
            if Box::pin(self.handle_pending(realm, session)).await {
                // Messages that the peer has sent in the meantime were not read, so that a probe would decide nothing.
                self.outbound.take_probe();
                keepalive.handle_pause(Instant::now());
                silence.as_mut().reset(keepalive.deadline());
            }
            self.turn.check().await;
        }
    }

    /// Handles the end of the input.
    async fn handle_failure(&mut self, realm: &Realm, session: SessionKey, error: &ReadError) {
        let garbage = garbage(error);
        let act = |machine: &mut Machine, now| match garbage {
            Some(text) => machine.handle_garbage(now, session, &text),
            None => machine.handle_closed(now, session),
        };
        realm.with(act).await;
        tracing::debug!(%error, "cannot read from the link");
    }

    /// Handles all items that were read, in one turn at the realm or several. Items after the end of the
    /// session remain. Returns whether the session was held in between.
    async fn handle_pending(&mut self, realm: &Realm, session: SessionKey) -> bool {
        let pending = std::mem::take(&mut self.pending);
        let mut limits = self.message_limits();
        limits.hello = false;
        let mut inbound = Inbound::decode(pending, self.serializer, limits, session);
        if inbound.has_long() {
            Box::pin(inbound.prepare(realm)).await;
        }
        let (mut paused, mut wakes, mut is_held) = (false, Wakes::default(), false);
        loop {
            let handle = |turn: &mut RealmTurn<'_>| {
                turn.advance();
                inbound.handle(turn, &self.outbound)
            };
            let turned = realm.with_turn(session, &mut wakes, self.turn.was_long, handle).await;
            let Turned { result: handled, held, has_rest, mut can_advance, was_long } = turned;
            self.turn.was_long = was_long;
            is_held |= held;
            if wakes.is_due() || !has_rest && (is_held || handled == Handled::All) {
                wakes.flush();
            }
            if !has_rest && std::mem::take(&mut is_held) {
                paused = true;
                let (asks, unhandled) = (inbound.has_request(), inbound.unhandled());
                let Self { outbound, read, serializer, pending, failed, .. } = self;
                let (serializer, budget) = (*serializer, &self.router.budget);
                let held = Held {
                    realm,
                    session,
                    outbound,
                    read,
                    serializer,
                    limits,
                    pending,
                    failed,
                    budget,
                    unhandled,
                };
                can_advance = Box::pin(held.released(asks)).await;
            }
            if handled == Handled::All && !has_rest && !can_advance {
                break;
            }
            self.turn.check().await;
        }
        let ahead = std::mem::replace(&mut self.pending, inbound.into_rest());
        self.pending.append(ahead);
        paused
    }

    /// The next item of a link that has no session.
    async fn next(&mut self) -> Result<Incoming, ReadError> {
        loop {
            if let Some(item) = self.pending.pop() {
                self.turn.bytes += bytes(&item);
                return Ok(item);
            }
            let mut waited = false;
            noting(self.read.read(self.pending.buffer()), &mut waited).await?;
            if waited {
                self.turn.begin(Instant::now());
            }
        }
    }

    fn message_limits(&self) -> MessageLimits {
        let mut limits = MessageLimits::default();
        limits.message = self.settings().limits.message;
        limits.depth = self.settings().limits.depth;
        limits
    }
}

/// Runs a future, and starts a new turn if it had to wait.
async fn noting<F: Future>(future: F, waited: &mut bool) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        *waited |= polled.is_pending();
        polled
    })
    .await
}

/// Returns the cost of an item.
fn bytes(item: &Incoming) -> usize {
    ITEM + match item {
        Incoming::Message(bytes) | Incoming::Ping(bytes) | Incoming::Pong(bytes) => bytes.len(),
        Incoming::Run(run) => run.buffer().len(),
        _ => 0,
    }
}

fn is_message(item: &Incoming) -> bool {
    matches!(item, Incoming::Message(_) | Incoming::Run(_))
}

/// A peer that sends PINGs or PONGs knows them.
fn is_ping(item: &Incoming) -> bool {
    matches!(item, Incoming::Ping(_) | Incoming::Pong(_))
}

/// Returns the text for a peer that sent bytes which are not messages; `None` if the peer is gone.
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

    /// The future of a link is most of the memory of an idle session.
    #[tokio::test]
    async fn the_two_tasks_of_a_link_are_small() {
        let router = Router::default();
        let state = router.state();
        let transport = memory::pair(Serializer::Json).0;
        let outbound = Arc::new(Outbound::new(Serializer::Json, state.settings(), state.budget.clone()));
        let (_, write) = memory::pair(Serializer::Json).0.split();
        let mut writer = Writer::new(write, outbound);
        let itself = size_of_val(&writer);
        let writer = itself + size_of_val(&writer.run());
        let link = size_of_val(&serve(
            state.clone(),
            state.settings(),
            transport,
            Peer::Other,
            Instant::now(),
            None,
        ));
        assert!(link <= 880 && writer <= 560, "{link} and {writer} bytes");
    }
}
