//! Requests that wait for an authorizer, exhaustively: every order of the messages of a client, of the verdicts about them,
//! of the turns of its session, of holds, deadlines, and the loss of its link, beside a queue that follows the rules to the
//! letter (behaviour 9, 262 to 265).
//!
//! After each step the router has sent exactly the messages that the queue has, in its order, and has the same next
//! deadline. Of scripts with hundreds of thousands of orders, and of all scripts without `MODEL=full`, a random part of the
//! orders is explored.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use wamp_core::Time;
use wamp_core::auth::Identity;
use wamp_core::router::{Config, Credit, Event, Feed, Join, Realm, Role, SessionKey, Ticket, Verdict};
use wamp_proto::message::HelloDetails;
use wamp_proto::{Feature, Features, Limits, Message, Role as WampRole, Roles, Serializer};

use crate::wire_message::json;
use crate::{is_full, report};

const MS: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(4);
const TIMEOUT: Duration = Duration::from_secs(1);

/// The number of random orders of each long script, and without `MODEL=full` of every script.
const RANDOM: u64 = 20_000;
const SHORT: u64 = 400;

/// A message of the client. Requests have the ids 1, 2, 3 in the order of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Call(u64),
    CallWithTimeout(u64),
    /// A call in chunks, and a further chunk, which may be the last.
    Chunked(u64),
    Chunk(u64, bool),
    Publish(u64),
    Cancel(u64),
    Credit(u64, u64),
    Goodbye,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Say(Say),
    /// The verdict on a request.
    Decide(u64, bool),
    /// A turn of the session lets one request leave.
    Advance,
    Hold,
    Release,
    /// The next deadline passes.
    Wait,
    Lose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked(Time),
    Ready(Option<bool>),
    Undecided,
}

#[derive(Clone, Debug)]
struct Entry {
    say: Say,
    state: State,
    timeout: Option<Time>,
}

/// The rules: a queue, and the calls that have left it.
#[derive(Clone, Debug, Default)]
struct Rules {
    queue: VecDeque<Entry>,
    /// The running calls with their timeouts.
    running: BTreeMap<u64, Option<Time>>,
    leaves: Option<Time>,
    is_held: bool,
    is_over: bool,
    sent: Vec<String>,
}

impl Rules {
    fn say(&mut self, now: Time, say: Say) {
        let is_goodbye = self.queue.iter().any(|entry| entry.say == Say::Goodbye);
        let asked = State::Asked(now + PATIENCE);
        let (state, timeout) = match say {
            _ if self.is_over => return,
            Say::Cancel(id) => {
                if let Some(place) = self.place(id) {
                    self.queue.remove(place);
                    self.sent.push(format!("{id} canceled"));
                } else if self.running.remove(&id).is_some() {
                    self.sent.push(format!("{id} canceled"));
                    self.sent.push(format!("interrupt {id}"));
                }
                return;
            }
            Say::Credit(..) => return,
            _ if is_goodbye => return,
            Say::Call(_) | Say::Chunked(_) | Say::Publish(_) => (asked, None),
            Say::CallWithTimeout(_) => (asked, Some(now + TIMEOUT)),
            Say::Chunk(..) | Say::Goodbye if self.queue.is_empty() => return self.leave(say, None),
            Say::Goodbye => {
                self.leaves = Some(now + PATIENCE);
                (State::Ready(None), None)
            }
            Say::Chunk(..) => (State::Ready(None), None),
        };
        self.queue.push_back(Entry { say, state, timeout });
    }

    /// The place of a call that waits.
    fn place(&self, id: u64) -> Option<usize> {
        let calls = [Say::Call(id), Say::CallWithTimeout(id), Say::Chunked(id)];
        self.queue.iter().position(|entry| calls.contains(&entry.say))
    }

    fn decide(&mut self, id: u64, allows: bool) {
        let is_it = |entry: &&mut Entry| {
            let own = match entry.say {
                Say::Call(id) | Say::CallWithTimeout(id) | Say::Chunked(id) | Say::Publish(id) => id,
                _ => 0,
            };
            own == id && matches!(entry.state, State::Asked(_))
        };
        if let Some(entry) = self.queue.iter_mut().find(is_it) {
            entry.state = State::Ready(Some(allows));
        }
    }

    fn advance(&mut self) {
        if self.is_held || self.queue.front().is_none_or(|entry| matches!(entry.state, State::Asked(_))) {
            return;
        }
        let Some(Entry { say, state, timeout }) = self.queue.pop_front() else { return };
        let verdict = if let State::Ready(verdict) = state { verdict } else { None };
        let is_undecided = state == State::Undecided;
        match say {
            Say::Call(id) | Say::CallWithTimeout(id) | Say::Chunked(id) if verdict != Some(true) => {
                let why = if is_undecided { "authorization_failed" } else { "not_authorized" };
                self.sent.push(format!("{id} {why}"));
            }
            Say::Publish(_) if verdict != Some(true) => {}
            say => self.leave(say, timeout),
        }
    }

