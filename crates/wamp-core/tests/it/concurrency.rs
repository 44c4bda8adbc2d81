//! How many calls of a registration a callee gets at once, and the policy that looks at that.

use std::time::Duration;

use wamp_proto::Serializer;

use crate::net::{Client, Net, all_roles};

/// A callee with this procedure.
fn callee(net: &mut Net, options: &str) -> Client {
    let callee = net.raw(Serializer::Json, all_roles());
    net.say(callee, &format!(r#"[64,1,{{{options}}},"com.myapp.longop"]"#));
    assert_eq!(net.heard(callee), ["[65,1,1]"]);
    callee
}

fn call(net: &mut Net, caller: Client, request: usize) {
    net.say(caller, &format!(r#"[48,{request},{{}},"com.myapp.longop"]"#));
}

// behaviour 148
#[test]
fn a_callee_gets_no_more_calls_at_once_than_it_takes() {
    let mut net = Net::new();
    let (caller, other) = (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
    let callee = callee(&mut net, r#""concurrency":2"#);
    call(&mut net, caller, 1);
    call(&mut net, other, 1);
    call(&mut net, caller, 2);
    assert_eq!(net.heard(callee), ["[68,1,1,{}]", "[68,2,1,{}]"]);
    let refused = r#"[8,48,2,{},"wamp.error.unavailable",["no callee can take another call now"]]"#;
    assert_eq!(net.heard(caller), [refused]);
    assert_eq!((net.realm.stats().unavailable, net.realm.sizes().loads), (1, 1));
    // Another procedure of the same callee is not concerned.
    net.say(callee, r#"[64,2,{},"com.myapp.other"]"#);
    net.say(caller, r#"[48,3,{},"com.myapp.other"]"#);
    assert_eq!(net.heard(callee), ["[65,2,2]", "[68,3,2,{}]"]);
    // The calls go on without the registration, and give nothing back twice.
    net.say(callee, "[66,3,1]");
    for invocation in 1..=3 {
        net.say(callee, &format!("[70,{invocation},{{}}]"));
    }
    assert_eq!((net.realm.sizes().calls, net.realm.sizes().loads), (0, 0));
}

// behaviour 148
#[test]
fn the_end_of_a_call_makes_room_whatever_ended_it() {
    for end in ["result", "error", "skip", "kill", "timeout", "loss", "goodbye", "slow answer"] {
        let mut net = Net::new();
        let (caller, other) =
            (net.raw(Serializer::Json, all_roles()), net.raw(Serializer::Json, all_roles()));
        let callee = callee(&mut net, r#""concurrency":1"#);
        net.say(caller, r#"[48,1,{"timeout":100},"com.myapp.longop"]"#);
        call(&mut net, other, 1);
        assert!(net.heard(other)[0].contains("wamp.error.unavailable"));
        match end {
            "result" => net.say(callee, "[70,1,{}]"),
            "error" => net.say(callee, r#"[8,68,1,{},"com.myapp.failed"]"#),
            "skip" => net.say(caller, r#"[49,1,{"mode":"skip"}]"#),
            "kill" => {
                net.say(caller, r#"[49,1,{"mode":"kill"}]"#);
                call(&mut net, other, 2);
                assert!(net.heard(other)[0].contains("wamp.error.unavailable"), "the call goes on");
                net.say(callee, r#"[8,68,1,{},"wamp.error.canceled"]"#);
            }
            "timeout" => net.sleep(Duration::from_millis(100)),
            "loss" => net.cut(caller),
            "goodbye" => net.say(caller, r#"[6,{},"wamp.close.close_realm"]"#),
            _ => net.say(callee, r#"[70,1,{"progress":false},["x"]]"#),
        }
        assert_eq!(net.realm.sizes().loads, 0, "{end}");
        net.heard(callee);
        let request = if end == "kill" { 3 } else { 2 };
        call(&mut net, other, request);
        assert_eq!(net.heard(callee), ["[68,2,1,{}]"], "{end}");
        net.cut(callee);
        assert_eq!((net.realm.sizes().calls, net.realm.sizes().loads), (0, 0), "{end}");
    }
}

// behaviour 148
#[test]
fn calls_pass_over_callees_that_have_as_many_as_they_take() {
    for invoke in ["roundrobin", "first", "last", "random", "queue_least_loaded"] {
        let mut net = Net::new();
        let caller = net.raw(Serializer::Json, all_roles());
        let options = format!(r#""invoke":"{invoke}","concurrency":1"#);
        let callees = [(); 3].map(|()| callee(&mut net, &options));
        for request in 1..=4 {
            call(&mut net, caller, request);
        }
        for callee in callees {
            assert_eq!(net.heard(callee), ["[68,1,1,{}]"], "{invoke}");
        }
        assert!(net.heard(caller)[0].starts_with(r#"[8,48,4,{},"wamp.error.unavailable""#), "{invoke}");
        net.say(callees[1], "[70,1,{}]");
        call(&mut net, caller, 5);
        assert_eq!(net.heard(callees[1]), ["[68,2,1,{}]"], "{invoke}");
    }
}

// behaviour 148
#[test]
fn the_number_of_calls_at_once_is_a_positive_integer() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    for (request, value) in (1..).zip(["0", "-1", "1.5", r#""2""#, "true", "[1]"]) {
        net.say(callee, &format!(r#"[64,{request},{{"concurrency":{value}}},"com.myapp.longop"]"#));
        let heard = net.heard(callee).concat();
        let expected = format!(r#"[8,64,{request},{{}},"wamp.error.invalid_argument""#);
        assert!(heard.starts_with(&expected) && heard.contains("concurrency"), "{value}: {heard}");
    }
    for (request, value) in (7..).zip(["null", "1", "2.0", "9007199254740992"]) {
        net.say(callee, &format!(r#"[64,{request},{{"concurrency":{value}}},"com.myapp.p{request}"]"#));
        assert!(net.heard(callee)[0].starts_with("[65,"), "{value}");
    }
}

// behaviour 145
#[test]
fn the_least_loaded_callee_gets_the_next_call() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, all_roles());
    let callees = [(); 3].map(|()| callee(&mut net, r#""invoke":"queue_least_loaded""#));
    let mut called = [0; 3];
    // The last callee answers none, the others answer each call at once.
    for request in 1..=100 {
        call(&mut net, caller, request);
        for (callee, called) in callees.iter().zip(&mut called) {
            for _ in net.heard(*callee) {
                *called += 1;
                if *callee != callees[2] {
                    net.say(*callee, &format!("[70,{called},{{}}]"));
                }
            }
        }
    }
    assert_eq!(called, [50, 49, 1], "it has one, and the others take turns");
    // With as many as the others it has its turn again.
    net.say(callees[2], "[70,1,{}]");
    assert_eq!(net.realm.sizes().loads, 0);
    let other = net.raw(Serializer::Json, all_roles());
    net.say(other, r#"[64,1,{"invoke":"roundrobin"},"com.myapp.longop"]"#);
    assert!(net.heard(other)[0].contains("wamp.error.procedure_already_exists"));
}

// behaviour 145
#[test]
fn of_many_callees_the_less_loaded_of_two_gets_the_next_call() {
    let mut net = Net::new();
    let caller = net.raw(Serializer::Json, all_roles());
    let callees = [(); 20].map(|()| callee(&mut net, r#""invoke":"queue_least_loaded","concurrency":10"#));
    for request in 1..=200 {
        call(&mut net, caller, request);
        if request == 100 {
            let loads = callees.map(|callee| net.heard(callee).len());
            assert!(loads.iter().all(|calls| (2..=7).contains(calls)), "{loads:?}");
        }
    }
    let loads = callees.map(|callee| net.heard(callee).len());
    assert_eq!(loads.iter().sum::<usize>(), 100, "each room is found: {loads:?}");
    call(&mut net, caller, 201);
    assert!(net.heard(caller)[0].contains("wamp.error.unavailable"));
}
