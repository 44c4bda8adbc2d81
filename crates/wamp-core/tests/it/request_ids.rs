//! Request ids: a strict sequence where correctness depends on it, any unused id elsewhere.

use wamp_core::router::Config;
use wamp_proto::{Feature, Features, Role, Serializer};

use crate::net::{Client, Net, all_roles, basic_roles};

fn strict() -> Net {
    let mut config = Config::new("realm1");
    config.strict_request_ids = true;
    Net::with(config)
}

fn assert_aborted(net: &mut Net, client: Client, text: &str) {
    let heard = net.heard(client);
    assert!(heard.last().is_some_and(|last| last.contains(text)), "{heard:?}, where {text:?} is right");
    assert!(!net.realm.has(net.key(client)));
}

/// A request of each kind with an id, and the beginning of its answer.
fn requests(id: u64, registration: u64, subscription: u64) -> [(String, String); 6] {
    [
        (format!(r#"[64,{id},{{}},"com.myapp.p{id}"]"#), format!("[65,{id},{registration}]")),
        (format!(r#"[32,{id},{{}},"com.myapp.t{id}"]"#), format!("[33,{id},{subscription}]")),
        (format!(r#"[16,{id},{{"acknowledge":true}},"com.myapp.t"]"#), format!("[17,{id},")),
        (
            format!(r#"[48,{id},{{}},"com.myapp.nothing"]"#),
            format!(r#"[8,48,{id},{{}},"wamp.error.no_such_procedure""#),
        ),
        (format!("[66,{id},{registration}]"), format!("[67,{id}]")),
        (format!("[34,{id},{subscription}]"), format!("[35,{id}]")),
    ]
}

#[test]
fn a_session_that_makes_no_calls_in_chunks_may_use_any_id() {
    for serializer in Serializer::ALL {
        let mut net = Net::new();
        let client = net.raw(*serializer, basic_roles());
        // Random ids, other starts, descending ids, a repeated id, the greatest id.
        let ids = [8_513_655_549_993_351, 77, 78, 5, 4, 4, 1 << 53, 1];
        for (n, id) in ids.into_iter().enumerate() {
            for (request, answer) in requests(id, n as u64 + 1, n as u64 + 1) {
                net.say(client, &request);
                let heard = net.heard(client);
                assert!(heard.len() == 1 && heard[0].starts_with(&answer), "{request}: {heard:?}");
            }
        }
        assert_eq!(net.realm.stats().violations, 0);
    }
}

// behaviour 2
#[test]
fn a_caller_that_may_make_calls_in_chunks_counts_from_1() {
    for strict_ids in [false, true] {
        let roles = if strict_ids { basic_roles() } else { all_roles() };
        for (n, (request, _)) in requests(3, 1, 1).into_iter().enumerate() {
            let mut net = if strict_ids { strict() } else { Net::new() };
            let client = net.raw(Serializer::Json, roles.clone());
            net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
            net.say(client, &request);
            assert_aborted(&mut net, client, "with the request id 3, expected 2");
            let mut net = if strict_ids { strict() } else { Net::new() };
            let client = net.raw(Serializer::Json, roles.clone());
            let request = requests(1, 1, 1)[n].0.clone();
            net.say(client, r#"[32,1,{},"com.myapp.topic"]"#);
            net.say(client, r#"[32,2,{},"com.myapp.topic"]"#);
            net.say(client, &request);
            // With chunks a CALL with an old id is a chunk of a call that is over.
            if strict_ids || !request.starts_with("[48") {
                assert_aborted(&mut net, client, "with the request id 1, which was used before");
            } else {
                assert!(net.realm.has(net.key(client)));
            }
        }
    }
}

#[test]
fn only_the_caller_role_asks_for_the_sequence() {
    let mut net = Net::new();
    let chunks = Features::none().with(Feature::ProgressiveCallInvocations).with(Feature::CallCanceling);
    let client = net.raw(Serializer::Json, basic_roles().with(Role::Callee, chunks));
    net.say(client, r#"[64,77,{},"com.myapp.longop"]"#);
    assert_eq!(net.heard(client), ["[65,77,1]"]);
}

#[test]
fn an_id_may_be_used_again_when_its_call_has_ended() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, basic_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    // By a result, by an error, by CANCEL in each mode.
    let mut invocation = 0;
    for ending in ["[70,N,{}]", r#"[8,68,N,{},"com.myapp.error"]"#, "kill", "skip", "killnowait"] {
        net.say(caller, r#"[48,7,{},"com.myapp.longop"]"#);
        invocation += 1;
        net.heard(callee);
        if ending.starts_with('[') {
            net.say(callee, &ending.replace('N', &invocation.to_string()));
        } else {
            net.say(caller, &format!(r#"[49,7,{{"mode":"{ending}"}}]"#));
            if ending == "kill" {
                assert!(net.heard(caller).is_empty());
                net.say(callee, &format!(r#"[8,68,{invocation},{{}},"wamp.error.canceled"]"#));
            }
        }
        let heard = net.heard(caller);
        assert!(heard.len() == 1 && heard[0].contains(",7,{}"), "{ending}: {heard:?}");
    }
    // Further messages for the canceled calls do not concern the new one.
    net.say(caller, r#"[48,7,{},"com.myapp.longop"]"#);
    net.say(callee, r#"[70,4,{},["late"]]"#);
    net.say(callee, r#"[70,5,{},["late"]]"#);
    assert!(net.heard(caller).is_empty());
    net.say(callee, r#"[70,6,{},["new"]]"#);
    assert_eq!(net.heard(caller), [r#"[50,7,{},["new"]]"#]);
    assert_eq!((net.realm.stats().violations, net.realm.stats().late), (0, 2));
}

#[test]
fn an_id_of_a_call_under_way_is_a_violation_in_every_request() {
    for (request, _) in requests(7, 1, 1) {
        let mut net = Net::new();
        let callee = net.raw(Serializer::Json, all_roles());
        let caller = net.raw(Serializer::Json, basic_roles());
        net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
        net.heard(callee);
        net.say(caller, r#"[48,7,{},"com.myapp.longop"]"#);
        net.say(caller, &request);
        assert_aborted(&mut net, caller, "with the request id 7, which a running call has");
        // The call ends with its caller, once.
        let heard = net.heard(callee);
        assert_eq!(heard.len(), 2, "INVOCATION and INTERRUPT: {heard:?}");
        assert_eq!(net.realm.sizes().calls, 0);
    }
}

#[test]
fn a_cancel_of_an_id_that_no_call_has_changes_nothing() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    let caller = net.raw(Serializer::Json, basic_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.say(caller, r#"[48,8513655549993351,{},"com.myapp.longop"]"#);
    net.heard(callee);
    for id in [1, 2, 8_513_655_549_993_350_u64, 1 << 53] {
        net.say(caller, &format!(r#"[49,{id},{{"mode":"kill"}}]"#));
    }
    assert!(net.heard(caller).is_empty() && net.heard(callee).is_empty());
    net.say(caller, "[49,8513655549993351,{}]");
    assert_eq!(net.heard(caller).len(), 1);
    assert_eq!(net.heard(callee).len(), 1);
}

#[test]
fn ids_of_one_session_are_nothing_to_another() {
    let mut net = Net::new();
    let callee = net.raw(Serializer::Json, all_roles());
    net.say(callee, r#"[64,1,{},"com.myapp.longop"]"#);
    net.heard(callee);
    let callers = [(); 2].map(|()| net.raw(Serializer::Json, basic_roles()));
    for caller in callers {
        net.say(caller, r#"[48,7,{},"com.myapp.longop"]"#);
    }
    net.say(callee, "[70,2,{},[2]]");
    net.say(callee, "[70,1,{},[1]]");
    assert_eq!(net.heard(callers[0]), ["[50,7,{},[1]]"]);
    assert_eq!(net.heard(callers[1]), ["[50,7,{},[2]]"]);
}
