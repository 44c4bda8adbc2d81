//! Events: a realm with publishers and subscribers at random, beside a model of held publishers and dropped
//! events.
//!
//! The links are part of the model. A link is full when 8 events are queued, until fewer than 4 are. A
//! subscriber reads all the time, some events at a time, or not at all for a while. After each step
//!
//! * the held publishers are those of the model, in which a publisher is held by full subscribers that have accepted an
//!   event within 250 ms, and shares are counted tick by tick;
//! * each event went to the subscribers that are not slow in the model, and to no others, in order;
//! * a subscriber has missed an event only if it was full and did not read for 250 ms, had used up its share, or was fed
//!   by a publisher that had;
//! * no publisher was held for more than 2 s in 10 s, and no subscriber has held any for longer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use wamp_core::Time;
use wamp_core::router::{Config, Event, Feed, Realm, SessionKey};
use wamp_proto::message::{self, PublishOptions, SubscribeOptions};
use wamp_proto::{Message, Payload, RequestId, Serializer};

use crate::random::number;
use crate::report;
use crate::setup::pubsub_join;

/// The number of runs, and without `MODEL=full`.
const RUNS: u64 = 4_000;
const SHORT: u64 = 40;

const TICK: Duration = Duration::from_millis(10);
const TICKS: usize = 2_500;
/// In ticks.
const WINDOW: usize = 1_000;
const SHARE: usize = 200;
const STANDSTILL: usize = 25;

const HIGH: usize = 8;
const LOW: usize = 4;

const TOPICS: [&str; 2] = ["com.myapp.a", "com.myapp.b"];

/// For how long something lasted in the last window, counted tick by tick.
#[derive(Default)]
struct Used {
    ticks: VecDeque<bool>,
    sum: usize,
}

impl Used {
    fn tick(&mut self, is_used: bool) {
        self.ticks.push_back(is_used);
        self.sum += usize::from(is_used);
        if self.ticks.len() > WINDOW {
            self.sum -= usize::from(self.ticks.pop_front() == Some(true));
        }
        assert!(self.sum <= SHARE, "used for {} ticks of {WINDOW}", self.sum);
    }
}

/// The reading habits of a subscriber.
#[derive(Clone, Copy)]
enum Reads {
    All,
    /// The number of events in one tick, and the number of ticks from one reading to the next.
    Some(usize, usize),
    Nothing,
}

#[derive(Default)]
struct Peer {
    requests: u64,
    topics: BTreeSet<usize>,
    /// The events in its link: their publishers and their numbers.
    queue: VecDeque<(usize, u64)>,
    last: BTreeMap<usize, u64>,
    reads: Option<Reads>,
    /// The number of ticks for which it has accepted nothing although events were queued.
    still: usize,
    full: bool,
    /// Whether its events are dropped.
    slow: bool,
    holds: BTreeSet<usize>,
    held_by: BTreeSet<usize>,
    as_subscriber: Used,
    as_publisher: Used,
    published: u64,
}

struct World {
    realm: Realm,
    now: Time,
    tick: usize,
    keys: Vec<Option<SessionKey>>,
    peers: Vec<Peer>,
    received: u64,
    dropped: u64,
    held: u64,
}

impl World {
    fn new(seed: u64, count: usize) -> Self {
        let realm = Realm::new(Config::new("realm1"), seed);
        let mut world = Self {
            realm,
            now: Time::ORIGIN,
            tick: 0,
            keys: Vec::new(),
            peers: Vec::new(),
            received: 0,
            dropped: 0,
            held: 0,
        };
        for _ in 0..count {
            world.join();
        }
        world
    }

    fn join(&mut self) -> usize {
        self.keys.push(Some(self.realm.join(self.now, pubsub_join()).unwrap()));
        self.peers.push(Peer::default());
        while self.realm.poll_transmit().is_some() {}
        self.peers.len() - 1
    }

