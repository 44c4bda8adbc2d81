//! A fault in the payload or the options of a message ends the request that it concerns, and no session.

use wamp_core::session::{self, Session};
use wamp_core::{Reply, Time};
use wamp_proto::message::{CancelMode, RegisterOptions, SubscribeOptions};
use wamp_proto::{Limits, Message, Payload, Serializer, uri};

use crate::net::{Client, Net, all_roles, basic_roles, bytes, json};

/// NaN from Python, a text cut inside an emoji, bad base64, nested too deep, binary in the place of arguments.
fn poison() -> Vec<String> {
    let mut poison: Vec<String> =
        [r#"[{"mean":NaN}]"#, r#"["\ud83d"]"#, r#"["\u0000!"]"#, "[1e400]", "7", r#"[],["a"]"#]
            .map(str::to_owned)
            .to_vec();
    poison.push(format!("{}{}", "[".repeat(80), "]".repeat(80)));
    poison
}

/// A callee with a procedure, and a caller, with a check that both still work.
fn pair() -> (Net, Client, Client) {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    (net, callee, caller)
}

#[test]
fn a_call_is_refused_and_the_next_one_works() {
    for poison in poison() {
        let (mut net, callee, caller) = pair();
        net.say(caller, &format!(r#"[48,1,{{}},"com.myapp.longop",{poison}]"#));
        let heard = net.heard(caller);
        assert!(
            heard[0].starts_with(r#"[8,48,1,{},"wamp.error.invalid_argument",["CALL, element "#),
            "{heard:?}"
        );
        assert_eq!((heard.len(), net.heard(callee).len()), (1, 0));
        net.say(caller, r#"[48,2,{},"com.myapp.longop"]"#);
        assert_eq!(net.heard(callee), ["[68,1,1,{}]"]);
        assert_eq!(net.realm.stats().violations, 0);
    }
}

#[test]
fn a_faulty_result_ends_its_call_and_the_callee_stays() {
    for poison in poison() {
        for (options, interrupted) in
            [("{}", false), (r#"{"progress":true}"#, true), (r#"{"progress":1}"#, true)]
        {
            let (mut net, callee, caller) = pair();
            net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
            net.say(caller, r#"[48,2,{"receive_progress":true},"com.myapp.longop"]"#);
            net.heard(callee);
            net.say(callee, &format!("[70,1,{options},{poison}]"));
            let heard = net.heard(caller);
            let begin = r#"[8,48,1,{},"wamp.error.invalid_argument",["the callee sent a result that cannot be read: YIELD, element "#;
            assert!(heard.len() == 1 && heard[0].starts_with(begin), "{heard:?}");
            let interrupt = r#"[69,1,{"mode":"killnowait","reason":"wamp.error.invalid_argument"}]"#;
            let wanted: &[&str] = if interrupted { &[interrupt] } else { &[] };
            assert_eq!(net.heard(callee), wanted, "{options}");
            // Further results of the handler are late; the other call is not affected.
            net.say(callee, "[70,1,{},[1]]");
            net.say(callee, "[70,2,{},[2]]");
            assert_eq!(net.heard(caller), ["[50,2,{},[2]]"]);
            assert_eq!((net.realm.stats().violations, net.realm.sizes().calls), (0, 0));
        }
    }
}

#[test]
fn a_callee_that_did_not_announce_canceling_gets_no_interrupt() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, basic_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(callee, r#"[70,1,{"progress":true},[NaN]]"#);
    assert_eq!((net.heard(callee).len(), net.heard(caller).len()), (0, 1));
}

#[test]
fn a_faulty_progressive_result_that_was_not_asked_for_is_swallowed() {
    let (mut net, callee, caller) = pair();
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(callee, r#"[70,1,{"progress":true},[NaN]]"#);
    assert_eq!((net.heard(callee).len(), net.heard(caller).len(), net.realm.stats().unsolicited), (0, 0, 1));
    net.say(callee, "[70,1,{},[2]]");
    assert_eq!(net.heard(caller), ["[50,1,{},[2]]"]);
}

#[test]
fn a_faulty_error_ends_its_call_and_quotes_its_readable_part() {
    let (mut net, callee, caller) = pair();
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(callee, r#"[8,68,1,{},"com.myapp.error.bad",[NaN]]"#);
    let heard = net.heard(caller);
    let begin = r#"[8,48,1,{},"wamp.error.invalid_argument",["the callee sent an error \"com.myapp.error.bad\" that cannot be read: ERROR, element 6"#;
    assert!(heard.len() == 1 && heard[0].starts_with(begin), "{heard:?}");
    assert_eq!((net.heard(callee).len(), net.realm.sizes().calls), (0, 0));
}

#[test]
fn a_faulty_answer_to_nothing_is_late_or_a_violation_as_any() {
    let (mut net, callee, caller) = pair();
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(callee, "[70,1,{}]");
    net.say(callee, "[70,1,{},[NaN]]");
    assert_eq!((net.realm.stats().late, net.realm.stats().violations), (1, 0));
    net.say(callee, "[70,77,{},[NaN]]");
    assert!(!net.realm.has(net.key(callee)));
}

#[test]
fn a_faulty_chunk_ends_its_call() {
    let (mut net, callee, caller) = pair();
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.longop",[1]]"#);
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.longop",[NaN]]"#);
    let heard = net.heard(caller);
    assert!(
        heard.len() == 1 && heard[0].starts_with(r#"[8,48,1,{},"wamp.error.invalid_argument""#),
        "{heard:?}"
    );
    let interrupt = r#"[69,1,{"mode":"killnowait","reason":"wamp.error.invalid_argument"}]"#;
    assert_eq!(net.heard(callee)[1..], [interrupt]);
    // Chunks that had been sent before.
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.longop",[NaN]]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop",[3]]"#);
    assert_eq!((net.heard(caller).len(), net.heard(callee).len()), (0, 0));
    assert_eq!((net.realm.stats().late, net.realm.stats().violations), (2, 0));
    // A message after the last chunk is no chunk.
    net.say(caller, r#"[48,2,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,2,{},"com.myapp.longop",[NaN]]"#);
    assert!(!net.realm.has(net.key(caller)));
}

#[test]
fn a_publication_is_dropped_and_its_publisher_told_if_it_waits() {
    for poison in poison() {
        let (mut net, subscriber, publisher) = pair();
        net.say(subscriber, r#"[32,2,{},"com.myapp.topic"]"#);
        net.heard(subscriber);
        net.say(publisher, &format!(r#"[16,1,{{}},"com.myapp.topic",{poison}]"#));
        assert!(net.heard(publisher).is_empty());
        net.say(publisher, &format!(r#"[16,2,{{"acknowledge":true}},"com.myapp.topic",{poison}]"#));
        let heard = net.heard(publisher);
        let begin = r#"[8,16,2,{},"wamp.error.invalid_argument",["PUBLISH, element "#;
        assert!(heard.len() == 1 && heard[0].starts_with(begin), "{heard:?}");
        assert!(net.heard(subscriber).is_empty());
        assert_eq!((net.realm.stats().publications_refused, net.realm.stats().violations), (2, 0));
    }
}

#[test]
fn faulty_options_refuse_the_request() {
    let (mut net, _, client) = pair();
    for (request, (said, kind)) in (1..).zip([
        (r#"[48,1,{"disclose_me":7},"com.myapp.longop"]"#, 48),
        (r#"[64,2,{"disclose_caller":7},"com.myapp.other"]"#, 64),
        (r#"[32,3,{"get_retained":NaN},"com.myapp.topic"]"#, 32),
        (r#"[16,4,{"exclude":[0],"acknowledge":true},"com.myapp.topic"]"#, 16),
    ]) {
        net.say(client, said);
        let heard = net.heard(client);
        let begin = format!(r#"[8,{kind},{request},{{}},"wamp.error.invalid_argument",["#);
        assert!(heard.len() == 1 && heard[0].starts_with(&begin), "{heard:?}");
    }
    assert_eq!((net.realm.stats().violations, net.realm.sizes().registrations), (0, 1));
}

#[test]
fn a_cancel_with_faulty_options_is_one_without() {
    let (mut net, callee, caller) = pair();
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(caller, r#"[49,1,{"mode":NaN}]"#);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.canceled"}]"#]);
    assert_eq!(net.heard(caller).len(), 1);
}

#[test]
fn messages_of_a_router_are_violations_faulty_or_not() {
    for said in ["[50,1,{},[NaN]]", "[36,1,1,{},[NaN]]", "[68,1,1,{},[NaN]]", r#"[69,1,{"reason":7}]"#] {
        let (mut net, _, client) = pair();
        net.say(client, said);
        assert!(!net.realm.has(net.key(client)), "{said}");
    }
}

/// A session of ours, and its reaction to a message of its router.
fn tell(session: &mut Session, said: &str) -> Vec<String> {
    let frame = bytes(said);
    match Message::decode(Serializer::Json, &frame, &Limits::default()) {
        Ok(message) => session.handle_message(Time::ORIGIN, message),
        Err(error) => session.handle_faulty(Time::ORIGIN, Serializer::Json, &error, frame.len()),
    }
    std::iter::from_fn(|| session.poll_transmit()).map(|message| json(&message)).collect()
}

fn joined() -> Session {
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    tell(
        &mut session,
        r#"[2,1,{"roles":{"broker":{},"dealer":{"features":{"call_canceling":true,"progressive_call_invocations":true}}}}]"#,
    );
    assert!(matches!(session.poll_event(), Some(session::Event::Joined(_))));
    session
}

#[test]
fn a_faulty_result_fails_its_call_at_the_caller() {
    for (details, canceled) in [("{}", false), (r#"{"progress":true}"#, true)] {
        let mut session = joined();
        let options = wamp_proto::message::CallOptions {
            receive_progress: Some(true),
            ..wamp_proto::message::CallOptions::default()
        };
        let call = session.call(Time::ORIGIN, options, "a.b".into(), Payload::empty()).unwrap();
        let said = tell(&mut session, &format!("[50,1,{details},[NaN]]"));
        assert_eq!(said.iter().any(|said| said == r#"[49,1,{"mode":"killnowait"}]"#), canceled, "{said:?}");
        let Some(session::Event::Replied { call: of, reply: Reply::Error(failure), .. }) =
            session.poll_event()
        else {
            panic!("no end")
        };
        assert_eq!((of, &failure.error), (call, &uri::INVALID_ARGUMENT));
        assert!(failure.payload.decode::<String>().unwrap().contains("RESULT, element 4"));
        assert_eq!((session.poll_event(), session.in_flight(), session.is_open()), (None, (0, 0), true));
        tell(&mut session, "[50,1,{},[NaN]]");
        assert_eq!((session.poll_event(), session.stats().late), (None, 1));
    }
    let mut session = joined();
    session.call(Time::ORIGIN, Default::default(), "a.b".into(), Payload::empty()).unwrap();
    tell(&mut session, r#"[8,48,1,{},"com.myapp.error",[NaN]]"#);
    let Some(session::Event::Replied { reply: Reply::Error(failure), .. }) = session.poll_event() else {
        panic!("no end")
    };
    assert_eq!(failure.error, "com.myapp.error");
}

#[test]
fn a_faulty_event_is_counted_at_the_subscriber_and_a_faulty_error_fails_the_request() {
    let mut session = joined();
    session.subscribe(Time::ORIGIN, SubscribeOptions::default(), "a.b".into()).unwrap();
    tell(&mut session, "[33,1,9]");
    session.poll_event();
    tell(&mut session, "[36,9,1,{},[NaN]]");
    tell(&mut session, "[36,8,1,{},[NaN]]");
    assert_eq!((session.stats().faulty_events, session.stats().unknown), (1, 1));
    session.register(Time::ORIGIN, RegisterOptions::default(), "a.b".into()).unwrap();
    tell(&mut session, r#"[8,64,2,{},"com.myapp.error",[NaN]]"#);
    assert!(matches!(session.poll_event(), Some(session::Event::Refused { .. })));
    assert!(session.is_open());
}

#[test]
fn a_faulty_invocation_is_answered_with_an_error() {
    let mut session = joined();
    session.register(Time::ORIGIN, RegisterOptions::default(), "a.b".into()).unwrap();
    tell(&mut session, "[65,1,9]");
    session.poll_event();
    let said = tell(&mut session, "[68,1,9,{},[NaN]]");
    assert!(
        said.last()
            .unwrap()
            .starts_with(r#"[8,68,1,{},"wamp.error.invalid_argument",["INVOCATION, element 5"#)
    );
    assert_eq!((session.poll_event(), session.in_flight()), (None, (0, 0)));
    // A chunk of a running invocation.
    tell(&mut session, r#"[68,2,9,{"progress":true},[1]]"#);
    assert!(matches!(session.poll_event(), Some(session::Event::Invoked(_))));
    let said = tell(&mut session, r#"[68,2,9,{"progress":true},[NaN]]"#);
    assert!(said[0].starts_with(r#"[8,68,2,{},"wamp.error.invalid_argument""#), "{said:?}");
    let Some(session::Event::Interrupted { mode: CancelMode::KillNoWait, .. }) = session.poll_event() else {
        panic!("the handler does not know")
    };
    assert!(tell(&mut session, r#"[68,2,9,{},[NaN]]"#).is_empty());
    assert_eq!((session.stats().late, session.in_flight(), session.is_open()), (1, (0, 0), true));
    // After the last chunk there is no other.
    tell(&mut session, "[68,3,9,{},[1]]");
    tell(&mut session, "[68,3,9,{},[NaN]]");
    assert!(session.is_closed());
}

#[test]
fn a_faulty_welcome_ends_the_session() {
    let mut session = Session::new(Time::ORIGIN, session::Config::new("realm1"), 1);
    tell(&mut session, "[50,1,{},[NaN]]");
    assert!(session.is_closed());
}
