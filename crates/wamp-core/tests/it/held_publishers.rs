//! Publishers that are faster than a subscriber: they are held while it reads, for a share of the time, and its events
//! are dropped when it does not (behaviour 109).

use std::collections::BTreeMap;
use std::time::Duration;

use wamp_core::router::{Event, Feed};
use wamp_proto::{Feature, Features, Role, Serializer};

use crate::net::{Client, Net, basic_roles};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const SHARE: usize = 2_000;
const WINDOW: usize = 10_000;
/// The length of a history, in milliseconds.
const STEPS: u32 = 25_000;

/// A peer that may use any request ids.
fn peer(net: &mut Net) -> Client {
    let progress = Features::none().with(Feature::ProgressiveCallResults).with(Feature::BareResults);
    let roles = basic_roles().with(Role::Caller, progress.clone()).with(Role::Callee, progress);
    net.raw(Serializer::Json, roles)
}

/// A subscriber of `com.myapp.topic`.
fn subscriber(net: &mut Net) -> Client {
    let client = peer(net);
    net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
    net.heard(client);
    client
}

fn publish(net: &mut Net, publisher: Client, request: u64) {
    net.say(publisher, &format!(r#"[16,{request},{{}},"com.myapp.topic",[{request}]]"#));
}

/// The numbers of the events that a client has received since the last time.
fn events(net: &mut Net, client: Client) -> Vec<u64> {
    let number = |event: &String| {
        assert!(event.starts_with("[36,"), "{event}");
        event.rsplit('[').next().and_then(|rest| rest.trim_end_matches(']').parse().ok()).unwrap()
    };
    net.heard(client).iter().map(number).collect()
}

/// The publisher has filled the link of the subscriber.
fn fill(net: &mut Net, publisher: Client, by: Client) -> bool {
    let (publisher, by) = (net.key(publisher), net.key(by));
    net.realm.set_full(net.now, by);
    let held = net.realm.hold(net.now, publisher, by, Feed::Events);
    net.run();
    held
}

fn room(net: &mut Net, client: Client) {
    let key = net.key(client);
    net.realm.set_room(net.now, key);
    net.run();
}

fn stand_still(net: &mut Net, client: Client) {
    let key = net.key(client);
    net.realm.drop_events(net.now, key);
    net.run();
}

fn is_held(net: &Net, client: Client) -> bool {
    net.realm.is_held(net.key(client))
}

fn released(net: &mut Net) -> Vec<Client> {
    std::mem::take(&mut net.closed)
        .into_iter()
        .map(|event| match event {
            Event::Released { session } => net.client(session),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_subscriber_that_is_behind_holds_its_publishers_until_it_has_room_and_misses_nothing() {
    let mut net = Net::new();
    let (a, b, behind, other) = (peer(&mut net), peer(&mut net), subscriber(&mut net), subscriber(&mut net));
    publish(&mut net, a, 1);
    assert!(fill(&mut net, a, behind) && fill(&mut net, a, behind));
    assert!(is_held(&net, a) && !is_held(&net, b));
    // An event that the driver had already read.
    publish(&mut net, b, 2);
    assert!(fill(&mut net, b, behind) && is_held(&net, b));
    net.sleep(SECOND);
    assert_eq!((net.realm.sizes().held, released(&mut net)), (2, vec![]));
    room(&mut net, behind);
    assert_eq!(released(&mut net), [a, b]);
    publish(&mut net, a, 3);
    for client in [behind, other] {
        assert_eq!(events(&mut net, client), [1, 2, 3]);
    }
    assert_eq!((net.realm.stats().events, net.realm.stats().events_dropped), (6, 0));
    assert_eq!(net.realm.sizes().deadlines, 0);
}

#[test]
fn a_subscriber_that_does_not_read_holds_no_publisher_and_misses_events_until_it_has_room() {
    let mut net = Net::new();
    let (publisher, behind, other) = (peer(&mut net), subscriber(&mut net), subscriber(&mut net));
    stand_still(&mut net, behind);
    publish(&mut net, publisher, 1);
    assert!(fill(&mut net, publisher, behind));
    stand_still(&mut net, behind);
    assert_eq!(released(&mut net), [publisher]);
    publish(&mut net, publisher, 2);
    assert!(!fill(&mut net, publisher, behind) && !is_held(&net, publisher));
    publish(&mut net, publisher, 3);
    net.say(behind, "[34,2,1]");
    assert_eq!(net.heard(behind).last().map(String::as_str), Some("[35,2]"), "all else still comes");
    net.say(behind, r#"[32,3,{},"com.myapp.topic"]"#);
    net.heard(behind);
    publish(&mut net, publisher, 4);
    room(&mut net, behind);
    publish(&mut net, publisher, 5);
    assert_eq!(events(&mut net, behind), [5]);
    assert_eq!(events(&mut net, other), [1, 2, 3, 4, 5]);
    assert_eq!(net.realm.stats().events_dropped, 3);
    assert!(fill(&mut net, publisher, behind), "that is over");
}

#[test]
fn a_subscriber_holds_its_publishers_for_its_share_whichever_they_are() {
    let mut net = Net::new();
    let (a, b, behind) = (peer(&mut net), peer(&mut net), subscriber(&mut net));
    assert!(fill(&mut net, a, behind));
    net.sleep(SECOND);
    room(&mut net, behind);
    released(&mut net);
    assert!(fill(&mut net, b, behind));
    net.sleep(SECOND - MS);
    assert!(is_held(&net, b));
    net.sleep(MS);
    assert_eq!(released(&mut net), [b]);
    publish(&mut net, a, 1);
    assert!(events(&mut net, behind).is_empty());
    // With room it gets events again, and holds no publisher for a time.
    room(&mut net, behind);
    publish(&mut net, a, 2);
    assert_eq!(events(&mut net, behind), [2]);
    assert!(!fill(&mut net, a, behind));
    publish(&mut net, a, 3);
    assert!(events(&mut net, behind).is_empty());
    net.sleep(9 * SECOND);
    room(&mut net, behind);
    assert!(fill(&mut net, a, behind), "its share has come back");
    assert_eq!(net.realm.stats().events_dropped, 2);
}

#[test]
fn a_publisher_is_held_for_its_share_however_many_subscribers_take_turns_or_come_back() {
    for attackers in [1, 8, 64] {
        let mut net = Net::new();
        let (publisher, other) = (peer(&mut net), subscriber(&mut net));
        let (mut rng, mut held, mut sent) = (fastrand::Rng::with_seed(attackers), Vec::new(), 0);
        // The present subscribers, and whether they are full.
        let mut subscribers: BTreeMap<Client, bool> = BTreeMap::new();
        for _ in 0..STEPS {
            if (subscribers.len() as u64) < attackers && rng.u8(..) < 20 {
                subscribers.insert(subscriber(&mut net), false);
            }
            let among: Vec<Client> = subscribers.keys().copied().collect();
            for attacker in among {
                net.received(attacker);
                if rng.u16(..2000) == 0 {
                    net.cut(attacker);
                    subscribers.remove(&attacker);
                } else if !subscribers[&attacker] && !is_held(&net, publisher) {
                    fill(&mut net, publisher, attacker);
                    subscribers.insert(attacker, true);
                } else if rng.u16(..500) == 0 {
                    room(&mut net, attacker);
                    subscribers.insert(attacker, false);
                }
            }
            if !is_held(&net, publisher) && rng.u8(..10) == 0 {
                sent += 1;
                publish(&mut net, publisher, sent);
            }
            held.push(is_held(&net, publisher));
            net.sleep(MS);
        }
        let most = crate::most_within(WINDOW, &held);
        assert!(most <= SHARE + 50, "{attackers} attackers hold it {most} ms in 10 s");
        assert!(most >= SHARE / 2, "{attackers} attackers: {most} ms");
        assert_eq!(events(&mut net, other), Vec::from_iter(1..=sent), "the other one misses nothing");
        for attacker in subscribers.into_keys() {
            net.cut(attacker);
        }
        let sizes = net.realm.sizes();
        assert_eq!((sizes.held, sizes.deadlines, sizes.sessions), (0, 0, 2));
    }
}

#[test]
fn when_the_share_of_a_publisher_is_used_up_all_that_hold_it_miss_events() {
    let mut net = Net::new();
    let (publisher, [a, b, c]) = (peer(&mut net), [(); 3].map(|()| subscriber(&mut net)));
    assert!(fill(&mut net, publisher, a));
    net.sleep(SECOND);
    assert!(fill(&mut net, publisher, b));
    net.sleep(SECOND);
    assert_eq!(released(&mut net), [publisher]);
    publish(&mut net, publisher, 1);
    for behind in [a, b] {
        assert!(events(&mut net, behind).is_empty());
    }
    assert_eq!(events(&mut net, c), [1]);
    assert!(!fill(&mut net, publisher, c), "the next one at once");
    publish(&mut net, publisher, 2);
    assert!(events(&mut net, c).is_empty());
    // Another publisher has a share of its own.
    let another = peer(&mut net);
    room(&mut net, c);
    assert!(fill(&mut net, another, c));
}

#[test]
fn events_never_end_a_call_and_calls_use_up_no_share_of_events() {
    let mut net = Net::new();
    let (callee, innocent, caller) = (peer(&mut net), peer(&mut net), subscriber(&mut net));
    net.say(callee, r#"[64,1,{},"com.myapp.big"]"#);
    net.heard(callee);
    for client in [innocent, caller] {
        let request = if client == caller { 2 } else { 1 };
        net.say(client, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.big"]"#));
    }
    net.heard(callee);
    // The callee publishes too, and the caller is behind with both.
    assert!(fill(&mut net, callee, caller));
    net.sleep(2 * SECOND);
    assert!(!is_held(&net, callee));
    publish(&mut net, callee, 2);
    net.say(callee, r#"[70,2,{"progress":true},[1]]"#);
    assert_eq!(net.heard(caller), [r#"[50,2,{"progress":true},[1]]"#]);
    let (callee_key, caller_key) = (net.key(callee), net.key(caller));
    assert!(net.realm.hold(net.now, callee_key, caller_key, Feed::Stream));
    net.sleep(2 * SECOND - MS);
    assert!(is_held(&net, callee) && net.heard(caller).is_empty());
    net.sleep(MS);
    assert!(!is_held(&net, callee));
    assert!(net.heard(caller)[0].contains("slow consumer"));
    // The share that the calls have used does not count.
    net.sleep(8 * SECOND);
    room(&mut net, caller);
    assert!(fill(&mut net, callee, caller));
}

#[test]
fn a_stalled_session_holds_no_publisher() {
    let mut net = Net::new();
    let (callee, publisher, caller) = (peer(&mut net), peer(&mut net), subscriber(&mut net));
    net.say(callee, r#"[64,1,{},"com.myapp.big"]"#);
    net.say(caller, r#"[48,2,{"receive_progress":true},"com.myapp.big"]"#);
    net.heard(callee);
    assert!(fill(&mut net, publisher, caller));
    let (callee_key, caller_key) = (net.key(callee), net.key(caller));
    assert!(net.realm.hold(net.now, callee_key, caller_key, Feed::Stream));
    net.realm.stall(net.now, caller_key);
    net.run();
    assert!(!is_held(&net, publisher) && !is_held(&net, callee));
    assert!(!fill(&mut net, publisher, caller));
}

#[test]
fn a_session_that_leaves_leaves_no_hold_behind() {
    for subscriber_leaves in [true, false] {
        let mut net = Net::new();
        let (publisher, behind, other) = (peer(&mut net), subscriber(&mut net), peer(&mut net));
        assert!(fill(&mut net, publisher, behind) && fill(&mut net, other, behind));
        net.cut(if subscriber_leaves { behind } else { publisher });
        assert_eq!(is_held(&net, other), !subscriber_leaves);
        if !subscriber_leaves {
            room(&mut net, behind);
        }
        let sizes = net.realm.sizes();
        assert_eq!((sizes.held, sizes.deadlines), (0, 0));
        assert!(!is_held(&net, other));
    }
}

#[test]
fn a_publisher_that_fills_its_own_link_is_held_until_it_has_room() {
    let mut net = Net::new();
    let publisher = subscriber(&mut net);
    assert!(fill(&mut net, publisher, publisher));
    net.sleep(20 * SECOND);
    assert!(is_held(&net, publisher), "it would answer its own requests without end");
    stand_still(&mut net, publisher);
    assert!(is_held(&net, publisher));
    room(&mut net, publisher);
    assert_eq!((is_held(&net, publisher), net.realm.sizes().held), (false, 0));
}
