//! The broker beside a naive one: patterns, lists of receivers, retained events, revocations and sessions that leave.
//! After each step every session has received exactly the events that the naive broker sends.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use wamp_core::Time;
use wamp_core::router::{Config, Realm, SessionKey};
use wamp_proto::message::{
    self, MatchPolicy, Publish, PublishOptions, Receivers, Subscribe, SubscribeOptions, Unsubscribe,
};
use wamp_proto::{Message, Payload, RequestId, Serializer, SessionId, SubscriptionId, Uri};

use crate::random::number;
use crate::report;
use crate::setup::pubsub_join;

const RUNS: u64 = 20_000;
const SHORT: u64 = 200;
const STEPS: usize = 60;

const TOPICS: [&str; 7] = ["a", "a.b", "a.b.c", "a.bc", "b.b.c", "b", "a.c.c"];
const PATTERNS: [(MatchPolicy, &str); 13] = [
    (MatchPolicy::Exact, "a"),
    (MatchPolicy::Exact, "a.b.c"),
    (MatchPolicy::Exact, "a.b"),
    (MatchPolicy::Prefix, ""),
    (MatchPolicy::Prefix, "a"),
    (MatchPolicy::Prefix, "a."),
    (MatchPolicy::Prefix, "a.b"),
    (MatchPolicy::Prefix, "a.b.c"),
    (MatchPolicy::Wildcard, "a..c"),
    (MatchPolicy::Wildcard, "..c"),
    (MatchPolicy::Wildcard, ".b."),
    (MatchPolicy::Wildcard, "a."),
    (MatchPolicy::Wildcard, ""),
];

fn matches((policy, pattern): (MatchPolicy, &str), topic: &str) -> bool {
    match policy {
        MatchPolicy::Exact => pattern == topic,
        MatchPolicy::Prefix => topic.starts_with(pattern),
        _ => {
            let (own, other) = (pattern.split('.'), topic.split('.'));
            own.clone().count() == other.clone().count()
                && own.zip(other).all(|(own, other)| own.is_empty() || own == other)
        }
    }
}

/// An event as a subscriber sees it: the index of the pattern, the number in it, its topic, and whether it was retained.
type Seen = (usize, u64, Option<String>, bool);

/// Events as they are sent.
type Events = Vec<(SubscriptionId, Seen)>;

#[derive(Clone)]
struct Published {
    number: u64,
    topic: &'static str,
    to: Option<Receivers>,
    except: Option<SessionKey>,
}

struct World {
    rng: Rng,
    realm: Realm,
    peers: Vec<(SessionKey, u64)>,
    /// The sessions of each pattern.
    subscribed: BTreeMap<usize, BTreeSet<SessionKey>>,
    ids: BTreeMap<SubscriptionId, usize>,
    retained: Vec<Published>,
    number: u64,
    events: u64,
}

impl World {
    fn join(&mut self) {
        self.peers.push((self.realm.join(Time::ORIGIN, pubsub_join()).expect("the realm is open"), 0));
        self.realm.poll_transmit();
    }

    fn request(&mut self, peer: usize) -> RequestId {
        self.peers[peer].1 += 1;
        RequestId::new(self.peers[peer].1).expect("it counts from 1")
    }

    /// Returns the answers sent since the last call, and the events of each session.
    fn sent(&mut self) -> (Vec<Message>, BTreeMap<SessionKey, Events>) {
        let (mut answers, mut events) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        while let Some((to, message)) = self.realm.poll_transmit() {
            match message {
                Message::Event(event) => {
                    let topic = event.details.topic.map(|topic| topic.to_string());
                    let seen = (
                        0,
                        event.payload.decode().expect("a number"),
                        topic,
                        event.details.retained == Some(true),
                    );
                    events.entry(to).or_default().push((event.subscription, seen));
                }
                answer => answers.push(answer),
            }
        }
        (answers, events)
    }

