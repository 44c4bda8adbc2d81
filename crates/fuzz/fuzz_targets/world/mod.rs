//! The world of the target `realm`: the machine, its peers, and the peers' records of their calls.

mod peer;
mod steps;

use std::collections::HashMap;
use std::time::Duration;

use peer::{Peer, Waiting};
use wamp_core::Time;
use wamp_core::router::{Config, Credit, Event, Join, Realm, SessionKey, Watch};
use wamp_proto::message::RequestKind;
use wamp_proto::{Limits, Message, Serializer};

pub const PEERS: usize = 12;

pub struct World {
    pub realm: Realm,
    pub now: Time,
    pub peers: Vec<Peer>,
    pub who: HashMap<SessionKey, usize>,
    pub watches: Vec<Watch>,
}

impl World {
    pub fn new(kind: u8) -> Self {
        let mut config = Config::new("realm1");
        config.strict_features = kind & 1 > 0;
        if kind & 2 > 0 {
            let limits = &mut config.limits;
            (limits.calls, limits.progressive_calls) = (4, 2);
            (limits.invocations, limits.invocations_from_one_caller) = (6, 2);
            (limits.registrations, limits.subscriptions) = (2, 2);
        }
        config.credit = (kind & 4 == 0).then(|| {
            let credit = Credit { window: 200, max_window: 800, ..Credit::default() };
            credit
        });
        let realm = Realm::new(config, u64::from(kind));
        let peers = (0..PEERS).map(|number| Peer::new(number, kind & 8 > 0)).collect();
        let mut world = Self { realm, now: Time::ORIGIN, peers, who: HashMap::new(), watches: Vec::new() };
        for peer in 0..PEERS {
            world.join(peer);
        }
        world.settle();
        world
    }

    pub fn join(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        if peer.key.is_some() {
            return;
        }
        let Message::Hello(hello) = message(&peer.hello()) else { unreachable!("a HELLO") };
        let (serializer, max_message) = (peer.serializer, peer.max_message);
        let join = Join { details: hello.details, serializer, max_message, transport: Default::default() };
        if let Ok(key) = self.realm.join(self.now, join) {
            peer.begin(key);
            self.who.insert(key, number);
        }
    }

    pub fn handle(&mut self, from: usize, message: Message) {
        if let Some(key) = self.peers[from].key {
            self.realm.handle_message(self.now, key, message);
        }
    }

    /// Takes all messages from the realm, and lets it do postponed work.
    pub fn settle(&mut self) {
        loop {
            while let Some((to, message)) = self.realm.poll_transmit() {
                self.hear(to, message);
            }
            match self.realm.poll_event() {
                Some(Event::Closed { session, .. }) => {
                    if let Some(number) = self.who.remove(&session) {
                        self.peers[number].end();
                    }
                }
                Some(Event::Watch { watch, .. }) => self.watches.push(watch),
                Some(_) => {}
                None if self.realm.poll_timeout().is_some_and(|at| at <= self.now) => {
                    self.realm.handle_timeout(self.now);
                }
                None => break,
            }
        }
    }

    fn hear(&mut self, to: SessionKey, message: Message) {
        // It was sent before the session ended.
        let Some(&number) = self.who.get(&to) else { return };
        let peer = &mut self.peers[number];
        assert!(message.encoded_len(peer.serializer).is_ok_and(|len| len <= peer.max_message), "{message:?}");
        match message {
            Message::Result(result) => {
                let waiting = peer.calls.get(&result.request.get());
                let waiting = waiting.unwrap_or_else(|| panic!("a RESULT after the end of its call: {result:?}"));
                if result.details.progress == Some(true) {
                    assert!(waiting.wants_progress, "progress that was not asked for: {result:?}");
                } else {
                    peer.calls.remove(&result.request.get());
                }
            }
            Message::Error(error) if error.kind == RequestKind::Call => {
                let ended = peer.calls.remove(&error.request.get());
                assert!(ended.is_some(), "a second end of a call: {error:?}");
            }
            Message::Invocation(invocation) => {
                peer.invocations.push(invocation.request.get());
                peer.watermark = peer.watermark.max(invocation.request.get());
            }
            Message::Interrupt(interrupt) => {
                assert!(peer.cancels, "an INTERRUPT for a peer that does not know it");
                assert!(peer.invocations.contains(&interrupt.request.get()), "an INTERRUPT of nothing");
            }
            Message::Registered(registered) => peer.registrations.push(registered.registration.get()),
            Message::Subscribed(subscribed) => peer.subscriptions.push(subscribed.subscription.get()),
            Message::Credit(_) => assert!(peer.counts, "a CREDIT for a peer that does not know it"),
            // It takes part in nothing any more.
            Message::Goodbye(_) => {
                peer.calls.clear();
                peer.dismissed = true;
            }
            _ => {}
        }
    }

    /// The realm holds exactly the running calls.
    pub fn check(&self) {
        let waited: usize = self.peers.iter().map(|peer| peer.calls.len()).sum();
        let calls = self.realm.sizes().calls;
        assert_eq!(calls, waited, "calls in the realm, and calls that are waited for");
    }

    /// All leave, one after the other.
    pub fn finish(&mut self) {
        for number in 0..PEERS {
            if let Some(key) = self.peers[number].key {
                self.realm.handle_closed(self.now, key);
                self.settle();
                self.check();
            }
        }
        self.now = self.now + Duration::from_secs(100_000);
        self.realm.handle_timeout(self.now);
        self.settle();
        let sizes = self.realm.sizes();
        let left = [
            sizes.sessions,
            sizes.calls,
            sizes.registrations,
            sizes.topics,
            sizes.deadlines,
            sizes.starved,
            sizes.held,
        ];
        assert_eq!(left, [0; 7], "all have gone, and the realm holds {sizes:?}");
    }
}

/// A message as the specification writes it.
pub fn message(text: &str) -> Message {
    let frame = bytes::Bytes::copy_from_slice(text.as_bytes());
    Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Records a call that is running from now on.
pub fn waiting(wants_progress: bool, more: bool) -> Waiting {
    Waiting { wants_progress, more }
}
