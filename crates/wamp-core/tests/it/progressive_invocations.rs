//! Calls in chunks, and both directions at once.

use std::time::Duration;

use wamp_core::session::{self, Event, Session};
use wamp_core::{Misuse, Reply, ReplyError, Time};
use wamp_proto::message::{CallOptions, Millis, RegisterOptions};
use wamp_proto::{Feature, Features, Message, Payload, Role, Roles, Serializer, uri};

use crate::net::{Client, Net, all_roles, args, bytes, json};

const OFFER: &str = r#"[64,1,{},"com.myapp.upload"]"#;
const FIRST: &str = r#"[48,1,{"progress":true,"receive_progress":true},"com.myapp.upload",[0]]"#;

fn upload() -> (Net, Client, Client) {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, FIRST);
    assert_eq!(net.heard(callee)[1..], [r#"[68,1,1,{"progress":true,"receive_progress":true},[0]]"#]);
    (net, callee, caller)
}

#[test]
fn chunks_go_to_one_invocation_and_results_may_come_meanwhile() {
    let (mut net, callee, caller) = upload();
    net.say(callee, r#"[70,1,{"progress":true},["got 0"]]"#);
    // behaviour 2: another call in between
    net.say(caller, r#"[48,2,{},"com.myapp.nothing"]"#);
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.upload",[1]]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.upload",[2]]"#);
    assert_eq!(
        net.heard(callee),
        [
            r#"[68,1,1,{"progress":true,"receive_progress":true},[1]]"#,
            r#"[68,1,1,{"receive_progress":true},[2]]"#
        ]
    );
    net.say(callee, "[70,1,{},[3]]");
    let heard = net.heard(caller);
    assert_eq!(
        (heard[0].as_str(), heard[2].as_str()),
        (r#"[50,1,{"progress":true},["got 0"]]"#, "[50,1,{},[3]]")
    );
    assert_eq!((net.realm.sizes().calls, net.realm.stats().chunks), (0, 2));
}

// behaviour 4
#[test]
fn chunks_of_a_finished_call_are_discarded_silently() {
    let (mut net, callee, caller) = upload();
    net.say(callee, "[70,1,{}]");
    net.heard(caller);
    for _ in 0..10_000 {
        net.say(caller, r#"[48,1,{"progress":true},"com.myapp.upload",[1]]"#);
    }
    assert!(net.heard(caller).is_empty() && net.heard(callee).is_empty());
    assert!(net.realm.has(net.key(caller)));
    assert_eq!(net.realm.stats().late, 10_000);
}

// behaviour 3
#[test]
fn a_chunk_with_another_procedure_is_no_chunk_of_the_call() {
    let (mut net, callee, caller) = upload();
    net.say(caller, r#"[48,1,{"progress":true},"com.myapp.other",[1]]"#);
    assert!(net.heard(caller).is_empty() && net.heard(callee).is_empty());
    assert_eq!(net.realm.sizes().calls, 1);
}

// behaviour 18
#[test]
fn only_progress_counts_after_the_first_chunk() {
    let (mut net, callee, caller) = upload();
    net.say(
        caller,
        r#"[48,1,{"progress":true,"receive_progress":false,"timeout":1,"disclose_me":true,"_x":1},"com.myapp.upload",[1]]"#,
    );
    assert_eq!(net.heard(callee), [r#"[68,1,1,{"progress":true,"receive_progress":true},[1]]"#]);
    assert_eq!(net.realm.sizes().deadlines, 0);
}

// behaviour 40
#[test]
fn a_timeout_is_about_results_and_not_about_chunks() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, r#"[48,1,{"progress":true,"timeout":100},"com.myapp.upload"]"#);
    for _ in 0..3 {
        net.sleep(Duration::from_millis(30));
        net.say(caller, r#"[48,1,{"progress":true},"com.myapp.upload"]"#);
    }
    net.heard(callee);
    net.sleep(Duration::from_millis(10));
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.timeout""#));
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.timeout"}]"#]);
}

// behaviour 14
#[test]
fn all_three_must_take_chunks() {
    let without = |role| {
        let features = Features::none().with(Feature::ProgressiveCallResults).with(Feature::CallCanceling);
        Roles::none().with(role, features)
    };
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, without(Role::Callee));
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, FIRST);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.feature_not_supported""#));
    assert_eq!(net.heard(callee).len(), 1);
    assert!(net.realm.has(net.key(caller)));

    // A callee that cannot be interrupted counts as one without chunks.
    let features = Features::none().with(Feature::ProgressiveCallInvocations);
    let callee = net.raw(Serializer::Json, Roles::none().with(Role::Callee, features));
    net.say(callee, r#"[64,1,{},"com.myapp.upload2"]"#);
    net.say(caller, r#"[48,2,{"progress":true},"com.myapp.upload2"]"#);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,2,{},"wamp.error.feature_not_supported""#));

    let caller = net.raw(Serializer::Json, without(Role::Caller));
    net.say(caller, FIRST);
    assert!(net.heard(caller)[0].contains("did not announce progressive_call_invocations"));
    assert!(!net.realm.has(net.key(caller)));
}

#[test]
fn a_call_goes_on_in_chunks_only_if_it_began_so_and_until_its_last() {
    for (first, sentence) in [
        (r#"[48,1,{},"com.myapp.upload"]"#, "CALL with the request id 1, which was used before"),
        (
            r#"[48,1,{"progress":true},"com.myapp.upload"]"#,
            "CALL with a further chunk of call 1, whose last chunk has arrived",
        ),
    ] {
        let mut net = Net::new();
        let callee = net.raw(Serializer::Json, all_roles());
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, OFFER);
        net.say(caller, first);
        if first.contains("progress") {
            net.say(caller, r#"[48,1,{},"com.myapp.upload"]"#);
        }
        net.heard(callee);
        net.say(caller, r#"[48,1,{},"com.myapp.upload"]"#);
        assert!(net.heard(caller)[0].contains(sentence));
        assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.close.close_realm"}]"#]);
        assert_eq!(net.realm.sizes().calls, 0);
    }
}

#[test]
fn a_departure_in_the_middle_of_an_upload_ends_it() {
    let (mut net, callee, caller) = upload();
    net.cut(caller);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.close.close_realm"}]"#]);
    let (mut net, callee, caller) = upload();
    net.cut(callee);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
    net.say(caller, r#"[48,1,{},"com.myapp.upload",[2]]"#);
    assert!(net.heard(caller).is_empty());
    assert_eq!(net.realm.sizes().calls, 0);
}

#[test]
fn a_chunk_too_big_for_the_callee_ends_the_call() {
    let mut net = Net::new();
    let callee = net.raw_with(Serializer::Json, all_roles(), 512);
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, OFFER);
    net.say(caller, FIRST);
    net.heard(callee);
    let chunk = format!(r#"[48,1,{{"progress":true}},"com.myapp.upload",["{}"]]"#, "x".repeat(600));
    net.say(caller, &chunk);
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.payload_size_exceeded""#));
    assert_eq!(
        net.heard(callee),
        [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.payload_size_exceeded"}]"#]
    );
}

#[test]
fn our_sessions_upload_and_stream_both_ways() {
    let mut net = Net::new();
    let callee = net.join(Serializer::MsgPack);
    let caller = net.join(Serializer::Json);
    net.register(callee, "com.myapp.upload");
    let options =
        CallOptions { progress: Some(true), receive_progress: Some(true), ..CallOptions::default() };
    let call = net.call_with(caller, options, "com.myapp.upload", args(Serializer::Json, &(0,)));
    let now = net.now;
    let events = net.events(callee);
    let [Event::Invoked(invocation)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(invocation.details.progress, Some(true));
    for (chunk, last) in [(1, false), (2, true)] {
        net.reply(callee, invocation.request, Reply::Progress(args(Serializer::MsgPack, &(chunk,))));
        net.session(caller).send_chunk(now, call, args(Serializer::Json, &(chunk,)), last).unwrap();
        net.run();
        let events = net.events(callee);
        let [Event::Chunk { payload, last: is_last, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((payload.decode::<u32>().unwrap(), *is_last), (chunk, last));
    }
    let over = net.session(caller).send_chunk(now, call, Payload::empty(), false);
    assert_eq!(over, Err(Misuse::Unknown), "the last chunk has been sent");
    net.reply(callee, invocation.request, Reply::Result(Payload::empty()));
    assert_eq!(net.replies(caller, call).len(), 3);
}

// behaviour 4
#[test]
fn our_callee_discards_chunks_that_cross_its_answer() {
    let mut net = Net::new();
    let callee = net.join(Serializer::Json);
    let caller = net.raw(Serializer::Json, all_roles());
    net.register(callee, "com.myapp.upload");
    net.say(caller, FIRST);
    let invocation = net.invocations(callee).remove(0).request;
    let now = net.now;
    // It answers, and the answer has not arrived when the next chunk comes.
    net.session(callee).reply(now, invocation, Reply::Result(Payload::empty())).unwrap();
    let chunk = r#"[68,1,1,{"progress":true},[1]]"#;
    let chunk = Message::decode(Serializer::Json, &bytes(chunk), &Default::default()).unwrap();
    net.session(callee).handle_message(now, chunk);
    assert!(net.events(callee).is_empty());
    assert_eq!(net.session(callee).stats().late, 1);
    assert!(net.session(callee).is_open());
}

// behaviour 39
#[test]
fn our_callee_watches_the_timeout_that_it_asked_for() {
    let mut net = Net::new();
    let callee = net.join(Serializer::Json);
    let caller = net.raw(Serializer::Json, all_roles());
    let now = net.now;
    let options = RegisterOptions { forward_timeout: Some(true), ..RegisterOptions::default() };
    net.session(callee).register(now, options, "com.myapp.longop".into()).unwrap();
    net.run();
    net.events(callee);
    net.say(caller, r#"[48,1,{"receive_progress":true,"timeout":100},"com.myapp.longop"]"#);
    assert_eq!(net.realm.sizes().deadlines, 0, "the dealer does not watch it too");
    let invocation = net.invocations(callee).remove(0).request;
    for _ in 0..3 {
        net.sleep(Duration::from_millis(80));
        net.reply(callee, invocation, Reply::Progress(Payload::empty()));
    }
    net.heard(caller);
    net.sleep(Duration::from_millis(100));
    let at = net.session(callee).poll_timeout();
    assert_eq!(at, Some(net.now));
    let now = net.now;
    net.session(callee).handle_timeout(now);
    net.run();
    assert_eq!(net.heard(caller), [r#"[8,48,1,{},"wamp.error.timeout"]"#]);
    let events = net.events(callee);
    assert!(matches!(&events[0], Event::Interrupted { reason: Some(reason), .. } if *reason == uri::TIMEOUT));
    let late = net.session(callee).reply(now, invocation, Reply::Result(Payload::empty()));
    assert_eq!(late, Err(ReplyError::Over));
    assert_eq!(net.session(callee).poll_timeout(), None);
}

#[test]
fn our_caller_watches_a_timeout_that_the_router_does_not() {
    let start = Time::ORIGIN;
    let mut session = Session::new(start, session::Config::new("realm1"), 1);
    let say = |session: &mut Session, now, json: &str| {
        let message = Message::decode(Serializer::Json, &bytes(json), &Default::default()).unwrap();
        session.handle_message(now, message);
    };
    let welcome =
        r#"[2,1,{"roles":{"dealer":{"features":{"progressive_call_results":true,"call_canceling":true}}}}]"#;
    say(&mut session, start, welcome);
    let options =
        CallOptions { receive_progress: Some(true), timeout: Some(Millis(100)), ..CallOptions::default() };
    session.call(start, options, "com.myapp.longop".into(), Payload::empty()).unwrap();
    let at = |ms| start + Duration::from_millis(ms);
    assert_eq!(session.poll_timeout(), Some(at(100)));
    say(&mut session, at(80), r#"[50,1,{"progress":true}]"#);
    assert_eq!(session.poll_timeout(), Some(at(180)));
    session.handle_timeout(at(180));
    let sent: Vec<String> = std::iter::from_fn(|| session.poll_transmit()).map(|m| json(&m)).collect();
    assert_eq!(sent.last().unwrap(), r#"[49,1,{"mode":"killnowait"}]"#);
    let last = std::iter::from_fn(|| session.poll_event()).last();
    assert!(
        matches!(&last, Some(Event::Replied { reply: Reply::Error(failure), .. }) if failure.error == uri::TIMEOUT)
    );
    say(&mut session, at(181), "[50,1,{}]");
    assert_eq!((session.poll_event(), session.stats().late), (None, 1));

    let options = CallOptions { progress: Some(true), ..CallOptions::default() };
    let refused = session.call(start, options, "com.myapp.upload".into(), Payload::empty());
    assert_eq!(refused, Err(Misuse::NotSupported), "this router takes no chunks");
}