    fn leave(&mut self, say: Say, timeout: Option<Time>) {
        match say {
            Say::Call(id) | Say::CallWithTimeout(id) | Say::Chunked(id) => {
                self.running.insert(id, timeout);
                self.sent.push(format!("invoke {id}"));
            }
            Say::Chunk(id, _) if self.running.contains_key(&id) => self.sent.push(format!("invoke {id}")),
            Say::Publish(id) => self.sent.push(format!("event {id}")),
            Say::Goodbye => {
                self.sent.push("goodbye".to_owned());
                self.end();
            }
            _ => {}
        }
    }

    /// The session is over.
    fn end(&mut self) {
        let running = std::mem::take(&mut self.running);
        self.sent.extend(running.into_keys().map(|id| format!("interrupt {id}")));
        *self = Self { is_over: true, sent: std::mem::take(&mut self.sent), ..Self::default() };
    }

    fn deadline(&self) -> Option<Time> {
        let asked = self.queue.iter().filter_map(|entry| match entry.state {
            State::Asked(at) => Some(at),
            _ => None,
        });
        let timeouts = self.queue.iter().filter_map(|entry| entry.timeout);
        asked.chain(timeouts).chain(self.leaves).chain(self.running.values().copied().flatten()).min()
    }

    /// All that is due by now, in its order.
    fn pass(&mut self, now: Time) {
        while let Some(at) = self.deadline().filter(|at| *at <= now) {
            if self.leaves == Some(at) {
                self.leaves = None;
                for entry in &mut self.queue {
                    if matches!(entry.state, State::Asked(_)) {
                        entry.state = State::Undecided;
                    }
                }
            } else if let Some((&id, _)) = self.running.iter().find(|(_, timeout)| **timeout == Some(at)) {
                self.running.remove(&id);
                self.sent.push(format!("interrupt {id}"));
                self.sent.push(format!("{id} timeout"));
            } else if let Some(place) = self.queue.iter().position(|entry| entry.timeout == Some(at)) {
                let Say::CallWithTimeout(id) = self.queue[place].say else { panic!("no timeout") };
                self.queue.remove(place);
                self.sent.push(format!("{id} timeout"));
            } else {
                let is_it = |entry: &&mut Entry| entry.state == State::Asked(at);
                self.queue.iter_mut().find(is_it).expect("a question").state = State::Undecided;
            }
        }
    }
}

#[derive(Clone)]
struct World {
    now: Time,
    realm: Realm,
    /// The client, the one that is called and subscribes, and the one whose link is full.
    keys: [SessionKey; 3],
    asked: BTreeMap<u64, Ticket>,
    /// Tickets of questions that are void.
    void: BTreeSet<u64>,
    invoked: BTreeMap<u64, u64>,
    rules: Rules,
    /// The number of messages of the script that were sent.
    said: usize,
    holds: usize,
    path: Vec<Step>,
    /// Whether the driver was told that a request can leave, and has not found that none can.
    told: bool,
}

fn bytes(json: &str) -> Message {
    let frame = bytes::Bytes::copy_from_slice(json.as_bytes());
    Message::decode(Serializer::Json, &frame, &Limits::default()).unwrap()
}

