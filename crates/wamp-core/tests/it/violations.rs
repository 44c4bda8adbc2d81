//! A session that breaks the protocol gets the reason, ends, and harms no other session.

use wamp_core::router::{Closing, Event};
use wamp_core::session::{self, Closed};
use wamp_proto::{Serializer, uri};

use crate::net::{Net, all_roles, bytes};

/// Sends these messages to a realm in which a bystander's call is running. Returns the text of the ABORT.
fn violate(said: &[&str]) -> String {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.say(callee, r#"[70,1,{"progress":true},[1]]"#);

    let offender = net.raw(Serializer::Json, all_roles());
    net.say(offender, r#"[64,1,{},"com.myapp.offender"]"#);
    net.say(offender, r#"[32,2,{},"com.myapp.topic"]"#);
    net.heard(offender);
    for said in said {
        net.say(offender, said);
    }
    let heard = net.heard(offender);
    let abort = heard.last().unwrap_or_else(|| panic!("{said:?}: no ABORT")).clone();
    assert!(abort.ends_with(r#","wamp.error.protocol_violation"]"#), "{said:?}: {abort}");
    let [Event::Closed { closing: Closing::Abort, .. }] = net.closed.as_slice() else {
        panic!("{:?}", net.closed)
    };
    let sizes = net.realm.sizes();
    assert_eq!((sizes.sessions, sizes.registrations, sizes.topics, sizes.calls), (2, 1, 0, 1), "{said:?}");
    // behaviour 45: later messages are not processed
    net.say(offender, r#"[48,3,{},"com.myapp.longop"]"#);
    assert!(net.heard(offender).is_empty());

    net.say(callee, "[70,1,{},[2]]");
    assert_eq!(net.heard(caller), [r#"[50,1,{"progress":true},[1]]"#, "[50,1,{},[2]]"]);
    assert_eq!(net.realm.stats().violations, 1);
    abort.split('"').nth(3).unwrap().to_owned()
}

#[test]
fn each_violation_has_its_sentence() {
    let table: &[(&[&str], &str)] = &[
        (&[r#"[1,"realm1",{"roles":{"caller":{}}}]"#], "HELLO after the session was established"),
        (&[r#"[2,1,{}]"#], "WELCOME, which a client must not send now"),
        (&[r#"[5,"",{}]"#], "AUTHENTICATE, which a client must not send now"),
        (&[r#"[68,1,1,{}]"#], "INVOCATION, which a client must not send now"),
        // behaviour 2
        (&[r#"[48,4,{},"com.myapp.longop"]"#], "CALL with the request id 4, expected 3"),
        (&[r#"[16,1,{},"com.myapp.topic"]"#], "PUBLISH with the request id 1, which was used before"),
        // behaviour 5
        (&[r#"[70,1001,{}]"#], "YIELD for the invocation 1001, which does not exist"),
        (&[r#"[8,68,7,{},"com.myapp.error"]"#], "ERROR for the invocation 7, which does not exist"),
        // behaviour 6
        (
            &[r#"[8,48,1,{},"com.myapp.error"]"#],
            "ERROR for CALL, where only an INVOCATION can fail at a client",
        ),
        (
            &[r#"[8,50,1,{},"com.myapp.error"]"#],
            "ERROR, element 2 (REQUEST.Type): expected code of a request (16, 32, 34, 48, 64, 66 or 68), found 50",
        ),
        // behaviour 14
        (
            &[r#"[48,3,{},"com.myapp.offender"]"#, r#"[48,3,{},"com.myapp.offender"]"#],
            "CALL with the request id 3, which was used before",
        ),
        // behaviour 60
        (&["[99]"], "expected code of a message, found 99"),
        (&[r#"[48,3,{},"a",[],{},7]"#], "CALL: expected the end of the message, found another element"),
        (&[r#"[32,3,{},"a",7]"#], "SUBSCRIBE: expected the end of the message, found another element"),
        (&["[]"], "missing: expected the code of a message"),
        (&["{}"], "expected list, found dict"),
        (&[r#"["CALL"]"#], "expected code of a message, found string"),
        (&[r#"[48]"#], "CALL, element 2 (Request): missing: expected Request"),
        (
            &[r#"[48,0,{},"a"]"#],
            "CALL, element 2 (Request): expected integer between 1 and 2^53, found integer out of range",
        ),
        // behaviour 56
        (
            &[r#"[48,1.5,{},"a"]"#],
            "CALL, element 2 (Request): expected integer between 1 and 2^53, found float",
        ),
        (&[r#"[48,3,[],"a"]"#], "CALL, element 3 (Options): expected dict, found list"),
        (&[r#"[48,3,{},7]"#], "CALL, element 4 (Procedure): expected URI, found integer"),
        (&[r#"[48,3,{},"a""#], "CALL, element 5 (Arguments): ends in the middle of a value"),
    ];
    for (said, sentence) in table {
        let heard = violate(said);
        assert!(heard.contains(sentence.trim_end_matches('\\')), "{said:?}: {heard}");
    }
}

// behaviour 56
#[test]
fn an_integral_float_is_an_id() {
    let mut net = Net::new();
    let client = net.raw(Serializer::Json, all_roles());
    net.say(client, r#"[64,1.0,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(client), ["[65,1,1]"]);
}

// behaviour 5, behaviour 8
#[test]
fn late_and_foreign_answers_are_distinguished_from_invalid_ones() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let other = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(other, r#"[64,1,{},"com.myapp.other"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,2,{},"com.myapp.other"]"#);
    net.say(other, "[70,1,{}]");
    assert_eq!(net.heard(caller), ["[50,2,{}]"]);
    // Late: the other's own invocation 1 is over. The caller of the callee's invocation 1 is not affected.
    net.say(other, r#"[70,1,{},["stolen"]]"#);
    net.say(other, r#"[8,68,1,{},"com.myapp.stolen"]"#);
    assert!(net.heard(caller).is_empty());
    assert_eq!(net.realm.stats().late, 2);
    assert!(net.realm.has(net.key(other)));
    net.say(other, "[70,2,{}]");
    assert!(!net.realm.has(net.key(other)));
    net.say(callee, "[70,1,{}]");
    net.say(callee, "[70,1,{}]");
    assert_eq!(net.heard(caller), ["[50,1,{}]"]);
}

// behaviour 29, behaviour 30
#[test]
fn a_cancel_of_an_unknown_call_is_ignored_and_an_unknown_mode_is_killnowait() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    let other = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(other, r#"[49,1,{"mode":"kill"}]"#);
    net.say(caller, r#"[49,1000,{}]"#);
    assert!(net.heard(callee).is_empty() && net.heard(other).is_empty() && net.heard(caller).is_empty());
    net.say(caller, r#"[49,1,{"mode":"gently"}]"#);
    net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
    assert_eq!(net.heard(caller).len(), 1);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.canceled"}]"#]);
    for client in [caller, other] {
        assert!(net.realm.has(net.key(client)));
    }
}

// behaviour 60
#[test]
fn options_that_are_unknown_are_tolerated() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{"x":{"y":[1,2]}},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"_x":1},"com.myapp.longop",[],{}]"#);
    assert_eq!(net.heard(callee)[1], "[68,1,1,{},[],{}]");
}

#[test]
fn our_session_aborts_a_router_that_breaks_the_protocol() {
    for (said, sentence) in [
        (r#"[2,1,{"roles":{"broker":{}}}]"#, "WELCOME after the session was established"),
        (r#"[4,"ticket",{}]"#, "CHALLENGE after the session was established"),
        (r#"[48,1,{},"com.myapp.longop"]"#, "CALL, which a router does not send"),
        (r#"[8,68,1,{},"com.myapp.error"]"#, "ERROR for an INVOCATION, which a router does not send"),
    ] {
        let mut net = Net::new();
        let client = net.join(Serializer::Json);
        let now = net.now;
        let frame = bytes(said);
        let message = wamp_proto::Message::decode(Serializer::Json, &frame, &Default::default()).unwrap();
        net.session(client).handle_message(now, message);
        let Some(wamp_proto::Message::Abort(abort)) = net.session(client).poll_transmit() else {
            panic!("{said}: no ABORT")
        };
        assert_eq!(abort.reason, uri::PROTOCOL_VIOLATION);
        assert_eq!(
            net.session(client).poll_event(),
            Some(session::Event::Closed(Closed::Violation(sentence.to_owned())))
        );
    }
}

#[test]
fn our_session_counts_unknown_messages_and_goes_on() {
    let mut net = Net::new();
    let client = net.join(Serializer::Json);
    let now = net.now;
    for said in [
        "[50,77,{}]",
        r#"[8,48,78,{},"com.myapp.error"]"#,
        "[33,9,9]",
        "[36,1,1,{}]",
        r#"[69,5,{"mode":"kill"}]"#,
    ] {
        let frame = bytes(said);
        let message = wamp_proto::Message::decode(Serializer::Json, &frame, &Default::default()).unwrap();
        net.session(client).handle_message(now, message);
    }
    assert!(net.session(client).is_open());
    let stats = net.session(client).stats();
    assert_eq!((stats.unknown, stats.late), (4, 1));
}
