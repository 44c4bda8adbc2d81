use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use wamp_core::Time;
use wamp_core::router::{Config, Join};
use wamp_proto::Limits as MessageLimits;
use wamp_proto::relay::PlainYield;

use super::*;
use crate::Limits;
use crate::budget::Budget;
use crate::settings::Settings;

const KIB: usize = 1024;

/// A link is full from here on.
const HIGH_WATER: usize = 32 * KIB;

/// Events for a link are dropped from here on.
const MOST_EVENTS: usize = 96 * KIB;

fn decode(json: &str) -> Message {
    let frame = Bytes::copy_from_slice(json.as_bytes());
    Message::decode(Serializer::Json, &frame, &MessageLimits::default()).unwrap()
}

/// A realm whose links have no writers.
struct World {
    machine: Machine,
    links: Links,
    wakes: Wakes,
    events_dropped: u64,
    rests: Rests,
    /// For how long events are delivered in a turn.
    portion: Duration,
    budget: Arc<Budget>,
    settings: Arc<Settings>,
}

impl World {
    fn new() -> Self {
        let limits = Limits { high_water: HIGH_WATER, low_water: HIGH_WATER / 2, ..Limits::default() };
        Self {
            machine: Machine::new(Config::new("realm1"), 1),
            links: Links::default(),
            wakes: Wakes::default(),
            events_dropped: 0,
            rests: Rests::default(),
            portion: Duration::from_secs(60),
            budget: Arc::new(Budget::new(&limits)),
            settings: Arc::new(Settings::from(limits)),
        }
    }

    fn session(&mut self) -> (SessionKey, Arc<Outbound>) {
        let hello = r#"[1,"realm1",{"roles":{"caller":{},"callee":{},"publisher":{},"subscriber":{}}}]"#;
        let Message::Hello(hello) = decode(hello) else { panic!("no HELLO") };
        let join = Join {
            details: hello.details,
            serializer: Serializer::Json,
            max_message: 1 << 24,
            transport: Default::default(),
        };
        let key = self.machine.join(Time::ORIGIN, join).unwrap();
        let link = Arc::new(Outbound::new(Serializer::Json, self.settings.clone(), self.budget.clone()));
        self.links.insert(key, link.clone());
        self.machine.transmit(|_| {});
        (key, link)
    }