    fn lists(&mut self) -> Option<Receivers> {
        let ids = |rng: &mut Rng| -> Option<Vec<SessionId>> {
            (rng.u8(..3) == 0).then(|| {
                let count = rng.usize(..4);
                (0..count).map(|_| self.peers[rng.usize(..self.peers.len())].0.id()).collect()
            })
        };
        let mut rng = self.rng.fork();
        let (eligible, exclude) = (ids(&mut rng), ids(&mut rng));
        let role = (rng.u8(..6) == 0).then(|| vec!["anonymous".into()]);
        (eligible.is_some() || exclude.is_some() || role.is_some()).then(|| Receivers {
            eligible,
            exclude,
            eligible_authrole: role,
            ..Receivers::default()
        })
    }

    fn may(published: &Published, to: SessionKey) -> bool {
        let list = |list: &Option<Vec<SessionId>>| list.as_ref().map(|list| list.contains(&to.id()));
        published.except != Some(to)
            && published
                .to
                .as_ref()
                .is_none_or(|of| list(&of.eligible) != Some(false) && list(&of.exclude) != Some(true))
    }

    fn seen(&self, pattern: usize, published: &Published, retained: bool) -> Seen {
        let topic = (PATTERNS[pattern].0 != MatchPolicy::Exact).then(|| published.topic.to_owned());
        (pattern, published.number, topic, retained)
    }

    fn publish(&mut self, peer: usize) {
        self.number += 1;
        let (key, request) = (self.peers[peer].0, self.request(peer));
        let exclude_me = self.rng.bool();
        let retain = self.rng.bool();
        let published = Published {
            number: self.number,
            topic: TOPICS[self.rng.usize(..TOPICS.len())],
            to: self.lists(),
            except: exclude_me.then_some(key),
        };
        let options = PublishOptions {
            exclude_me: Some(exclude_me),
            retain: Some(retain),
            receivers: published.to.clone().map(Box::new),
            ..PublishOptions::default()
        };
        let payload = Payload::new(Serializer::Json, &(self.number,)).expect("a number can be written");
        let publish = Publish { request, options, topic: Uri::from(published.topic), payload };
        self.realm.handle_message(Time::ORIGIN, key, publish.into());
        let mut expected = BTreeMap::<_, Vec<_>>::new();
        for (pattern, subscribers) in &self.subscribed {
            if matches(PATTERNS[*pattern], published.topic) {
                for to in subscribers.iter().filter(|to| Self::may(&published, **to)) {
                    expected.entry(*to).or_default().push(self.seen(*pattern, &published, false));
                }
            }
        }
        let (answers, events) = self.sent();
        assert!(answers.is_empty(), "{answers:?}");
        let mut got = BTreeMap::new();
        for (to, events) in events {
            let named =
                events.into_iter().map(|(id, (_, number, topic, kept))| (self.ids[&id], number, topic, kept));
            let mut named: Vec<Seen> = named.collect();
            named.sort();
            self.events += named.len() as u64;
            got.insert(to, named);
        }
        assert_eq!(got, expected);
        if retain {
            let same = |of: &Receivers| {
                let set =
                    |ids: &Option<Vec<SessionId>>| ids.as_ref().map(|ids| BTreeSet::from_iter(ids.clone()));
                (set(&of.eligible), set(&of.exclude), of.eligible_authrole.clone())
            };
            let lists = published.to.as_ref().map(same);
            self.retained.retain(|kept| {
                kept.topic != published.topic || lists.is_some() && kept.to.as_ref().map(same) != lists
            });
            self.retained.push(published);
        }
    }

