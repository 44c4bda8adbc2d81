//! Work that grows with the tables of a session is done in portions, and nothing is lost in between.

use std::time::Duration;

use wamp_core::router::{Closing, Event, Sizes};
use wamp_proto::{Message, Serializer};

use crate::net::{Client, Net, all_roles};

/// More than three portions.
const MANY: usize = 1000;

/// The most messages that one portion may cause.
const PORTION: usize = 256;

/// A peer with this many registrations `p.N`, subscriptions `t.N`, calls to `other`, and calls to answer.
fn busy(net: &mut Net) -> (Client, Client) {
    let (busy, other) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(other, r#"[64,1,{},"other"]"#);
    for n in 0..MANY {
        let id = 3 * n + 1;
        net.say(busy, &format!(r#"[64,{id},{{}},"p.{n}"]"#));
        net.say(busy, &format!(r#"[32,{},{{}},"t.{n}"]"#, id + 1));
        net.say(busy, &format!(r#"[48,{},{{"receive_progress":true}},"other"]"#, id + 2));
        net.say(other, &format!(r#"[48,{},{{}},"p.{n}"]"#, n + 2));
    }
    net.received(busy);
    net.received(other);
    (busy, other)
}

fn portions(net: &mut Net, listener: Client) -> Vec<Vec<Message>> {
    let mut heard = vec![net.received(listener)];
    while net.portion() {
        heard.push(net.received(listener));
    }
    heard
}

#[test]
fn a_session_that_ends_leaves_in_portions() {
    let mut net = Net::new();
    let (busy, other) = busy(&mut net);
    net.drains = false;
    net.realm.handle_closed(net.now, net.key(busy));
    net.run();
    let closed = Event::Closed { session: net.key(busy), closing: Closing::Lost };
    assert_eq!(net.closed, [closed], "its link is free at once");
    let first = net.received(other);
    assert_eq!(first.len(), PORTION, "calls end first");

    // Its remaining entries are treated as gone.
    let last = MANY - 1;
    net.say(other, &format!(r#"[48,{},{{}},"p.{last}"]"#, MANY + 2));
    net.say(other, &format!(r#"[64,{},{{}},"p.0"]"#, MANY + 3));
    net.say(other, &format!(r#"[16,{},{{"acknowledge":true}},"t.1"]"#, MANY + 4));
    let heard = net.received(other);
    assert!(
        matches!(&heard[..3], [Message::Error(e), Message::Registered(_), Message::Published(_)]
        if e.error == wamp_proto::uri::NO_SUCH_PROCEDURE),
        "{:?}",
        &heard[..3]
    );

    let heard = portions(&mut net, other);
    assert!(heard.len() > 3 * MANY / PORTION, "{}", heard.len());
    assert!(heard.iter().all(|portion| portion.len() <= PORTION));
    let heard = [first, heard.concat()].concat();
    let errors = heard.iter().filter(|message| matches!(message, Message::Error(_))).count();
    let interrupts = heard.iter().filter(|message| matches!(message, Message::Interrupt(_))).count();
    assert_eq!((errors, interrupts, heard.len()), (MANY, MANY, 2 * MANY));
    let mut expected = Sizes::default();
    (expected.sessions, expected.registrations) = (1, 2);
    assert_eq!(net.realm.sizes(), expected);
}

#[test]
fn answers_to_calls_of_a_session_that_has_left_end_them() {
    let mut net = Net::new();
    let (busy, other) = busy(&mut net);
    net.drains = false;
    net.realm.handle_closed(net.now, net.key(busy));
    net.run();
    net.received(other);
    let before = net.realm.sizes().calls;
    for n in 0..MANY {
        net.say(other, &format!(r#"[70,{},{{"progress":true}}]"#, n + 1));
        net.say(other, &format!(r#"[49,{},{{}}]"#, n + 2));
    }
    assert!(before > MANY && net.realm.sizes().calls == 0);
    let heard = portions(&mut net, other).concat();
    let errors = heard.iter().filter(|message| matches!(message, Message::Error(_))).count();
    assert_eq!(errors, MANY, "one end for each call");
    assert_eq!(net.realm.sizes().calls, 0);
}

#[test]
fn timeouts_that_pass_together_end_calls_in_portions() {
    let mut net = Net::new();
    let (caller, callee) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    net.say(callee, r#"[64,1,{},"silent"]"#);
    for request in 1..=MANY {
        net.say(caller, &format!(r#"[48,{request},{{"timeout":1}},"silent"]"#));
    }
    net.drains = false;
    net.now = net.now + Duration::from_millis(1);
    let heard = portions(&mut net, caller);
    assert!(heard.iter().all(|portion| portion.len() <= PORTION));
    assert_eq!((heard.concat().len(), net.realm.sizes().calls), (MANY, 0));
}

#[test]
fn a_shutdown_of_many_sessions_tells_callers_first() {
    let mut net = Net::new();
    let (busy, other) = busy(&mut net);
    let others: Vec<Client> = (0..MANY).map(|_| net.raw(Serializer::Json, all_roles())).collect();
    net.drains = false;
    net.realm.shut_down(net.now);
    net.run();
    net.say(others[0], r#"[48,1,{},"p.1"]"#);
    let heard = net.heard(others[0]);
    assert_eq!(heard, [r#"[8,48,1,{},"wamp.error.unavailable",["the router is shutting down"]]"#]);
    while net.portion() {}
    for client in [busy, other] {
        let heard = net.received(client);
        let (goodbye, errors) = heard.split_last().unwrap();
        assert!(matches!(goodbye, Message::Goodbye(_)));
        assert_eq!(errors.iter().filter(|message| matches!(message, Message::Error(_))).count(), MANY);
    }
    for client in others {
        assert!(matches!(&*net.received(client), [Message::Goodbye(_)]));
        net.say(client, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
    }
    for client in [busy, other] {
        net.say(client, r#"[6,{},"wamp.close.goodbye_and_out"]"#);
    }
    while net.portion() {}
    assert_eq!(net.realm.sizes(), Sizes::default());
}