    /// Sessions that are subscribed to `topic`.
    fn subscribers(&mut self, topic: &str, count: usize) -> Vec<(SessionKey, Arc<Outbound>)> {
        let subscribers: Vec<_> = (0..count).map(|_| self.session()).collect();
        for (key, _) in &subscribers {
            self.handle(*key, &format!(r#"[32,1,{{}},"{topic}"]"#));
            self.machine.transmit(|_| {});
        }
        subscribers
    }

    fn handle(&mut self, from: SessionKey, json: &str) {
        self.machine.handle_message(Time::ORIGIN, from, decode(json));
    }

    /// A turn of a sender: the links that it has filled, and how many messages it counts for.
    fn turn(&mut self, sender: SessionKey, act: impl FnOnce(&mut Lanes<'_>, &mut Machine)) -> (Fed, usize) {
        let Self { machine, links, wakes, events_dropped, rests, .. } = self;
        let mut lanes = Lanes::new(links, events_dropped, rests, wakes, Fed::by(sender));
        lanes.portion = self.portion;
        act(&mut lanes, machine);
        let pushed = lanes.pushed();
        (lanes.finish(), pushed)
    }
}

/// A machine's events for a publication of one text.
fn publish(lanes: &mut Lanes<'_>, machine: &mut Machine, from: SessionKey, topic: &str, text: &str) {
    let publish = format!(r#"[16,1,{{}},"{topic}",["{text}"]]"#);
    machine.handle_message(Time::ORIGIN, from, decode(&publish));
    lanes.transmit(machine);
}

/// A plain result with one text, for the first call of its receiver.
fn push_result(lanes: &mut Lanes<'_>, to: SessionKey, progress: bool, text: &str) {
    let json = format!(r#"[70,1,{{{}}},["{text}"]]"#, if progress { r#""progress":true"# } else { "" });
    let plain = PlainYield::read(Serializer::Json, json.as_bytes(), &MessageLimits::default()).unwrap();
    let result = plain.result(plain.request);
    lanes.push_result(to, Serializer::Json, &result, |batch, head| {
        batch.push_plain(head, &json.as_bytes()[plain.tail()]);
    });
}

/// The batches of a queue, and the texts of the messages in each; a message without one is shown by its code.
async fn batches(link: &Outbound) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    while let Ok(Some(mut batch)) = timeout(Duration::ZERO, link.next()).await {
        let mut texts = Vec::new();
        while let Some(front) = batch.front() {
            let mut message = Vec::new();
            front.copy_to(&mut message);
            texts.push(text(&String::from_utf8(message).unwrap()));
            batch.pop_front();
        }
        batches.push(texts);
        link.written(batch);
    }
    batches
}

fn text(message: &str) -> String {
    let text = message.split_once(r#"[""#).and_then(|(_, rest)| rest.split_once('"'));
    match text {
        Some((text, _)) => text.to_owned(),
        None => message[1..].split(',').next().unwrap_or_default().to_owned(),
    }
}

/// How many messages wait for a writer, and how many bytes they have.
async fn waiting(link: &Outbound) -> usize {
    batches(link).await.concat().len()
}

async fn is_awake(link: &Outbound) -> bool {
    timeout(Duration::ZERO, link.ready()).await.is_ok()
}

#[tokio::test]
async fn messages_for_a_receiver_are_one_batch_in_their_order_whatever_they_are() {
    let mut world = World::new();
    let ((sender, _), (a, link_a), (b, link_b)) = (world.session(), world.session(), world.session());
    let (_, pushed) = world.turn(sender, |lanes, _| {
        push_result(lanes, a, true, "one");
        lanes.push(b, &decode(r#"[68,1,1,{},["for b"]]"#));
        lanes.push(a, &decode(r#"[36,1,2,{},["two"]]"#));
        push_result(lanes, a, true, "three");
        lanes.push(a, &decode(r#"[8,48,2,{},"a.b",["four"]]"#));
        push_result(lanes, b, false, "also for b");
        push_result(lanes, a, false, "five");
        assert!(!link_a.is_busy() && !link_b.is_busy(), "nothing leaves before the end");
    });
    assert_eq!(pushed, 3, "plain results are counted elsewhere");
    assert_eq!(batches(&link_a).await, [["one", "two", "three", "four", "five"]]);
    assert_eq!(batches(&link_b).await, [["for b", "also for b"]]);
}

#[tokio::test]
async fn many_receivers_and_long_batches_keep_the_order_too() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let receivers: Vec<_> = (0..LANES + 5).map(|_| world.session()).collect();
    let long = "x".repeat(LOAD / 2);
    world.turn(sender, |lanes, _| {
        for round in ["first", "second"] {
            for (to, _) in &receivers {
                lanes.push(*to, &decode(&format!(r#"[68,1,1,{{}},["{round}"]]"#)));
                push_result(lanes, *to, true, round);
            }
        }
        for _ in 0..3 {
            push_result(lanes, receivers[0].0, true, &long);
        }
        lanes.push(receivers[0].0, &decode(r#"[68,1,1,{},["last"]]"#));
        assert!(receivers[0].1.is_busy(), "a long batch leaves at once");
    });
    for (index, (_, link)) in receivers.iter().enumerate() {
        let texts = batches(link).await.concat();
        assert_eq!(texts[..4], ["first", "first", "second", "second"]);
        match index {
            0 => assert_eq!(texts[4..], [&long, &long, &long, "last"]),
            _ => assert_eq!(texts.len(), 4),
        }
    }
}

#[tokio::test]
async fn events_for_several_are_in_order_with_what_one_of_them_gets_alone() {
    let mut world = World::new();
    let (sender, own) = world.session();
    let subscribers = world.subscribers("t", 3);
    let few = world.subscribers("few", 2);
    let (second, link) = &subscribers[1];
    let both = few[0].0;
    world.handle(both, r#"[32,2,{},"t"]"#);
    world.turn(sender, |lanes, machine| {
        lanes.transmit(machine);
        push_result(lanes, *second, true, "before");
        publish(lanes, machine, sender, "t", "one");
        publish(lanes, machine, sender, "t", "two");
        lanes.push(*second, &decode(r#"[68,1,1,{},["between"]]"#));
        publish(lanes, machine, sender, "few", "three");
        publish(lanes, machine, sender, "t", "four");
        push_result(lanes, *second, false, "after");
    });
    assert_eq!(batches(link).await.concat(), ["before", "one", "two", "between", "four", "after"]);
    for (_, other) in [&subscribers[0], &subscribers[2]] {
        assert_eq!(batches(other).await.concat(), ["one", "two", "four"]);
    }
    // SUBSCRIBED comes first.
    assert_eq!(batches(&few[0].1).await.concat(), ["33", "one", "two", "three", "four"]);
    assert_eq!(batches(&few[1].1).await.concat(), ["three"]);
    assert_eq!(waiting(&own).await, 0);
}

#[tokio::test]
async fn an_event_for_many_counts_less_if_it_joins_others() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let subscribers = world.subscribers("t", 8 * JOINED);
    let (_, pushed) = world.turn(sender, |lanes, machine| {
        for _ in 0..10 {
            publish(lanes, machine, sender, "t", "x");
        }
    });
    assert_eq!(pushed, 10 * 8);
    for (_, link) in &subscribers {
        assert_eq!(waiting(link).await, 10);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_session_without_a_link_and_others_get_theirs() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let subscribers = world.subscribers("t", 3);
    world.links.remove(subscribers[0].0);
    world.turn(sender, |lanes, machine| {
        publish(lanes, machine, sender, "t", "one");
        lanes.push(subscribers[0].0, &decode(r#"[68,1,1,{},["nothing"]]"#));
        push_result(lanes, subscribers[0].0, true, "nothing");
        publish(lanes, machine, sender, "t", "two");
    });
    assert!(!subscribers[0].1.is_busy());
    for (_, link) in &subscribers[1..] {
        assert_eq!(batches(link).await.concat(), ["one", "two"]);
    }
}

#[tokio::test]
async fn an_abort_overtakes_what_was_collected_and_nothing_follows_it() {
    let mut world = World::new();
    let ((sender, _), (to, link)) = (world.session(), world.session());
    world.turn(sender, |lanes, _| {
        push_result(lanes, to, true, "before");
        lanes.push(to, &decode(r#"[3,{},"wamp.error.protocol_violation"]"#));
        push_result(lanes, to, true, "after");
    });
    assert_eq!(batches(&link).await, [["3"]]);
}

#[tokio::test]
async fn a_full_link_is_reported_once_in_a_turn_and_newly_full_once_at_all() {
    let mut world = World::new();
    let ((sender, _), (to, link), (other, _)) = (world.session(), world.session(), world.session());
    let quarter = "x".repeat(HIGH_WATER / 4);
    // Several batches, all of them beyond the high water; the last one only tells an end.
    let (fed, _) = world.turn(sender, |lanes, _| {
        push_result(lanes, other, true, &quarter);
        for _ in 0..20 {
            push_result(lanes, to, true, &quarter);
        }
        push_result(lanes, to, false, &quarter);
    });
    assert_eq!((&fed.full[..], &fed.newly_full[..]), (&[(to, Feed::Stream)][..], &[to][..]));
    assert!(fed.events.is_empty());
    // It stays full, and is reported to each that fills it, by what that one has sent.
    let (fed, _) = world.turn(sender, |lanes, _| push_result(lanes, to, false, "x"));
    assert_eq!((&fed.full[..], &fed.newly_full[..]), (&[(to, Feed::Last)][..], &[][..]));
    let (fed, _) = world.turn(sender, |lanes, _| lanes.push(to, &decode(r#"[69,1,{}]"#)));
    assert!(fed.full.is_empty(), "INTERRUPT belongs to no stream, and no session waits for it");
    // Whatever it is, a session is held by what it sends to itself.
    let (fed, _) = world.turn(to, |lanes, _| lanes.push(to, &decode(r#"[33,1,1]"#)));
    assert_eq!(fed.full, [(to, Feed::Stream)]);
    assert_eq!(waiting(&link).await, 24);
}

#[tokio::test]
async fn a_subscriber_that_is_full_is_reported_as_one() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let subscribers = world.subscribers("t", 2);
    let (alone, _) = world.subscribers("alone", 1)[0];
    let quarter = "x".repeat(HIGH_WATER / 4);
    let (fed, _) = world.turn(sender, |lanes, machine| {
        for _ in 0..3 {
            publish(lanes, machine, sender, "t", &quarter);
        }
        assert!(!lanes.has_filled_a_subscriber());
        for _ in 0..5 {
            publish(lanes, machine, sender, "t", &quarter);
        }
        assert!(lanes.has_filled_a_subscriber());
        for _ in 0..5 {
            publish(lanes, machine, sender, "alone", &quarter);
        }
    });
    let mut full: Vec<_> = subscribers.iter().map(|(key, _)| *key).collect();
    full.push(alone);
    assert_eq!((&fed.events, &fed.newly_full), (&full, &full));
    assert!(fed.full.is_empty(), "events hold a publisher, and no callee");
}

#[tokio::test]
async fn events_that_a_link_does_not_take_are_dropped_and_counted_one_by_one() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let (_, alone) = world.subscribers("alone", 1).remove(0);
    let subscribers = world.subscribers("t", 2);
    let text = "x".repeat(KIB);
    world.turn(sender, |lanes, machine| {
        for _ in 0..200 {
            publish(lanes, machine, sender, "alone", &text);
        }
    });
    let taken = waiting(&alone).await;
    assert!((MOST_EVENTS / (KIB + 50)..=MOST_EVENTS / KIB + 1).contains(&taken), "{taken}");
    assert_eq!(world.events_dropped as usize, 200 - taken);

    world.events_dropped = 0;
    world.turn(sender, |lanes, machine| {
        for _ in 0..300 {
            publish(lanes, machine, sender, "t", &text);
        }
    });
    let mut taken = 0;
    for (_, link) in &subscribers {
        let events = waiting(link).await;
        let most = (MOST_EVENTS + FAN_LOAD + KIB) / KIB;
        assert!((MOST_EVENTS / (KIB + 50)..=most).contains(&events), "{events}");
        taken += events;
    }
    assert_eq!(world.events_dropped as usize, 2 * 300 - taken);
}

#[tokio::test]
async fn other_messages_wake_the_writer_at_the_end_of_the_turn_and_events_later() {
    let mut world = World::new();
    let ((sender, _), (to, link)) = (world.session(), world.session());
    let subscribers = world.subscribers("t", 2);
    let alone = world.subscribers("alone", 1).remove(0).1;
    world.turn(sender, |lanes, machine| {
        publish(lanes, machine, sender, "t", "x");
        publish(lanes, machine, sender, "alone", "x");
        push_result(lanes, to, true, "x");
        push_result(lanes, subscribers[0].0, true, "x");
    });
    let (both, events) = (&subscribers[0].1, &subscribers[1].1);
    for link in [&link, both, events, &alone] {
        assert!(!is_awake(link).await, "not under the lock");
    }
    world.wakes.wake_urgent();
    assert!(is_awake(&link).await && is_awake(both).await);
    assert!(!is_awake(events).await && !is_awake(&alone).await);
    world.wakes.flush();
    assert!(is_awake(events).await && is_awake(&alone).await);
}

/// How many of them have something to write.
fn served(subscribers: &[(SessionKey, Arc<Outbound>)]) -> usize {
    subscribers.iter().filter(|(_, link)| link.is_busy()).count()
}

#[tokio::test]
async fn a_publication_to_many_is_delivered_in_portions_and_to_each_once() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let subscribers = world.subscribers("t", 4 * LOOK + 1);
    world.portion = Duration::ZERO;
    world.turn(sender, |lanes, machine| {
        assert!(!lanes.go_on());
        publish(lanes, machine, sender, "t", "one");
        publish(lanes, machine, sender, "t", "two");
    });
    assert_eq!(served(&subscribers), LOOK);
    // The receivers were chosen before.
    world.handle(subscribers[0].0, r#"[32,2,{},"other"]"#);
    let (late, late_link) = world.session();
    world.handle(late, r#"[32,1,{},"t"]"#);
    let gone = world.links.remove(subscribers[4 * LOOK - 1].0).unwrap();
    for portion in 2..=5 {
        let has_rest = portion < 5;
        world.turn(sender, |lanes, _| assert_eq!(lanes.go_on(), has_rest));
        assert_eq!(world.rests.has(sender), has_rest);
        let expected = if has_rest { portion * LOOK } else { 4 * LOOK + 1 };
        assert_eq!(served(&subscribers), expected - usize::from(portion >= 4));
    }
    for (_, link) in &subscribers {
        let texts = batches(link).await.concat();
        let is_gone = Arc::ptr_eq(link, &gone);
        assert_eq!(texts, if is_gone { Vec::<&str>::new() } else { vec!["one", "two"] });
    }
    assert!(!late_link.is_busy());
    assert_eq!(world.events_dropped, 0);
}

#[tokio::test]
async fn a_session_gets_the_events_of_a_rest_before_any_other_message_and_not_again() {
    let mut world = World::new();
    let ((sender, _), (other, _)) = (world.session(), world.session());
    let subscribers = world.subscribers("t", 2 * LOOK);
    let [.., (result, result_link), (last, last_link)] = &subscribers[..] else { panic!("no subscribers") };
    world.portion = Duration::ZERO;
    world.turn(sender, |lanes, machine| publish(lanes, machine, sender, "t", "event"));
    world.turn(other, |lanes, _| {
        lanes.push(*last, &decode("[35,1]"));
        push_result(lanes, *result, false, "result");
        lanes.push(subscribers[0].0, &decode(r#"[68,1,1,{},["call"]]"#));
    });
    world.turn(sender, |lanes, _| assert!(!lanes.go_on()));
    assert_eq!(batches(last_link).await.concat(), ["event", "35"]);
    assert_eq!(batches(result_link).await.concat(), ["event", "result"]);
    assert_eq!(batches(&subscribers[0].1).await.concat(), ["event", "call"]);
}

#[tokio::test]
async fn a_session_is_not_held_for_the_events_of_another_that_it_passes_on() {
    let mut world = World::new();
    let ((sender, _), (other, _)) = (world.session(), world.session());
    let subscribers = world.subscribers("t", LOOK + 1);
    let last = subscribers[LOOK].0;
    world.portion = Duration::ZERO;
    let (fed, _) = world.turn(sender, |lanes, machine| {
        publish(lanes, machine, sender, "t", &"x".repeat(HIGH_WATER));
    });
    assert_eq!(fed.events.len(), LOOK);
    let (fed, _) = world.turn(other, |lanes, _| lanes.push(last, &decode("[35,1]")));
    assert!(fed.full.is_empty() && fed.events.is_empty());
    assert_eq!(fed.newly_full, [last], "but the realm learns of it");
    world.turn(sender, |lanes, _| assert!(!lanes.go_on()));
    assert_eq!(batches(&subscribers[LOOK].1).await.concat().len(), 2);
}

#[tokio::test]
async fn so_many_publishers_have_rests_and_others_deliver_at_once() {
    let mut world = World::new();
    let subscribers = world.subscribers("t", 2 * LOOK);
    world.portion = Duration::ZERO;
    let mut senders = Vec::new();
    while world.rests.has_room() {
        let (sender, _) = world.session();
        world.turn(sender, |lanes, machine| publish(lanes, machine, sender, "t", "portions"));
        senders.push(sender);
    }
    let (sender, _) = world.session();
    world.turn(sender, |lanes, machine| publish(lanes, machine, sender, "t", "at once"));
    assert!(!world.rests.has(sender));
    let last = &subscribers[2 * LOOK - 1].1;
    assert_eq!(batches(last).await.concat(), ["at once"]);
    for sender in &senders {
        world.turn(*sender, |lanes, _| assert!(!lanes.go_on()));
    }
    assert_eq!(waiting(last).await, senders.len());
    assert!(senders.len() >= 8);
}

#[tokio::test]
async fn the_testament_of_a_publisher_comes_after_its_publications() {
    let mut world = World::new();
    let ((sender, _), (other, _)) = (world.session(), world.session());
    let subscribers = world.subscribers("t", 4 * LOOK);
    let testament = r#"[48,1,{},"wamp.session.add_testament",["t",["testament"],{}]]"#;
    world.handle(sender, testament);
    world.machine.transmit(|_| {});
    world.portion = Duration::ZERO;
    world.turn(sender, |lanes, machine| publish(lanes, machine, sender, "t", "event"));
    assert!(world.rests.has(sender));
    // The sender is gone.
    world.turn(other, |lanes, machine| {
        machine.handle_closed(Time::ORIGIN, sender);
        lanes.transmit(machine);
    });
    assert!(!world.rests.has(sender));
    while world.rests.has(other) {
        world.turn(other, |lanes, _| assert!(lanes.go_on() || lanes.rests.is_empty()));
    }
    for (_, link) in &subscribers {
        assert_eq!(batches(link).await.concat(), ["event", "testament"]);
    }
}

#[tokio::test]
async fn a_meta_event_does_not_overtake_another_that_is_delivered_in_portions() {
    let mut world = World::new();
    let ((sender, _), (other, _)) = (world.session(), world.session());
    let subscribers = world.subscribers("wamp.subscription.on_create", 4 * LOOK);
    world.portion = Duration::ZERO;
    let subscribe = |lanes: &mut Lanes<'_>, machine: &mut Machine, from, topic: &str| {
        let subscribe = format!(r#"[32,1,{{}},"{topic}"]"#);
        machine.handle_message(Time::ORIGIN, from, decode(&subscribe));
        lanes.transmit(machine);
    };
    world.turn(sender, |lanes, machine| subscribe(lanes, machine, sender, "first"));
    assert!(world.rests.has(sender));
    world.turn(other, |lanes, machine| subscribe(lanes, machine, other, "second"));
    assert!(!world.rests.has(sender), "it is delivered before");
    while world.rests.has(other) {
        world.turn(other, |lanes, _| assert!(lanes.go_on() || lanes.rests.is_empty()));
    }
    for (_, link) in &subscribers {
        let Ok(Some(mut batch)) = timeout(Duration::ZERO, link.next()).await else { panic!("no events") };
        let mut seen = Vec::new();
        while let Some(front) = batch.front() {
            let mut message = Vec::new();
            front.copy_to(&mut message);
            let message = String::from_utf8(message).unwrap();
            seen.extend(["first", "second"].into_iter().filter(|uri| message.contains(*uri)));
            batch.pop_front();
        }
        link.written(batch);
        assert_eq!(seen, ["first", "second"]);
    }
}

#[tokio::test]
async fn what_follows_a_turn_delivers_no_further_portion() {
    let mut world = World::new();
    let (sender, _) = world.session();
    let subscribers = world.subscribers("t", 2 * LOOK);
    world.portion = Duration::ZERO;
    world.turn(sender, |lanes, machine| publish(lanes, machine, sender, "t", "event"));
    let World { links, wakes, events_dropped, rests, .. } = &mut world;
    Lanes::new(links, events_dropped, rests, wakes, Fed::by(sender)).without_rests().finish();
    assert_eq!(served(&subscribers), LOOK);
    assert!(world.rests.has(sender));
}