    fn subscribe(&mut self, peer: usize) {
        let (key, request) = (self.peers[peer].0, self.request(peer));
        let pattern = self.rng.usize(..PATTERNS.len());
        let (policy, uri) = PATTERNS[pattern];
        if uri.is_empty() && policy == MatchPolicy::Wildcard {
            return;
        }
        let get_retained = self.rng.bool();
        let options = SubscribeOptions {
            policy: Some(policy),
            get_retained: Some(get_retained),
            ..SubscribeOptions::default()
        };
        self.realm.handle_message(
            Time::ORIGIN,
            key,
            Subscribe { request, options, topic: uri.into() }.into(),
        );
        let (answers, mut events) = self.sent();
        let [Message::Subscribed(message::Subscribed { subscription, .. })] = answers.as_slice() else {
            panic!("{answers:?}")
        };
        assert_eq!(*self.ids.entry(*subscription).or_insert(pattern), pattern);
        self.subscribed.entry(pattern).or_default().insert(key);
        let mut newest = BTreeMap::new();
        if get_retained {
            let kept = self.retained.iter().filter(|kept| matches(PATTERNS[pattern], kept.topic));
            newest.extend(kept.filter(|kept| Self::may(kept, key)).map(|kept| (kept.topic, kept)));
        }
        let mut expected: Vec<Seen> =
            newest.into_values().map(|kept| self.seen(pattern, kept, true)).collect();
        expected.sort_by_key(|seen| seen.1);
        let got = events.remove(&key).unwrap_or_default();
        let got: Vec<Seen> = got
            .into_iter()
            .map(|(id, (_, number, topic, kept))| (self.ids[&id], number, topic, kept))
            .collect();
        self.events += got.len() as u64;
        assert_eq!(got, expected);
        assert!(events.is_empty(), "{events:?}");
    }

    /// Ends a subscription, by the session or by the router.
    fn unsubscribe(&mut self, peer: usize) {
        let key = self.peers[peer].0;
        let mut of = self.ids.iter().filter(|(_, pattern)| self.subscribed[*pattern].contains(&key));
        let Some((id, pattern)) = of.next_back().map(|(id, pattern)| (*id, *pattern)) else { return };
        if self.rng.bool() {
            assert!(self.realm.revoke_subscription(Time::ORIGIN, key, id, None));
        } else {
            let request = self.request(peer);
            self.realm.handle_message(Time::ORIGIN, key, Unsubscribe { request, subscription: id }.into());
        }
        self.sent();
        self.take_out(pattern, key);
    }

    fn take_out(&mut self, pattern: usize, key: SessionKey) {
        let subscribers = self.subscribed.get_mut(&pattern).expect("it was there");
        subscribers.remove(&key);
        if subscribers.is_empty() {
            // Its id is not used again.
            self.ids.retain(|_, of| *of != pattern);
        }
    }

    fn leave(&mut self, peer: usize) {
        let (key, _) = self.peers.swap_remove(peer);
        self.realm.handle_closed(Time::ORIGIN, key);
        self.sent();
        for pattern in 0..PATTERNS.len() {
            if self.subscribed.get(&pattern).is_some_and(|subscribers| subscribers.contains(&key)) {
                self.take_out(pattern, key);
            }
        }
    }
}

fn run(seed: u64) -> u64 {
    let mut world = World {
        rng: Rng::with_seed(seed),
        realm: Realm::new(Config::new("realm1"), seed),
        peers: Vec::new(),
        subscribed: BTreeMap::new(),
        ids: BTreeMap::new(),
        retained: Vec::new(),
        number: 0,
        events: 0,
    };
    world.join();
    for _ in 0..STEPS {
        let peer = world.rng.usize(..world.peers.len());
        match world.rng.u8(..20) {
            0..8 => world.publish(peer),
            8..15 => world.subscribe(peer),
            15..17 => world.unsubscribe(peer),
            17 if world.peers.len() > 1 => world.leave(peer),
            _ if world.peers.len() < 6 => world.join(),
            _ => {}
        }
        let subscribed = world.subscribed.values().filter(|subscribers| !subscribers.is_empty()).count();
        let topics: BTreeSet<_> = world.retained.iter().map(|kept| kept.topic).collect();
        let sizes = world.realm.sizes();
        assert_eq!((sizes.topics, sizes.retained), (subscribed, topics.len()));
    }
    world.events
}

#[test]
fn every_event_has_the_receivers_of_a_naive_broker() {
    let first = number("MODEL_SEED").unwrap_or(0);
    let count = number("MODEL_RUNS").unwrap_or(if crate::is_full() { RUNS } else { SHORT });
    let mut events = 0;
    for seed in first..first + count {
        let result = std::panic::catch_unwind(|| run(seed));
        events += result.unwrap_or_else(|_| panic!("broker: MODEL_SEED={seed} MODEL_RUNS=1"));
    }
    report(&format!("model, broker: {count} runs, {events} events"));
    assert!(count < 100 || events > 10 * count, "too little happens: {events} events");
}
