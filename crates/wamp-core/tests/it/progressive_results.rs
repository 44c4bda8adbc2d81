//! Progressive results from callee to caller.

use std::time::Duration;

use wamp_core::router::Feed;
use wamp_core::{Failure, Reply, ReplyError};
use wamp_proto::message::{CallOptions, CancelMode};
use wamp_proto::{Payload, Serializer, uri};

use crate::net::{Net, all_roles, args, basic_roles, progress_only};

const PROCEDURE: &str = "com.myapp.longop";

#[test]
fn results_come_in_order_between_every_pair_of_serializers() {
    for from in Serializer::ALL {
        for to in Serializer::ALL {
            let mut net = Net::new();
            let callee = net.join(*from);
            let caller = net.join(*to);
            net.register(callee, PROCEDURE);
            let call = net.call(caller, PROCEDURE, args(*to, &(3,)));
            let invocation = net.invocations(callee).remove(0);
            assert_eq!(invocation.payload.serializer(), Some(*from));
            assert_eq!(invocation.payload.decode::<(u32,)>().unwrap(), (3,));
            for i in 0..3 {
                net.reply(callee, invocation.request, Reply::Progress(args(*from, &(i,))));
            }
            net.reply(callee, invocation.request, Reply::Result(args(*from, &("done", 3))));
            let replies = net.replies(caller, call);
            for (i, reply) in replies[..3].iter().enumerate() {
                let Reply::Progress(payload) = reply else { panic!("{reply:?}") };
                assert_eq!(payload.decode::<usize>().unwrap(), i);
            }
            // behaviour 21: the last one has a shape of its own
            let Reply::Result(payload) = &replies[3] else { panic!("{:?}", replies[3]) };
            assert_eq!(payload.decode::<(String, u32)>().unwrap(), ("done".to_owned(), 3));
            assert_eq!(replies.len(), 4);
            assert_eq!(net.realm.sizes().calls, 0);
            assert_eq!(net.session(callee).in_flight(), (0, 0));
            assert_eq!(net.session(caller).in_flight(), (0, 0));
        }
    }
}

// behaviour 20
#[test]
fn empty_results_pass_in_each_shape() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    for answer in [
        r#"[70,1,{"progress":true}]"#,
        r#"[70,1,{"progress":true},[]]"#,
        r#"[70,1,{"progress":true},[],{"foo":10}]"#,
        r#"[70,1,{"progress":true},null]"#,
        r#"[70,1,{}]"#,
    ] {
        net.say(callee, answer);
    }
    assert_eq!(
        net.heard(caller),
        [
            r#"[50,1,{"progress":true}]"#,
            r#"[50,1,{"progress":true},[]]"#,
            r#"[50,1,{"progress":true},[],{"foo":10}]"#,
            r#"[50,1,{"progress":true}]"#,
            r#"[50,1,{}]"#,
        ]
    );
}

// behaviour 24
#[test]
fn progress_false_is_a_final_result() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.say(callee, r#"[70,1,{"progress":false},[1]]"#);
    assert_eq!(net.heard(caller), ["[50,1,{},[1]]"]);
    assert_eq!(net.realm.sizes().calls, 0);
}

