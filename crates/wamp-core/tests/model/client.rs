//! A client of a world: one of our sessions beside its model, or a peer played by the model; its wires; and
//! the state of its program.

use std::collections::{BTreeMap, VecDeque};

use wamp_core::Time;
use wamp_core::router::{SessionKey, Watch};
use wamp_core::session::{self, Closed, Event, Session};
use wamp_proto::RegistrationId;

use crate::account::{Meter, Purse, Stream};
use crate::dealer::Snapshot;
use crate::endpoint::{Counting, Endpoint, How, Observed};
use crate::setup::Kind;
use crate::shared::Shared;
use crate::wire_message::{Mode, Procedure, Tag, known, tag};
use crate::world::Frame;

#[derive(Clone)]
pub struct Client {
    pub kind: Kind,
    pub key: SessionKey,
    pub end: End,
    pub up: VecDeque<Frame>,
    pub down: VecDeque<Frame>,
    /// Whether the router still reads its wire.
    pub readable: bool,
    pub writable: bool,
    pub linked: bool,
    /// Whether the router currently does not read from it.
    pub held: bool,
    pub calls: Vec<Made>,
    pub invocations: Vec<Got>,
    /// The stream messages that its program has not taken yet, and their cost.
    pub items: VecDeque<(Stream, u64)>,
    /// The watches of the router on its outbound messages, and the state of its streams when each began.
    pub watches: VecDeque<(Watch, Snapshot)>,
    pub registrations: BTreeMap<Procedure, RegistrationId>,
    /// The REGISTERs without an answer, and their procedures.
    pub registering: Vec<(u64, Procedure)>,
    granted: BTreeMap<Procedure, RegistrationId>,
    tags: Tag,
}

#[derive(Clone)]
pub enum End {
    Session(Shared<Session>, Shared<Endpoint>),
    Raw(Raw),
}

/// A peer played by the model.
#[derive(Clone)]
pub struct Raw {
    pub next_request: u64,
    /// Whether it has sent GOODBYE.
    pub left: bool,
    /// The router's first window, if both know credit. Then the remaining credit of each stream that it
    /// sends, and the accounting of each stream that it receives.
    pub router: Option<u64>,
    pub purses: BTreeMap<Stream, Purse>,
    pub meters: BTreeMap<Stream, Meter>,
}

impl Raw {
    pub fn may_send(&self, stream: Stream) -> bool {
        self.purses.get(&stream).is_none_or(Purse::may_send)
    }
}

/// A call in its caller's program.
#[derive(Clone, Copy)]
pub struct Made {
    pub request: u64,
    pub procedure: Procedure,
    pub uploading: bool,
    pub over: bool,
    /// Whether the program waits for credit.
    pub waits: bool,
}

/// An invocation in its callee's program.
#[derive(Clone, Copy)]
pub struct Got {
    pub invocation: u64,
    pub wants_progress: bool,
    pub over: bool,
    /// Whether the program waits for credit.
    pub waits: bool,
}

impl Client {
    /// `router` is the router's first window, if it knows credit.
    pub fn new(kind: Kind, key: SessionKey, session: Option<Session>, router: Option<u64>) -> Self {
        let router = router.filter(|_| kind.features.knows_credit());
        let counting = router.zip(kind.windows).map(|(router, own)| Counting { router, own });
        let end = match session {
            Some(session) => End::Session(Shared::new(session), Shared::new(Endpoint::new(counting))),
            None => {
                let (purses, meters) = (BTreeMap::new(), BTreeMap::new());
                End::Raw(Raw { next_request: 1, left: false, router, purses, meters })
            }
        };
        Self {
            kind,
            key,
            end,
            up: VecDeque::new(),
            down: VecDeque::new(),
            readable: true,
            writable: true,
            linked: true,
            held: false,
            calls: Vec::new(),
            invocations: Vec::new(),
            items: VecDeque::new(),
            watches: VecDeque::new(),
            registrations: BTreeMap::new(),
            registering: Vec::new(),
            granted: BTreeMap::new(),
            tags: 0,
        }
    }

    /// Returns a number that no other payload carries.
    pub fn tag(&mut self, client: usize) -> Tag {
        self.tags += 1;
        (client as Tag + 1) * 1000 + self.tags
    }

    /// Records that the router has registered this; the client will learn of it.
    pub fn registered(&mut self, registration: RegistrationId, procedure: Procedure) {
        self.granted.insert(procedure, registration);
    }

    /// Records that the client learns of the registration.
    pub fn learn(&mut self, request: u64) {
        if let Some((_, procedure)) = self.registering.iter().find(|(of, _)| *of == request) {
            self.registrations.insert(*procedure, self.granted[procedure]);
        }
    }

