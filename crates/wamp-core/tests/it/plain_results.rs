//! The results that take the short way. `net` checks for every YIELD of every test that the general way has
//! the same outcome.

use std::time::Duration;

use wamp_core::credit::cost;
use wamp_core::router::{Config, Event, Join, Realm, Relayed};
use wamp_core::{Reply, Time};
use wamp_proto::message::{CallOptions, HelloDetails, Millis, Yield, YieldOptions};
use wamp_proto::relay::PlainYield;
use wamp_proto::{Feature, Features, Limits, Payload, RequestId, Role, Serializer};

use crate::credit::{WINDOW, counting, small_windows};
use crate::net::{Net, all_roles, args, json};

const PROCEDURE: &str = "com.myapp.longop";

/// Sends these results as a callee with JSON, called by a caller with this serializer. Returns the number
/// that took the short way.
fn plain(serializer: Serializer, max_message: usize, call: &str, answers: &[&str]) -> usize {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw_with(serializer, all_roles(), max_message);
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, call);
    for answer in answers {
        net.say(callee, answer);
    }
    net.plain
}

#[test]
fn results_in_the_same_serializer_take_the_short_way() {
    let call = r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#;
    let one = |answer| plain(Serializer::Json, 512, call, &[answer]);
    let all = [r#"[70,1,{"progress":true},[1]]"#, r#"[70,1,{"progress":true}]"#, "[70,1,{},[],{\"a\":1}]"];
    assert_eq!(plain(Serializer::Json, 512, call, &all), 3);
    assert_eq!(one(r#"[70,1,{"progress":true,"ppt_scheme":"x"},[1]]"#), 0);
    assert_eq!(one(r#"[70,2,{"progress":true},[1]]"#), 0, "there is no such invocation");
    let long = |x: usize| format!(r#"[70,1,{{"progress":true}},["{}"]]"#, "x".repeat(x));
    assert_eq!((long(483).len(), one(&long(483)), one(&long(484))), (512, 1, 0), "one byte too long");
    // Unsolicited results are dropped at once.
    assert_eq!(plain(Serializer::Json, 512, r#"[48,1,{},"com.myapp.longop"]"#, &all[..1]), 1);
}

#[test]
fn results_that_can_be_transcoded_take_the_short_way() {
    let call = r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#;
    let all = [r#"[70,1,{"progress":true},[1]]"#, r#"[70,1,{"progress":true}]"#, "[70,1,{},[],{\"a\":1}]"];
    for caller in [Serializer::MsgPack, Serializer::Cbor] {
        assert_eq!(plain(caller, 512, call, &all), 3);
        let bad = r#"[70,1,{"progress":true},["\u0000!!!"]]"#;
        assert_eq!(plain(caller, 512, call, &[all[0], bad]), 1, "bad base64");
    }
    // Unsolicited results of any kind are dropped at once.
    let call = r#"[48,1,{},"com.myapp.longop"]"#;
    assert_eq!(plain(Serializer::MsgPack, 512, call, &[all[0], all[1]]), 2);
}

/// A callee with MessagePack sends these as progressive results to a caller with JSON and this limit. Returns
/// the number that take the short way, and the messages that both receive.
fn rewritten(max_message: usize, answers: &[Payload]) -> (usize, Vec<String>, Vec<String>) {
    let mut net = Net::new();
    let callee = net.raw(Serializer::MsgPack, all_roles());
    let caller = net.raw_with(Serializer::Json, all_roles(), max_message);
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    for payload in answers {
        let options = YieldOptions { progress: Some(true), ..YieldOptions::default() };
        let request = RequestId::new(1).unwrap();
        net.tell(callee, Yield { request, options, payload: payload.clone() }.into());
    }
    (net.plain, net.heard(callee), net.heard(caller))
}

#[test]
fn a_result_that_cannot_be_transcoded_ends_the_call() {
    let one = args(Serializer::MsgPack, &(1,));
    // Escapes and the longer head count: in MessagePack this is shorter than the limit.
    let long = |x: usize| args(Serializer::MsgPack, &(format!("{}\n", "x".repeat(x)),));
    let fits = 512 - r#"[50,1,{"progress":true},["\n"]]"#.len();
    let (plain, _, heard) = rewritten(512, &[one.clone(), long(fits)]);
    assert_eq!((plain, heard.len(), heard[1].len()), (2, 2, 512));
    for (bad, error) in [
        (args(Serializer::MsgPack, &(f64::NAN,)), "wamp.error.invalid_argument"),
        (args(Serializer::MsgPack, &("\0text",)), "wamp.error.invalid_argument"),
        (long(fits + 1), "wamp.error.payload_size_exceeded"),
    ] {
        let (plain, callee, caller) = rewritten(512, &[one.clone(), bad, one.clone()]);
        assert_eq!(plain, 1, "{error}");
        assert!(caller[1].starts_with(&format!(r#"[8,48,1,{{}},"{error}""#)), "{caller:?}");
        assert_eq!((callee.len(), caller.len()), (1, 2));
        assert!(callee[0].starts_with("[69,1,"), "{callee:?}");
    }
}

#[test]
fn a_result_restarts_the_timeout_and_the_last_one_ends_the_call() {
    for caller in Serializer::ALL {
        restarts_the_timeout(*caller);
    }
}

fn restarts_the_timeout(caller: Serializer) {
    let mut net = Net::new();
    let callee = net.join(Serializer::MsgPack);
    let caller = net.join(caller);
    net.register(callee, PROCEDURE);
    let options =
        CallOptions { receive_progress: Some(true), timeout: Some(Millis(100)), ..CallOptions::default() };
    net.call_with(caller, options, PROCEDURE, Default::default());
    let invocation = net.invocations(callee).remove(0).request;
    let before = net.plain;
    for _ in 0..3 {
        net.sleep(Duration::from_millis(60));
        net.reply(callee, invocation, Reply::Progress(args(Serializer::MsgPack, &(1,))));
        net.reply(callee, invocation, Reply::Progress(args(Serializer::MsgPack, &(2,))));
        assert_eq!(net.realm.poll_timeout(), Some(net.now + Duration::from_millis(100)));
    }
    net.reply(callee, invocation, Reply::Result(args(Serializer::MsgPack, &(3,))));
    assert_eq!(net.plain - before, 7);
    assert_eq!((net.plain_sent, net.plain_received), (6, 7), "and at both ends");
    assert_eq!((net.realm.sizes().calls, net.realm.sizes().deadlines), (0, 0));
}

/// Autobahn|Python fails on a progressive result without arguments.
#[test]
fn a_caller_that_may_need_explicit_arguments_gets_them_by_it() {
    let payloads =
        [("", "[],{}"), (",[1]", "[1],{}"), (",[],{}", "[],{}"), (r#",[1],{"a":2}"#, r#"[1],{"a":2}"#)];
    for caller_speaks in Serializer::ALL {
        let mut realm = Realm::new(Config::new("realm1"), 7);
        let mut join = |serializer| {
            let mut details = HelloDetails::default();
            let caller = Features::none().with(Feature::ProgressiveCallResults);
            details.roles = all_roles().with(Role::Caller, caller);
            realm
                .join(
                    Time::ORIGIN,
                    Join { details, serializer, max_message: 512, transport: Default::default() },
                )
                .unwrap()
        };
        let (callee, caller) = (join(Serializer::Json), join(*caller_speaks));
        let say = |realm: &mut Realm, from, json: &str| {
            let message =
                wamp_proto::Message::decode(Serializer::Json, &json.to_owned().into(), &Limits::default());
            realm.handle_message(Time::ORIGIN, from, message.unwrap());
        };
        say(&mut realm, callee, r#"[64,1,{},"com.myapp.longop"]"#);
        say(&mut realm, caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
        while realm.poll_transmit().is_some() {}
        for (payload, expected) in payloads {
            let frame = format!(r#"[70,1,{{"progress":true}}{payload}]"#);
            let expected = format!(r#"[50,1,{{"progress":true}},{expected}]"#);
            let plain = PlainYield::read(Serializer::Json, frame.as_bytes(), &Limits::default()).unwrap();
            let mut bytes = Vec::new();
            let relayed = realm.relay(Time::ORIGIN, callee, Serializer::Json, &plain, |to| {
                plain.rewrite(frame.as_bytes(), Serializer::Json, to, &mut bytes).ok()
            });
            let Relayed::Result { to, serializer, result } = relayed else { panic!("{relayed:?}") };
            assert_eq!((to, serializer), (caller, *caller_speaks));
            if serializer == Serializer::Json {
                bytes = frame[plain.tail()].into();
            }
            let head = result.head(serializer);
            let written = [head.as_ref(), &bytes, head.end()].concat();
            assert_eq!(written.len(), result.encoded_len(serializer, bytes.len()));
            let by_it = wamp_proto::Message::decode(serializer, &written.into(), &Limits::default()).unwrap();
            // The general way has the same outcome.
            say(&mut realm, callee, &frame);
            let (_, general) = realm.poll_transmit().unwrap();
            for message in [by_it, general] {
                let message = message.transcode(Serializer::Json).unwrap();
                assert_eq!(json(&message), expected, "{caller_speaks}");
            }
        }
        let frame = b"[70,1,{},[1]]";
        let plain = PlainYield::read(Serializer::Json, frame, &Limits::default()).unwrap();
        let mut bytes = Vec::new();
        let relayed = realm.relay(Time::ORIGIN, callee, Serializer::Json, &plain, |to| {
            plain.rewrite(frame, Serializer::Json, to, &mut bytes).ok()
        });
        let Relayed::Result { result, serializer, .. } = relayed else { panic!("{relayed:?}") };
        assert_eq!(result.head(serializer).end(), serializer.end(), "the last result is as it came");
    }
}

#[test]
fn credit_is_counted_in_the_bytes_of_each_hop() {
    let mut realm = Realm::new(small_windows(), 7);
    let mut join = |serializer, window| {
        let details = HelloDetails { roles: counting(window), ..HelloDetails::default() };
        realm
            .join(Time::ORIGIN, Join { details, serializer, max_message: 512, transport: Default::default() })
            .unwrap()
    };
    let (callee, caller) = (join(Serializer::Json, WINDOW), join(Serializer::MsgPack, WINDOW / 2));
    let say = |realm: &mut Realm, from, json: String| {
        let message = wamp_proto::Message::decode(Serializer::Json, &json.into(), &Limits::default());
        realm.handle_message(Time::ORIGIN, from, message.unwrap());
    };
    say(&mut realm, callee, r#"[64,1,{},"com.myapp.longop"]"#.to_owned());
    say(&mut realm, caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#.to_owned());
    while realm.poll_transmit().is_some() {}
    let frame = br#"[70,1,{"progress":true},["234567"]]"#;
    let plain = PlainYield::read(Serializer::Json, frame, &Limits::default()).unwrap();
    let (mut came, mut went) = (0, 0);
    for _ in 0..12 {
        let mut bytes = Vec::new();
        let relayed = realm.relay(Time::ORIGIN, callee, Serializer::Json, &plain, |to| {
            plain.rewrite(frame, Serializer::Json, to, &mut bytes).ok()
        });
        let Relayed::Result { result, .. } = relayed else { panic!("{relayed:?}") };
        came += cost(frame.len());
        went += cost(result.head(Serializer::MsgPack).as_ref().len() + bytes.len());
        while let Some(event) = realm.poll_event() {
            let Event::Watch { watch, .. } = event else { panic!("{event:?}") };
            realm.handle_left(Time::ORIGIN, watch);
        }
    }
    assert!(went > WINDOW / 2 && came > WINDOW && went < came);
    assert_eq!(realm.poll_transmit(), None, "both have sent more than their receivers have granted");
    // The callee is granted the remaining credit of the caller.
    say(&mut realm, caller, format!("[256,1,{{}},{}]", went + 112));
    let (to, message) = realm.poll_transmit().unwrap();
    assert_eq!((to, json(&message)), (callee, format!("[256,1,{{}},{}]", came + 112)));
}