impl World {
    fn new() -> Self {
        let mut config = Config::new("realm1");
        config.credit = Some(Credit { window: 1_000, max_window: 1_000, ..Credit::default() });
        config.roles.insert(Role::new("device").with_authorizer());
        config.roles.insert(Role::everything("user"));
        let (mut realm, now) = (Realm::new(config, 7), Time::ORIGIN);
        let features = Features::none()
            .with(Feature::ProgressiveCallResults)
            .with(Feature::ProgressiveCallInvocations)
            .with(Feature::CallCanceling)
            .with_credit(500);
        let none = Features::none;
        let keys = ["device", "user", "user"].map(|role| {
            let roles = Roles::none()
                .with(WampRole::Caller, features.clone())
                .with(WampRole::Callee, features.clone())
                .with(WampRole::Publisher, none())
                .with(WampRole::Subscriber, none());
            let details = HelloDetails { roles, ..HelloDetails::default() };
            let serializer = Serializer::Json;
            let join = Join { details, serializer, max_message: usize::MAX, transport: Default::default() };
            realm.join_as(now, join, Identity::new(role, role, "ticket").into()).unwrap()
        });
        realm.handle_message(now, keys[1], bytes(r#"[64,1,{},"com.p"]"#));
        realm.handle_message(now, keys[1], bytes(r#"[32,2,{},"com.t"]"#));
        while realm.poll_transmit().is_some() {}
        assert_eq!(realm.poll_event(), None);
        let rules = Rules::default();
        let (asked, void, invoked) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let (said, holds, path) = (0, 0, Vec::new());
        Self { now, realm, keys, asked, void, invoked, rules, said, holds, path, told: false }
    }

    fn steps(&self, script: &[Say]) -> Vec<Step> {
        if self.rules.is_over {
            return Vec::new();
        }
        let mut steps = Vec::new();
        steps.extend(script.get(self.said).map(|say| Step::Say(*say)));
        // Also verdicts on requests that have ended.
        let verdicts = self.asked.keys().flat_map(|id| [(*id, true), (*id, false)]);
        steps.extend(verdicts.map(|(id, allows)| Step::Decide(id, allows)));
        // A held session tries in vain, once.
        if self.told && !(self.rules.is_held && self.path.last() == Some(&Step::Advance)) {
            steps.push(Step::Advance);
        }
        match self.holds {
            0 if !self.rules.queue.is_empty() => steps.push(Step::Hold),
            1 => steps.push(Step::Release),
            _ => {}
        }
        if self.rules.deadline().is_some() {
            steps.push(Step::Wait);
        }
        steps.push(Step::Lose);
        steps
    }

    fn step(&mut self, step: Step) {
        self.path.push(step);
        let [device, _, other] = self.keys;
        let next = self.rules.deadline();
        self.now = match step {
            Step::Wait => next.unwrap(),
            _ => self.now + MS,
        };
        let now = self.now;
        match step {
            Step::Say(say) => {
                self.said += 1;
                let said = match say {
                    Say::Call(id) => format!(r#"[48,{id},{{"receive_progress":true}},"com.p",[{id}]]"#),
                    Say::CallWithTimeout(id) => format!(r#"[48,{id},{{"timeout":1000}},"com.p",[{id}]]"#),
                    Say::Chunked(id) | Say::Chunk(id, false) => {
                        format!(r#"[48,{id},{{"progress":true}},"com.p",[{id}]]"#)
                    }
                    Say::Chunk(id, true) => format!(r#"[48,{id},{{}},"com.p",[{id}]]"#),
                    Say::Publish(id) => format!(r#"[16,{id},{{}},"com.t",[{id}]]"#),
                    Say::Cancel(id) => format!("[49,{id},{{}}]"),
                    Say::Credit(id, total) => format!("[256,{id},{{}},{total}]"),
                    Say::Goodbye => r#"[6,{},"wamp.close.close_realm"]"#.to_owned(),
                };
                self.rules.say(now, say);
                self.realm.handle_message(now, device, bytes(&said));
            }
            Step::Decide(id, allows) => {
                let ticket = self.asked.remove(&id).unwrap();
                self.rules.decide(id, allows);
                self.realm.decide(now, ticket, if allows { Verdict::ALLOWED } else { Verdict::DENIED });
            }
            Step::Advance => {
                self.rules.advance();
                if !self.realm.advance(now, device) {
                    self.told = self.rules.is_held;
                }
            }
            Step::Hold => {
                self.holds = 1;
                self.rules.is_held = true;
                self.realm.set_full(now, other);
                assert!(self.realm.hold(now, device, other, Feed::Stream), "{:?}", self.path);
            }
            Step::Release => {
                self.holds = 2;
                self.rules.is_held = false;
                self.realm.set_room(now, other);
            }
            Step::Wait => {}
            Step::Lose => {
                self.rules.end();
                self.realm.handle_closed(now, device);
            }
        }
        if next.is_some_and(|at| at <= now) && !self.rules.is_over {
            self.rules.pass(now);
        }
        while self.realm.poll_timeout().is_some_and(|at| at <= now) {
            self.realm.handle_timeout(now);
        }
        self.compare();
    }

    fn compare(&mut self) {
        let mut sent = Vec::new();
        while let Some((to, message)) = self.realm.poll_transmit() {
            let line = json(&message);
            let number = |place: usize| line.split([',', '[', ']']).nth(place).unwrap().to_owned();
            let args = || line.trim_end_matches(']').rsplit('[').next().unwrap().to_owned();
            sent.push(match &message {
                Message::Credit(_) => continue,
                Message::Invocation(invocation) => {
                    self.invoked.insert(invocation.request.get(), args().parse().unwrap());
                    format!("invoke {}", args())
                }
                Message::Interrupt(interrupt) => {
                    format!("interrupt {}", self.invoked[&interrupt.request.get()])
                }
                Message::Event(_) => format!("event {}", args()),
                Message::Error(error) => {
                    let why = error.error.rsplit('.').next().unwrap().to_owned();
                    format!("{} {why}", number(3))
                }
                Message::Goodbye(_) if to == self.keys[0] => "goodbye".to_owned(),
                other => panic!("{other:?} after {:?}", self.path),
            });
        }
        while let Some(event) = self.realm.poll_event() {
            match event {
                Event::Authorize { ticket, question } => {
                    let id = match &question.request {
                        Message::Call(call) => call.request.get(),
                        Message::Publish(publish) => publish.request.get(),
                        other => panic!("{other:?}"),
                    };
                    assert!(self.asked.insert(id, ticket).is_none(), "asked twice after {:?}", self.path);
                }
                Event::Void { ticket } => {
                    let id = self.asked.iter().find(|(_, known)| **known == ticket);
                    self.void.extend(id.map(|(id, _)| *id));
                }
                Event::Decided { session } => {
                    assert!(session == self.keys[0] && !self.told, "told twice after {:?}", self.path);
                    self.told = true;
                }
                Event::Watch { watch, .. } => self.realm.handle_left(self.now, watch),
                Event::Released { .. } | Event::Closed { .. } => {}
                other => panic!("{other:?} after {:?}", self.path),
            }
        }
        // The two receivers are independent of each other.
        let of = |sent: &[String]| {
            let is_to_user = |line: &&String| line.starts_with(|first: char| "ie".contains(first));
            let (user, device): (Vec<_>, Vec<_>) = sent.iter().partition(is_to_user);
            (user.into_iter().cloned().collect::<Vec<_>>(), device.into_iter().cloned().collect::<Vec<_>>())
        };
        let mut expected = of(&std::mem::take(&mut self.rules.sent));
        let mut sent = of(&sent);
        if self.rules.is_over {
            // The session has left a client that gets nothing any more, and its calls end in any order.
            sent.0.sort();
            expected.0.sort();
        }
        assert_eq!(sent, expected, "after {:?}", self.path);
        let has_ready = self.rules.queue.front().is_some_and(|entry| !matches!(entry.state, State::Asked(_)));
        assert!(self.told || !has_ready, "nothing tells of a decided request after {:?}", self.path);
        assert_eq!(self.realm.can_advance(self.keys[0]), has_ready && !self.rules.is_held);
        assert_eq!(self.realm.poll_timeout(), self.rules.deadline(), "after {:?}", self.path);
        assert_eq!(self.realm.sizes().waiting, self.rules.queue.len(), "after {:?}", self.path);
        assert_eq!(self.realm.sizes().calls, self.rules.running.len(), "after {:?}", self.path);
        // A question about a request that has ended is void, and only such a one.
        let open = |id: &u64| {
            let asks = |entry: &Entry| match entry.say {
                Say::Call(own) | Say::CallWithTimeout(own) | Say::Chunked(own) | Say::Publish(own) => {
                    own == *id && matches!(entry.state, State::Asked(_))
                }
                _ => false,
            };
            self.rules.queue.iter().any(asks)
        };
        for id in self.asked.keys() {
            assert_eq!(self.void.contains(id), !open(id), "{id} after {:?}", self.path);
        }
    }
}

/// Explores all orders. Returns how many there are.
fn explore(world: &World, script: &[Say], count: &mut u64) {
    let steps = world.steps(script);
    if steps.is_empty() {
        *count += 1;
    }
    for step in steps {
        let mut next = world.clone();
        next.step(step);
        explore(&next, script, count);
    }
}

/// Scripts whose orders are all explored.
const SCRIPTS: [&[Say]; 4] = [
    &[Say::CallWithTimeout(1), Say::Cancel(1), Say::Call(2)],
    &[Say::Chunked(1), Say::Chunk(1, false), Say::Chunk(1, true)],
    &[Say::Chunked(1), Say::Cancel(1), Say::Chunk(1, true), Say::Goodbye],
    &[Say::Chunked(1), Say::Chunk(1, true), Say::Goodbye],
];

/// Scripts with too many orders for that: 1,439,954 and 382,258.
const LONG: [&[Say]; 2] = [
    &[Say::CallWithTimeout(1), Say::Publish(2), Say::Goodbye],
    &[Say::Call(1), Say::Credit(1, 900), Say::Publish(2)],
];

// behaviour 9, behaviour 262 to 265
#[test]
fn requests_that_wait_follow_their_rules_in_every_order() {
    let world = World::new();
    for (index, script) in SCRIPTS.into_iter().chain(LONG).enumerate() {
        if is_full() && index < SCRIPTS.len() {
            let mut count = 0;
            explore(&world, script, &mut count);
            report(&format!("deciding {index}: {count} orders"));
            continue;
        }
        for seed in 0..if is_full() { RANDOM } else { SHORT } {
            let mut rng = Rng::with_seed(seed << 8 | index as u64);
            let mut world = world.clone();
            while let Some(step) = rng.choice(world.steps(script)) {
                // Most random orders would end at once.
                if step != Step::Lose || rng.u8(..4) == 0 {
                    world.step(step);
                }
            }
        }
    }
}