    /// Returns whether its program can do anything with its session.
    pub fn is_active(&self) -> bool {
        match &self.end {
            End::Session(_, endpoint) => endpoint.is_open(),
            End::Raw(raw) => self.linked && (!raw.left || self.kind.rogue),
        }
    }

    /// Returns whether it watches the timeout of an invocation.
    pub fn watches_timeouts(&self) -> bool {
        match &self.end {
            End::Session(_, endpoint) => endpoint.has_deadline(),
            End::Raw(_) => false,
        }
    }

    /// Returns whether it has consumed something that it has not granted yet.
    pub fn has_delayed(&self) -> bool {
        match &self.end {
            End::Session(_, endpoint) => endpoint.has_delayed(),
            End::Raw(_) => false,
        }
    }

    /// Returns the streams for which its program waits for credit. As far as the program knows, their calls
    /// go on.
    pub fn waiting(&self) -> Vec<Stream> {
        let calls = self.calls.iter().filter(|call| call.waits).map(|call| Stream::chunks(call.request));
        let invocations = self.invocations.iter().filter(|got| got.waits);
        let waiting = calls.chain(invocations.map(|got| Stream::results(got.invocation)));
        match &self.end {
            End::Session(_, endpoint) => {
                let outgoing = endpoint.outgoing();
                waiting.filter(|stream| endpoint.is_open() && outgoing.contains(stream)).collect()
            }
            End::Raw(raw) => {
                waiting.filter(|stream| self.linked && !raw.left && self.goes_on(*stream)).collect()
            }
        }
    }

    /// Returns whether a stream sent by a peer of the model goes on.
    fn goes_on(&self, stream: Stream) -> bool {
        if stream.chunks {
            self.calls.iter().any(|call| call.request == stream.id && call.uploading && !call.over)
        } else {
            self.invocations.iter().any(|got| got.invocation == stream.id && !got.over)
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        match &self.end {
            End::Session(session, _) => session.poll_timeout(),
            End::Raw(_) => None,
        }
    }
}

/// Returns the event as the model compares it.
pub fn observed(event: &Event) -> Observed {
    let reason = |reason: &Option<wamp_proto::Uri>| reason.as_ref().map_or("", |reason| known(reason));
    match event {
        Event::Joined(_) => Observed::Joined,
        Event::Registered { request, .. } => Observed::Registered { request: request.get() },
        Event::Unregistered { request, .. } => Observed::Unregistered { request: request.get() },
        Event::Refused { request, failure } => {
            Observed::Refused { request: request.get(), error: known(&failure.error) }
        }
        Event::Replied { call, reply, cost } => {
            let cost = *cost;
            let call = call.get();
            match reply {
                wamp_core::Reply::Progress(payload) => Observed::Progress { call, tag: tag(payload), cost },
                wamp_core::Reply::Result(payload) => Observed::Result { call, tag: tag(payload) },
                wamp_core::Reply::Error(failure) => {
                    Observed::Error { call, error: known(&failure.error), tag: tag(&failure.payload) }
                }
                other => panic!("not a reply: {other:?}"),
            }
        }
        Event::Invoked(invocation) => Observed::Invoked {
            invocation: invocation.request.get(),
            more: invocation.details.progress == Some(true),
            wants_progress: invocation.details.receive_progress == Some(true),
            tag: tag(&invocation.payload),
        },
        Event::Chunk { invocation, payload, last, cost } => {
            Observed::Chunk { invocation: invocation.get(), last: *last, tag: tag(payload), cost: *cost }
        }
        Event::Credit { stream } => Observed::Credit {
            stream: match stream {
                session::Stream::Results(id) => Stream::results(id.get()),
                session::Stream::Chunks(id) => Stream::chunks(id.get()),
                other => panic!("not a stream: {other:?}"),
            },
        },
        Event::Interrupted { invocation, mode, reason: why } => {
            let (invocation, mode) = (invocation.get(), Mode::from(*mode));
            Observed::Interrupted { invocation, mode, reason: reason(why) }
        }
        Event::Closed(closed) => Observed::Closed(match closed {
            Closed::Left => How::Left,
            Closed::ByRouter { .. } => How::ByRouter,
            Closed::Aborted { .. } => How::Aborted,
            Closed::Violation(_) => How::Violation,
            Closed::Lost => How::Lost,
            other => panic!("an end that the model does not know: {other:?}"),
        }),
        other => panic!("an event that the model does not know: {other:?}"),
    }
}