    fn peer(&self, key: SessionKey) -> usize {
        self.keys.iter().position(|known| *known == Some(key)).expect("it has not left")
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.peers.len()).filter(|peer| self.keys[*peer].is_some()).collect()
    }

    fn request(&mut self, peer: usize) -> RequestId {
        self.peers[peer].requests += 1;
        RequestId::new(self.peers[peer].requests).unwrap()
    }

    fn subscribe(&mut self, peer: usize, topic: usize) {
        let Some(key) = self.keys[peer] else { return };
        let request = self.request(peer);
        let options = SubscribeOptions::default();
        let subscribe = message::Subscribe { request, options, topic: TOPICS[topic].into() };
        self.realm.handle_message(self.now, key, subscribe.into());
        let Some((_, Message::Subscribed(_))) = self.realm.poll_transmit() else { panic!("no SUBSCRIBED") };
        self.peers[peer].topics.insert(topic);
    }

    /// Publishes all that the router reads at once, and holds the publisher for the links that are full
    /// afterwards.
    fn publish(&mut self, publisher: usize, topics: &[usize]) {
        let Some(key) = self.keys[publisher] else { return };
        let (mut newly, mut full) = (BTreeSet::new(), BTreeSet::new());
        for topic in topics {
            self.peers[publisher].published += 1;
            let number = self.peers[publisher].published;
            let request = self.request(publisher);
            let publish = message::Publish {
                request,
                options: PublishOptions::default(),
                topic: TOPICS[*topic].into(),
                payload: Payload::new(Serializer::Json, &(number,)).unwrap(),
            };
            let before = self.realm.stats().events_dropped;
            self.realm.handle_message(self.now, key, publish.into());
            let subscribes = |peer: &usize| *peer != publisher && self.peers[*peer].topics.contains(topic);
            let mut to: BTreeSet<usize> = self.alive().into_iter().filter(subscribes).collect();
            let slow = to.iter().filter(|to| self.peers[**to].slow).count();
            to.retain(|to| !self.peers[*to].slow);
            self.dropped += slow as u64;
            assert_eq!(
                self.realm.stats().events_dropped - before,
                slow as u64,
                "dropped for slow subscribers"
            );
            while let Some((key, message)) = self.realm.poll_transmit() {
                let Message::Event(event) = message else { panic!("{message:?}") };
                assert_eq!(event.payload.decode::<(u64,)>().unwrap(), (number,));
                let receiver = self.peer(key);
                assert!(to.remove(&receiver), "an event for {receiver}, which is slow or does not subscribe");
                let peer = &mut self.peers[receiver];
                peer.queue.push_back((publisher, number));
                if peer.queue.len() >= HIGH {
                    full.insert(receiver);
                    if !std::mem::replace(&mut peer.full, true) {
                        newly.insert(receiver);
                    }
                }
            }
            assert!(to.is_empty(), "{to:?} missed an event");
        }
        for subscriber in newly {
            self.realm.set_full(self.now, self.keys[subscriber].unwrap());
            if self.peers[subscriber].still >= STANDSTILL {
                self.drop_events(subscriber);
            }
        }
        for subscriber in full {
            let held = self.realm.hold(self.now, key, self.keys[subscriber].unwrap(), Feed::Events);
            assert_eq!(held, self.hold(publisher, subscriber), "{publisher} held by {subscriber}");
        }
    }

    /// The rule of when a subscriber holds a publisher.
    fn hold(&mut self, publisher: usize, subscriber: usize) -> bool {
        let peer = &mut self.peers[subscriber];
        if peer.slow {
            return false;
        }
        if peer.holds.insert(publisher) {
            self.peers[publisher].held_by.insert(subscriber);
            self.held += 1;
            self.shares();
        }
        self.peers[subscriber].holds.contains(&publisher)
    }

    fn set_slow(&mut self, subscriber: usize) {
        self.peers[subscriber].slow = true;
        self.release(subscriber);
    }

    fn release(&mut self, subscriber: usize) {
        for publisher in std::mem::take(&mut self.peers[subscriber].holds) {
            self.peers[publisher].held_by.remove(&subscriber);
        }
    }

    /// Ends the holds whose share is used up.
    fn shares(&mut self) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].as_publisher.sum >= SHARE {
                for subscriber in self.peers[peer].held_by.clone() {
                    self.set_slow(subscriber);
                }
            }
            if self.peers[peer].as_subscriber.sum >= SHARE && !self.peers[peer].holds.is_empty() {
                self.set_slow(peer);
            }
        }
    }

    fn drop_events(&mut self, subscriber: usize) {
        self.realm.drop_events(self.now, self.keys[subscriber].unwrap());
        if self.peers[subscriber].full {
            self.set_slow(subscriber);
        }
    }

    fn read(&mut self, subscriber: usize) {
        let peer = &mut self.peers[subscriber];
        let count = match peer.reads {
            _ if self.keys[subscriber].is_none() => 0,
            None | Some(Reads::All) => usize::MAX,
            Some(Reads::Some(count, every)) if self.tick.is_multiple_of(every) => count,
            Some(_) => 0,
        };
        let before = peer.queue.len();
        for _ in 0..count.min(before) {
            let Some((publisher, number)) = peer.queue.pop_front() else { break };
            let last = peer.last.insert(publisher, number);
            assert!(last.is_none_or(|last| last < number), "in order");
            self.received += 1;
        }
        peer.still = if peer.queue.len() == before && before > 0 { peer.still + 1 } else { 0 };
        if peer.full && peer.queue.len() < LOW {
            (peer.full, peer.slow) = (false, false);
            self.realm.set_room(self.now, self.keys[subscriber].unwrap());
            self.release(subscriber);
        }
        if self.peers[subscriber].still >= STANDSTILL {
            self.drop_events(subscriber);
        }
    }

    fn leave(&mut self, peer: usize) {
        let Some(key) = self.keys[peer].take() else { return };
        self.realm.handle_closed(self.now, key);
        self.release(peer);
        for subscriber in std::mem::take(&mut self.peers[peer].held_by) {
            self.peers[subscriber].holds.remove(&peer);
        }
        self.peers[peer] = Peer::default();
        while self.realm.poll_transmit().is_some() {}
    }

    /// Advances the time by a tick.
    fn pass(&mut self) {
        for peer in &mut self.peers {
            peer.as_publisher.tick(!peer.held_by.is_empty());
            peer.as_subscriber.tick(!peer.holds.is_empty());
        }
        self.tick += 1;
        self.now = self.now + TICK;
        while self.realm.poll_timeout().is_some_and(|at| at <= self.now) {
            self.realm.handle_timeout(self.now);
        }
        self.shares();
    }

    fn check(&mut self) {
        while let Some(event) = self.realm.poll_event() {
            assert!(matches!(event, Event::Released { .. } | Event::Closed { .. }), "{event:?}");
        }
        for peer in self.alive() {
            let is_held = !self.peers[peer].held_by.is_empty();
            assert_eq!(self.realm.is_held(self.keys[peer].unwrap()), is_held, "{peer} is held");
            for by in &self.peers[peer].held_by {
                let by = &self.peers[*by];
                assert!(by.full && by.still < STANDSTILL, "held by a subscriber that does not read");
            }
            if self.peers[peer].slow {
                assert!(self.peers[peer].full, "slow although its link has room");
            }
        }
    }
}