// behaviour 16
#[test]
fn unsolicited_progress_is_discarded_and_the_call_goes_on() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(callee)[1], "[68,1,1,{}]");
    net.say(callee, r#"[70,1,{"progress":true},[1]]"#);
    net.say(callee, r#"[70,1,{},[2]]"#);
    assert_eq!(net.heard(caller), ["[50,1,{},[2]]"]);
    assert_eq!(net.realm.stats().unsolicited, 1);
}

// behaviour 17
#[test]
fn a_caller_that_did_not_announce_progress_gets_none() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, basic_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    assert_eq!(net.heard(callee)[1], "[68,1,1,{}]");
    net.say(callee, r#"[70,1,{"progress":true},[1]]"#);
    net.say(callee, r#"[70,1,{}]"#);
    assert_eq!(net.heard(caller), ["[50,1,{}]"]);
}

// behaviour 13, behaviour 34
#[test]
fn a_callee_without_canceling_streams_and_is_never_interrupted() {
    for roles in [progress_only(), basic_roles()] {
        let mut net = Net::new();
        let callee = net.raw(Serializer::Json, roles);
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
        net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
        assert_eq!(net.heard(callee)[1], r#"[68,1,1,{"receive_progress":true}]"#);
        net.say(callee, r#"[70,1,{"progress":true},[1]]"#);
        assert_eq!(net.heard(caller), [r#"[50,1,{"progress":true},[1]]"#]);
        net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
        assert_eq!(net.heard(caller).len(), 1, "one ERROR");
        assert!(net.heard(callee).is_empty());
        net.say(callee, r#"[70,1,{},[2]]"#);
        assert!(net.heard(caller).is_empty());
        assert_eq!(net.realm.stats().late, 1);
    }
}

// behaviour 26
#[test]
fn after_a_kill_results_still_come_until_the_last() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"kill","reason":"wamp.error.canceled"}]"#]);
    for _ in 0..3 {
        net.say(callee, r#"[70,1,{"progress":true}]"#);
    }
    net.say(callee, "[70,1,{}]");
    assert_eq!(net.heard(caller).len(), 4);
    assert_eq!(net.realm.sizes().deadlines, 0);
}

// behaviour 27
#[test]
fn a_callee_that_does_not_answer_a_kill_is_waited_for_so_long() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
    net.sleep(Duration::from_secs(29));
    assert!(net.heard(caller).is_empty());
    net.sleep(Duration::from_secs(1));
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
    assert_eq!((net.realm.sizes().calls, net.realm.sizes().deadlines), (0, 0));
}

// behaviour 25, behaviour 28
#[test]
fn skip_and_killnowait_end_the_call_at_once() {
    for (mode, interrupts) in [("skip", 0), ("killnowait", 1)] {
        for kill_first in [false, true] {
            let mut net = Net::new();
            let callee = net.raw(Serializer::Json, all_roles());
            let caller = net.raw(Serializer::Json, all_roles());
            net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
            net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
            net.heard(callee);
            if kill_first {
                net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
                net.heard(callee);
            }
            net.say(caller, &format!(r#"[49,1,{{"mode":"{mode}"}}]"#));
            assert_eq!(net.heard(caller).len(), 1);
            assert_eq!(net.heard(callee).len(), interrupts, "{mode}");
            net.say(callee, r#"[8,68,1,{},"wamp.error.canceled"]"#);
            assert!(net.heard(caller).is_empty(), "an answer after the end");
            assert_eq!(net.realm.sizes().deadlines, 0);
        }
    }
}

// behaviour 36, behaviour 38
#[test]
fn a_timeout_begins_again_with_each_result() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true,"timeout":100},"com.myapp.longop"]"#);
    net.heard(callee);
    for _ in 0..10 {
        net.sleep(Duration::from_millis(80));
        net.say(callee, r#"[70,1,{"progress":true}]"#);
    }
    assert_eq!(net.heard(caller).len(), 10);
    net.sleep(Duration::from_millis(120));
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.timeout""#));
    assert_eq!(net.heard(callee), [r#"[69,1,{"mode":"killnowait","reason":"wamp.error.timeout"}]"#]);
    assert_eq!(net.realm.stats().timeouts, 1);
}

// behaviour 37
#[test]
fn a_timeout_stands_still_while_the_router_does_not_read_from_the_callee() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true,"timeout":100},"com.myapp.longop"]"#);
    let key = net.key(callee);
    net.sleep(Duration::from_millis(40));
    let by = net.key(caller);
    net.realm.hold(net.now, key, by, Feed::Stream);
    for _ in 0..50 {
        net.sleep(Duration::from_millis(37));
    }
    net.realm.release(net.now, key, by);
    net.sleep(Duration::from_millis(59));
    assert!(net.heard(caller).is_empty(), "40 ms and 59 ms are not 100 ms");
    net.sleep(Duration::from_millis(100));
    assert!(net.heard(caller)[0].starts_with(r#"[8,48,1,{},"wamp.error.timeout""#));
    assert_eq!(net.realm.sizes().deadlines, 0);
}

// behaviour 35
#[test]
fn a_timeout_is_a_whole_number_of_milliseconds() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    let table =
        [("1", 1), ("0", 0), ("1.0", 1), ("-1", -1), ("1.5", -1), ("\"1\"", -1), ("9007199254740993", -1)];
    for (index, (timeout, deadlines)) in table.into_iter().enumerate() {
        let request = index + 1;
        net.say(caller, &format!(r#"[48,{request},{{"timeout":{timeout}}},"com.myapp.longop"]"#));
        let heard = net.heard(caller);
        if deadlines < 0 {
            let expected =
                format!(r#"[8,48,{request},{{}},"wamp.error.invalid_argument",["the option \"timeout\""#);
            assert!(heard[0].starts_with(&expected), "{timeout}: {heard:?}");
        } else {
            assert!(heard.is_empty(), "{timeout}: {heard:?}");
            assert_eq!(net.realm.sizes().deadlines, deadlines as usize, "{timeout}");
            net.sleep(Duration::from_millis(1));
            net.heard(caller);
        }
    }
}

// behaviour 41, behaviour 42
#[test]
fn the_departure_of_a_session_ends_its_calls() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    for (number, goodbye) in [(1, true), (2, false)] {
        let caller = net.raw(Serializer::Json, all_roles());
        net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
        net.heard(callee);
        if goodbye {
            net.say(caller, r#"[6,{},"wamp.close.close_realm"]"#);
            assert_eq!(net.heard(caller), [r#"[6,{},"wamp.close.goodbye_and_out"]"#]);
        } else {
            net.cut(caller);
        }
        let interrupt = format!(r#"[69,{number},{{"mode":"killnowait","reason":"wamp.close.close_realm"}}]"#);
        assert_eq!(net.heard(callee), [interrupt]);
        assert_eq!(net.realm.sizes().calls, 0);
    }
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.cut(callee);
    let heard = net.heard(caller);
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#));
    assert_eq!((net.realm.sizes().calls, net.realm.sizes().registrations), (0, 0));
}

// behaviour 31, behaviour 32
#[test]
fn our_callee_answers_a_kill_and_nothing_else() {
    for (mode, answers_itself) in
        [(CancelMode::Kill, false), (CancelMode::Kill, true), (CancelMode::KillNoWait, false)]
    {
        let mut net = Net::new();
        let callee = net.join(Serializer::Cbor);
        let caller = net.join(Serializer::Json);
        net.register(callee, PROCEDURE);
        let call = net.call(caller, PROCEDURE, Payload::empty());
        let invocation = net.invocations(callee).remove(0).request;
        if answers_itself {
            net.session(callee).answer_cancel_myself(invocation).unwrap();
        }
        let now = net.now;
        net.session(caller).cancel(now, call, mode).unwrap();
        net.run();
        if answers_itself {
            assert!(net.replies(caller, call).is_empty());
            net.reply(callee, invocation, Reply::Result(args(Serializer::Cbor, &("saved",))));
            assert!(matches!(net.replies(caller, call).as_slice(), [Reply::Result(_)]));
        } else {
            let replies = net.replies(caller, call);
            let [Reply::Error(failure)] = replies.as_slice() else { panic!("{replies:?}") };
            assert!(failure.is_canceled());
            let late = net.session(callee).reply(now, invocation, Reply::Result(Payload::empty()));
            assert_eq!(late, Err(ReplyError::Over));
        }
        assert_eq!(net.realm.sizes().calls, 0);
        assert_eq!(net.session(callee).in_flight(), (0, 0));
        assert_eq!(net.session(caller).in_flight(), (0, 0));
    }
}

#[test]
fn our_callee_cannot_send_progress_unasked_or_after_the_end() {
    let mut net = Net::new();
    let callee = net.join(Serializer::MsgPack);
    let caller = net.join(Serializer::MsgPack);
    net.register(callee, PROCEDURE);
    let call = net.call_with(caller, CallOptions::default(), PROCEDURE, Payload::empty());
    let invocation = net.invocations(callee).remove(0).request;
    let now = net.now;
    let session = net.session(callee);
    assert_eq!(session.reply(now, invocation, Reply::Progress(Payload::empty())), Err(ReplyError::NotAsked));
    let failure = Failure::new(uri::RUNTIME_ERROR);
    assert_eq!(session.reply(now, invocation, Reply::Error(failure)), Ok(()));
    assert_eq!(session.reply(now, invocation, Reply::Result(Payload::empty())), Err(ReplyError::Over));
    net.run();
    assert!(matches!(net.replies(caller, call).as_slice(), [Reply::Error(_)]));
}

// behaviour 50
#[test]
fn a_result_too_big_for_its_caller_ends_the_call_with_an_error() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw_with(Serializer::Json, all_roles(), 512);
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{"receive_progress":true},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,2,{"receive_progress":true},"com.myapp.longop"]"#);
    net.heard(callee);
    let chunk = format!(r#"[70,1,{{"progress":true}},["{}"]]"#, "x".repeat(600));
    net.say(callee, &chunk);
    let heard = net.heard(caller);
    assert!(heard[0].starts_with(r#"[8,48,1,{},"wamp.error.payload_size_exceeded""#), "{heard:?}");
    assert_eq!(heard.len(), 1);
    let interrupt = r#"[69,1,{"mode":"killnowait","reason":"wamp.error.payload_size_exceeded"}]"#;
    assert_eq!(net.heard(callee), [interrupt]);
    net.say(callee, r#"[70,2,{},["fits"]]"#);
    assert_eq!(net.heard(caller), [r#"[50,2,{},["fits"]]"#]);
}

// behaviour 57
#[test]
fn a_result_that_json_cannot_express_is_an_error_for_the_json_caller() {
    let mut net = Net::new();
    let callee = net.join(Serializer::MsgPack);
    let caller = net.join(Serializer::Json);
    net.register(callee, PROCEDURE);
    let call = net.call(caller, PROCEDURE, Payload::empty());
    let invocation = net.invocations(callee).remove(0).request;
    net.reply(callee, invocation, Reply::Result(args(Serializer::MsgPack, &(f64::NAN,))));
    let replies = net.replies(caller, call);
    let [Reply::Error(failure)] = replies.as_slice() else { panic!("{replies:?}") };
    assert_eq!(failure.error, uri::INVALID_ARGUMENT);
}

// behaviour 67
#[test]
fn a_result_says_nothing_about_its_callee() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,1,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[70,1,{"callee":1,"callee_authid":"x"}]"#);
    assert_eq!(net.heard(caller), ["[50,1,{}]"]);
}

// behaviour 1
#[test]
fn invocation_ids_are_counted_for_each_callee_by_itself() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, all_roles());
    for number in 1..=2 {
        let callee = net.raw(Serializer::Json, all_roles());
        net.say(callee, &format!(r#"[64,1,{{}},"com.myapp.longop{number}"]"#));
        net.say(caller, &format!(r#"[48,{number},{{}},"com.myapp.longop{number}"]"#));
        assert!(net.heard(callee)[1].starts_with("[68,1,"));
    }
}
