//! Holds that harm another session, or hold nothing back, last for a share of the time only, whichever sessions
//! take part.

use std::collections::BTreeMap;
use std::time::Duration;

use wamp_core::router::Feed;
use wamp_proto::Serializer;

use crate::net::{Client, Net, all_roles};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const SHARE: u32 = 2_000;
const WINDOW: u32 = 10_000;
/// The length of a history, in milliseconds.
const STEPS: u32 = 25_000;

fn peer(net: &mut Net) -> Client {
    net.raw(Serializer::Json, all_roles())
}

/// A callee of `com.myapp.big`.
fn callee(net: &mut Net) -> Client {
    let callee = peer(net);
    net.say(callee, r#"[64,1,{},"com.myapp.big"]"#);
    net.heard(callee);
    callee
}

fn call(net: &mut Net, caller: Client, request: u64) {
    net.say(caller, &format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.big"]"#));
}

fn hold(net: &mut Net, session: Client, by: Client, feed: Feed) -> bool {
    let (session, key) = (net.key(session), net.key(by));
    net.realm.set_full(net.now, key);
    let held = net.realm.hold(net.now, session, key, feed);
    net.run();
    held
}

fn is_held(net: &Net, session: Client) -> bool {
    net.realm.is_held(net.key(session))
}

fn room(net: &mut Net, session: Client) {
    let key = net.key(session);
    net.realm.set_room(net.now, key);
    net.run();
}

fn waits(net: &mut Net, session: Client) {
    let key = net.key(session);
    net.realm.set_waiting(net.now, key);
}

#[test]
fn however_many_take_turns_a_callee_is_held_for_its_share() {
    for attackers in [1, 8, 64] {
        let mut net = Net::new();
        let (victim, innocent) = (callee(&mut net), peer(&mut net));
        call(&mut net, innocent, 1);
        let (mut rng, mut held) = (fastrand::Rng::with_seed(attackers), Vec::new());
        // Attackers that hold it now, and attackers that have called but do not hold it yet.
        let mut calls: BTreeMap<Client, bool> = BTreeMap::new();
        for _ in 0..STEPS {
            if (calls.len() as u64) < attackers && rng.u8(..) < 20 {
                let attacker = peer(&mut net);
                call(&mut net, attacker, 1);
                calls.insert(attacker, false);
            }
            let among: Vec<Client> = calls.keys().copied().collect();
            for attacker in among {
                // A stalled attacker has left, and comes back as a new session.
                if !net.heard(attacker).is_empty() {
                    net.cut(attacker);
                    calls.remove(&attacker);
                } else if !calls[&attacker] && rng.u8(..) < 50 {
                    let feed = if rng.bool() { Feed::Stream } else { Feed::Last };
                    calls.insert(attacker, hold(&mut net, victim, attacker, feed));
                } else if calls[&attacker] && rng.u16(..1000) == 0 {
                    room(&mut net, attacker);
                    calls.insert(attacker, false);
                }
            }
            held.push(is_held(&net, victim));
            net.sleep(MS);
        }
        let most = crate::most_within(WINDOW as usize, &held);
        assert!(most <= SHARE as usize + 50, "{attackers} attackers hold it {most} ms in 10 s");
        assert!(most >= SHARE as usize / 2, "{attackers} attackers: {most} ms");
        assert!(net.heard(innocent).is_empty());
        net.say(victim, "[70,1,{},[1]]");
        assert_eq!(net.heard(innocent), ["[50,1,{},[1]]"]);
        for attacker in calls.into_keys() {
            net.cut(attacker);
        }
        let sizes = net.realm.sizes();
        assert_eq!((sizes.calls, sizes.held, sizes.deadlines, sizes.sessions), (0, 0, 0, 2));
    }
}

#[test]
fn the_next_one_that_fills_up_is_stalled_at_once() {
    let mut net = Net::new();
    let (victim, innocent) = (callee(&mut net), peer(&mut net));
    call(&mut net, innocent, 1);
    let [a, b] = [(); 2].map(|()| peer(&mut net));
    call(&mut net, a, 1);
    call(&mut net, b, 1);
    assert!(hold(&mut net, victim, a, Feed::Stream));
    net.sleep(2 * SECOND);
    assert_eq!(net.heard(a), [r#"[8,48,1,{},"wamp.error.canceled",["slow consumer"]]"#]);
    assert!(!hold(&mut net, victim, b, Feed::Stream));
    assert!(!is_held(&net, victim));
    assert_eq!(net.heard(b), [r#"[8,48,1,{},"wamp.error.canceled",["slow consumer"]]"#]);
    // After a while there is a share again.
    net.sleep(9 * SECOND);
    room(&mut net, b);
    call(&mut net, b, 2);
    assert!(hold(&mut net, victim, b, Feed::Stream));
    net.sleep(SECOND);
    assert!(is_held(&net, victim));
}

#[test]
fn a_last_reply_holds_for_a_share_only() {
    for others in [false, true] {
        let mut net = Net::new();
        let (victim, slow) = (callee(&mut net), peer(&mut net));
        call(&mut net, slow, 1);
        if others {
            call(&mut net, slow, 2);
        }
        net.say(victim, "[70,1,{},[1]]");
        assert!(hold(&mut net, victim, slow, Feed::Last));
        net.sleep(2 * SECOND - MS);
        assert!(is_held(&net, victim));
        net.sleep(MS);
        assert!(!is_held(&net, victim));
        // It has its result, and loses its other calls.
        let heard = net.heard(slow);
        assert_eq!((heard.len(), &*heard[0]), (1 + usize::from(others), "[50,1,{},[1]]"));
        // Reading goes on at once, the next time as well.
        room(&mut net, slow);
        call(&mut net, slow, 2 + u64::from(others));
        net.say(victim, &format!("[70,{},{{}},[1]]", 2 + u8::from(others)));
        assert!(!hold(&mut net, victim, slow, Feed::Last));
        assert!(net.realm.has(net.key(slow)));
    }
}

#[test]
fn a_session_with_requests_of_its_own_is_held_for_a_share_only() {
    let mut net = Net::new();
    let (victim, slow) = (callee(&mut net), peer(&mut net));
    call(&mut net, slow, 1);
    // It is not held: there is nothing to report.
    waits(&mut net, victim);
    assert!(hold(&mut net, victim, slow, Feed::Stream));
    net.sleep(60 * SECOND);
    assert!(is_held(&net, victim) && net.heard(slow).is_empty());
    waits(&mut net, victim);
    waits(&mut net, victim);
    net.sleep(2 * SECOND - MS);
    assert!(is_held(&net, victim));
    net.sleep(MS);
    assert!(!is_held(&net, victim));
    assert_eq!(net.heard(slow), [r#"[8,48,1,{},"wamp.error.canceled",["slow consumer"]]"#]);
    // That record ends with the hold.
    net.sleep(10 * SECOND);
    room(&mut net, slow);
    call(&mut net, slow, 2);
    assert!(hold(&mut net, victim, slow, Feed::Stream));
    net.sleep(60 * SECOND);
    assert!(is_held(&net, victim) && net.heard(slow).is_empty());
}

#[test]
fn a_long_last_reply_to_a_stalled_session_becomes_an_error() {
    let mut net = Net::new();
    let (victim, slow) = (callee(&mut net), peer(&mut net));
    let other = peer(&mut net);
    net.say(other, r#"[64,1,{},"com.myapp.other"]"#);
    call(&mut net, slow, 1);
    for request in 2..=4 {
        net.say(slow, &format!(r#"[48,{request},{{}},"com.myapp.other"]"#));
    }
    hold(&mut net, victim, slow, Feed::Stream);
    let key = net.key(slow);
    net.realm.stall(net.now, key);
    net.run();
    net.heard(slow);
    net.heard(other);
    let long = "x".repeat(1100);
    net.say(other, &format!(r#"[70,1,{{}},["{long}"]]"#));
    assert_eq!(net.heard(slow), [r#"[8,48,2,{},"wamp.error.canceled",["slow consumer"]]"#]);
    net.say(other, &format!(r#"[8,68,2,{{}},"com.myapp.error",["{long}"]]"#));
    assert_eq!(net.heard(slow), [r#"[8,48,3,{},"wamp.error.canceled",["slow consumer"]]"#]);
    // Its callee has answered, and is not told.
    assert!(net.heard(other).is_empty());
    room(&mut net, slow);
    net.say(other, &format!(r#"[70,3,{{}},["{long}"]]"#));
    assert!(net.heard(slow)[0].starts_with("[50,4,"));
    assert_eq!((net.realm.sizes().calls, net.realm.stats().slow_consumers), (0, 3));
}