fn reads(rng: &mut Rng) -> Reads {
    match rng.u8(..8) {
        0..2 => Reads::All,
        2..7 => Reads::Some(rng.usize(1..6), rng.usize(1..30)),
        _ => Reads::Nothing,
    }
}

/// Does one run. Returns the numbers of received events, dropped events and holds.
fn run(seed: u64) -> [u64; 3] {
    let mut rng = Rng::with_seed(seed);
    let publishers = rng.usize(1..=3);
    let mut world = World::new(seed, publishers);
    for _ in 0..rng.usize(1..=4) {
        let peer = world.join();
        world.subscribe(peer, rng.usize(..TOPICS.len()));
        world.peers[peer].reads = Some(reads(&mut rng));
    }
    let comes_back = rng.u8(..4) == 0;
    let eager = rng.u8(1..=8);
    for _ in 0..TICKS {
        for publisher in 0..publishers {
            let is_held = !world.peers[publisher].held_by.is_empty();
            // A driver may have read before it learns of a hold.
            if rng.u8(..10) < eager && (!is_held || rng.u8(..32) == 0) {
                let topics: Vec<usize> = (0..rng.usize(1..8)).map(|_| rng.usize(..TOPICS.len())).collect();
                world.publish(publisher, &topics);
                world.check();
            }
        }
        let among = world.alive();
        for peer in &among {
            world.read(*peer);
        }
        world.check();
        let peer = among[rng.usize(..among.len())];
        match rng.u8(..100) {
            0..3 if peer >= publishers => world.peers[peer].reads = Some(reads(&mut rng)),
            3 if peer >= publishers => world.subscribe(peer, rng.usize(..TOPICS.len())),
            4..10 if comes_back && peer >= publishers => {
                world.leave(peer);
                let peer = world.join();
                world.subscribe(peer, rng.usize(..TOPICS.len()));
                world.peers[peer].reads = Some(reads(&mut rng));
            }
            10 if rng.u8(..10) == 0 && peer < publishers => world.leave(peer),
            _ => {}
        }
        world.check();
        world.pass();
        world.check();
    }
    for peer in world.alive() {
        world.peers[peer].reads = None;
        world.read(peer);
        world.leave(peer);
    }
    let sizes = world.realm.sizes();
    assert_eq!((sizes.held, sizes.deadlines, sizes.sessions, sizes.topics), (0, 0, 0, 0));
    // A subscriber may leave before it has read everything.
    assert!(world.received <= world.realm.stats().events);
    [world.received, world.dropped, world.held]
}

#[test]
fn publishers_are_held_by_subscribers_that_read_and_for_their_share() {
    let mut sums = [0; 3];
    let first = number("MODEL_SEED").unwrap_or(0);
    let count = number("MODEL_RUNS").unwrap_or(if crate::is_full() { RUNS } else { SHORT });
    for seed in first..first + count {
        let result = std::panic::catch_unwind(|| run(seed));
        let met = result.unwrap_or_else(|_| panic!("events: MODEL_SEED={seed} MODEL_RUNS=1"));
        for (sum, met) in sums.iter_mut().zip(met) {
            *sum += met;
        }
    }
    report(&format!("model, events: {count} runs; received, dropped, holds: {sums:?}"));
    assert!(count < 100 || sums.iter().all(|sum| *sum > 1000), "too little happens: {sums:?}");
}
