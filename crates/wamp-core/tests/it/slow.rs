//! Sessions that do not keep up: the sessions that they hold, and the ends of holds.

use std::time::Duration;

use wamp_core::router::{Config, Event, Feed};
use wamp_proto::Serializer;

use crate::net::{Client, Net, all_roles};

const SECOND: Duration = Duration::from_secs(1);
const INTERRUPT: &str = r#"{"mode":"killnowait","reason":"wamp.error.canceled"}"#;

fn peer(net: &mut Net) -> Client {
    net.raw(Serializer::Json, all_roles())
}

/// A callee of `com.myapp.flood`.
fn flood(net: &mut Net) -> Client {
    let callee = peer(net);
    net.say(callee, r#"[64,1,{},"com.myapp.flood"]"#);
    net.heard(callee);
    callee
}

fn call(net: &mut Net, caller: Client, request: u64) {
    net.say(caller, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.flood"]"#));
}

fn hold(net: &mut Net, session: Client, by: Client) -> bool {
    hold_for(net, session, by, Feed::Stream)
}

fn hold_for(net: &mut Net, session: Client, by: Client, feed: Feed) -> bool {
    let (session, by) = (net.key(session), net.key(by));
    net.realm.hold(net.now, session, by, feed)
}

fn is_held(net: &Net, session: Client) -> bool {
    net.realm.is_held(net.key(session))
}

fn full(net: &mut Net, session: Client) {
    let key = net.key(session);
    net.realm.set_full(net.now, key);
}

fn room(net: &mut Net, session: Client) {
    let key = net.key(session);
    net.realm.set_room(net.now, key);
    net.run();
}

fn stall(net: &mut Net, session: Client) {
    let key = net.key(session);
    net.realm.stall(net.now, key);
    net.run();
}

/// The sessions that the realm has released since the last time.
fn released(net: &mut Net) -> Vec<Client> {
    let events = std::mem::take(&mut net.closed);
    let key = |event| match event {
        Event::Released { session } => Some(session),
        _ => None,
    };
    let keys: Vec<_> = events.into_iter().filter_map(key).collect();
    keys.into_iter().map(|key| net.client(key)).collect()
}

fn slow_consumer(request: u64) -> String {
    format!(r#"[8,48,{request},{{}},"wamp.error.canceled",["slow consumer"]]"#)
}

fn unavailable(net: &mut Net, caller: Client, request: u64) {
    let heard = net.heard(caller);
    let expected = format!(r#"[8,48,{request},{{}},"wamp.error.unavailable",["#);
    assert!(heard.len() == 1 && heard[0].starts_with(&expected), "{heard:?}");
}

#[test]
fn a_call_goes_to_a_callee_that_is_not_full() {
    for (invoke, expected) in [
        ("roundrobin", [[1, 2, 1, 2].as_slice(), &[3, 0, 1, 2]]),
        ("first", [[1, 1, 1, 1].as_slice(), &[0, 0, 0, 0]]),
        ("last", [[2, 2, 2, 2].as_slice(), &[3, 3, 3, 3]]),
        ("random", [&[], &[]]),
    ] {
        let mut net = Net::new();
        let caller = peer(&mut net);
        let callees = [(); 4].map(|()| peer(&mut net));
        for callee in callees {
            net.say(callee, &format!(r#"[64,1,{{"invoke":"{invoke}"}},"com.myapp.flood"]"#));
            net.heard(callee);
        }
        let mut request = 0;
        let mut four = |net: &mut Net| {
            let mut called = Vec::new();
            for _ in 0..4 {
                request += 1;
                call(net, caller, request);
                called.extend(callees.iter().position(|callee| !net.heard(*callee).is_empty()));
            }
            called
        };
        full(&mut net, callees[0]);
        full(&mut net, callees[3]);
        let called = four(&mut net);
        assert!(
            called.len() == 4 && called.iter().all(|callee| [1, 2].contains(callee)),
            "{invoke}: {called:?}"
        );
        if invoke != "random" {
            assert_eq!(called, expected[0], "{invoke}");
        }
        full(&mut net, callees[1]);
        full(&mut net, callees[2]);
        assert!(four(&mut net).is_empty());
        let refused = net.heard(caller);
        assert!(refused.len() == 4 && refused.iter().all(|said| said.contains("wamp.error.unavailable")));
        assert_eq!(net.realm.stats().unavailable, 4);
        for callee in callees {
            room(&mut net, callee);
        }
        let called = four(&mut net);
        assert_eq!(called.len(), 4, "{invoke}");
        if invoke != "random" {
            assert_eq!(called, expected[1], "{invoke}");
        }
    }
}

#[test]
fn a_full_callee_of_its_own_procedure_is_unavailable_and_its_calls_go_on() {
    let mut net = Net::new();
    let (callee, caller) = (flood(&mut net), peer(&mut net));
    call(&mut net, caller, 1);
    full(&mut net, callee);
    call(&mut net, caller, 2);
    unavailable(&mut net, caller, 2);
    net.say(callee, "[70,1,{},[1]]");
    assert_eq!(net.heard(caller), ["[50,1,{},[1]]"]);
    // It may call others, and not itself.
    call(&mut net, callee, 2);
    assert!(net.heard(callee)[1].contains("wamp.error.unavailable"));
    room(&mut net, callee);
    call(&mut net, caller, 3);
    assert_eq!(net.heard(callee).len(), 1);
}

#[test]
fn one_caller_does_not_get_all_of_a_callee() {
    let mut config = Config::new("realm1");
    config.limits.invocations = 4;
    config.limits.invocations_from_one_caller = 2;
    let mut net = Net::with(config);
    let callee = flood(&mut net);
    let (greedy, other) = (peer(&mut net), peer(&mut net));
    call(&mut net, greedy, 1);
    call(&mut net, greedy, 2);
    call(&mut net, greedy, 3);
    unavailable(&mut net, greedy, 3);
    call(&mut net, other, 1);
    assert!(net.heard(other).is_empty());
    net.say(callee, "[70,1,{}]");
    net.heard(greedy);
    call(&mut net, greedy, 4);
    assert!(net.heard(greedy).is_empty());
}

#[test]
fn a_stalled_caller_loses_all_calls_whose_callees_it_holds_at_once() {
    let mut net = Net::new();
    let (callee, slow, innocent) = (flood(&mut net), peer(&mut net), peer(&mut net));
    let free = peer(&mut net);
    net.say(free, r#"[64,1,{},"com.myapp.free"]"#);
    for request in 1..=1000 {
        call(&mut net, slow, request);
    }
    net.say(slow, r#"[48,1001,{},"com.myapp.free"]"#);
    call(&mut net, innocent, 1);
    net.heard(callee);
    full(&mut net, slow);
    assert!(hold(&mut net, callee, slow));
    stall(&mut net, innocent);
    assert!(is_held(&net, callee), "a session without holds is not stalled");

    stall(&mut net, slow);
    let expected: Vec<String> = (1..=1000).map(slow_consumer).collect();
    assert_eq!(net.heard(slow), expected);
    let expected: Vec<String> = (1..=1000).map(|id| format!("[69,{id},{INTERRUPT}]")).collect();
    assert_eq!(net.heard(callee), expected);
    assert_eq!(net.realm.stats().slow_consumers, 1000);
    assert_eq!(released(&mut net), [callee]);
    // Nothing has happened to the others, nor to the call with a session that it did not hold.
    net.say(callee, "[70,1001,{},[1]]");
    assert_eq!(net.heard(innocent), ["[50,1,{},[1]]"]);
    net.say(free, "[70,1,{},[2]]");
    assert_eq!(net.heard(slow), ["[50,1001,{},[2]]"]);
    net.say(callee, r#"[70,1,{"progress":true},[3]]"#);
    assert_eq!((net.realm.stats().late, net.realm.sizes().calls), (1, 0));
}

#[test]
fn a_stalled_session_holds_no_other_and_progress_ends_its_call() {
    let mut net = Net::new();
    let (callee, slow) = (flood(&mut net), peer(&mut net));
    let other = peer(&mut net);
    net.say(other, r#"[64,1,{},"com.myapp.other"]"#);
    call(&mut net, slow, 1);
    for request in 2..=3 {
        net.say(slow, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.other"]"#));
    }
    full(&mut net, slow);
    hold(&mut net, callee, slow);
    stall(&mut net, slow);
    assert_eq!(net.heard(slow), [slow_consumer(1)]);
    net.heard(other);

    assert!(!hold(&mut net, other, slow));
    assert!(!is_held(&net, other));
    net.say(other, r#"[70,1,{"progress":true},[1]]"#);
    assert_eq!(net.heard(slow), [slow_consumer(2)]);
    assert_eq!(net.heard(other), [format!("[69,1,{INTERRUPT}]")]);
    // A last reply is always accepted.
    net.say(other, "[70,2,{},[2]]");
    assert_eq!(net.heard(slow), ["[50,3,{},[2]]"]);
    // It makes no new calls before it reads.
    call(&mut net, slow, 4);
    unavailable(&mut net, slow, 4);
    assert_eq!(net.realm.stats().slow_consumers, 2);

    room(&mut net, slow);
    call(&mut net, slow, 5);
    net.heard(callee);
    net.say(callee, r#"[70,2,{"progress":true},[1]]"#);
    assert_eq!(net.heard(slow), [r#"[50,5,{"progress":true},[1]]"#]);
    assert!(hold(&mut net, callee, slow));
}

#[test]
fn a_stalled_callee_loses_the_calls_that_feed_it_chunks_and_lets_their_callers_go() {
    let mut net = Net::new();
    let (callee, upload, plain) = (flood(&mut net), peer(&mut net), peer(&mut net));
    let apart = peer(&mut net);
    net.say(upload, r#"[48,1,{"progress":true},"com.myapp.flood"]"#);
    net.say(upload, r#"[48,2,{"progress":true},"com.myapp.flood"]"#);
    net.say(upload, r#"[48,2,{},"com.myapp.flood"]"#);
    net.say(apart, r#"[48,1,{"progress":true},"com.myapp.flood"]"#);
    call(&mut net, plain, 1);
    net.heard(callee);
    full(&mut net, callee);
    for caller in [upload, plain] {
        assert!(hold(&mut net, caller, callee));
    }
    stall(&mut net, callee);
    assert_eq!(net.heard(upload), [slow_consumer(1)], "the other one is complete");
    assert_eq!(net.heard(callee), [format!("[69,1,{INTERRUPT}]")]);
    assert_eq!((net.heard(plain), net.heard(apart)), (vec![], vec![]));
    assert_eq!(released(&mut net), [upload, plain]);
    // A session that feeds it now loses its call instead of waiting; the last chunk does not wait.
    net.say(apart, r#"[48,1,{"progress":true},"com.myapp.flood",[1]]"#);
    assert_eq!(net.heard(apart), [slow_consumer(1)]);
    assert_eq!(net.realm.stats().slow_consumers, 2);
    assert!(!hold(&mut net, apart, callee));
}

#[test]
fn the_share_runs_only_while_others_wait_for_the_callee() {
    let mut net = Net::new();
    let (callee, slow, innocent) = (flood(&mut net), peer(&mut net), peer(&mut net));
    call(&mut net, slow, 1);
    hold(&mut net, callee, slow);
    net.sleep(60 * SECOND);
    assert!(is_held(&net, callee), "no other session is harmed");
    assert_eq!(net.realm.sizes().deadlines, 0);

    // Now one session waits, for a second; then another one.
    call(&mut net, innocent, 1);
    net.sleep(SECOND);
    net.say(innocent, "[49,1,{}]");
    net.heard(innocent);
    net.sleep(3 * SECOND);
    call(&mut net, innocent, 2);
    net.heard(callee);
    net.sleep(SECOND - Duration::from_millis(1));
    assert!(is_held(&net, callee) && net.heard(slow).is_empty());
    net.sleep(Duration::from_millis(1));
    assert_eq!(net.heard(slow), [slow_consumer(1)]);
    assert!(!is_held(&net, callee));
    assert_eq!(net.heard(callee), [format!("[69,1,{INTERRUPT}]")]);
    assert!(net.heard(innocent).is_empty());
    assert_eq!(net.realm.sizes().deadlines, 0);
}

#[test]
fn the_share_comes_back_with_time() {
    let mut config = Config::new("realm1");
    config.limits.holding = SECOND;
    config.limits.holding_window = 4 * SECOND;
    let mut net = Net::with(config);
    let (callee, slow, innocent) = (flood(&mut net), peer(&mut net), peer(&mut net));
    call(&mut net, slow, 1);
    call(&mut net, innocent, 1);
    let most = Duration::from_millis(900);
    for _ in 0..10 {
        hold(&mut net, callee, slow);
        net.sleep(most);
        assert!(is_held(&net, callee));
        room(&mut net, slow);
        assert!(!is_held(&net, callee));
        net.sleep(4 * SECOND - most);
    }
    assert!(net.heard(slow).is_empty());
    // Without a pause it exceeds the share.
    for _ in 0..4 {
        hold(&mut net, callee, slow);
        net.sleep(SECOND / 4);
        if is_held(&net, callee) {
            room(&mut net, slow);
        }
        net.sleep(SECOND / 4);
    }
    assert_eq!(net.heard(slow), [slow_consumer(1)]);
}

#[test]
fn each_share_is_its_own() {
    let mut net = Net::new();
    let (callee, a, b) = (flood(&mut net), peer(&mut net), peer(&mut net));
    call(&mut net, a, 1);
    call(&mut net, b, 1);
    hold(&mut net, callee, a);
    net.sleep(SECOND);
    hold(&mut net, callee, b);
    net.sleep(SECOND);
    assert_eq!(net.heard(a), [slow_consumer(1)]);
    assert!(is_held(&net, callee), "by the other one still");
    assert_eq!(released(&mut net), []);
    // No session is left that could be harmed.
    net.sleep(60 * SECOND);
    assert!(net.heard(b).is_empty());
    room(&mut net, b);
    assert_eq!(released(&mut net), [callee]);
    assert_eq!((net.realm.held_time(net.now), net.realm.stats().holds), (62 * SECOND, 1));
}

#[test]
fn every_end_of_the_last_call_between_two_releases_them() {
    for end in 0..5 {
        let mut net = Net::new();
        let (callee, slow) = (flood(&mut net), peer(&mut net));
        call(&mut net, slow, 1);
        net.say(slow, r#"[48,2,{"progress":true},"com.myapp.flood"]"#);
        let third = peer(&mut net);
        call(&mut net, third, 1);
        hold(&mut net, callee, slow);
        hold(&mut net, slow, callee);
        hold(&mut net, callee, third);
        net.say(slow, "[49,1,{}]");
        assert_eq!(released(&mut net), []);
        match end {
            0 => net.say(slow, "[49,2,{}]"),
            1 => net.say(callee, "[8,68,2,{},\"com.myapp.error\"]"),
            2 => net.cut(slow),
            3 => net.say(slow, r#"[6,{},"wamp.close.close_realm"]"#),
            _ => net.say(slow, "[99]"),
        }
        assert_eq!(released(&mut net), [slow], "{end}");
        assert!(is_held(&net, callee), "by the third one still");
        net.cut(callee);
        assert!(net.heard(third)[0].contains("wamp.error.canceled"));
        assert_eq!(net.realm.sizes().held, 0);
        assert_eq!(net.realm.sizes().deadlines, 0);
    }
}

#[test]
fn a_hold_without_a_call_lasts_until_there_is_room_or_the_link_is_stalled_or_gone() {
    for end in 0..3 {
        let mut net = Net::new();
        let (callee, slow) = (flood(&mut net), peer(&mut net));
        hold(&mut net, callee, slow);
        // A call that begins and ends meanwhile has no effect.
        call(&mut net, slow, 1);
        net.say(slow, "[49,1,{}]");
        assert!(is_held(&net, callee));
        match end {
            0 => room(&mut net, slow),
            1 => stall(&mut net, slow),
            _ => net.cut(slow),
        }
        assert_eq!(released(&mut net), [callee]);
    }
}

// behaviour 37
#[test]
fn a_timeout_stands_still_while_at_least_one_holds_the_callee() {
    let mut net = Net::new();
    let (callee, a, b) = (flood(&mut net), peer(&mut net), peer(&mut net));
    net.say(a, r#"[48,1,{"receive_progress":true,"timeout":1000},"com.myapp.flood"]"#);
    hold(&mut net, callee, a);
    net.sleep(SECOND);
    hold(&mut net, callee, b);
    net.sleep(SECOND);
    room(&mut net, a);
    net.sleep(SECOND);
    room(&mut net, b);
    net.sleep(SECOND - Duration::from_millis(1));
    assert!(net.heard(a).is_empty());
    net.sleep(Duration::from_millis(1));
    assert!(net.heard(a)[0].contains("wamp.error.timeout"));
}

#[test]
fn a_session_that_calls_itself_and_does_not_read_is_released_when_it_is_stalled() {
    let mut net = Net::new();
    let me = flood(&mut net);
    let innocent = peer(&mut net);
    call(&mut net, innocent, 1);
    call(&mut net, me, 2);
    net.heard(me);
    full(&mut net, me);
    assert!(hold(&mut net, me, me));
    net.sleep(60 * SECOND);
    assert!(is_held(&net, me), "no other session takes part in that");
    stall(&mut net, me);
    assert_eq!(net.heard(me), [format!("[69,2,{INTERRUPT}]"), slow_consumer(2)]);
    assert_eq!(released(&mut net), [me]);
    // Stalled or not, it must read the answers before it sends further requests.
    assert!(hold(&mut net, me, me));
    stall(&mut net, me);
    assert!(is_held(&net, me));
    room(&mut net, me);
    assert_eq!(released(&mut net), [me]);
    // A session that fills only its own link with answers harms no other, and is not stalled.
    hold(&mut net, me, me);
    stall(&mut net, me);
    assert!(is_held(&net, me));
    net.say(innocent, r#"[64,2,{},"com.myapp.other"]"#);
    net.say(me, r#"[48,3,{},"com.myapp.other"]"#);
    assert!(net.heard(me).is_empty());
}

#[test]
fn two_that_are_each_others_slow_callers_both_go_on() {
    let mut net = Net::new();
    let (a, b) = (flood(&mut net), peer(&mut net));
    net.say(b, r#"[64,1,{},"com.myapp.back"]"#);
    call(&mut net, b, 2);
    net.say(a, r#"[48,2,{"receive_progress":true},"com.myapp.back"]"#);
    hold(&mut net, a, b);
    hold(&mut net, b, a);
    net.sleep(60 * SECOND);
    assert!(is_held(&net, a) && is_held(&net, b));
    stall(&mut net, a);
    assert_eq!(released(&mut net), [b]);
    stall(&mut net, b);
    assert_eq!(released(&mut net), [a]);
    assert_eq!(net.realm.sizes().calls, 0);
}

#[test]
fn a_holder_that_leaves_leaves_no_hold_behind() {
    let mut net = Net::new();
    let callee = flood(&mut net);
    let innocent = peer(&mut net);
    call(&mut net, innocent, 1);
    for _ in 0..100 {
        let slow = peer(&mut net);
        call(&mut net, slow, 1);
        full(&mut net, slow);
        hold(&mut net, callee, slow);
        hold(&mut net, slow, callee);
        net.sleep(SECOND / 10);
        net.cut(slow);
        assert!(!is_held(&net, callee));
    }
    let sizes = net.realm.sizes();
    assert_eq!((sizes.calls, sizes.held, sizes.deadlines, sizes.sessions), (1, 0, 0, 2));
}
